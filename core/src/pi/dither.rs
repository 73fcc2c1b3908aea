//! Dither: a known disturbance before rounding, which turns harmonics into noise.

use super::weyl::centered_float;
use super::{PiChaos, PiError, Weyl, WeylSequence};
use crate::error::{ArgumentError, check_lengths, check_parameter, check_values};

/// Whether the disturbance is taken off again after rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DitherMode {
    /// `x̂ = s·(q − d)`: the error is at most half a step, and uniform whatever the signal
    /// (Schuchman 1964). The reader of the codes must know where in the sequence they begin.
    Subtractive,
    /// `x̂ = s·q`: the reader needs to know nothing; the error reaches a whole step.
    NonSubtractive,
}

/// Rounds to codes with the disturbance `d(n) = frac(π·n²) − ½` or `frac(π·n) − ½`.
///
/// ```text
/// q[i] = clamp(round(x[i]/s + d(n)), least, greatest)      n counts on from call to call
/// x̂[i] = s·(q[i] − d(n))   or   s·q[i]
/// ```
///
/// d is an odd multiple of 2⁻²⁵ in (−½, ½), so its mean over the 2²⁴ possible values is exactly 0.
/// Ordered; the sequence itself is Exact. Two ditherers from the same start agree on every platform,
/// so codes alone travel.
///
/// The quadratic sequence has the flat spectrum of white noise; the linear one is a sawtooth with a
/// line spectrum of its own, which is harmful where it is not subtracted (`docs/pi.md`).
///
/// ```
/// use trilane_core::pi::{Dither, DitherMode, WeylSequence};
/// let (x, step) = ([0.30, 0.31, -0.12], 0.2);
/// let mut codes = [0; 3];
/// let mut writer = Dither::new(WeylSequence::Quadratic, step, -16, 15)?;
/// let mut reader = writer.clone();
/// writer.quantize(&x, &mut codes)?;
/// let mut back = [0.0; 3];
/// reader.dequantize(&codes, DitherMode::Subtractive, &mut back)?;
/// assert!(x.iter().zip(back).all(|(x, y)| (x - y).abs() <= step / 2.0 + 1e-6));
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dither {
    sequence: WeylSequence,
    weyl: Weyl,
    step: f32,
    least: i8,
    greatest: i8,
}

impl Dither {
    /// Rounding to `least..=greatest` steps of size `step`, from the start of a sequence.
    ///
    /// # Errors
    /// [`ArgumentError::Parameter`] when the step is not in 2⁻¹⁰⁰..=2¹⁰⁰ or the codes are not in order.
    pub fn new(
        sequence: WeylSequence,
        step: f32,
        least: i8,
        greatest: i8,
    ) -> Result<Self, PiError> {
        check_parameter("dither step", step, STEPS.0, STEPS.1)?;
        check_parameter("greatest code", f32::from(greatest), f32::from(least) + 1.0, 127.0)?;
        Ok(Self { sequence, weyl: Weyl::new(sequence), step, least, greatest })
    }

    /// Goes to where value n of the signal comes next, so that codes can be read from anywhere.
    pub const fn seek(&mut self, n: u64) {
        self.weyl = Weyl::starting_at(self.sequence, n);
    }

    /// Rounds `x` to codes. Shapes: `codes` as `x`. Values beyond the codes' range saturate, so dither
    /// needs half a step of headroom at either end.
    ///
    /// # Errors
    /// [`ArgumentError::Length`], [`ArgumentError::Empty`] or [`ArgumentError::NotFinite`]; the sequence then stays where
    /// it was.
    pub fn quantize(&mut self, x: &[f32], codes: &mut [i8]) -> Result<(), PiError> {
        check_lengths(x.len(), codes.len())?;
        check_values(x)?;
        let (least, greatest) = (f32::from(self.least), f32::from(self.greatest));
        for (x, code) in x.iter().zip(codes) {
            let steps = x / self.step + centered_float(self.weyl.next_bits());
            *code = libm::rintf(steps).clamp(least, greatest) as i8;
        }
        Ok(())
    }

    /// Turns codes back into values. Shapes: `x` as `codes`. The sequence goes on in either mode.
    ///
    /// # Errors
    /// [`ArgumentError::Length`] or [`ArgumentError::Empty`].
    pub fn dequantize(
        &mut self,
        codes: &[i8],
        mode: DitherMode,
        x: &mut [f32],
    ) -> Result<(), PiError> {
        check_lengths(codes.len(), x.len())?;
        if codes.is_empty() {
            return Err(PiError::Argument(ArgumentError::Empty));
        }
        for (code, x) in codes.iter().zip(x) {
            let d = centered_float(self.weyl.next_bits());
            let taken_off = if mode == DitherMode::Subtractive { d } else { 0.0 };
            *x = self.step * (f32::from(*code) - taken_off);
        }
        Ok(())
    }
}

/// The steps for which no quotient of the values at hand overflows to a code of its own.
const STEPS: (f32, f32) = (7.888_609e-31, 1.267_650_6e30);

/// Rounds up with a probability equal to the fraction, by the linear sequence.
///
/// `⌊x⌋ + 1` where `frac(π·n) < x − ⌊x⌋`, else `⌊x⌋`. The mean of N roundings of the same x differs
/// from x by at most the discrepancy of the N terms (Koksma 1942): measured 0.0097, 0.0065 and 0.000066
/// at N = 10³, 10⁴ and 10⁵, where random numbers have about 1/√N. As 355/113 is so close to π, it falls
/// off slowly before N = 113·292; `docs/pi.md` has the golden ratio, which does better, beside it.
///
/// ```
/// use trilane_core::pi::StochasticRounding;
/// let mut rounding = StochasticRounding::new();
/// let sum: i32 = (0..1_000).map(|_| rounding.round(0.3)).sum::<Result<_, _>>()?;
/// assert!((sum - 300).abs() <= 10);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StochasticRounding {
    weyl: Weyl,
}

