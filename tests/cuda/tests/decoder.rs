//! Whole models on the emulated device against the decoder of the core.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::{Lanes, PrecisionLane};
use trilane_core::model::{Decoder, Digest, Header, Weights, verify};
use trilane_cuda::{CudaError, generate_batch};
use trilane_cuda_tests::{Order, bits, device};
use trilane_std::generation::{self, GenerationConfig, GenerationError};
use trilane_std::text::Text;
use trilane_std::{mapped::MappedFile, memory, text};

/// Opens a model and calls `with` with its weights.
fn with_model(name: &str, with: &mut dyn FnMut(&Weights<'_, '_>)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name);
    let file = MappedFile::open(&path).unwrap();
    let model = file.gguf().unwrap();
    let mut layers = memory::layers(&model, &Header::read(&model).unwrap());
    with(&Weights::load(&model, &mut layers).unwrap());
}

/// The lanes that a model can be read at.
fn lanes(weights: &Weights<'_, '_>) -> Vec<PrecisionLane> {
    let all = PrecisionLane::ALL.into_iter();
    all.filter(|&lane| weights.check_lane(lane).is_ok()).collect()
}

#[test]
fn the_digest_of_every_lane_is_that_of_the_processor() {
    for name in ["shakespeare.gguf", "shakespeare-ternary.gguf"] {
        with_model(name, &mut |weights| {
            let mut arena = memory::arena(weights.header(), 16).unwrap();
            let mut decoder = Decoder::new(*weights, Scalar, 16, &mut arena).unwrap();
            let device = device(Order::Ascending);
            let mut on_device = trilane_cuda::Decoder::new(&device, weights, 16, 1).unwrap();
            for lane in lanes(weights) {
                let mut layers = vec![Digest::default(); weights.header().layers + 1];
                let all = verify(&mut decoder, &Serial, lane, &mut layers).unwrap();
                assert_eq!(on_device.verify(lane).unwrap(), (all, layers), "{name}, {lane}");
            }
        });
    }
}

#[test]
fn sequences_of_a_batch_do_not_depend_on_each_other() {
    let lane = PrecisionLane::Bit5;
    let prompts: [&[u32]; 3] = [&[5, 9, 2, 7, 30], &[1], &[60, 3, 3]];
    with_model("shakespeare.gguf", &mut |weights| {
        let header = weights.header();
        let device = device(Order::Descending);
        let mut batch = trilane_cuda::Decoder::new(&device, weights, 8, 3).unwrap();
        let mut logits = vec![Vec::new(); prompts.len()];
        for i in 0..5 {
            let tokens: Vec<_> = prompts.iter().map(|prompt| prompt.get(i).copied()).collect();
            let all = batch.forward(&tokens, lane).unwrap();
            for ((kept, token), new) in
                logits.iter_mut().zip(&tokens).zip(all.chunks(header.vocabulary))
            {
                if token.is_some() {
                    *kept = new.to_vec();
                }
            }
        }
        assert_eq!(batch.positions(), prompts.map(<[u32]>::len));
        for (prompt, found) in prompts.iter().zip(logits) {
            let mut arena = memory::arena(header, 8).unwrap();
            let mut decoder = Decoder::new(*weights, Scalar, 8, &mut arena).unwrap();
            let mut expected = Vec::new();
            for &token in *prompt {
                expected = decoder.forward(&Serial, token, lane).unwrap().to_vec();
            }
            assert_eq!(bits(&found), bits(&expected));
        }
    });
}

#[test]
fn a_sequence_goes_on_from_where_it_was_cut() {
    with_model("shakespeare.gguf", &mut |weights| {
        let device = device(Order::Ascending);
        let mut decoder = trilane_cuda::Decoder::new(&device, weights, 3, 1).unwrap();
        let lane = PrecisionLane::Bit3;
        decoder.forward(&[Some(7)], lane).unwrap();
        let first = decoder.forward(&[Some(8)], lane).unwrap().to_vec();
        decoder.forward(&[Some(9)], lane).unwrap();
        let full = decoder.forward(&[Some(9)], lane).map(|_| ());
        assert_eq!(full, Err(CudaError::CacheFull { capacity: 3 }));
        decoder.truncate(0, 1);
        assert_eq!(bits(decoder.forward(&[Some(8)], lane).unwrap()), bits(&first));
    });
}

#[test]
fn what_cannot_be_computed_is_refused() {
    with_model("shakespeare.gguf", &mut |weights| {
        let vocabulary = weights.header().vocabulary;
        let device = device(Order::Ascending);
        let mut decoder = trilane_cuda::Decoder::new(&device, weights, 4, 2).unwrap();
        let lane = PrecisionLane::Bit7;
        let token = u32::try_from(vocabulary).unwrap();
        let error = decoder.forward(&[None, Some(token)], lane).unwrap_err();
        assert_eq!(error, CudaError::Token { token, vocabulary });
        assert!(matches!(decoder.forward(&[None], lane), Err(CudaError::Shape(_))));
        let error = decoder.forward(&[None, None], PrecisionLane::Float32).unwrap_err();
        assert!(matches!(error, CudaError::Unsupported { .. }));
        assert_eq!(decoder.positions(), [0, 0]);
        let none = trilane_cuda::Decoder::new(&device, weights, 0, 1).map(|_| ());
        assert_eq!(none, Err(CudaError::CacheFull { capacity: 0 }));
    });
}

#[test]
fn texts_of_a_batch_are_those_of_the_processor() {
    let short =
        |lane, tokens| GenerationConfig { max_tokens: tokens, ..GenerationConfig::new(lane) };
    let [a, b] = [short(PrecisionLane::Bit7, 5), short(PrecisionLane::Bit3, 2)];
    let auto = GenerationConfig::new(Lanes::Auto);
    let long = "My lord, ".repeat(9);
    let requests =
        [("To be", &a), ("My lord,", &b), ("", &a), (&long, &a), ("What", &b), ("!", &auto)];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/shakespeare.gguf");
    let file = MappedFile::open(&path).unwrap();
    let model = file.gguf().unwrap();
    let mut layers = memory::layers(&model, &Header::read(&model).unwrap());
    let weights = Weights::load(&model, &mut layers).unwrap();
    let mut index = text::index(&model);
    let text = Text::new(&model, &mut index).unwrap();
    let device = device(Order::Ascending);
    let mut decoder = trilane_cuda::Decoder::new(&device, &weights, 24, 2).unwrap();
    let found = generate_batch(&text, &mut decoder, &requests);
    let expected = generation::generate_batch(&text, &weights, Scalar, &requests);
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        match i {
            3 => assert!(matches!(found, Err(GenerationError::PromptLength { capacity: 24, .. }))),
            5 => assert!(matches!(found, Err(GenerationError::Device { .. }))),
            _ => assert_eq!(found, expected, "{i}"),
        }
    }
}
