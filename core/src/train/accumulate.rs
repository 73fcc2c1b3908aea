//! Sums of gradients in 2.25 bits a parameter.

use super::TernaryConfig;
use super::compress::{check_count, check_magnitudes};
use crate::error::{ArgumentError, check_lengths};
use crate::pi::{PiChaos, Weyl, WeylSequence};

/// Parameters that share a scale.
const GROUP: usize = 128;
/// Trits of a word.
const TRITS: usize = 16;
/// Words of a group: its scale and its trits.
const GROUP_WORDS: usize = 1 + GROUP / TRITS;

/// Words that an accumulator of that many parameters takes: 36 bytes for each 128.
pub const fn accumulator_words(parameters: usize) -> usize {
    let rest = parameters % GROUP;
    let last = if rest == 0 { 0 } else { 1 + rest.div_ceil(TRITS) };
    parameters / GROUP * GROUP_WORDS + last
}

/// Where the draws for a gradient begin in `frac(π·n)`: by the seed, the sums before this one and the
/// gradients in it. Exact.
pub const fn first_draw(config: &TernaryConfig, update: u64, count: u32) -> u64 {
    let chaos = PiChaos::new();
    let sum = chaos.bits(chaos.bits(config.seed()).wrapping_add(update));
    chaos.bits(sum.wrapping_add(count as u64))
}

/// Adds gradients up in trits with a scale for each 128: `Σ g ≈ s·t`, 0.28 bytes a parameter.
///
/// ```text
/// v[i] = s·t[i] + g[i]                      what the sum is now
/// s'   = max |v[i]|  of the group           nothing saturates: a scale follows its values
/// t'[i] = sign(v[i]) if u[i] < |v[i]|/s'    else 0, so that E s'·t'[i] = v[i]
///
/// group of 128   ┌────────┬──────────┬──────────┬─ … ─┐
///                │ s, f32 │ 16 trits │ 16 trits │     │   t + 1 in bits [2j+1:2j]
///                └────────┴──────────┴──────────┴─ … ─┘
/// ```
///
/// **Unbiased**: s' depends on what is stored and on g, never on u, so by induction the mean of s·t over
/// the draws is the sum of the gradients. u is `frac(π·n)` counted on from value to value, from a start
/// that seed and step decide ([`PiChaos::bits`]), so every value is rounded alike wherever it is
/// computed. The price of two bits is variance: a draw's error is of the order of the group's largest
/// value. With `use_stochastic_rounding` off, t' is v/s' rounded to nearest, which is biased.
/// Ordered. `S`: [`accumulator_words`] words.
///
/// ```
/// use trilane_core::train::{TernaryConfig, TernaryGradientAccumulator, accumulator_words};
/// let config = TernaryConfig::builder().accumulation_steps(2).build()?;
/// let mut words = [0; accumulator_words(3)];
/// let mut sum = TernaryGradientAccumulator::new(3, config, &mut words)?;
/// sum.accumulate(&[1.0, 0.0, -1.0])?;
/// sum.accumulate(&[1.0, 0.0, -1.0])?;
/// assert!(sum.ready_for_update());
/// let mut mean = [0.0; 3];
/// sum.get_accumulated(&mut mean)?;
/// assert_eq!(mean, [1.0, 0.0, -1.0]);
/// # Ok::<(), trilane_core::error::ArgumentError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TernaryGradientAccumulator<S> {
    parameters: usize,
    config: TernaryConfig,
    count: u32,
    /// Updates before this one: no two sums share their draws.
    update: u64,
    words: S,
}

impl<S: AsRef<[u32]> + AsMut<[u32]>> TernaryGradientAccumulator<S> {
    /// An empty sum. Shapes: `words` [`accumulator_words`], what they hold does not matter.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for no parameters or more than 2³⁰, [`ArgumentError::Length`].
    pub fn new(parameters: usize, config: TernaryConfig, words: S) -> Result<Self, ArgumentError> {
        check_count("parameters", parameters, 1, super::compress::MOST_PARAMETERS)?;
        check_lengths(accumulator_words(parameters), words.as_ref().len())?;
        let mut empty = Self { parameters, config, count: 0, update: 0, words };
        empty.clear();
        Ok(empty)
    }

    fn clear(&mut self) {
        for words in self.words.as_mut().chunks_mut(GROUP_WORDS) {
            // A scale of 0, and codes of zero.
            words.fill(0x5555_5555);
            if let Some(scale) = words.first_mut() {
                *scale = 0;
            }
        }
    }

