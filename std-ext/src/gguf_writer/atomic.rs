//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file so that `path` names either what it named before or the complete new file.
///
/// `write` gets a temporary file in the same folder. If it succeeds, the file is brought to the
/// disk and renamed to `path`; if anything fails, panics included, it is removed.
///
/// # Errors
/// Whatever `write` returns, and failures to create, flush, sync or rename the file.
pub fn write_atomically<T, E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T, E>,
) -> Result<T, E> {
    let (file, temporary) = Temporary::beside(path)?;
    let mut out = BufWriter::new(file);
    let result = write(&mut out)?;
    out.flush()?;
    // Closed at the end of this line: an open file cannot be renamed everywhere.
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    temporary.persist(path)?;
    Ok(result)
}

/// Removes the temporary files that this process is writing for `path`, for a handler of interrupts
/// that is about to end the process. What cannot be removed stays.
pub fn remove_temporaries(path: &Path) {
    let Some(prefix) = prefix(path) else { return };
    let prefix = prefix.to_string_lossy().into_owned();
    let Ok(folder) = fs::read_dir(folder(path)) else { return };
    for entry in folder.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.strip_prefix(&prefix).is_some_and(|rest| rest.ends_with(".tmp")) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What the names of this process's temporary files for `path` begin with.
fn prefix(path: &Path) -> Option<OsString> {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name()?);
    prefix.push(format!(".{}.", std::process::id()));
    Some(prefix)
}

/// The folder that `path` is in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that is removed unless it was persisted.
struct Temporary(Option<PathBuf>);

impl Temporary {
    /// Creates a file with a new name in the folder of `path`.
    fn beside(path: &Path) -> io::Result<(File, Self)> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let prefix = prefix(path).ok_or(io::ErrorKind::InvalidInput)?;
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let mut temporary = prefix.clone();
            temporary.push(format!("{number}.tmp"));
            let temporary = path.with_file_name(temporary);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => return Ok((file, Self(Some(temporary)))),
                // Left behind by a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives the file its name.
    fn persist(mut self, path: &Path) -> io::Result<()> {
        if let Some(temporary) = &self.0 {
            fs::rename(temporary, path)?;
        }
        self.0 = None;
        #[cfg(unix)]
        // The new name is on the disk only when its folder is.
        File::open(folder(path))?.sync_all()?;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(temporary) = &self.0 {
            // Nothing more can be done about a failure here.
            let _ = fs::remove_file(temporary);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_removes_only_what_this_process_writes_for_that_path() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("trilane-atomic-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let (path, other) = (folder.join("out"), folder.join(".out.1.0.tmp.txt"));
        fs::write(&other, "")?;
        let (outer, inner) = (folder.join("out2"), &path);
        let result = write_atomically(&outer, |_| {
            let lost = write_atomically(inner, |_| {
                remove_temporaries(inner);
                Ok::<(), io::Error>(())
            });
            assert_eq!(lost.map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
            Ok::<(), io::Error>(())
        });
        let mut names: Vec<_> = fs::read_dir(&folder)?.flatten().map(|e| e.file_name()).collect();
        names.sort();
        fs::remove_dir_all(&folder)?;
        assert_eq!(names, [".out.1.0.tmp.txt", "out2"]);
        result
    }
}
