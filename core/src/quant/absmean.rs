//! Ternary weights by their mean magnitude (BitNet b1.58, Ma et al. 2024).

use super::{QuantError, max_magnitude};
use crate::digits::{Group, units};
use crate::math::reduce;

fn check(expected: usize, actual: usize) -> Result<(), QuantError> {
    if expected == actual { Ok(()) } else { Err(QuantError::Length { expected, actual }) }
}

/// What the magnitudes are multiplied by, exactly but for the smallest, where their sum overflows:
/// 2⁻⁶⁴ of the largest float, taken 2⁶⁴ times, still is one.
const SHRINK: f32 = 1.0 / GROW;
const GROW: f32 = (1u128 << 64) as f32;

/// `mean(1)`, a mean of magnitudes that were multiplied by the argument, or, where its sum
/// overflows, the same from magnitudes made smaller. Finite: a mean is at most the largest weight,
/// above which only rounding can take it.
fn finite_mean(mean: impl Fn(f32) -> f32) -> f32 {
    let plain = mean(1.0);
    if plain.is_finite() { plain } else { (mean(SHRINK) * GROW).min(f32::MAX) }
}

/// Mean magnitude: the ordered sum of `|w|` over sixteen lanes, divided by the count.
fn mean_magnitude(w: &[f32]) -> f32 {
    finite_mean(|factor| {
        let mut lanes = [0.0f32; 16];
        for (i, v) in w.iter().enumerate() {
            lanes[i % 16] += v.abs() * factor;
        }
        if w.is_empty() { 0.0 } else { reduce::add_lanes(lanes) / w.len() as f32 }
    })
}

/// The ternary code (w + 1) nearest to `w / scale`; ties go away from zero.
fn ternary_code(w: f32, scale: f32) -> u8 {
    let half = 0.5 * scale;
    if scale > 0.0 && w >= half {
        2
    } else if scale > 0.0 && w <= -half {
        0
    } else {
        1
    }
}

/// `s = mean|w|`, `code[i] = clamp(round(w[i] / s), −1, 1) + 1`; returns `s`.
///
/// Shapes: `w` and `codes` alike. Ordered. All-zero weights give codes of zero and scale 0. The
/// scale is finite: a sum that overflows is taken again from weights multiplied by 2⁻⁶⁴.
///
/// # Errors
/// [`QuantError::Length`] when the lengths differ, [`QuantError::NotFinite`] for NaN or infinity.
///
/// ```
/// let mut codes = [0; 4];
/// let scale = trilane_core::quant::quantize_absmean(&[2.0, -2.0, 0.1, 0.0], &mut codes)?;
/// assert_eq!((codes, scale), ([2, 0, 1, 1], 1.025));
/// # Ok::<(), trilane_core::quant::QuantError>(())
/// ```
pub fn quantize_absmean(w: &[f32], codes: &mut [u8]) -> Result<f32, QuantError> {
    check(w.len(), codes.len())?;
    max_magnitude(w)?;
    let scale = mean_magnitude(w);
    for (code, &w) in codes.iter_mut().zip(w) {
        *code = ternary_code(w, scale);
    }
    Ok(scale)
}

/// One row of a ternary matrix: absmean codes with the scale of each group in u8 steps of the row
/// scale, which is returned. A weight is `row_scale · group_scale · (code − 1)`.
///
/// The codes come from the group's mean magnitude; the scale that is stored is the mean magnitude
/// of the weights that did not become zero, which is the least-squares fit for those codes.
/// With [`Group::Row`] the row is one group and `group_scales` is empty.
///
/// Shapes: `w` and `codes` cols, `group_scales` units(cols) · `group.scales_per_unit()`. Ordered.
/// The row scale is finite, as that of [`quantize_absmean`].
///
/// # Errors
/// [`QuantError::Length`] when a length is wrong, [`QuantError::NotFinite`] for NaN or infinity.
pub fn quantize_ternary_row(
    w: &[f32],
    group: Group,
    codes: &mut [u8],
    group_scales: &mut [u8],
) -> Result<f32, QuantError> {
    check(w.len(), codes.len())?;
    check(units(w.len()) * group.scales_per_unit(), group_scales.len())?;
    max_magnitude(w)?;
    let Some(weights) = group.weights() else {
        return Ok(ternary_group(w, codes));
    };
    let mut largest = 0.0f32;
    for (w, codes) in w.chunks(weights).zip(codes.chunks_mut(weights)) {
        largest = largest.max(ternary_group(w, codes));
    }
    let row_scale = largest / 255.0;
    group_scales.fill(0);
    for ((w, codes), scale) in
        w.chunks(weights).zip(codes.chunks_mut(weights)).zip(group_scales.iter_mut())
    {
        let fitted = ternary_group(w, codes);
        if row_scale > 0.0 {
            *scale = libm::roundf(fitted / row_scale).clamp(0.0, 255.0) as u8;
        }
    }
    Ok(row_scale)
}

/// Codes one group and returns its least-squares scale.
fn ternary_group(w: &[f32], codes: &mut [u8]) -> f32 {
    let threshold = mean_magnitude(w);
    for (code, &w) in codes.iter_mut().zip(w) {
        *code = ternary_code(w, threshold);
    }
    finite_mean(|factor| {
        let (mut sum, mut count) = (0.0f32, 0u32);
        for (w, _) in w.iter().zip(codes.iter()).filter(|(_, code)| **code != 1) {
            sum += w.abs() * factor;
            count += 1;
        }
        if count == 0 { 0.0 } else { sum / count as f32 }
    })
}