    /// Adds a gradient.
    ///
    /// # Errors
    /// [`ArgumentError::Length`], [`ArgumentError::NotFinite`], [`ArgumentError::Parameter`] for a
    /// magnitude above 2⁹⁶, [`ArgumentError::Count`] after 2³⁰ gradients; the sum then stays as it was.
    pub fn accumulate(&mut self, gradient: &[f32]) -> Result<(), ArgumentError> {
        check_lengths(self.parameters, gradient.len())?;
        check_magnitudes(gradient)?;
        check_count("gradients", self.count as usize + 1, 1, 1 << 30)?;
        let start = first_draw(&self.config, self.update, self.count);
        let mut draws = Weyl::starting_at(WeylSequence::Linear, start);
        let stochastic = self.config.use_stochastic_rounding();
        let groups = self.words.as_mut().chunks_mut(GROUP_WORDS);
        for (gradient, words) in gradient.chunks(GROUP).zip(groups) {
            let mut values = [0.0; GROUP];
            read(words, &mut values);
            let mut scale = 0.0f32;
            for (v, g) in values.iter_mut().zip(gradient) {
                *v += g;
                scale = scale.max(v.abs());
            }
            // One draw for each value, whatever it is: the values of a group do not depend on others.
            let trit = |v: f32| {
                let draw = if stochastic { draws.next_float() } else { 0.5 };
                // |v| = s' is always a trit: draws are below 1.
                if draw * scale < v.abs() { if v > 0.0 { 2 } else { 0 } } else { 1 }
            };
            let codes = values.get(..gradient.len()).unwrap_or_default();
            write(words, scale, codes.iter().copied().map(trit));
        }
        self.count += 1;
        Ok(())
    }

    /// The mean of the gradients, `s·t / count`; zeros when there are none. Shapes: `mean` n.
    ///
    /// # Errors
    /// [`ArgumentError::Length`].
    pub fn get_accumulated(&self, mean: &mut [f32]) -> Result<(), ArgumentError> {
        check_lengths(self.parameters, mean.len())?;
        let count = self.count.max(1) as f32;
        let groups = self.words.as_ref().chunks(GROUP_WORDS);
        for (mean, words) in mean.chunks_mut(GROUP).zip(groups) {
            read(words, mean);
            mean.iter_mut().for_each(|v| *v /= count);
        }
        Ok(())
    }

    /// Begins the next sum.
    pub fn reset(&mut self) {
        self.clear();
        self.count = 0;
        self.update += 1;
    }

    /// The sum as it is stored, in the layout above.
    pub fn words(&self) -> &[u32] {
        self.words.as_ref()
    }

    /// Gradients in the sum.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether the sum holds as many gradients as the configuration asks for.
    pub const fn ready_for_update(&self) -> bool {
        self.count >= self.config.accumulation_steps()
    }

    /// The share of an f32 sum's bytes that is saved: 0.93.
    pub fn memory_savings(&self) -> f32 {
        1.0 - accumulator_words(self.parameters) as f32 / self.parameters as f32
    }
}

/// The values of a group, as many as there is room for.
fn read(words: &[u32], values: &mut [f32]) {
    if let Some((scale, words)) = words.split_first() {
        let scale = f32::from_bits(*scale);
        let of = [-scale, 0.0, scale, 0.0];
        for (values, word) in values.chunks_mut(TRITS).zip(words) {
            for (j, v) in values.iter_mut().enumerate() {
                *v = of[(word >> (2 * j)) as usize & 3];
            }
        }
    }
}

