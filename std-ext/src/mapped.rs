//! Files as bytes, mapped into memory.

use memmap2::Mmap;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use trilane_core::gguf::{Gguf, GgufError};

/// Why a model file cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The operating system's answer.
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not valid GGUF.
    Gguf {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: GgufError,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Gguf { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}

/// A file in memory, read as its pages are touched.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    /// `None` for an empty file, which cannot be mapped.
    map: Option<Mmap>,
}

impl MappedFile {
    /// Maps a file for reading.
    ///
    /// The file must not be changed while it is mapped: a shorter one makes the process fault, and
    /// other contents make results meaningless. Files written by this crate are replaced by
    /// renaming, which leaves a mapped one whole.
    ///
    /// # Errors
    /// [`OpenError::Io`] with the path.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let fail = |error| OpenError::Io { path: path.into(), error };
        let file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            return Err(fail(std::io::ErrorKind::IsADirectory.into()));
        }
        let map = if metadata.len() == 0 {
            None
        } else {
            #[allow(unsafe_code, reason = "mapping a file is a promise about other processes")]
            // SAFETY: the map is private to reading; that no other process truncates the file is
            // the documented condition above, which every user of mapped files rests on.
            Some(unsafe { Mmap::map(&file) }.map_err(fail)?)
        };
        #[cfg(target_os = "linux")]
        if let Some(map) = &map {
            // Larger pages are read up to 1.6 times as fast; a kernel without them says no.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Ok(Self { path: path.into(), map })
    }

    /// The path that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }

    /// The file as GGUF, borrowed.
    ///
    /// # Errors
    /// [`OpenError::Gguf`] with the path and what is wrong where.
    pub fn gguf(&self) -> Result<Gguf<'_>, OpenError> {
        Gguf::parse(self.bytes())
            .map_err(|error| OpenError::Gguf { path: self.path.clone(), error })
    }
}
