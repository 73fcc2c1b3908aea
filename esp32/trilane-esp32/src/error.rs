//! Why a model cannot be used, or a step not be taken.

use core::fmt;
use trilane_core::gguf::GgufError;
use trilane_core::model::ModelError;
use trilane_core::model::sampler::SamplerError;
use trilane_core::model::tokenizer::TokenizerError;

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a GGUF file.
    File(GgufError),
    /// The file's model cannot be run, or the step not be taken.
    Model(ModelError),
    /// The vocabulary, or a token.
    Tokenizer(TokenizerError),
    /// No token can be chosen.
    Sampler(SamplerError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Model(error @ ModelError::Backend { .. }) => {
                write!(f, "{error}; the feature `lanes` does")
            }
            Self::Model(error) => error.fmt(f),
            Self::Tokenizer(error) => error.fmt(f),
            Self::Sampler(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<GgufError> for Error {
    fn from(error: GgufError) -> Self {
        Self::File(error)
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl From<TokenizerError> for Error {
    fn from(error: TokenizerError) -> Self {
        Self::Tokenizer(error)
    }
}

impl From<SamplerError> for Error {
    fn from(error: SamplerError) -> Self {
        Self::Sampler(error)
    }
}
