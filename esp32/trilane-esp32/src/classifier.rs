//! The perceptron, without a float from the features to the class.

use crate::Error;
use crate::backend::BACKEND;
use trilane_core::gguf::Gguf;
use trilane_core::kernel::Backend;
use trilane_core::model::{Digest, Line, MLP_MAX_LAYERS, Mlp, MlpHeader, ModelError, Scores};

/// A classifier in firmware: int8 features in, a class out. It keeps nothing from one input to the
/// next, so memory is lent to it call by call.
#[derive(Clone, Debug)]
pub struct Classifier<'m> {
    model: Mlp<'m>,
}

impl<'m> Classifier<'m> {
    /// Checks the model.
    ///
    /// # Errors
    /// [`Error::File`] for bytes that are not a GGUF file, [`Error::Model`] for a model that is not
    /// a perceptron, or has a matrix at a lane that this build does not compute.
    pub fn init(model: &'m [u8]) -> Result<Self, Error> {
        let model = Mlp::load(&Gguf::parse(model)?)?;
        let above = model.matrices().find(|(_, weights)| !BACKEND.computes(weights.lane()));
        if let Some((name, weights)) = above {
            return Err(ModelError::Backend { name, lane: weights.lane() }.into());
        }
        Ok(Self { model })
    }

    /// The class of an input, which has as many features as the header says, each −127..=127.
    /// Exact, and without a float.
    ///
    /// `arena` is as long as [`Perceptron::arena_lines`](crate::Perceptron::arena_lines) says, or
    /// longer, whatever it holds.
    ///
    /// # Errors
    /// [`Error::Model`] for features of another number, −128 among them, or too short an arena.
    pub fn infer(&self, features: &[i8], arena: &mut [Line]) -> Result<usize, Error> {
        Ok(self.scores(features, arena)?.class())
    }

    /// The integer scores of all classes. Exact, and without a float.
    ///
    /// # Errors
    /// As [`infer`](Self::infer).
    pub fn scores<'s>(&self, features: &[i8], arena: &'s mut [Line]) -> Result<Scores<'s>, Error> {
        Ok(self.model.scores(BACKEND, features, arena)?)
    }

    /// What a score is times, to be a logit; see [`Mlp::scale`]. Ordered, and the only float.
    #[must_use]
    pub fn scale(&self, scores: &Scores<'_>) -> f32 {
        self.model.scale(scores)
    }

    /// The digest of fixed inputs, the same on every platform; see [`Mlp::verify`].
    ///
    /// # Errors
    /// [`Error::Model`] for too short an arena.
    pub fn digest(&self, arena: &mut [Line]) -> Result<Digest, Error> {
        Ok(self.model.verify(BACKEND, &mut [Digest::default(); MLP_MAX_LAYERS], arena)?)
    }

    /// The numbers of the model.
    #[must_use]
    pub fn header(&self) -> &MlpHeader {
        self.model.header()
    }
}
