//! One sequence: going back, running full, and going on after an error.

use crate::file::{File, LAYERS, VOCABULARY, float_bytes, float_file};
use crate::planes::{Digits, digit_file};
use crate::{PROMPT, with_decoder, with_weights};
use trilane::core::digits::Group;
use trilane::core::kernel::{Scalar, Serial};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Decoder, Line, ModelError, TensorName};
use trilane::core::nn::CacheError;

fn models() -> [(File, PrecisionLane); 2] {
    let digits = digit_file(3, Digits::Nested(3), Group::G64);
    [(float_file(3), PrecisionLane::Float32), (digits, PrecisionLane::Bit5)]
}

type Bits = Result<Vec<u32>, ModelError>;

fn forward(decoder: &mut Decoder<'_, '_, Scalar>, token: u32, lane: PrecisionLane) -> Bits {
    let logits = decoder.forward(&Serial, token, lane)?;
    Ok(logits.iter().map(|v| v.to_bits()).collect())
}

/// Logits of a fresh sequence.
fn fresh(file: &File, tokens: &[u32], lane: PrecisionLane) -> Vec<Bits> {
    with_decoder(file, Scalar, tokens.len(), |decoder| {
        tokens.iter().map(|&token| forward(decoder, token, lane)).collect()
    })
}

#[test]
fn going_back_and_on_gives_the_same_bits() {
    for (file, lane) in models() {
        let expected = fresh(&file, &PROMPT, lane);
        with_decoder(&file, Scalar, PROMPT.len(), |decoder| {
            assert_eq!(decoder.capacity(), PROMPT.len());
            for keep in [0, 5, 11, 1, 12] {
                decoder.truncate(keep);
                // Another continuation in between must leave no trace.
                for token in [3, 9].into_iter().take(PROMPT.len() - decoder.position()) {
                    forward(decoder, token, lane).unwrap();
                }
                decoder.truncate(keep);
                for i in decoder.position()..PROMPT.len() {
                    assert_eq!(forward(decoder, PROMPT[i], lane), expected[i], "token {i}");
                    assert_eq!(decoder.position(), i + 1);
                }
            }
        });
    }
}

#[test]
fn a_full_context_leaves_the_sequence_usable() {
    for (file, lane) in models() {
        let expected = fresh(&file, &PROMPT[..4], lane);
        with_decoder(&file, Scalar, 3, |decoder| {
            for i in 0..3 {
                assert_eq!(forward(decoder, PROMPT[i], lane), expected[i]);
            }
            let full = Err(ModelError::Cache(CacheError::Full { capacity: 3 }));
            for _ in 0..2 {
                assert_eq!(forward(decoder, PROMPT[3], lane), full);
                assert_eq!(decoder.position(), 3);
            }
            decoder.truncate(2);
            assert_eq!(forward(decoder, PROMPT[2], lane), expected[2]);
        });
        // The context does not end before its capacity.
        assert!(expected[3].is_ok());
    }
}

#[test]
fn a_token_or_lane_that_does_not_exist_changes_nothing() {
    for (file, lane) in models() {
        let expected = fresh(&file, &PROMPT[..2], lane);
        with_decoder(&file, Scalar, 2, |decoder| {
            assert_eq!(forward(decoder, PROMPT[0], lane), expected[0]);
            for token in [VOCABULARY as u32, VOCABULARY as u32 + 1, u32::MAX] {
                let error = ModelError::Token { token, vocabulary: VOCABULARY };
                assert_eq!(forward(decoder, token, lane), Err(error));
            }
            if lane != PrecisionLane::Float32 {
                let lane = PrecisionLane::Float32;
                let name = TensorName { layer: None, part: "token_embd" };
                assert_eq!(forward(decoder, 1, lane), Err(ModelError::Lane { name, lane }));
            }
            assert_eq!(decoder.position(), 1);
            assert_eq!(forward(decoder, PROMPT[1], lane), expected[1]);
        });
    }
}

/// Sets the first float of a tensor to the largest there is.
fn enlarge(file: &mut File, name: &str) {
    let tensor = file.tensors.iter_mut().find(|tensor| tensor.name == name).unwrap();
    tensor.data[..4].copy_from_slice(&float_bytes(&[f32::MAX]));
}

