//! What can go wrong, and the exit code that says so.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use trilane::std::convert::ConvertError;
use trilane::std::convert::folder::FolderError;
use trilane::std::gguf_writer::WriteError;
use trilane::std::mapped::OpenError;

/// Why a command ended early. The exit code is that of [`code`](Self::code).
#[derive(Debug)]
pub(crate) enum Error {
    /// The arguments ask for something that cannot be done.
    Usage(String),
    /// A file's contents are wrong.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, what was expected and what was found.
        what: String,
    },
    /// Reading or writing failed.
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        error: io::Error,
    },
    /// There is no device as asked for, or it cannot compute this.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "no device is compiled in"))]
    Device(String),
    /// Anything else.
    Other(String),
    /// Nobody reads the output any more.
    Closed,
}

impl Error {
    /// The exit code: 1 anything else, 2 usage, 3 bad file, 4 input and output, 5 device.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Other(_) => 1,
            Self::Usage(_) => 2,
            Self::File { .. } => 3,
            Self::Io { .. } => 4,
            Self::Device(_) => 5,
        }
    }

    /// A fault in a file's contents.
    pub(crate) fn file(path: &Path, what: impl fmt::Display) -> Self {
        Self::File { path: path.into(), what: what.to_string() }
    }

    /// A failure to read or write a file.
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.into(), error }
    }

    /// A file that could not be written.
    pub(crate) fn write(path: &Path, error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => Self::io(path, error),
            error => Self::file(path, error),
        }
    }

    /// A conversion from `from` to `to` that failed.
    pub(crate) fn convert(from: &Path, to: &Path, error: ConvertError) -> Self {
        match error {
            ConvertError::Write(error) => Self::write(to, error),
            ConvertError::Pattern(_) | ConvertError::Lane(_) => {
                Self::Usage(format!("{}: {error}", from.display()))
            }
            ConvertError::Folder(FolderError::Io { path, error }) => Self::io(&path, error),
            ConvertError::Folder(FolderError::Format { path, what }) => Self::file(&path, what),
            error => Self::file(from, error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) | Self::Device(what) | Self::Other(what) => f.write_str(what),
            Self::File { path, what } => write!(f, "{}: {what}", path.display()),
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Closed => f.write_str("the output was closed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Io { path, error } => Self::Io { path, error },
            OpenError::Gguf { path, error } => Self::file(&path, error),
        }
    }
}

/// Every bare I/O error comes from standard output; those of files carry a path.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::io(Path::new("standard output"), error),
        }
    }
}
