//! The nested 3/5/7-bit quantiser that training runs through.
//!
//! For one row `w` and each group of 32 consecutive weights:
//!
//! ```text
//! g    = max |w| over the group
//! R    = (largest g of the row) / 255            one f32 per row
//! s    = clamp(round(g / R), 1, 255)             one u8 per group
//! step = R·s / 63.5
//! w7   = clamp(floor(w/step + 1/2), −64, 63)
//! w5   = w7 >> 2,  w3 = w7 >> 4                  floor division: the lanes nest
//! ```
//!
//! and a lane gives back
//!
//! ```text
//! Bit7:      step·w7
//! Bit5: c5 · step·(4·w5 + 1.5)
//! Bit3: c3 · step·(16·w3 + 7.5)
//! ```
//!
//! where `c5` and `c3` are the row's least-squares factors
//! `Σ w·v / Σ v²` over the unscaled reconstruction `v`. A row of zeros gives zeros.

/// Weights that share one integer scale.
pub(crate) const GROUP: usize = 32;

/// What precision the forward pass reads the matrices in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The f32 weights themselves.
    Float,
    /// All three tiers of digits.
    Bit7,
    /// The upper five bits.
    Bit5,
    /// The upper three bits.
    Bit3,
}

impl Lane {
    /// Every lane, widest first.
    pub(crate) const ALL: [Self; 4] = [Self::Float, Self::Bit7, Self::Bit5, Self::Bit3];

    /// How many low bits of the 7-bit code the lane leaves out.
    fn dropped_bits(self) -> u32 {
        match self {
            Self::Float | Self::Bit7 => 0,
            Self::Bit5 => 2,
            Self::Bit3 => 4,
        }
    }

    /// The name used in progress lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Float => "f32",
            Self::Bit7 => "bit7",
            Self::Bit5 => "bit5",
            Self::Bit3 => "bit3",
        }
    }
}

/// The values a matrix of rows of `cols` weights has on `lane`.
///
/// `cols` is a multiple of [`GROUP`]; `weights` holds whole rows.
pub(crate) fn reconstruct(weights: &[f32], cols: usize, lane: Lane) -> Vec<f32> {
    let mut values = weights.to_vec();
    if lane != Lane::Float {
        for row in values.chunks_exact_mut(cols) {
            reconstruct_row(row, lane);
        }
    }
    values
}

fn reconstruct_row(row: &mut [f32], lane: Lane) {
    let row_scale = max_abs(row) / 255.0;
    if row_scale == 0.0 {
        return;
    }
    let shift = lane.dropped_bits();
    let width = (1_i32 << shift) as f32;
    let middle = (width - 1.0) * 0.5;
    let (mut cross, mut square) = (0.0_f64, 0.0_f64);
    for group in row.chunks_exact_mut(GROUP) {
        let scale = (max_abs(group) / row_scale).round().clamp(1.0, 255.0);
        let step = row_scale * scale / 63.5;
        for w in group {
            let code = (*w / step + 0.5).floor().clamp(-64.0, 63.0) as i32;
            let value = step * (width * (code >> shift) as f32 + middle);
            cross += f64::from(*w * value);
            square += f64::from(value * value);
            *w = value;
        }
    }
    if shift > 0 && square > 0.0 {
        let fit = (cross / square) as f32;
        row.iter_mut().for_each(|v| *v *= fit);
    }
}

fn max_abs(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Vec<f32> {
        (0..128).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.01 * (1.0 + (i / 32) as f32)).collect()
    }

    fn error(lane: Lane) -> f32 {
        let w = row();
        let v = reconstruct(&w, 128, lane);
        let (mut num, mut den) = (0.0, 0.0);
        for (a, b) in w.iter().zip(&v) {
            num += (a - b) * (a - b);
            den += a * a;
        }
        (num / den).sqrt()
    }

    #[test]
    fn every_lane_has_the_error_of_its_step() {
        assert_eq!(error(Lane::Float), 0.0);
        assert!(error(Lane::Bit7) < 0.01, "{}", error(Lane::Bit7));
        assert!(error(Lane::Bit5) < 0.04, "{}", error(Lane::Bit5));
        assert!(error(Lane::Bit3) < 0.16, "{}", error(Lane::Bit3));
    }

    #[test]
    fn bit3_has_at_most_eight_values_in_a_group() {
        let mut v = reconstruct(&row(), 128, Lane::Bit3)[..GROUP].to_vec();
        v.sort_by(f32::total_cmp);
        v.dedup();
        assert!(v.len() <= 8, "{v:?}");
    }

    #[test]
    fn a_row_of_zeros_stays_zero() {
        assert_eq!(reconstruct(&[0.0; 64], 64, Lane::Bit3), [0.0; 64]);
    }
}
