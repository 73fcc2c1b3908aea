//! What the functions return.

use core::ffi::CStr;
use trilane_esp32::Error;
use trilane_esp32::core::gguf::GgufError;
use trilane_esp32::core::model::ModelError;
use trilane_esp32::core::nn::CacheError;

/// How a call ended. The numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A pointer is null, or a length is more than the address space.
    Null = 1,
    /// The bytes are not a GGUF file, or a malformed one.
    File = 2,
    /// The file's model is incomplete, malformed, or of a kind that is not run.
    Model = 3,
    /// A tensor is stored at a lane that this build does not read.
    Lane = 4,
    /// The model does not lie at a multiple of four.
    Alignment = 5,
    /// The memory is too small for the model and the context.
    Memory = 6,
    /// The token is not in the vocabulary.
    Token = 7,
    /// The context is full.
    Context = 8,
    /// A computed value is not finite.
    Diverged = 9,
    /// The features are not as many as the model takes, or -128 is among them.
    Features = 10,
}

impl Status {
    const ALL: [Self; 11] = [
        Self::Ok,
        Self::Null,
        Self::File,
        Self::Model,
        Self::Lane,
        Self::Alignment,
        Self::Memory,
        Self::Token,
        Self::Context,
        Self::Diverged,
        Self::Features,
    ];

    /// How a call ended whose result goes into `place`, unless it is an error.
    pub(crate) fn of<T>(result: Result<T, impl Into<Self>>, place: &mut T) -> Self {
        match result {
            Ok(value) => {
                *place = value;
                Self::Ok
            }
            Err(error) => error.into(),
        }
    }

    /// The meaning of a number.
    pub(crate) fn message(number: i32) -> &'static CStr {
        match Self::ALL.into_iter().find(|status| *status as i32 == number) {
            Some(Self::Ok) => c"done",
            Some(Self::Null) => c"a pointer is null, or a length is more than the address space",
            Some(Self::File) => c"the bytes are not a GGUF file, or a malformed one",
            Some(Self::Model) => {
                c"the model is incomplete, malformed, or of a kind that is not run"
            }
            Some(Self::Lane) => c"a tensor is stored at a lane that this build does not read",
            Some(Self::Alignment) => c"the model does not lie at a multiple of four",
            Some(Self::Memory) => c"the memory is too small for the model and the context",
            Some(Self::Token) => c"the token is not in the vocabulary",
            Some(Self::Context) => c"the context is full",
            Some(Self::Diverged) => c"a computed value is not finite",
            Some(Self::Features) => {
                c"the features are not as many as the model takes, or -128 is among them"
            }
            None => c"not a status of this library",
        }
    }
}

impl From<GgufError> for Status {
    fn from(_: GgufError) -> Self {
        Self::File
    }
}

impl From<ModelError> for Status {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Unaligned { .. } => Self::Alignment,
            ModelError::Memory { .. } => Self::Memory,
            ModelError::Lane { .. } | ModelError::Backend { .. } => Self::Lane,
            ModelError::Token { .. } => Self::Token,
            ModelError::Cache(CacheError::Full { .. }) => Self::Context,
            ModelError::Diverged { .. } => Self::Diverged,
            _ => Self::Model,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::File(error) => error.into(),
            Error::Model(error) => error.into(),
            _ => Self::Model,
        }
    }
}
