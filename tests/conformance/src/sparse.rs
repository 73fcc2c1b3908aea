//! What sparse layers compute: listed rows, what lanes have beyond lower ones, sums of rows.

use crate::Memory;
use crate::kernels::GROUPS;
use crate::matrix::MOST_ROWS;
use crate::random::Random;
use trilane_core::digits::{DigitMatrix, LaneView, MatrixError};
use trilane_core::kernel::{Backend, Terms};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Digest, ModelError};
use trilane_core::nn::LinearError;
use trilane_core::quant::Activations;

/// Columns on both sides of the boundaries of units and blocks.
const COLS: [usize; 4] = [65, 256, 300, 704];

/// Rows of each matrix.
const ROWS: usize = 19;

/// Rows in no order, repeated, and past the end.
const LIST: [u32; 13] = [7, 0, 18, 18, 3, 400, 11, 12, 13, 14, 2, 7, 19];

/// The lanes of a matrix, without and with the one whose tiers are left out.
type Views = &'static [(Option<PrecisionLane>, PrecisionLane)];

const LANES: Views =
    &[(None, PrecisionLane::Bit3), (None, PrecisionLane::Bit5), (None, PrecisionLane::Bit7)];

const REFINEMENTS: Views = &[
    (Some(PrecisionLane::Bit3), PrecisionLane::Bit5),
    (Some(PrecisionLane::Bit3), PrecisionLane::Bit7),
    (Some(PrecisionLane::Bit5), PrecisionLane::Bit7),
];

const TERNARY: Views = &[(None, PrecisionLane::Ternary)];

fn view<'a>(
    matrix: &DigitMatrix<'a>,
    (above, lane): (Option<PrecisionLane>, PrecisionLane),
) -> Result<LaneView<'a>, MatrixError> {
    above.map_or_else(|| matrix.lane(lane), |above| matrix.refinement(above, lane))
}

/// Calls `each` with random matrices and vectors.
fn matrices(
    backend: impl Backend,
    memory: &mut Memory,
    seed: u64,
    mut each: impl FnMut(&DigitMatrix<'_>, Views, &Activations<'_>) -> Result<(), MatrixError>,
) -> Result<(), ModelError> {
    let mut random = Random(seed);
    for (cols, group) in COLS.iter().flat_map(|&cols| GROUPS.map(|group| (cols, group))) {
        for views in [TERNARY, LANES, REFINEMENTS] {
            let ternary = views.len() == 1;
            let mut codes = Random(random.bits());
            let code = |_, _| codes.below(if ternary { 3 } else { 128 }) as u8;
            let scales = Some(&mut random);
            let matrix = memory.planes.matrix(ternary, (ROWS, cols), group, scales, code);
            let matrix = matrix.map_err(LinearError::Matrix)?;
            let [x, ..] = &mut memory.floats;
            let x = x.get_mut(..cols).unwrap_or(&mut []);
            random.uneven(x);
            let each = |x: &Activations<'_>| each(&matrix, views, x);
            let found = memory.integers.quantized(backend, x, each).map_err(LinearError::Quant)?;
            found.map_err(LinearError::Matrix)?;
        }
    }
    Ok(())
}

/// Integers and products of what each lane has beyond lower ones.
pub(crate) fn refinements(
    backend: impl Backend,
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let mut digest = Digest::default();
    matrices(backend, memory, 11, |matrix, views, x| {
        for &lanes in views.iter().filter(|(above, _)| above.is_some()) {
            let view = view(matrix, lanes)?;
            let (mut y, mut sums) = ([0.0; ROWS], [0; MOST_ROWS]);
            backend.lane_matvec(&view, x, 0, &mut y);
            backend.lane_sums(&view, x, 1, &mut sums);
            digest.floats(&y);
            digest.integers(&sums);
        }
        Ok(())
    })?;
    Ok(digest)
}

/// Integers and products of listed rows.
pub(crate) fn listed_rows(
    backend: impl Backend,
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let mut digest = Digest::default();
    matrices(backend, memory, 12, |matrix, views, x| {
        for &lanes in views {
            let view = view(matrix, lanes)?;
            let (mut y, mut sums) = ([0.0; LIST.len()], [0; LIST.len() + 1]);
            backend.lane_matvec_of(&view, x, LIST.get(..3).unwrap_or(&[]), &mut y);
            backend.lane_sums_of(&view, x, &LIST, &mut sums);
            digest.floats(&y);
            digest.integers(&sums);
        }
        Ok(())
    })?;
    Ok(digest)
}

/// Sums of rows at several lanes, a few columns at a time.
pub(crate) fn sums_of_rows(
    backend: impl Backend,
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let mut digest = Digest::default();
    let mut factors = Random(14);
    matrices(backend, memory, 13, |matrix, views, _| {
        let mut q = [[0; LIST.len()]; 3];
        q.as_flattened_mut().iter_mut().for_each(|q| *q = factors.bits() as i16);
        let lane = |i| match views.get(i).or(views.first()) {
            Some(&lanes) => view(matrix, lanes),
            None => matrix.lane(matrix.top_lane()),
        };
        let (a, b, c) = (lane(0)?, lane(1)?, lane(2)?);
        let [qa, qb, qc] = &q;
        let (few, one) = (LIST.get(..4).unwrap_or(&[]), LIST.get(2..3).unwrap_or(&[]));
        let parts = [
            Terms { view: a, rows: &LIST, q: qa },
            Terms { view: b, rows: few, q: qb },
            Terms { view: c, rows: one, q: qc },
        ];
        let mut y = [0; 320];
        for first in (0..matrix.cols()).step_by(y.len()) {
            backend.combine(&parts, first, &mut y);
            y.iter().for_each(|y| digest.bytes(&y.to_le_bytes()));
        }
        Ok(())
    })?;
    Ok(digest)
}
