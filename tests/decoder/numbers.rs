//! Logits against double precision.

use crate::file::{File, Matrix, float_file, weights};
use crate::planes::{Digits, digit_file};
use crate::reference::Reference;
use crate::{PROMPT, with_decoder, with_weights};
use trilane::core::digits::Group;
use trilane::core::kernel::{Scalar, Serial};
use trilane::core::lane::PrecisionLane;

/// Asserts that the logits of every token are the reference's, to `tolerance` of the largest.
fn compare(file: &File, weights: &[Matrix], lane: PrecisionLane, tolerance: f64) {
    let mut reference = Reference::new(weights);
    with_decoder(file, Scalar, PROMPT.len(), |decoder| {
        for (position, token) in PROMPT.into_iter().enumerate() {
            assert_eq!(decoder.position(), position);
            let expected = reference.forward(token as usize);
            let logits = decoder.forward(&Serial, token, lane).unwrap();
            let largest = expected.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
            assert_eq!(logits.len(), expected.len());
            for (i, (found, expected)) in logits.iter().zip(&expected).enumerate() {
                let error = (f64::from(*found) - expected).abs() / largest;
                assert!(error <= tolerance, "{lane}, token {position}, logit {i}: {error}");
            }
        }
    });
}

/// A logit has gone through about 20 sums of up to 96 products, each sum with some ten roundings
/// of 6e-8, and norms keep the size of what they enter: a few times 1e-5 at the worst.
#[test]
fn float_logits_are_those_of_double_precision() {
    for seed in 0..4 {
        compare(&float_file(seed), &weights(seed), PrecisionLane::Float32, 1e-4);
    }
}

/// Without an output matrix the embedding table serves for both.
#[test]
fn the_embedding_serves_as_output() {
    let mut file = float_file(5);
    assert_eq!(file.tensors.pop().unwrap().name, "output.weight");
    let mut weights = weights(5);
    weights.pop();
    let (name, embedding) = ("output.weight".to_string(), &weights[0]);
    let (rows, cols, data) = (embedding.rows, embedding.cols, embedding.data.clone());
    weights.push(Matrix { name, rows, cols, data });
    compare(&file, &weights, PrecisionLane::Float32, 1e-4);
}

/// The weights that a lane of a file stands for.
fn dequantized(file: &File, seed: u64, lane: PrecisionLane) -> Vec<Matrix> {
    let mut all = weights(seed);
    with_weights(file, |loaded| {
        let loaded = loaded.unwrap();
        for (name, linear) in loaded.linears() {
            let name = name.to_string();
            let matrix = all.iter_mut().find(|m| m.name == name).unwrap();
            for (r, row) in matrix.data.chunks_mut(matrix.cols).enumerate() {
                linear.row(lane, r, row).unwrap();
            }
        }
    });
    all
}

/// What remains are the activations: int8 with an error of 1/254 of the largest of a vector, so
/// about 1/500 of its length on the average, through some ten layers.
#[test]
fn digit_logits_are_those_of_the_dequantized_weights() {
    for group in [Group::Row, Group::G32, Group::G64] {
        let file = digit_file(1, Digits::Nested(3), group);
        for lane in PrecisionLane::NESTED {
            compare(&file, &dequantized(&file, 1, lane), lane, 0.05);
        }
        let file = digit_file(1, Digits::Ternary, group);
        let lane = PrecisionLane::Ternary;
        compare(&file, &dequantized(&file, 1, lane), lane, 0.05);
    }
}

/// 127 levels to a side are close to the floats that they were made of.
#[test]
fn seven_bits_are_near_the_floats() {
    let file = digit_file(2, Digits::Nested(3), Group::G32);
    compare(&file, &weights(2), PrecisionLane::Bit7, 0.08);
}
