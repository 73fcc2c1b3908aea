//! The launches of one step.

use super::weights::{ByNeuron, DeviceLayer, DeviceWeights, FeedForward};
use super::{Observer, State};
use crate::activations::{add, check_finite, gate, rms_norm};
use crate::error::CudaError;
use crate::matrix::Matrix;
use crate::stream::Stream;
use trilane_core::lane::PrecisionLane;
use trilane_core::model::Header;

/// Queues a step: the tokens in the state go in, the logits come out. With an observer it waits for
/// every layer.
pub(super) fn step(
    stream: &Stream,
    header: &Header,
    weights: &DeviceWeights,
    state: &mut State,
    lane: PrecisionLane,
    mut observe: Option<Observer<'_>>,
) -> Result<(), CudaError> {
    weights.token_embd.gather(stream, lane, &state.tokens, &mut state.x)?;
    // What the block before adds is added by the norm that comes next.
    let mut pending = false;
    for (index, layer) in weights.layers.iter().enumerate() {
        let run = Run { stream, lane, eps: header.norm_eps, index };
        run.norm(state, &layer.attn_norm, pending)?;
        run.attention(layer, state, index)?;
        run.norm(state, &layer.ffn_norm, true)?;
        run.feed_forward(layer, header, state)?;
        pending = true;
        if let Some(observe) = &mut observe {
            add(stream, &mut state.x, &state.delta)?;
            pending = false;
            observe(index, &state.x.to_vec(stream)?);
        }
    }
    let run = Run { stream, lane, eps: header.norm_eps, index: header.layers };
    run.norm(state, &weights.output_norm, pending)?;
    let State { integers, normed, status, logits, .. } = state;
    let output = weights.output();
    if output.takes_integers() {
        integers.quantize(stream, normed, header.dim, status, header.layers)?;
    }
    output.multiply(stream, lane, normed, integers, logits)?;
    check_finite(stream, logits, status, header.layers)
}

/// What the parts of a layer share.
struct Run<'r> {
    stream: &'r Stream,
    lane: PrecisionLane,
    eps: f32,
    index: usize,
}

impl Run<'_> {
    /// `normed = rms_norm(x + delta)`, or of `x` alone.
    fn norm(
        &self,
        state: &mut State,
        gain: &crate::buffer::Buffer<f32>,
        pending: bool,
    ) -> Result<(), CudaError> {
        let State { x, delta, normed, status, .. } = state;
        let delta = pending.then_some(&*delta);
        rms_norm(self.stream, x, delta, gain, self.eps, normed, status, self.index)
    }

    /// `delta = W_o · attention(rope(W_q n), rope(W_k n), W_v n)`.
    fn attention(
        &self,
        layer: &DeviceLayer,
        state: &mut State,
        index: usize,
    ) -> Result<(), CudaError> {
        let (stream, lane) = (self.stream, self.lane);
        let State {
            attention,
            caches,
            integers,
            status,
            normed,
            delta,
            query,
            key,
            value,
            attended,
            ..
        } = state;
        let inputs = [&layer.q, &layer.k, &layer.v];
        if inputs.iter().any(|matrix| matrix.takes_integers()) {
            integers.quantize(stream, normed, layer.q.cols(), status, self.index)?;
        }
        for (matrix, y) in inputs.into_iter().zip([&mut *query, &mut *key, &mut *value]) {
            matrix.multiply(stream, lane, normed, integers, y)?;
        }
        let missing = || CudaError::Unsupported { what: format!("layer {index}, without a cache") };
        let cache = caches.get_mut(index).ok_or_else(missing)?;
        attention.attend(stream, query, key, value, cache, attended)?;
        self.project(&layer.output, attended, integers, status, delta)
    }

    /// `delta = W_down · (act(W_gate n) · W_up n)`, of all neurons or of those that matter.
    fn feed_forward(
        &self,
        layer: &DeviceLayer,
        header: &Header,
        state: &mut State,
    ) -> Result<(), CudaError> {
        let (stream, lane) = (self.stream, self.lane);
        let State { integers, status, normed, delta, gate: gates, up, sparse, .. } = state;
        let [first, second, down] = match (&layer.ffn, sparse) {
            (FeedForward::Dense(matrices), _) => &**matrices,
            (FeedForward::ByNeuron(own), Some(scratch)) => {
                integers.quantize(stream, normed, header.dim, status, self.index)?;
                let ByNeuron { block, predictor, config } = &**own;
                let (x, layer) = (&*integers, self.index);
                return block
                    .forward(stream, lane, predictor, *config, x, scratch, delta, status, layer);
            }
            (FeedForward::ByNeuron(_), None) => {
                let what = format!("layer {}, without memory for its neurons", self.index);
                return Err(CudaError::Unsupported { what });
            }
        };
        if first.takes_integers() || second.takes_integers() {
            integers.quantize(stream, normed, header.dim, status, self.index)?;
        }
        first.multiply(stream, lane, normed, integers, gates)?;
        second.multiply(stream, lane, normed, integers, up)?;
        gate(stream, header.activation, gates, up)?;
        self.project(down, gates, integers, status, delta)
    }

    /// `y = W x`, where no other matrix takes `x`.
    fn project(
        &self,
        matrix: &Matrix,
        x: &crate::buffer::Buffer<f32>,
        integers: &mut crate::activations::Activations,
        status: &mut crate::activations::Status,
        y: &mut crate::buffer::Buffer<f32>,
    ) -> Result<(), CudaError> {
        if matrix.takes_integers() {
            integers.quantize(self.stream, x, matrix.cols(), status, self.index)?;
        }
        matrix.multiply(self.stream, self.lane, x, integers, y)
    }
}
