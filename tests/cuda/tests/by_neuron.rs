//! A model whose feed-forward blocks are stored by neuron, dense and sparse, on the emulated device
//! against the decoder of the core.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use trilane_core::digits::Group;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Decoder, FeedForwardMode, Header, PredictorKind, Weights};
use trilane_core::nn::{Selection, SparsityConfig};
use trilane_cuda::CudaError;
use trilane_cuda_tests::{Order, bits, device};
use trilane_std::calibrate::{Rewrite, magnitudes, record, rewrite};
use trilane_std::convert::{ConvertOptions, convert};
use trilane_std::{mapped::MappedFile, memory};

const TOKENS: [u32; 6] = [1, 20, 7, 33, 5, 2];

/// A file of the Shakespeare model by neuron, in a folder of its own, which goes when this does.
struct Made(PathBuf);

impl Made {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("trilane-by-neuron-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Self(folder);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/shakespeare.gguf");
        let file = MappedFile::open(&path).unwrap();
        let model = file.gguf().unwrap();
        let mut layers = memory::layers(&model, &Header::read(&model).unwrap());
        let weights = Weights::load(&model, &mut layers).unwrap();
        let mut arena = memory::arena(weights.header(), 8).unwrap();
        let mut decoder = Decoder::new(weights, Scalar, 8, &mut arena).unwrap();
        let lane = PrecisionLane::Bit7;
        let texts = [TOKENS.to_vec()];
        let recording = record(weights, &mut decoder, &Serial, lane, &texts, &mut |_| {}).unwrap();
        let cut = recording.layers.iter().enumerate().map(|(layer, activity)| {
            magnitudes(&weights, layer, activity, Scalar, &Serial, lane).unwrap()
        });
        let cut: Vec<Vec<f32>> = cut.collect();
        let with = Rewrite {
            recording: &recording,
            predictors: &[],
            magnitudes: &cut,
            defaults: ("tier0", 1.0),
        };
        rewrite(&model, &weights, lane, &with, &made.0.join("floats.gguf")).unwrap();
        let floats = MappedFile::open(&made.0.join("floats.gguf")).unwrap();
        let options = ConvertOptions { lane, group: Group::G64, keep: Vec::new() };
        convert(&floats.gguf().unwrap(), &made.path(), &options, &mut |_| {}).unwrap();
        made
    }

    fn path(&self) -> PathBuf {
        self.0.join("neurons.gguf")
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_mode_gives_the_bits_of_the_processor() {
    let made = Made::new();
    let file = MappedFile::open(&made.path()).unwrap();
    let model = file.gguf().unwrap();
    let mut layers = memory::layers(&model, &Header::read(&model).unwrap());
    let weights = Weights::load(&model, &mut layers).unwrap();
    let mut arena = memory::arena(weights.header(), 8).unwrap();
    let mut here = Decoder::new(weights, Scalar, 8, &mut arena).unwrap();
    let device = device(Order::Ascending);
    let mut there = trilane_cuda::Decoder::new(&device, &weights, 8, 1).unwrap();
    let config = |selection| SparsityConfig::new(selection).unwrap();
    let (share, top) = (config(Selection::Share(0.3)), config(Selection::TopK(40)));
    let modes = [
        FeedForwardMode::DENSE,
        FeedForwardMode { predictor: PredictorKind::Tier0, config: share },
        FeedForwardMode { predictor: PredictorKind::Tier0Gate, config: top },
        FeedForwardMode { predictor: PredictorKind::FullGate, config: share },
        FeedForwardMode { predictor: PredictorKind::Magnitude, config: share },
    ];
    let mut logits = Vec::new();
    for (mode, lane) in modes.into_iter().zip([7, 7, 5, 7, 3]) {
        let lane = PrecisionLane::from_name(&format!("bit{lane}")).unwrap();
        here.truncate(0);
        there.truncate(0, 0);
        here.set_feed_forward(mode).unwrap();
        there.set_feed_forward(&weights, mode).unwrap();
        for token in TOKENS {
            let expected = here.forward(&Serial, token, lane).unwrap().to_vec();
            let found = there.forward(&[Some(token)], lane).unwrap();
            assert_eq!(bits(found), bits(&expected), "{mode:?}, {lane}");
            logits.push(bits(&expected));
        }
    }
    // The modes are not all the same.
    assert_ne!(logits[..TOKENS.len()], logits[TOKENS.len()..2 * TOKENS.len()]);
    let low_rank = FeedForwardMode { predictor: PredictorKind::LowRank, config: share };
    let refused = there.set_feed_forward(&weights, low_rank);
    assert!(matches!(refused, Err(CudaError::Unsupported { .. })));
}
