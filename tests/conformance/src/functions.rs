//! What does not depend on the backend but on the compiler and the processor's floats.

use crate::Memory;
use crate::matrix::part;
use crate::random::Random;
use trilane_core::digits::Group;
use trilane_core::lane::quantize_nested_row;
use trilane_core::math::{self, reduce};
use trilane_core::model::Digest;
use trilane_core::model::sampler::{Candidate, Sampler, SamplerConfig};
use trilane_core::quant::{quantize_absmax, quantize_ternary_row};

/// Elementary functions over floats of every exponent, and reductions.
pub(crate) fn elementary() -> Digest {
    let mut digest = Digest::default();
    // A prime step through all bit patterns, NaN and infinities among them.
    for bits in (0..=u32::MAX).step_by(2_097_143) {
        let x = f32::from_bits(bits);
        digest.floats(&[
            math::exp(x),
            math::sigmoid(x),
            math::silu(x),
            math::tanh(x),
            math::gelu(x),
            math::gelu_erf(x),
            math::rsqrt(x),
        ]);
    }
    let mut x = [0.0; 300];
    Random(1).uneven(&mut x);
    for len in [0, 1, 15, 16, 17, 100, 300] {
        let x = part(&x, len);
        let dot = reduce::dot(x, x).unwrap_or(f32::NAN);
        digest.floats(&[reduce::sum(x), reduce::sum_of_squares(x), reduce::max(x), dot]);
    }
    digest
}

/// Codes and scales of weights: nested lanes, ternary, int8.
pub(crate) fn quantisers(memory: &mut Memory) -> Digest {
    let mut digest = Digest::default();
    let mut random = Random(2);
    let [w, importance, ..] = &mut memory.floats;
    for (len, group) in [(64, Group::Row), (200, Group::G32), (1000, Group::G64)] {
        let (w, importance) = (w.get_mut(..len), importance.get_mut(..len));
        let (Some(w), Some(importance)) = (w, importance) else { continue };
        random.uneven(w);
        importance.iter_mut().for_each(|p| *p = 1.0 + random.signed());
        let (mut codes, mut scales) = ([0; 1000], [0; 64]);
        let codes = &mut codes[..len];
        let scales = &mut scales[..len.div_ceil(64) * group.scales_per_unit()];
        let rows = quantize_nested_row(w, Some(importance), group, codes, scales);
        digest.bytes(codes);
        digest.bytes(scales);
        digest.floats(&rows.unwrap_or([f32::NAN; 3]));
        let row = quantize_ternary_row(w, group, codes, scales);
        digest.bytes(codes);
        digest.bytes(scales);
        digest.floats(&[row.unwrap_or(f32::NAN)]);
        let mut q = [0; 1000];
        digest.floats(&[quantize_absmax(w, &mut q[..len]).unwrap_or(f32::NAN)]);
        digest.bytes(bytemuck::cast_slice(&q));
    }
    digest
}

/// Tokens drawn with every cut of the sampler.
pub(crate) fn sampler(memory: &mut Memory) -> Digest {
    let mut digest = Digest::default();
    let config = SamplerConfig {
        temperature: 0.8,
        top_k: 40,
        top_p: 0.9,
        min_p: 0.02,
        repetition_penalty: 1.1,
        seed: 3,
        ..SamplerConfig::default()
    };
    let Ok(mut sampler) = Sampler::new(config) else { return digest };
    let mut random = Random(4);
    let mut recent = [0; 64];
    let mut candidates = [Candidate::default(); 512];
    for i in 0..recent.len() {
        let logits = memory.floats[0].get_mut(..512).unwrap_or(&mut []);
        logits.iter_mut().for_each(|l| *l = 4.0 * random.signed());
        let token = sampler.sample(logits, part(&recent, i), &mut candidates).unwrap_or(u32::MAX);
        recent[i] = token;
        digest.bytes(&token.to_le_bytes());
    }
    digest
}
