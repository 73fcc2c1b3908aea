//! One matrix by several vectors.

use super::{Input, Linear, LinearError, same_len};
use crate::gguf::TensorType;
use crate::kernel::{Backend, Pool};
use crate::lane::PrecisionLane;

/// Rows that all vectors meet before the next rows are read: they stay in the nearest cache.
const STRIP: usize = 16;

impl Linear<'_> {
    /// `y_t = W x_t` for several vectors, each with the bits of [`matvec`](Self::matvec). The
    /// weights are read from memory once for all of them.
    ///
    /// Shapes: inputs of cols each, `y` rows for each input, one after the other.
    ///
    /// # Errors
    /// As [`matvec`](Self::matvec).
    pub fn matmul<B: Backend>(
        &self,
        backend: B,
        pool: &dyn Pool,
        lane: PrecisionLane,
        inputs: &[Input<'_>],
        y: &mut [f32],
    ) -> Result<(), LinearError> {
        let (rows, cols) = (self.rows(), self.cols());
        same_len(rows.saturating_mul(inputs.len()), y.len())?;
        for input in inputs {
            same_len(cols, input.floats().len())?;
        }
        let work = y.len().saturating_mul(cols);
        // Calls `product(input, first row, part of y)` strip by strip.
        let strips =
            |first: usize, y: &mut [f32], product: &dyn Fn(&Input<'_>, usize, &mut [f32])| {
                let inputs = inputs.get(first / rows.max(1)..).unwrap_or(&[]);
                for start in (0..rows).step_by(STRIP) {
                    for (input, y) in inputs.iter().zip(y.chunks_exact_mut(rows.max(1))) {
                        let part = start..rows.min(start + STRIP);
                        product(input, start, y.get_mut(part).unwrap_or(&mut []));
                    }
                }
            };
        match *self {
            Self::Digits { matrix, .. } => {
                let view = matrix.lane(self.lane(lane))?;
                for input in inputs {
                    same_len(cols, input.integers().map_or(0, |x| x.len()))?;
                }
                pool.spread(y, rows, work, &|first, y| {
                    strips(first, y, &|input, row, y| {
                        if let Some(x) = input.integers() {
                            backend.lane_matvec(&view, x, row, y);
                        }
                    });
                });
            }
            Self::Blocks { kind, data, .. } => {
                let row_bytes = data.len() / rows.max(1);
                // A float product costs about as much as eight integer ones.
                pool.spread(y, rows, work.saturating_mul(8), &|first, y| {
                    strips(first, y, &|input, row, y| {
                        let data = data.get(row * row_bytes..).unwrap_or(&[]);
                        match bytemuck::try_cast_slice(data) {
                            Ok(w) if kind == TensorType::F32 && cfg!(target_endian = "little") => {
                                backend.float_matvec(w, input.floats(), y);
                            }
                            _ => backend.block_matvec(kind, data, input.floats(), y),
                        }
                    });
                });
            }
            #[cfg(feature = "stored")]
            Self::Stored { matrix, source } => {
                let lane = self.lane(lane);
                source.rows(&matrix, lane, 0..rows, &mut |first, piece| {
                    for (input, y) in inputs.iter().zip(y.chunks_exact_mut(rows.max(1))) {
                        let y = y.get_mut(first..).and_then(|y| y.get_mut(..piece.rows()));
                        piece.matvec(backend, pool, lane, input, y.unwrap_or(&mut []))?;
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}
