//! The same model with its linear layers in digit planes.

use crate::file::{File, Matrix, Meta, Stored, float_bytes, metadata, stored_floats, weights};
use trilane::core::digits::{Group, pack_nested_row, pack_ternary_row, units};
use trilane::core::gguf::{TensorType, Value};
use trilane::core::lane::quantize_nested_row;
use trilane::core::model::{LAYOUT_VERSION, keys, parts};
use trilane::core::quant::quantize_ternary_row;

/// How the linear layers are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Digits {
    Ternary,
    /// Nested, with that many tiers.
    Nested(usize),
}

impl Digits {
    fn floor(self) -> &'static str {
        match self {
            Self::Ternary => "ternary",
            Self::Nested(_) => "bit3",
        }
    }
}

/// The planes and scales of one matrix, under the names of the layout.
fn stored(matrix: &Matrix, digits: Digits, group: Group) -> Vec<Stored> {
    let (rows, n) = (matrix.rows, units(matrix.cols));
    let per_row = n * group.scales_per_unit();
    let (mut high, mut planes) = (vec![0; 8 * n * rows], [(); 3].map(|()| vec![0; 16 * n * rows]));
    let mut group_scales = vec![0; per_row * rows];
    let mut row_scales = [(); 3].map(|()| vec![0.0; rows]);
    let mut codes = vec![0; matrix.cols];
    for (r, w) in matrix.data.chunks(matrix.cols).enumerate() {
        let scales = &mut group_scales[r * per_row..(r + 1) * per_row];
        let row = 16 * n * r..16 * n * (r + 1);
        match digits {
            Digits::Ternary => {
                row_scales[0][r] = quantize_ternary_row(w, group, &mut codes, scales).unwrap();
                pack_ternary_row(&codes, &mut planes[0][row]).unwrap();
            }
            Digits::Nested(_) => {
                let fitted = quantize_nested_row(w, None, group, &mut codes, scales).unwrap();
                row_scales.iter_mut().zip(fitted).for_each(|(to, scale)| to[r] = scale);
                let high = &mut high[8 * n * r..8 * n * (r + 1)];
                let planes = planes.each_mut().map(|plane| &mut plane[row.clone()]);
                pack_nested_row(&codes, high, planes).unwrap();
            }
        }
    }
    let part = |suffix: &str, kind, dims: [usize; 2], data| Stored {
        name: format!("{}{suffix}", matrix.name),
        kind,
        dims: dims.into(),
        data,
    };
    let plane = |suffix, data: &Vec<u8>| {
        part(suffix, TensorType::I8, [data.len() / rows, rows], data.clone())
    };
    let lanes = if let Digits::Nested(tiers) = digits { tiers } else { 1 };
    let mut all = match digits {
        Digits::Ternary => vec![plane(parts::TERNARY, &planes[0])],
        Digits::Nested(tiers) => {
            let tiers = parts::DIGITS.into_iter().zip(&planes).take(tiers);
            let tiers = tiers.map(|(suffix, data)| plane(suffix, data));
            core::iter::once(plane(parts::HIGH, &high)).chain(tiers).collect()
        }
    };
    if group != Group::Row {
        all.push(plane(parts::GROUP_SCALES, &group_scales));
    }
    let scales = float_bytes(&row_scales[..lanes].concat());
    all.push(part(parts::ROW_SCALES, TensorType::F32, [rows, lanes], scales));
    all
}

/// The model with norms in F32 and every matrix in digit planes.
pub(crate) fn digit_file(seed: u64, digits: Digits, group: Group) -> File {
    let all = weights(seed);
    let matrices: Vec<&Matrix> = all.iter().filter(|matrix| matrix.rows > 1).collect();
    let norms = all.iter().filter(|matrix| matrix.rows == 1).map(stored_floats);
    let planes = matrices.iter().flat_map(|matrix| stored(matrix, digits, group));
    let tensors = norms.chain(planes).collect();
    let weights = group.weights().unwrap_or(0) as u32;
    let mut metadata = metadata();
    metadata.extend(
        [
            (keys::VERSION, Meta::One(Value::U32(LAYOUT_VERSION))),
            (keys::NAMES, Meta::Texts(matrices.iter().map(|m| m.name.clone()).collect())),
            (keys::COLS, Meta::Numbers(matrices.iter().map(|m| m.cols as u32).collect())),
            (keys::GROUP, Meta::Numbers(vec![weights; matrices.len()])),
            (keys::FLOOR, Meta::Texts(vec![digits.floor().into(); matrices.len()])),
        ]
        .map(|(key, value)| (key.to_string(), value)),
    );
    File { metadata, tensors }
}
