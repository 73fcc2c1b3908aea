//! The problem every contender solves, and the check of its answer.

use crate::Error;

/// `y[r] = s · Σ_c W[r,c]·x[c]` with `W ∈ {−1, 0, +1}`, n×n, and one scale s for the matrix.
#[derive(Debug, Clone)]
pub struct Ternary {
    /// Rows and columns.
    pub n: usize,
    /// The trits, row by row.
    pub trits: Vec<i8>,
    /// The scale of every weight.
    pub scale: f32,
    /// The vector, uniform in −1..1.
    pub x: Vec<f32>,
}

impl Ternary {
    /// A reproducible problem: trits uniform, x uniform. The scale is no power of two, so that
    /// a contender that rounds it shows.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let mut random = SplitMix(n as u64);
        let trits = (0..n * n).map(|_| [-1, 0, 1][(random.next() % 3) as usize]).collect();
        let x = (0..n).map(|_| (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect();
        Self { n, trits, scale: 0.0173, x }
    }

    /// Multiply-adds of one product.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.trits.len() as u64
    }

    /// The weights as plain floats, for contenders that take nothing else.
    #[must_use]
    pub fn weights_f32(&self) -> Vec<f32> {
        self.trits.iter().map(|&trit| f32::from(trit) * self.scale).collect()
    }

    /// The answer, in f64 throughout: the scale and x are exact in it, and its rounding is far
    /// below every tolerance.
    #[must_use]
    pub fn reference(&self) -> Vec<f64> {
        self.trits
            .chunks_exact(self.n)
            .map(|row| {
                let dot: f64 =
                    row.iter().zip(&self.x).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
                f64::from(self.scale) * dot
            })
            .collect()
    }
}

/// Sebastiano Vigna's SplitMix64: a full-period generator whose state is a counter.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A contender: a matrix already loaded in the form its library keeps it.
pub trait Matvec {
    /// Library and method.
    fn name(&self) -> &str;

    /// Bytes of stored weights, scales included: what a product has to read at least.
    fn weight_bytes(&self) -> usize;

    /// The largest accepted relative error, `‖y − y*‖₂ / ‖y*‖₂`.
    fn tolerance(&self) -> f64;

    /// The product.
    ///
    /// # Errors
    ///
    /// Whatever the library reports.
    fn matvec(&self, x: &[f32]) -> Result<Vec<f32>, Error>;

    /// What else has to hold of the answer `y` to `x`.
    ///
    /// # Errors
    ///
    /// When it does not.
    fn verify(&self, _x: &[f32], _y: &[f32]) -> Result<(), Error> {
        Ok(())
    }
}

/// The relative error of a contender's answer to `problem`.
///
/// # Errors
///
/// When the contender fails, has the wrong number of results, or exceeds its tolerance.
pub fn checked(contender: &dyn Matvec, problem: &Ternary, expected: &[f64]) -> Result<f64, Error> {
    let y = contender.matvec(&problem.x)?;
    contender.verify(&problem.x, &y)?;
    let name = contender.name();
    if y.len() != expected.len() {
        return Err(format!("{name}: {} results, expected {}", y.len(), expected.len()).into());
    }
    let error: f64 = y.iter().zip(expected).map(|(&y, &e)| (f64::from(y) - e).powi(2)).sum();
    let size: f64 = expected.iter().map(|e| e * e).sum();
    let relative = (error / size).sqrt();
    // Written so that NaN fails.
    if relative <= contender.tolerance() {
        Ok(relative)
    } else {
        let tolerance = contender.tolerance();
        Err(format!("{name}: relative error {relative:.2e}, tolerance {tolerance:.0e}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<f32>);

    impl Matvec for Fixed {
        fn name(&self) -> &str {
            "fixed"
        }
        fn weight_bytes(&self) -> usize {
            0
        }
        fn tolerance(&self) -> f64 {
            1e-6
        }
        fn matvec(&self, _: &[f32]) -> Result<Vec<f32>, Error> {
            Ok(self.0.clone())
        }
    }

    #[test]
    fn values_stay_in_their_ranges() {
        let problem = Ternary::new(64);
        assert!(problem.trits.iter().all(|trit| (-1..=1).contains(trit)));
        assert!([-1, 0, 1].iter().all(|trit| problem.trits.contains(trit)));
        assert!(problem.x.iter().all(|x| (-1.0..1.0).contains(x)));
        assert!(problem.x.iter().any(|x| *x < 0.0) && problem.x.iter().any(|x| *x > 0.0));
    }

    #[test]
    fn wrong_answers_are_refused() {
        let problem = Ternary::new(8);
        let expected = problem.reference();
        let right: Vec<f32> = expected.iter().map(|&y| y as f32).collect();
        assert!(checked(&Fixed(right.clone()), &problem, &expected).is_ok());
        let mut wrong = right.clone();
        wrong[3] = f32::NAN;
        assert!(checked(&Fixed(wrong), &problem, &expected).is_err());
        let mut wrong = right.clone();
        wrong.swap(0, 1);
        assert!(checked(&Fixed(wrong), &problem, &expected).is_err());
        assert!(checked(&Fixed(right[1..].to_vec()), &problem, &expected).is_err());
    }
}
