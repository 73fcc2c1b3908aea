//! The plain predictor, a moving average.

use crate::error::{ArgumentError, check_lengths, check_parameter, check_values};

/// The exponentially weighted mean `a ← momentum·a + (1 − momentum)·g` as prediction: what the line
/// of [`super::DeterministicPredictor`] has to beat. Ordered.
///
/// ```
/// use trilane_core::train::predict::GradientPredictor;
/// let mut average = [0.0; 2];
/// let mut predictor = GradientPredictor::new(&mut average, 0.5)?;
/// predictor.record(&[4.0, 0.0])?; // the first gradient is the first mean
/// predictor.record(&[0.0, 2.0])?;
/// assert_eq!(predictor.predict(), [2.0, 1.0]);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Debug, PartialEq)]
pub struct GradientPredictor<'a> {
    average: &'a mut [f32],
    momentum: f32,
    empty: bool,
}

impl<'a> GradientPredictor<'a> {
    /// A predictor without a past; `average` has an element for each parameter.
    ///
    /// # Errors
    /// [`ArgumentError::Parameter`] when the momentum is not in 0..=1.
    pub fn new(average: &'a mut [f32], momentum: f32) -> Result<Self, ArgumentError> {
        check_parameter("momentum", momentum, 0.0, 1.0)?;
        average.fill(0.0);
        Ok(Self { average, momentum, empty: true })
    }

    /// Takes in a gradient.
    ///
    /// # Errors
    /// [`ArgumentError::Length`], [`ArgumentError::Empty`] or [`ArgumentError::NotFinite`]; nothing has
    /// changed then.
    pub fn record(&mut self, gradient: &[f32]) -> Result<(), ArgumentError> {
        check_lengths(self.average.len(), gradient.len())?;
        check_values(gradient)?;
        let keep = if self.empty { 0.0 } else { self.momentum };
        for (a, g) in self.average.iter_mut().zip(gradient) {
            *a = keep * *a + (1.0 - keep) * g;
        }
        self.empty = false;
        Ok(())
    }

    /// The mean; zero before the first gradient.
    pub const fn predict(&self) -> &[f32] {
        self.average
    }
}
