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
//!
//! A perceptron classifies without a float:
//!
//! ```
//! use trilane_esp32::{Classifier, Line, Perceptron, include_model};
//!
//! const MODEL: Perceptron = include_model!("../../../models/digits.gguf");
//!
//! let mut arena = [Line::ZERO; MODEL.arena_lines()];
//! let classifier = Classifier::init(MODEL.bytes())?;
//! let mut pixels = [0; MODEL.header().features]; // 8 rows of 8, from 0 to 16
//! for row in pixels.chunks_mut(8) {
//!     row[3..5].fill(16);
//! }
//! assert_eq!(classifier.infer(&pixels, &mut arena)?, 1);
//! # Ok::<(), trilane_esp32::Error>(())
//! ```
#![no_std]

mod backend;
mod classifier;
mod engine;
mod error;
pub mod footprint;
mod model;
mod speech;

pub use classifier::Classifier;
pub use engine::Engine;
pub use error::Error;
pub use model::{Flash, Model, Perceptron};
pub use speech::Speaker;
pub use trilane_core as core;
pub use trilane_core::model::{Layer, Line};
pub use trilane_esp32_macros::include_model;
