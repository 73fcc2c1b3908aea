//! The decoder once more, in double precision and as plainly as it can be written.

use crate::file::{DIM, EPS, HEAD_DIM, HEADS, HIDDEN, KV_HEADS, LAYERS, Matrix, VOCABULARY};

/// What a header without a base stands for.
const ROPE_BASE: f64 = 10_000.0;

/// Weights by name, and the keys and values of the tokens so far, layer by layer.
pub(crate) struct Reference {
    weights: Vec<(String, Vec<f64>)>,
    keys: Vec<Vec<Vec<f64>>>,
    values: Vec<Vec<Vec<f64>>>,
}

fn norm(x: &[f64], gain: &[f64]) -> Vec<f64> {
    let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    let root = (mean + f64::from(EPS)).sqrt();
    x.iter().zip(gain).map(|(x, gain)| x / root * gain).collect()
}

fn rotate(heads: &mut [f64], position: usize) {
    for head in heads.chunks_mut(HEAD_DIM) {
        for i in 0..HEAD_DIM / 2 {
            let power = -2.0 * i as f64 / HEAD_DIM as f64;
            let angle = position as f64 * ROPE_BASE.powf(power);
            let (a, b) = (head[2 * i], head[2 * i + 1]);
            head[2 * i] = a * angle.cos() - b * angle.sin();
            head[2 * i + 1] = a * angle.sin() + b * angle.cos();
        }
    }
}

impl Reference {
    pub(crate) fn new(weights: &[Matrix]) -> Self {
        let widen = |m: &Matrix| (m.name.clone(), m.data.iter().map(|&w| f64::from(w)).collect());
        Self {
            weights: weights.iter().map(widen).collect(),
            keys: vec![vec![]; LAYERS],
            values: vec![vec![]; LAYERS],
        }
    }

    fn weight(&self, name: &str) -> &[f64] {
        let name = format!("{name}.weight");
        &self.weights.iter().find(|(n, _)| *n == name).unwrap().1
    }

    fn times(&self, name: &str, x: &[f64], rows: usize) -> Vec<f64> {
        let w = self.weight(name);
        assert_eq!(w.len(), rows * x.len(), "{name}");
        w.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    }

    fn attend(&self, layer: usize, q: &[f64]) -> Vec<f64> {
        let mut out = vec![];
        for (h, q) in q.chunks(HEAD_DIM).enumerate() {
            let at = h / (HEADS / KV_HEADS) * HEAD_DIM;
            let score = |k: &Vec<f64>| {
                let dot: f64 = q.iter().zip(&k[at..]).map(|(q, k)| q * k).sum();
                (dot / (HEAD_DIM as f64).sqrt()).exp()
            };
            let scores: Vec<f64> = self.keys[layer].iter().map(score).collect();
            let sum: f64 = scores.iter().sum();
            for i in at..at + HEAD_DIM {
                let terms = scores.iter().zip(&self.values[layer]).map(|(s, v)| s / sum * v[i]);
                out.push(terms.sum());
            }
        }
        out
    }

    /// The logits after one more token.
    pub(crate) fn forward(&mut self, token: usize) -> Vec<f64> {
        let mut x = self.weight("token_embd")[token * DIM..(token + 1) * DIM].to_vec();
        for layer in 0..LAYERS {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let position = self.keys[layer].len();
            let n = norm(&x, self.weight(&name("attn_norm")));
            let mut q = self.times(&name("attn_q"), &n, HEADS * HEAD_DIM);
            let mut k = self.times(&name("attn_k"), &n, KV_HEADS * HEAD_DIM);
            let v = self.times(&name("attn_v"), &n, KV_HEADS * HEAD_DIM);
            rotate(&mut q, position);
            rotate(&mut k, position);
            self.keys[layer].push(k);
            self.values[layer].push(v);
            let attended = self.attend(layer, &q);
            let y = self.times(&name("attn_output"), &attended, DIM);
            x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
            let n = norm(&x, self.weight(&name("ffn_norm")));
            let gate = self.times(&name("ffn_gate"), &n, HIDDEN);
            let up = self.times(&name("ffn_up"), &n, HIDDEN);
            let hidden: Vec<f64> =
                gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            let y = self.times(&name("ffn_down"), &hidden, DIM);
            x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
        }
        let n = norm(&x, self.weight("output_norm"));
        self.times("output", &n, VOCABULARY)
    }
}
