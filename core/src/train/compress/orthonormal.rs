//! Orthonormal columns, in a fixed order of operations.

use crate::math::reduce;

/// What is left of a column after the ones before it are taken off, below which it counts as
/// dependent on them.
const DEPENDENT: f32 = 1.0 / 65_536.0;

/// Makes the columns orthonormal, first to last, by modified Gram–Schmidt done twice (once loses
/// orthogonality in f32, twice is enough: Giraud et al. 2005). Columns lie one after another,
/// `rows` values each; magnitudes are at most 2⁹⁶·2³⁰. Ordered.
///
/// A column that depends on the ones before it is handed to `replace(column number, column)`, and
/// left zero if what comes back depends on them too.
pub(super) fn orthonormalize(
    columns: &mut [f32],
    rows: usize,
    mut replace: impl FnMut(usize, &mut [f32]),
) {
    for j in 0..columns.len() / rows {
        let (before, rest) = columns.split_at_mut(j * rows);
        let Some(column) = rest.get_mut(..rows) else { return };
        if !independent(before, column) {
            replace(j, column);
            if !independent(before, column) {
                column.fill(0.0);
            }
        }
    }
}

/// Makes one column orthogonal to those before it and of length 1, or says that it cannot.
fn independent(before: &[f32], column: &mut [f32]) -> bool {
    if !normalize(column, 0.0) {
        return false;
    }
    for least in [DEPENDENT, 0.5] {
        for earlier in before.chunks_exact(column.len()) {
            let along = reduce::dot(earlier, column).unwrap_or(0.0);
            for (c, e) in column.iter_mut().zip(earlier) {
                *c -= along * e;
            }
        }
        if !normalize(column, least) {
            return false;
        }
    }
    true
}

/// Divides by the length, unless that is at most `least`.
fn normalize(column: &mut [f32], least: f32) -> bool {
    let largest = column.iter().fold(0.0f32, |max, v| max.max(v.abs()));
    if largest <= 0.0 {
        return false;
    }
    // To magnitudes up to 1 first, so that squares neither overflow nor vanish.
    column.iter_mut().for_each(|v| *v /= largest);
    let length = libm::sqrtf(reduce::sum_of_squares(column));
    column.iter_mut().for_each(|v| *v /= length);
    length * largest > least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pi::PiChaos;
    use std::vec::Vec;

    fn worst(columns: &[f32], rows: usize) -> f32 {
        let dot = |a: &[f32], b: &[f32]| reduce::dot(a, b).unwrap();
        let columns: Vec<_> = columns.chunks(rows).collect();
        let mut worst = 0.0f32;
        for (i, a) in columns.iter().enumerate() {
            for (j, b) in columns.iter().enumerate() {
                worst = worst.max((dot(a, b) - f32::from(u8::from(i == j))).abs());
            }
        }
        worst
    }

    #[test]
    fn columns_become_orthonormal_even_where_they_nearly_depend() {
        let chaos = PiChaos::new();
        for scale in [1.0, 1e-30, 1e30] {
            let mut columns: Vec<f32> = (0..6 * 50).map(|i| scale * chaos.jitter(i)).collect();
            for i in 0..50 {
                columns[50 + i] = columns[i] * (1.0 + 1e-3 * chaos.jitter(900 + i as u64));
            }
            orthonormalize(&mut columns, 50, |_, _| panic!("independent"));
            assert!(worst(&columns, 50) < 1e-6, "{}", worst(&columns, 50));
        }
    }

    #[test]
    fn dependent_columns_are_replaced_or_zero() {
        let mut columns = [3.0, 0.0, 4.0, -6.0, 0.0, -8.0, 0.0, 0.0, 0.0];
        orthonormalize(&mut columns, 3, |j, column| {
            if j == 1 {
                column.copy_from_slice(&[0.0, 7.0, 0.0]);
            }
        });
        assert_eq!(columns, [0.6, 0.0, 0.8, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
