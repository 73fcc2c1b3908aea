//! trilane in firmware: a model in flash, memory that the linker knows, no allocator.
//!
//! ```
//! use trilane_esp32::{Engine, Layer, Line, Model, include_model};
//!
//! const MODEL: Model = include_model!("../../../models/shakespeare.gguf");
//! const CONTEXT: usize = 16;
//!
//! // In firmware a `static`, for the linker to find out whether it fits.
//! let mut arena = [Line::ZERO; MODEL.arena_lines(CONTEXT)];
//! let mut layers = [Layer::EMPTY; MODEL.layers()];
//! let mut engine = Engine::init(MODEL.bytes(), CONTEXT, &mut layers, &mut arena)?;
//! let logits = engine.step(1)?;
//! assert_eq!(logits.len(), 512);
//! # Ok::<(), trilane_esp32::Error>(())
//! ```
//!
//! Weights are read at the lowest lane, Bit3 or ternary. A model with tensors that are not stored
//! there needs the feature `lanes`, which brings the code of all lanes into flash.
#![no_std]

mod engine;
mod error;
pub mod footprint;
mod model;
mod speech;

pub use engine::Engine;
pub use error::Error;
pub use model::{Flash, Model};
pub use speech::Speaker;
pub use trilane_core as core;
pub use trilane_core::model::{Layer, Line};
pub use trilane_esp32_macros::include_model;
