//! Attention against double precision.

use crate::ROUNDING;
use crate::random::Random;
use trilane_core::error::ShapeError;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::nn::{Attention, AttentionError, CacheError, KvCache};

/// What one attention block is given.
struct Case {
    shape: Attention,
    capacity: usize,
    tokens: usize,
    q: Vec<f32>,
    /// Keys and values of one layer, token by token.
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Case {
    fn new(shape: Attention, capacity: usize, tokens: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut floats = |len| random.floats(len);
        let width = shape.kv_heads * shape.head_dim;
        let q = floats(shape.heads * shape.head_dim);
        let (keys, values) = (floats(tokens * width), floats(tokens * width));
        Self { shape, capacity, tokens, q, keys, values }
    }

    /// The output for layer 1 of three; the other layers hold numbers that would show.
    fn attend(&self) -> Vec<f32> {
        let width = self.shape.kv_heads * self.shape.head_dim;
        let floats = KvCache::floats(3, self.capacity, width).unwrap();
        let mut memory = vec![1e6; floats];
        let mut cache = KvCache::new(&mut memory, 3, self.capacity, width).unwrap();
        for (t, (k, v)) in self.keys.chunks(width).zip(self.values.chunks(width)).enumerate() {
            let (key, value) = cache.next(1).unwrap();
            key.copy_from_slice(k);
            value.copy_from_slice(v);
            // The last token is being written while its query attends.
            if t + 1 < self.tokens {
                cache.commit().unwrap();
            }
        }
        let mut y = vec![9.0; self.q.len()];
        let mut scratch = vec![9.0; self.shape.scratch_len(self.capacity)];
        self.shape.attend(Scalar, &Serial, &self.q, &cache, 1, &mut y, &mut scratch).unwrap();
        y
    }

    /// The output and a bound of its error, in double precision.
    ///
    /// A score is a dot product of d terms, each through one rounding and d/16 + 4 additions, and a
    /// product with the scale: its error is at most (d/16 + 7) · ε · S with S = Σ|q·k|/√d. That
    /// moves a weight by twice as much relative to itself; softmax and exponential add the score's
    /// distance from the maximum and t/16 + 12; the sum over tokens adds t + 1.
    fn reference(&self) -> Vec<(f64, f64)> {
        let Attention { heads, kv_heads, head_dim: d } = self.shape;
        let width = kv_heads * d;
        let mut y = vec![];
        for h in 0..heads {
            let at = h / (heads / kv_heads) * d;
            let dot = |t: usize, absolute: bool| {
                let products = (0..d).map(|i| {
                    let product =
                        f64::from(self.q[h * d + i]) * f64::from(self.keys[t * width + at + i]);
                    if absolute { product.abs() } else { product }
                });
                products.sum::<f64>() / (d as f64).sqrt()
            };
            let scores: Vec<f64> = (0..self.tokens).map(|t| dot(t, false)).collect();
            let size = (0..self.tokens).map(|t| dot(t, true)).fold(0.0, f64::max);
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let min = scores.iter().copied().fold(f64::INFINITY, f64::min);
            let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
            let (d_f, t_f) = (d as f64, self.tokens as f64);
            let roundings = 2.0 * (d_f / 16.0 + 7.0) * size + (max - min) + 1.1 * t_f + 14.0;
            for i in 0..d {
                let term = |t: usize| {
                    (scores[t] - max).exp() / sum * f64::from(self.values[t * width + at + i])
                };
                let exact: f64 = (0..self.tokens).map(term).sum();
                let size: f64 = (0..self.tokens).map(|t| term(t).abs()).sum();
                y.push((exact, roundings * ROUNDING * size));
            }
        }
        y
    }
}

const SHAPES: [(usize, usize, usize); 7] =
    [(1, 1, 1), (1, 1, 64), (4, 4, 16), (4, 2, 16), (8, 1, 10), (6, 3, 33), (32, 4, 64)];

#[test]
fn attention_is_the_formula() {
    for (heads, kv_heads, head_dim) in SHAPES {
        let shape = Attention { heads, kv_heads, head_dim };
        for tokens in [1, 2, 3, 16, 17, 70] {
            for capacity in [tokens, tokens + 5] {
                let case = Case::new(shape, capacity, tokens, tokens as u64);
                for (y, (expected, most)) in case.attend().into_iter().zip(case.reference()) {
                    let error = (f64::from(y) - expected).abs();
                    assert!(error <= most, "{shape:?}, {tokens} tokens: {error} > {most}");
                }
            }
        }
    }
}

/// Each query head reads the key head of its group and no other: when all values of one key head
/// become larger, exactly the heads of its group change.
#[test]
fn grouped_heads_read_their_own_keys_and_values() {
    let shape = Attention { heads: 6, kv_heads: 3, head_dim: 8 };
    let case = Case::new(shape, 5, 4, 1);
    let before = case.attend();
    for group in 0..3 {
        let mut other = Case::new(shape, 5, 4, 1);
        for token in other.values.chunks_mut(24) {
            token[8 * group..8 * (group + 1)].iter_mut().for_each(|v| *v += 1.0);
        }
        let after = other.attend();
        for head in 0..6 {
            let range = 8 * head..8 * (head + 1);
            let changed = before[range.clone()] != after[range];
            assert_eq!(changed, head / 2 == group, "head {head}, group {group}");
        }
    }
}

/// One token has all the weight, so its value comes out as it is.
#[test]
fn the_only_token_is_its_own_output() {
    let case = Case::new(Attention { heads: 2, kv_heads: 1, head_dim: 5 }, 3, 1, 2);
    let y = case.attend();
    assert_eq!((&y[..5], &y[5..]), (&case.values[..], &case.values[..]));
}

#[test]
fn slices_and_caches_of_another_size_are_refused() {
    let shape = Attention { heads: 4, kv_heads: 2, head_dim: 8 };
    let attend = |q: usize, width: usize, y: usize, scratch: usize| {
        let mut memory = vec![0.0; 2 * 3 * width];
        let cache = KvCache::new(&mut memory, 1, 3, width).unwrap();
        let (q, mut y, mut scratch) = (vec![0.0; q], vec![0.0; y], vec![0.0; scratch]);
        shape.attend(Scalar, &Serial, &q, &cache, 0, &mut y, &mut scratch)
    };
    let length =
        |expected, actual| Err(AttentionError::Shape(ShapeError::Length { expected, actual }));
    assert_eq!(shape.scratch_len(3), 4 * (3 + 8));
    assert_eq!(attend(32, 16, 32, 44), Ok(()));
    assert_eq!(attend(31, 16, 32, 44), length(32, 31));
    assert_eq!(attend(32, 17, 32, 44), length(16, 17));
    assert_eq!(attend(32, 16, 33, 44), length(32, 33));
    assert_eq!(attend(32, 16, 32, 43), length(44, 43));
}

#[test]
fn a_layer_that_does_not_exist_is_refused() {
    let shape = Attention { heads: 2, kv_heads: 1, head_dim: 4 };
    let mut memory = [1.0; 2 * 3 * 2 * 4];
    let cache = KvCache::new(&mut memory, 3, 2, 4).unwrap();
    for layer in [3, 4, usize::MAX / 16, usize::MAX] {
        let (mut y, mut scratch) = ([7.0; 8], [7.0; 12]);
        let found = shape.attend(Scalar, &Serial, &[1.0; 8], &cache, layer, &mut y, &mut scratch);
        let error = CacheError::Layer { layer, layers: 3 };
        assert_eq!(found, Err(AttentionError::Cache(error)));
        assert_eq!(y, [7.0; 8], "nothing is written");
    }
}

/// Shapes that no cache has, or whose products wrap, fit no slice.
#[test]
fn degenerate_shapes_are_refused() {
    let mut memory = [1.0; 2 * 2 * 4];
    let cache = KvCache::new(&mut memory, 1, 2, 4).unwrap();
    for (heads, kv_heads, head_dim) in
        [(0, 0, 4), (2, 0, 4), (0, 1, 0), (2, 1, 0), (usize::MAX, 1, 4), (2, usize::MAX, 4)]
    {
        let shape = Attention { heads, kv_heads, head_dim };
        let q = vec![1.0; if heads < 9 { heads * head_dim } else { 0 }];
        let (mut y, mut scratch) = (q.clone(), vec![7.0; 12]);
        let found = shape.attend(Scalar, &Serial, &q, &cache, 0, &mut y, &mut scratch);
        assert!(matches!(found, Err(AttentionError::Shape(_))), "{shape:?}: {found:?}");
    }
}
