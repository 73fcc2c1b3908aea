//! Adam with decoupled weight decay (Loshchilov and Hutter 2019).

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// First and second moments of every weight.
pub(crate) struct AdamW {
    first: Vec<f32>,
    second: Vec<f32>,
    /// β to the number of steps so far: what the moments still lack.
    lacking: [f32; 2],
}

impl AdamW {
    /// Zero moments of `len` weights.
    pub(crate) fn new(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len], lacking: [1.0; 2] }
    }

    /// One step of size `rate` down `gradient`; `decay` is the share of a weight that a step of
    /// size 1 would take away.
    pub(crate) fn update(&mut self, weights: &mut [f32], gradient: &[f32], rate: f32, decay: f32) {
        self.lacking = [self.lacking[0] * BETA1, self.lacking[1] * BETA2];
        let unbias = self.lacking.map(|lacking| 1.0 / (1.0 - lacking));
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((w, g), (m, v)) in weights.iter_mut().zip(gradient).zip(moments) {
            *m = BETA1 * *m + (1.0 - BETA1) * g;
            *v = BETA2 * *v + (1.0 - BETA2) * g * g;
            let step = *m * unbias[0] / ((*v * unbias[1]).sqrt() + EPSILON);
            *w -= rate * (step + decay * *w);
        }
    }
}
