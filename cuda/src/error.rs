//! What can go wrong with a device.

use core::fmt;
use trilane_core::error::{ArgumentError, ShapeError};

/// What can go wrong with a device and its kernels.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CudaError {
    /// There is no CUDA driver on this machine.
    NoDriver,
    /// There is a driver, and no device that it can use.
    NoDevice,
    /// There is no device of that number.
    Ordinal {
        /// The number asked for, counted from 0.
        ordinal: usize,
        /// Devices that there are.
        devices: usize,
    },
    /// The compiler of kernels, NVRTC, is not on this machine.
    NoCompiler,
    /// The compiler refused a source.
    Compile {
        /// Name of the source.
        source: &'static str,
        /// What it said.
        log: String,
    },
    /// A kernel that no source has, or that was launched with other arguments than it takes.
    Kernel {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A call of the driver failed.
    Driver {
        /// What was being done.
        call: &'static str,
        /// The driver's number for the failure.
        code: u32,
        /// What the driver says of it.
        message: String,
    },
    /// The device has too little memory.
    Memory {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes that were free.
        free: usize,
    },
    /// Slices or buffers do not fit together.
    Shape(ShapeError),
    /// Values that an operation refuses, as it does on the host.
    Argument(ArgumentError),
    /// A size is beyond what the kernels count.
    Size {
        /// Of what.
        what: &'static str,
        /// The size.
        size: usize,
        /// The greatest that there may be.
        greatest: usize,
    },
    /// The device does not compute this.
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// Values are not finite.
    Diverged {
        /// The first sequence of the batch.
        sequence: usize,
        /// The layer; the number of layers stands for the output.
        layer: usize,
    },
    /// The cache is full.
    CacheFull {
        /// Tokens that fit.
        capacity: usize,
    },
    /// A token is not in the vocabulary.
    Token {
        /// The token.
        token: u32,
        /// Tokens in the vocabulary.
        vocabulary: usize,
    },
}

impl fmt::Display for CudaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDriver => f.write_str(
                "no CUDA driver found: looked for libcuda.so (nvcuda.dll on Windows), which comes \
                 with NVIDIA's driver",
            ),
            Self::NoDevice => f.write_str("the CUDA driver finds no device that it can use"),
            Self::Ordinal { ordinal, devices } => {
                write!(f, "there is no CUDA device {ordinal}: found {devices}, counted from 0")
            }
            Self::NoCompiler => f.write_str(
                "no kernel compiler found: looked for libnvrtc.so (nvrtc64_*.dll on Windows), which \
                 comes with the CUDA toolkit and with the Python package nvidia-cuda-nvrtc-cu12",
            ),
            Self::Compile { source, log } => write!(f, "{source} does not compile:\n{log}"),
            Self::Kernel { name, reason } => write!(f, "kernel {name}: {reason}"),
            Self::Driver { call, code, message } => {
                write!(f, "{call}: the CUDA driver says {message} ({code})")
            }
            Self::Memory { bytes, free } => {
                write!(f, "the device has {free} bytes free, {bytes} are needed")
            }
            Self::Shape(e) => e.fmt(f),
            Self::Argument(e) => e.fmt(f),
            Self::Size { what, size, greatest } => {
                write!(f, "{what}: expected at most {greatest}, found {size}")
            }
            Self::Unsupported { what } => write!(f, "not computed on a device: {what}"),
            Self::Diverged { sequence, layer } => {
                write!(f, "sequence {sequence}: values of layer {layer} are not finite")
            }
            Self::CacheFull { capacity } => {
                write!(f, "the key-value cache is full: it holds {capacity} tokens")
            }
            Self::Token { token, vocabulary } => {
                write!(f, "token {token} is not in the vocabulary of {vocabulary}")
            }
        }
    }
}

impl std::error::Error for CudaError {}

impl From<ShapeError> for CudaError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

impl From<ArgumentError> for CudaError {
    fn from(e: ArgumentError) -> Self {
        Self::Argument(e)
    }
}

/// An error unless a length is what it must be.
pub(crate) fn same_len(expected: usize, actual: usize) -> Result<(), CudaError> {
    if expected == actual { Ok(()) } else { Err(ShapeError::Length { expected, actual }.into()) }
}

/// A size as the kernels count it.
pub(crate) fn counted(what: &'static str, size: usize) -> Result<i32, CudaError> {
    let greatest = i32::MAX as usize;
    i32::try_from(size).map_err(|_| CudaError::Size { what, size, greatest })
}