/// Stores a group: its scale and a code for each value, codes of zero after the last.
fn write(words: &mut [u32], scale: f32, mut codes: impl Iterator<Item = u32>) {
    if let Some((first, words)) = words.split_first_mut() {
        *first = scale.to_bits();
        for word in words {
            *word = (0..TRITS).fold(0, |word, j| word | codes.next().unwrap_or(1) << (2 * j));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{vec, vec::Vec};

    fn config(seed: u64) -> TernaryConfig {
        TernaryConfig::builder().seed(seed).build().unwrap()
    }

    /// Means and squares of the accumulated sum over trials of 12 gradients, at n parameters.
    fn moments(trials: u64, gradients: &[Vec<f32>]) -> (Vec<f64>, Vec<f64>) {
        let n = gradients[0].len();
        let (mut words, mut mean) = (vec![0; accumulator_words(n)], vec![0.0; n]);
        let (mut sums, mut squares) = (vec![0.0; n], vec![0.0; n]);
        for trial in 0..trials {
            let mut sum = TernaryGradientAccumulator::new(n, config(trial), &mut words).unwrap();
            gradients.iter().for_each(|g| sum.accumulate(g).unwrap());
            sum.get_accumulated(&mut mean).unwrap();
            for ((s, q), m) in sums.iter_mut().zip(&mut squares).zip(&mean) {
                *s += f64::from(*m);
                *q += f64::from(*m) * f64::from(*m);
            }
        }
        let trials = trials as f64;
        sums.iter_mut().for_each(|s| *s /= trials);
        squares.iter_mut().for_each(|q| *q /= trials);
        (sums, squares)
    }

    #[test]
    fn the_mean_over_ten_thousand_trials_is_the_mean_of_the_gradients() {
        // Values that grow, shrink, cancel and stay tiny beside a large one: what saturation,
        // rounding to nearest or draws that follow the steps would bias.
        let chaos = PiChaos::new();
        let gradient = |step: u64| -> Vec<f32> {
            (0..24u64)
                .map(|i| match i % 4 {
                    0 => 1.0,
                    1 => 0.02 * i as f32,
                    2 => chaos.jitter(100 * step + i),
                    _ => {
                        if step.is_multiple_of(2) {
                            0.7
                        } else {
                            -0.6
                        }
                    }
                })
                .collect()
        };
        let gradients: Vec<Vec<f32>> = (0..12).map(gradient).collect();
        let trials = 10_000;
        let (means, squares) = moments(trials, &gradients);
        for (i, (mean, square)) in means.iter().zip(&squares).enumerate() {
            let truth = gradients.iter().map(|g| f64::from(g[i])).sum::<f64>() / 12.0;
            let deviation = ((square - mean * mean).max(0.0) / trials as f64).sqrt();
            // Four standard errors of the mean, and the rounding of f32 sums.
            assert!(
                (mean - truth).abs() < 4.0 * deviation + 1e-6,
                "{i}: {mean} {truth} {deviation}"
            );
        }
    }

    #[test]
    fn rounding_to_nearest_is_biased() {
        let config = TernaryConfig::builder().use_stochastic_rounding(false).build().unwrap();
        let mut words = [0; accumulator_words(2)];
        let mut sum = TernaryGradientAccumulator::new(2, config, &mut words).unwrap();
        (0..10).for_each(|_| sum.accumulate(&[1.0, 0.05]).unwrap());
        let mut mean = [0.0; 2];
        sum.get_accumulated(&mut mean).unwrap();
        assert_eq!(mean, [1.0, 0.0]);
    }

    #[test]
    fn it_counts_resets_and_takes_less_than_0_3_bytes() {
        let n = 100_000;
        let mut words = vec![7; accumulator_words(n)];
        assert!(4 * words.len() <= 3 * n / 10, "{}", words.len());
        let mut sum = TernaryGradientAccumulator::new(n, config(1), &mut words).unwrap();
        assert!(sum.memory_savings() > 0.929);
        let mut mean = vec![1.0; n];
        sum.get_accumulated(&mut mean).unwrap();
        assert_eq!(mean, vec![0.0; n]);
        for _ in 0..8 {
            assert!(!sum.ready_for_update());
            sum.accumulate(&vec![0.5; n]).unwrap();
        }
        assert!(sum.ready_for_update() && sum.count() == 8);
        sum.get_accumulated(&mut mean).unwrap();
        assert_eq!(mean, vec![0.5; n]);
        sum.reset();
        sum.get_accumulated(&mut mean).unwrap();
        assert_eq!((sum.count(), &mean), (0, &vec![0.0; n]));
    }

    #[test]
    fn sums_after_a_reset_have_draws_of_their_own_and_two_runs_are_alike() {
        let gradient: Vec<f32> = (0..300).map(|i| PiChaos::new().jitter(i)).collect();
        let run = || {
            let mut words = vec![0; accumulator_words(300)];
            let mut sum = TernaryGradientAccumulator::new(300, config(5), &mut words).unwrap();
            [(); 2].map(|()| {
                let mut mean = vec![0.0; 300];
                sum.accumulate(&gradient).unwrap();
                sum.get_accumulated(&mut mean).unwrap();
                sum.reset();
                mean
            })
        };
        let [first, second] = run();
        assert_ne!(first, second);
        assert_eq!([first, second], run());
    }

    #[test]
    fn what_is_wrong_is_refused_and_changes_nothing() {
        let mut words = vec![0; accumulator_words(20)];
        let short = TernaryGradientAccumulator::new(20, config(1), &mut words[1..]);
        assert!(matches!(short, Err(ArgumentError::Length { expected: 3, actual: 2 })));
        assert!(TernaryGradientAccumulator::new(0, config(1), [0u32; 0]).is_err());
        let mut sum = TernaryGradientAccumulator::new(20, config(1), &mut words).unwrap();
        sum.accumulate(&[2.0; 20]).unwrap();
        assert!(sum.accumulate(&[0.0; 19]).is_err());
        for (value, not_finite) in [(f32::NAN, true), (f32::INFINITY, true), (1e30, false)] {
            let mut gradient = [0.0; 20];
            gradient[3] = value;
            let error = sum.accumulate(&gradient).unwrap_err();
            assert_eq!(error == ArgumentError::NotFinite { index: 3 }, not_finite);
        }
        let mut mean = [0.0; 20];
        assert!(sum.get_accumulated(&mut mean[1..]).is_err());
        sum.get_accumulated(&mut mean).unwrap();
        assert_eq!((mean, sum.count()), ([2.0; 20], 1));
    }
}
