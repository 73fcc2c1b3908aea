//! Errors of layers, against decoders that are run one after the other.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Decoder, Header, Weights};
use trilane_std::layer_errors::layer_errors;
use trilane_std::mapped::MappedFile;
use trilane_std::memory;

const TOKENS: [u32; 3] = [1, 70, 300];

/// The outputs of every layer, and the logits, of every token.
fn outputs(weights: Weights<'_, '_>, lane: PrecisionLane) -> Vec<Vec<f64>> {
    let header = *weights.header();
    let mut arena = memory::arena(&header, TOKENS.len()).unwrap();
    let mut decoder = Decoder::new(weights, Scalar, TOKENS.len(), &mut arena).unwrap();
    let mut outputs = vec![Vec::new(); header.layers + 1];
    for token in TOKENS {
        let mut keep = |layer: usize, output: &[f32]| {
            outputs[layer].extend(output.iter().map(|&v| f64::from(v)));
        };
        decoder.forward_observed(&Serial, token, lane, &mut keep).unwrap();
    }
    outputs
}

#[test]
fn errors_are_distances_to_the_highest_lane() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/shakespeare.gguf");
    let file = MappedFile::open(&path).unwrap();
    let gguf = file.gguf().unwrap();
    let header = Header::read(&gguf).unwrap();
    let mut layers = memory::layers(&gguf, &header);
    let weights = Weights::load(&gguf, &mut layers).unwrap();
    let errors = layer_errors(weights, Scalar, &Serial, &TOKENS).unwrap();
    assert_eq!(errors.iter().map(|e| e.lane).collect::<Vec<_>>(), PrecisionLane::NESTED);
    let top = outputs(weights, PrecisionLane::Bit7);
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    for lane in errors {
        for (found, (output, top)) in
            lane.relative.iter().zip(outputs(weights, lane.lane).iter().zip(&top))
        {
            let distance = norm(&mut output.iter().zip(top).map(|(v, h)| v - h));
            let expected = distance / norm(&mut top.iter().copied());
            assert!((found - expected).abs() < 1e-12, "{}: {found}, {expected}", lane.lane);
        }
    }
}
