//! Blocks of layers.

use crate::Memory;
use crate::matrix::part;
use crate::random::Random;
use trilane_core::digits::Group;
use trilane_core::gguf::TensorType;
use trilane_core::kernel::{Backend, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Digest, ModelError};
use trilane_core::nn::{Activation, Attention, FeedForward, KvCache, Linear, LinearError, Rope};

/// Values of a token in every block.
const DIM: usize = 36;

/// Grouped-query attention with rotary positions, token after token.
pub(crate) fn attention(backend: impl Backend, memory: &mut Memory) -> Result<Digest, ModelError> {
    const TOKENS: usize = 16;
    let mut digest = Digest::default();
    let mut random = Random(8);
    for (heads, kv_heads, head_dim) in [(6, 2, 6), (3, 1, 12), (1, 1, DIM)] {
        let attention = Attention { heads, kv_heads, head_dim };
        let width = kv_heads * head_dim;
        let [cache, scratch, ..] = &mut memory.floats;
        let cache = cache.get_mut(..2 * TOKENS * width).unwrap_or(&mut []);
        let mut cache = KvCache::new(cache, 1, TOKENS, width)?;
        for token in 0..TOKENS {
            let (mut cos, mut sin) = ([0.0; DIM / 2], [0.0; DIM / 2]);
            let pairs = head_dim / 2;
            let (cos, sin) = (&mut cos[..pairs], &mut sin[..pairs]);
            let rope = Rope::new(37 * token, 10_000.0, cos, sin);
            let (mut q, mut y) = ([0.0; DIM], [0.0; DIM]);
            q.iter_mut().for_each(|q| *q = 3.0 * random.signed());
            rope.rotate(&mut q, head_dim);
            let (key, value) = cache.next(0)?;
            key.iter_mut().chain(value.iter_mut()).for_each(|x| *x = random.signed());
            rope.rotate(key, head_dim);
            cache.commit()?;
            let scratch = scratch.get_mut(..attention.scratch_len(TOKENS)).unwrap_or(&mut []);
            attention.attend(backend, &Serial, &q, &cache, 0, &mut y, scratch)?;
            digest.floats(&y);
        }
    }
    Ok(digest)
}

/// Gated and plain feed-forward blocks, over digit planes and over floats.
pub(crate) fn feed_forward(
    backend: impl Backend,
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let mut digest = Digest::default();
    let mut random = Random(9);
    let [floats, bias, ..] = &mut memory.floats;
    let floats = floats.get_mut(..32 * DIM).unwrap_or(&mut []);
    random.uneven(floats);
    random.uneven(bias);
    let mut codes = Random(10);
    let mut square = |_, _| codes.below(128) as u8;
    let matrix = memory
        .planes
        .matrix(false, (DIM, DIM), Group::G32, Some(&mut random), &mut square)
        .map_err(LinearError::Matrix)?;
    let floats = bytemuck::cast_slice(part(floats, DIM * 32));
    let digits = Linear::Digits { matrix, floor: PrecisionLane::Ternary };
    let up = Linear::blocks(TensorType::F32, 32, DIM, floats)?;
    let down = Linear::blocks(TensorType::F32, DIM, 32, floats)?;
    let gated = FeedForward::Gated {
        activation: Activation::Silu,
        gate: &digits,
        up: &digits,
        down: &digits,
    };
    let mut x = [0.0; DIM];
    random.uneven(&mut x);
    let mut forward = |block: &FeedForward<'_>, hidden: usize, lane| -> Result<(), ModelError> {
        let (mut a, mut b, mut y) = ([0.0; DIM], [0.0; DIM], [0.0; DIM]);
        let hidden = [&mut a[..hidden], &mut b[..hidden]];
        let mut buf = memory.integers.buf();
        block.forward(backend, &Serial, lane, &x, &mut buf, hidden, &mut y)?;
        digest.floats(&y);
        Ok(())
    };
    for lane in PrecisionLane::NESTED {
        forward(&gated, DIM, lane)?;
    }
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::Silu] {
        let (up_bias, down_bias) = (Some(part(bias, DIM)), None);
        let plain =
            FeedForward::Plain { up: &digits, up_bias, activation, down: &digits, down_bias };
        forward(&plain, DIM, PrecisionLane::Bit5)?;
        let (up_bias, down_bias) = (Some(part(bias, 32)), Some(part(bias, DIM)));
        let plain = FeedForward::Plain { up: &up, up_bias, activation, down: &down, down_bias };
        forward(&plain, 32, PrecisionLane::Float32)?;
    }
    Ok(digest)
}
