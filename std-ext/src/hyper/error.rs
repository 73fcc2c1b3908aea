//! What hypervector operations refuse.

use std::fmt;
use trilane_core::error::ArgumentError;

/// An operation on hypervectors that was refused.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum VsaError {
    /// An argument is not what the operation takes.
    Argument(ArgumentError),
    /// The device that the configuration asks for computes no hypervectors here.
    Device(crate::device::DevicePreference),
}

impl fmt::Display for VsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(error) => error.fmt(f),
            Self::Device(device) => write!(
                f,
                "{device:?}: these operations are the processor's; trilane_cuda::hyper has a GPU's"
            ),
        }
    }
}

impl std::error::Error for VsaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Argument(error) => Some(error),
            Self::Device(_) => None,
        }
    }
}

impl From<ArgumentError> for VsaError {
    fn from(error: ArgumentError) -> Self {
        Self::Argument(error)
    }
}