impl Default for StochasticRounding {
    fn default() -> Self {
        Self::new()
    }
}

impl StochasticRounding {
    /// From the first term, n = 1.
    pub const fn new() -> Self {
        Self::starting_at(1)
    }

    /// From any term: workers that start at different terms round independently of one another.
    pub const fn starting_at(n: u64) -> Self {
        Self { weyl: Weyl::starting_at(WeylSequence::Linear, n) }
    }

    /// Rounds `x`; `|x| ≤ 2³⁰`. Ordered: the fraction of an f32 is exact, and is compared as a multiple
    /// of 2⁻⁶⁴ (cut below that), so the only bias is below 2⁻⁶⁴.
    ///
    /// # Errors
    /// [`ArgumentError::Parameter`] for a value beyond 2³⁰ or NaN; the sequence then stays where it was.
    pub fn round(&mut self, x: f32) -> Result<i32, PiError> {
        const LIMIT: f32 = 1_073_741_824.0;
        check_parameter("value to round", x, -LIMIT, LIMIT)?;
        let floor = libm::floorf(x);
        // A fraction that f32 rounds up to 1 saturates, which always rounds up.
        let fraction = ((x - floor) * 18_446_744_073_709_551_616.0) as u64;
        Ok(floor as i32 + i32::from(self.weyl.next_bits() < fraction))
    }
}

/// A disturbance in (−amplitude/2, amplitude/2) for each index: same index, same value.
///
/// ```
/// use trilane_core::pi::DeterministicJitter;
/// let jitter = DeterministicJitter::new(0.01)?;
/// assert_eq!(jitter.at(5), jitter.at(5));
/// assert!(jitter.at(5).abs() < 0.005);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DeterministicJitter {
    chaos: PiChaos,
    amplitude: f32,
}

impl DeterministicJitter {
    /// Jitter over an interval of this width.
    ///
    /// # Errors
    /// [`ArgumentError::Parameter`] when it is not in 2⁻¹⁰⁰..=2¹⁰⁰.
    pub fn new(amplitude: f32) -> Result<Self, PiError> {
        check_parameter("jitter amplitude", amplitude, STEPS.0, STEPS.1)?;
        Ok(Self { chaos: PiChaos::new(), amplitude })
    }

    /// The value of an index: amplitude times [`PiChaos::jitter`]. Ordered.
    pub const fn at(&self, index: u64) -> f32 {
        self.amplitude * self.chaos.jitter(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_arguments_are_refused_and_leave_the_sequence_alone() {
        let new = |step, least, greatest| Dither::new(WeylSequence::Linear, step, least, greatest);
        for step in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(
                matches!(new(step, -4, 3), Err(PiError::Argument(ArgumentError::Parameter { .. }))),
                "{step}"
            );
        }
        assert!(matches!(new(1.0, 3, 3), Err(PiError::Argument(ArgumentError::Parameter { .. }))));
        let mut dither = new(1.0, -4, 3).unwrap();
        let before = dither.clone();
        let mut codes = [0; 2];
        assert_eq!(
            dither.quantize(&[0.0], &mut codes),
            Err(PiError::Argument(ArgumentError::Length { expected: 1, actual: 2 }))
        );
        assert_eq!(dither.quantize(&[], &mut []), Err(PiError::Argument(ArgumentError::Empty)));
        assert_eq!(
            dither.quantize(&[0.0, f32::NAN], &mut codes),
            Err(PiError::Argument(ArgumentError::NotFinite { index: 1 }))
        );
        let mode = DitherMode::Subtractive;
        assert_eq!(
            dither.dequantize(&[], mode, &mut []),
            Err(PiError::Argument(ArgumentError::Empty))
        );
        assert_eq!(
            dither.dequantize(&[1], mode, &mut []),
            Err(PiError::Argument(ArgumentError::Length { expected: 1, actual: 0 }))
        );
        assert_eq!(dither, before);
    }

    #[test]
    fn codes_can_be_read_from_anywhere() {
        let x: [f32; 40] = core::array::from_fn(|i| 0.1 * i as f32 - 2.0);
        for sequence in [WeylSequence::Linear, WeylSequence::Quadratic] {
            let mut dither = Dither::new(sequence, 0.3, -16, 15).unwrap();
            let (mut codes, mut all, mut end) = ([0; 40], [0.0; 40], [0.0; 15]);
            dither.quantize(&x, &mut codes).unwrap();
            dither.seek(0);
            dither.dequantize(&codes, DitherMode::Subtractive, &mut all).unwrap();
            dither.seek(25);
            dither.dequantize(&codes[25..], DitherMode::Subtractive, &mut end).unwrap();
            assert_eq!(all[25..], end);
            assert!(x.iter().zip(all).all(|(x, y)| (x - y).abs() < 0.1501));
        }
    }

    #[test]
    fn rounding_keeps_integers_and_refuses_what_it_cannot_hold() {
        let mut rounding = StochasticRounding::new();
        for x in [0.0, -3.0, 1e9, -1e9] {
            assert_eq!(rounding.round(x), Ok(x as i32));
        }
        let before = rounding.clone();
        for x in [f32::NAN, f32::INFINITY, 2e9] {
            assert!(
                matches!(
                    rounding.round(x),
                    Err(PiError::Argument(ArgumentError::Parameter { .. }))
                ),
                "{x}"
            );
        }
        assert_eq!(rounding, before);
        assert!((0..100).all(|_| matches!(rounding.round(-0.5), Ok(-1 | 0))));
        assert!((0..100).all(|_| rounding.round(-1e-30) == Ok(0)));
    }
}
