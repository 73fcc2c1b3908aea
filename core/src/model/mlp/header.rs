//! The numbers of a perceptron, read from GGUF metadata.

use super::super::ModelError;
use super::super::arena::lines;
use crate::gguf::Gguf;
use crate::quant::activation_lens;

/// Most layers of a perceptron.
pub const MLP_MAX_LAYERS: usize = 8;

/// Largest width of a layer. Sums stay below 2⁴⁰: 2¹⁶ products of an int8, a value below 2⁷ and a
/// group scale below 2⁸, all in half steps.
const LARGEST: usize = 1 << 16;

/// Hyperparameters of a perceptron.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpHeader {
    /// Matrices, the last one included.
    pub layers: usize,
    /// Values of an input.
    pub features: usize,
    /// Neurons of every hidden layer; 0 when there is none.
    pub hidden: usize,
    /// Classes.
    pub classes: usize,
}

/// The value of `mlp.<key>`.
fn count(file: &Gguf<'_>, key: &'static str, limit: usize) -> Result<usize, ModelError> {
    let value = file.metadata().find(|(k, _)| k.strip_prefix("mlp.") == Some(key));
    let (_, value) = value.ok_or(ModelError::MissingKey { key })?;
    let expected =
        if limit == MLP_MAX_LAYERS { "a count from 1 to 8" } else { "a count from 1 to 2^16" };
    value
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .filter(|n| (1..=limit).contains(n))
        .ok_or(ModelError::Value { key, expected })
}

impl MlpHeader {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// [`ModelError::MissingKey`], or [`ModelError::Value`] with what was expected.
    pub fn read(file: &Gguf<'_>) -> Result<Self, ModelError> {
        let key = "general.architecture";
        let architecture = file.get(key).ok_or(ModelError::MissingKey { key })?;
        if architecture.as_str() != Some("mlp") {
            return Err(ModelError::Value { key, expected: "\"mlp\"" });
        }
        let layers = count(file, "block_count", MLP_MAX_LAYERS)?;
        Ok(Self {
            layers,
            features: count(file, "feature_length", LARGEST)?,
            hidden: if layers > 1 { count(file, "feed_forward_length", LARGEST)? } else { 0 },
            classes: count(file, "class_count", LARGEST)?,
        })
    }

    /// Rows and columns of a layer's matrix.
    pub(super) const fn shape(&self, layer: usize) -> (usize, usize) {
        let rows = if layer + 1 == self.layers { self.classes } else { self.hidden };
        (rows, if layer == 0 { self.features } else { self.hidden })
    }

    /// The longest vector that a layer takes.
    pub(super) const fn longest_input(&self) -> usize {
        if self.features > self.hidden { self.features } else { self.hidden }
    }

    /// The longest vector that a layer gives.
    pub(super) const fn longest_output(&self) -> usize {
        if self.classes > self.hidden { self.classes } else { self.hidden }
    }

    /// Lines of memory that the scores of an input take to compute. Known before any weight is
    /// read, and at compile time where the header is.
    ///
    /// ```
    /// use trilane_core::model::MlpHeader;
    /// const DIGITS: MlpHeader = MlpHeader { layers: 2, features: 64, hidden: 192, classes: 10 };
    /// const LINES: usize = DIGITS.arena_lines();
    /// assert_eq!(LINES, 30);
    /// ```
    pub const fn arena_lines(&self) -> usize {
        let (q, multipliers, halves) = activation_lens(self.longest_input());
        lines(size_of::<i64>() * self.longest_output())
            + lines(q)
            + lines(size_of::<u32>() * multipliers)
            + lines(size_of::<i16>() * halves)
    }
}
