//! A file that is read here and there and must not change meanwhile.

use super::CacheError;
use bytemuck::allocation::try_zeroed_slice_box;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;
use trilane_core::model::Line;
use trilane_core::nn::Extent;

/// An open file, with what it was when it was opened.
#[derive(Debug)]
pub(crate) struct WatchedFile {
    file: File,
    len: u64,
    modified: Option<SystemTime>,
}

impl WatchedFile {
    pub(crate) fn open(path: &Path) -> Result<Self, CacheError> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        Ok(Self { file, len: metadata.len(), modified: metadata.modified().ok() })
    }

    /// Bytes when it was opened.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Fills `bytes` from a place in the file.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), CacheError> {
        let expected = offset.saturating_add(bytes.len() as u64);
        read_exact_at(&self.file, bytes, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let actual = self.file.metadata().map_or(0, |metadata| metadata.len());
                CacheError::Truncated { expected, actual }
            }
            _ => error.into(),
        })
    }

    /// The bytes of a row, in lines of their own.
    pub(crate) fn lines(&self, row: Extent) -> Result<Box<[Line]>, CacheError> {
        let count = row.len.div_ceil(size_of::<Line>());
        let error = CacheError::Memory { bytes: row.len };
        let mut lines = try_zeroed_slice_box(count).map_err(|()| error)?;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut lines);
        self.read(row.offset as u64, bytes.get_mut(..row.len).unwrap_or_default())?;
        Ok(lines)
    }

    /// Whether the file still is what was opened.
    pub(crate) fn check(&self) -> Result<(), CacheError> {
        let metadata = self.file.metadata()?;
        if metadata.len() < self.len {
            return Err(CacheError::Truncated { expected: self.len, actual: metadata.len() });
        }
        if metadata.modified().ok() != self.modified {
            return Err(CacheError::Changed);
        }
        Ok(())
    }
}

/// Fills `bytes` from a place in the file.
#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Fills `bytes` from a place in the file.
#[cfg(not(unix))]
fn read_exact_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}