/// Where the normed value is above 1 the output overflows, so for some tokens and not for others.
#[test]
fn a_token_that_diverges_changes_nothing() {
    let layer = LAYERS;
    for (mut file, lane) in models() {
        let float = lane == PrecisionLane::Float32;
        enlarge(&mut file, if float { "output.weight" } else { "output_norm.weight" });
        let first = |token: u32| fresh(&file, &[token], lane).remove(0);
        let (good, bad): (Vec<u32>, Vec<u32>) =
            (0..VOCABULARY as u32).partition(|&token| first(token).is_ok());
        let expected = fresh(&file, &good[..1], lane).remove(0);
        with_decoder(&file, Scalar, 2, |decoder| {
            for &bad in &bad[..3] {
                assert_eq!(forward(decoder, bad, lane), Err(ModelError::Diverged { layer }));
                assert_eq!(decoder.position(), 0);
            }
            assert_eq!(forward(decoder, good[0], lane), expected);
        });
    }
}

/// Activations that overflow are found when they are quantised, so in their own layer.
#[test]
fn the_layer_that_diverges_is_named() {
    for layer in 0..LAYERS {
        let mut file = digit_file(3, Digits::Nested(3), Group::G64);
        enlarge(&mut file, &format!("blk.{layer}.ffn_norm.weight"));
        let lane = PrecisionLane::Bit7;
        let found: Vec<Bits> =
            (0..VOCABULARY as u32).map(|token| fresh(&file, &[token], lane).remove(0)).collect();
        assert!(found.contains(&Err(ModelError::Diverged { layer })));
    }
}

/// Finite values whose squares overflow would be made zeros by a norm, and logits out of nothing.
#[test]
fn a_residual_too_large_to_norm_is_named_with_its_layer() {
    // Every row of the matrix gets one weight that outgrows the rest; the norm after it finds out.
    for (part, layer, found_in) in
        [("attn_output", 0, 0), ("attn_output", 1, 1), ("ffn_down", 0, 1), ("ffn_down", 1, LAYERS)]
    {
        let mut file = float_file(3);
        let name = format!("blk.{layer}.{part}.weight");
        let tensor = file.tensor(&name);
        let row_bytes = 4 * tensor.dims[0];
        for row in tensor.data.chunks_exact_mut(row_bytes) {
            row[..4].copy_from_slice(&float_bytes(&[1e30]));
        }
        let lane = PrecisionLane::Float32;
        let diverged = Err(ModelError::Diverged { layer: found_in });
        assert_eq!(fresh(&file, &[7], lane), [diverged], "{name}");
    }
    // A token of its own: the others go on.
    let mut file = float_file(3);
    file.tensor("token_embd.weight").data[..4].copy_from_slice(&float_bytes(&[2e19]));
    let expected = fresh(&file, &PROMPT[..2], PrecisionLane::Float32);
    assert!(expected.iter().all(Result::is_ok));
    with_decoder(&file, Scalar, 2, |decoder| {
        let mut next = |token| forward(decoder, token, PrecisionLane::Float32);
        assert_eq!(next(PROMPT[0]), expected[0]);
        assert_eq!(next(0), Err(ModelError::Diverged { layer: 0 }));
        assert_eq!(next(PROMPT[1]), expected[1]);
    });
}

#[test]
fn an_arena_of_the_exact_size_works_and_one_line_less_does_not() {
    for (file, lane) in models() {
        let expected = fresh(&file, &PROMPT[..3], lane);
        with_weights(&file, |weights| {
            let weights = weights.unwrap();
            let header = *weights.header();
            let lines = header.arena_lines(3).unwrap();
            assert_eq!(header.arena_bytes(3), Some(64 * lines));
            let mut arena = vec![Line::ZERO; lines];
            let what = "the arena (in lines of 64 bytes)";
            for actual in [0, 1, lines - 1] {
                let decoder = Decoder::new(weights, Scalar, 3, &mut arena[..actual]);
                let error = ModelError::Memory { what, expected: lines, actual };
                assert_eq!(decoder.err(), Some(error));
            }
            let mut decoder = Decoder::new(weights, Scalar, 3, &mut arena).unwrap();
            for i in 0..3 {
                assert_eq!(forward(&mut decoder, PROMPT[i], lane), expected[i]);
            }
            // A capacity of nothing, and one that no memory has.
            let none = CacheError::Length { expected: 1, actual: 0 };
            let decoder = Decoder::new(weights, Scalar, 0, &mut arena);
            assert_eq!(decoder.err(), Some(ModelError::Cache(none)));
            assert_eq!(header.arena_lines(usize::MAX), None);
            let decoder = Decoder::new(weights, Scalar, usize::MAX, &mut arena);
            let error = ModelError::Memory { what, expected: usize::MAX, actual: lines };
            assert_eq!(decoder.err(), Some(error));
        });
    }
}
