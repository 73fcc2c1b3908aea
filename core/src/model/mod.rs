//! Models: headers, tokenizers, sampler, decoder, encoder, perceptron.

mod architecture;
mod arena;
mod auto;
mod decoder;
mod digest;
mod encoder;
mod error;
mod file_tokenizer;
mod header;
mod hyperparameters;
mod merge;
mod mixer;
mod mlp;
mod planes;
pub mod sampler;
mod sparse;
mod token_error;
pub mod tokenizer;
pub mod utf8;
mod verify;
mod vocab;
mod weights;
pub mod wordpiece;

pub use architecture::{Architecture, TAPS};
pub use arena::Line;
pub use auto::{AutoError, AutoLanes, AutoLayer, AutoMemory};
pub use decoder::{Decoder, Observer, Recorder};
pub use digest::Digest;
pub use encoder::{
    Encoder, EncoderHeader, EncoderLayer, EncoderWeights, Pooling, parts as encoder_parts,
    verify_encoder,
};
pub use error::{ModelError, TensorName};
pub use header::Header;
pub use mlp::{MLP_MAX_LAYERS, Mlp, MlpHeader, Scores, VERIFY_INPUTS};
pub use planes::{LAYOUT_VERSION, keys, parts};
pub use sparse::{
    FeedForwardMode, PredictorKind, QUANTILES, SparseLayer, keys as sparsity_keys,
    parts as sparsity_parts,
};
pub use verify::{VERIFY_TOKENS, token as verify_token, verify};
pub use weights::{Layer, Weights};
