//! Perceptrons of random weights: the same as plain integers and as a GGUF file.

use crate::file::{File, Meta, Stored, float_bytes};
use crate::random::Random;
use trilane::core::digits::{Group, pack_nested_row, pack_ternary_row, units};
use trilane::core::gguf::{TensorType, Value};
use trilane::core::model::{LAYOUT_VERSION, keys, parts};

/// How a matrix is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Digits {
    Ternary,
    /// Nested, with that many tiers.
    Nested(usize),
}

/// One matrix in plain integers.
pub(crate) struct Layer {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) digits: Digits,
    pub(crate) group: Group,
    /// 0..=2, or 0..=127 of which only the tiers' bits are stored.
    codes: Vec<u8>,
    group_scales: Vec<u8>,
    pub(crate) scale: f32,
}

pub(crate) struct Network(pub(crate) Vec<Layer>);

impl Layer {
    fn random(rows: usize, cols: usize, digits: Digits, group: Group, random: &mut Random) -> Self {
        let largest = if matches!(digits, Digits::Ternary) { 3 } else { 128 };
        let scales = rows * units(cols) * group.scales_per_unit();
        Self {
            rows,
            cols,
            digits,
            group,
            codes: (0..rows * cols).map(|_| random.below(largest) as u8).collect(),
            group_scales: (0..scales).map(|_| random.below(256) as u8).collect(),
            scale: 0.001 + random.signed().abs(),
        }
    }

    /// The integer that a weight is, by the table of the documentation.
    fn value(&self, row: usize, col: usize) -> i128 {
        let code = i128::from(self.codes[row * self.cols + col]);
        let value = match self.digits {
            Digits::Ternary => code - 1,
            Digits::Nested(1) => 32 * (code >> 4) - 113,
            Digits::Nested(2) => 8 * (code >> 2) - 125,
            Digits::Nested(_) => 2 * code - 128,
        };
        let per_row = units(self.cols) * self.group.scales_per_unit();
        let group_scale = self.group.weights().map(|n| self.group_scales[row * per_row + col / n]);
        value * group_scale.map_or(1, i128::from)
    }

    fn stored(&self, name: &str) -> Vec<Stored> {
        let (rows, n) = (self.rows, units(self.cols));
        let mut high = vec![0; 8 * n * rows];
        let mut planes = [(); 3].map(|()| vec![0; 16 * n * rows]);
        for (r, codes) in self.codes.chunks(self.cols).enumerate() {
            let row = 16 * n * r..16 * n * (r + 1);
            match self.digits {
                Digits::Ternary => pack_ternary_row(codes, &mut planes[0][row]).unwrap(),
                Digits::Nested(_) => {
                    let planes = planes.each_mut().map(|plane| &mut plane[row.clone()]);
                    pack_nested_row(codes, &mut high[8 * n * r..8 * n * (r + 1)], planes).unwrap();
                }
            }
        }
        let part = |suffix: &str, kind, dims: [usize; 2], data| Stored {
            name: format!("{name}{suffix}"),
            kind,
            dims: dims.into(),
            data,
        };
        let plane = |suffix: &str, data: &Vec<u8>| {
            part(suffix, TensorType::I8, [data.len() / rows, rows], data.clone())
        };
        let mut all = match self.digits {
            Digits::Ternary => vec![plane(parts::TERNARY, &planes[0])],
            Digits::Nested(tiers) => {
                let planes = parts::DIGITS.into_iter().zip(&planes).take(tiers);
                let planes = planes.map(|(suffix, data)| plane(suffix, data));
                std::iter::once(plane(parts::HIGH, &high)).chain(planes).collect()
            }
        };
        if self.group != Group::Row {
            all.push(plane(parts::GROUP_SCALES, &self.group_scales));
        }
        let lanes = if let Digits::Nested(tiers) = self.digits { tiers } else { 1 };
        // The lanes below are not read and may have scales of their own.
        let mut scales = vec![7.0; rows * (lanes - 1)];
        scales.extend(vec![self.scale; rows]);
        let scales = float_bytes(&scales);
        all.push(part(parts::ROW_SCALES, TensorType::F32, [rows, lanes], scales));
        all
    }
}

impl Network {
    /// Matrices from width to width; `seed` also says which way each is stored.
    pub(crate) fn random(widths: &[usize], digits: Digits, group: Group, seed: u64) -> Self {
        let mut random = Random(seed);
        let layer = |w: &[usize]| Layer::random(w[1], w[0], digits, group, &mut random);
        Self(widths.windows(2).map(layer).collect())
    }

    /// The definition in plain integers: the sums of every layer, and the scale of the last.
    pub(crate) fn sums(&self, features: &[i8]) -> (Vec<Vec<i64>>, f32) {
        let mut x: Vec<i128> = features.iter().map(|&v| v.into()).collect();
        let (mut all, mut scale) = (Vec::new(), 1.0f32);
        for (index, layer) in self.0.iter().enumerate() {
            if index > 0 {
                let max = *x.iter().max().unwrap().max(&0);
                let rounded = |v: i128, k: u32| if k == 0 { v } else { (v + (1 << (k - 1))) >> k };
                let shift = (0..).find(|&k| rounded(max, k) <= 127).unwrap();
                x = x.iter().map(|&v| rounded(v.max(0), shift)).collect();
                scale *= (shift as f32).exp2();
            }
            let row = |r| (0..layer.cols).map(|c| layer.value(r, c) * x[c]).sum();
            x = (0..layer.rows).map(row).collect();
            scale *= layer.scale;
            all.push(x.iter().map(|&v| i64::try_from(v).unwrap()).collect());
        }
        (all, scale)
    }

    /// The network as a file.
    pub(crate) fn file(&self) -> File {
        let count = |n: usize| Meta::One(Value::U32(n as u32));
        let name = |i: usize| format!("blk.{i}.linear.weight");
        let names: Vec<String> = (0..self.0.len()).map(name).collect();
        let floor = |layer: &Layer| match layer.digits {
            Digits::Ternary => "ternary".into(),
            Digits::Nested(_) => "bit3".into(),
        };
        let group = |layer: &Layer| layer.group.weights().unwrap_or(0) as u32;
        let cols = self.0.iter().map(|layer| layer.cols as u32).collect();
        let (first, last) = (&self.0[0], self.0.last().unwrap());
        let metadata = [
            ("general.architecture", Meta::One(Value::Str("mlp"))),
            ("mlp.block_count", count(self.0.len())),
            ("mlp.feature_length", count(first.cols)),
            ("mlp.feed_forward_length", count(first.rows)),
            ("mlp.class_count", count(last.rows)),
            (keys::VERSION, Meta::One(Value::U32(LAYOUT_VERSION))),
            (keys::NAMES, Meta::Texts(names.clone())),
            (keys::COLS, Meta::Numbers(cols)),
            (keys::GROUP, Meta::Numbers(self.0.iter().map(group).collect())),
            (keys::FLOOR, Meta::Texts(self.0.iter().map(floor).collect())),
        ];
        let tensors = names.iter().zip(&self.0).flat_map(|(name, layer)| layer.stored(name));
        File {
            metadata: metadata.map(|(key, value)| (key.to_string(), value)).into(),
            tensors: tensors.collect(),
        }
    }
}
