//! Errors as JavaScript gets them: a message, and a code as the error's name.

use trilane_core::digits::{MatrixError, PackError};
use trilane_core::gguf::GgufError;
use trilane_core::model::ModelError;
use trilane_core::model::sampler::SamplerError;
use trilane_core::model::tokenizer::TokenizerError;
use trilane_core::nn::{CacheError, LinearError};
use trilane_core::quant::QuantError;
use trilane_std::generation::GenerationError;
use trilane_std::memory::OutOfMemory;
use trilane_std::text::TextError;
use wasm_bindgen::JsValue;

/// An error on its way to JavaScript.
#[derive(Clone, Debug)]
pub struct Failure {
    /// One of the package's error codes.
    code: &'static str,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }

    /// A count that the address space has no room for, or that is no count.
    pub(crate) fn size(what: &str, found: f64) -> Self {
        Self::new("memory", format!("memory for {what}: {found} bytes are not to be had"))
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let error = js_sys::Error::new(&failure.message);
        error.set_name(failure.code);
        error.into()
    }
}

impl From<GgufError> for Failure {
    fn from(error: GgufError) -> Self {
        Self::new("gguf", error)
    }
}

impl From<OutOfMemory> for Failure {
    fn from(error: OutOfMemory) -> Self {
        Self::new("memory", error)
    }
}

impl From<SamplerError> for Failure {
    fn from(error: SamplerError) -> Self {
        Self::new("option", error)
    }
}

impl From<QuantError> for Failure {
    fn from(error: QuantError) -> Self {
        let code = if matches!(error, QuantError::NotFinite { .. }) { "value" } else { "shape" };
        Self::new(code, error)
    }
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        Self::new("shape", error)
    }
}

impl From<MatrixError> for Failure {
    fn from(error: MatrixError) -> Self {
        let code = match error {
            MatrixError::Lane { .. } => "lane",
            MatrixError::Size { .. } | MatrixError::Length { .. } => "shape",
            _ => "value",
        };
        Self::new(code, error)
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let code = match error {
            ModelError::Lane { .. } => "lane",
            ModelError::Token { .. } => "token",
            ModelError::Memory { .. } => "memory",
            ModelError::Diverged { .. } => "value",
            ModelError::Cache(CacheError::Full { .. }) => "context",
            ModelError::Compute(LinearError::Matrix(MatrixError::Lane { .. })) => "lane",
            _ => "model",
        };
        Self::new(code, error)
    }
}

impl From<TokenizerError> for Failure {
    fn from(error: TokenizerError) -> Self {
        Self::new("text", error)
    }
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        match error {
            TextError::Memory(error) => error.into(),
            error => Self::new("text", error),
        }
    }
}

impl From<GenerationError> for Failure {
    fn from(error: GenerationError) -> Self {
        match error {
            GenerationError::Model(error) => error.into(),
            GenerationError::Text(error) => error.into(),
            GenerationError::Sampler(error) => error.into(),
            GenerationError::Memory(error) => error.into(),
            GenerationError::PromptLength { .. } => Self::new("context", error),
            error => Self::new("text", error),
        }
    }
}
