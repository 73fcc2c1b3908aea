//! The digests of the models in this repository: the same constants on every platform.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use trilane::core::gguf::Gguf;
use trilane::core::kernel::{Pool, Serial};
use trilane::core::lane::PrecisionLane;
use trilane::core::model::{Decoder, Digest, Header, VERIFY_TOKENS, Weights, verify};
use trilane::std::{level, mapped::MappedFile, memory};

/// A lane, and the digests of layers, logits, and all.
type Golden = (PrecisionLane, &'static [u64]);

/// `trilane verify models/shakespeare.gguf`.
const GOLDEN: [Golden; 3] =
    [(PrecisionLane::Bit3, &BIT3), (PrecisionLane::Bit5, &BIT5), (PrecisionLane::Bit7, &BIT7)];
const BIT3: [u64; 7] = [
    0x7c0f_154f_d770_8a1e,
    0x0b7e_01e4_75b3_19c4,
    0xc524_dede_d79d_c865,
    0x3a70_6da4_2dfc_0054,
    0xdbe5_ee74_512c_2284,
    0xfb24_508e_5f78_565f,
    0x24d3_431e_cb6c_74b8,
];
const BIT5: [u64; 7] = [
    0x7915_d561_c6ee_19b2,
    0xcbd1_8072_3ba9_6c80,
    0xed36_f728_d8ce_fbd5,
    0xe23f_df7f_884c_0a0a,
    0x1afd_dcc9_7c95_10e1,
    0x85fb_4e22_7d61_9b78,
    0x8231_744c_da60_d9b6,
];
const BIT7: [u64; 7] = [
    0x2238_d750_9bce_00dc,
    0x8506_f226_92d8_078b,
    0xbde7_a033_7d5f_6e00,
    0xbb5b_933e_972c_fbe1,
    0xf1b5_b27a_4980_7382,
    0xf233_96a7_4c2d_bc03,
    0xe100_f4c1_ef05_e4c1,
];

/// `trilane verify models/shakespeare-sparse.gguf`.
const SPARSE: [Golden; 3] = [
    (PrecisionLane::Bit3, &SPARSE_BIT3),
    (PrecisionLane::Bit5, &SPARSE_BIT5),
    (PrecisionLane::Bit7, &SPARSE_BIT7),
];
const SPARSE_BIT3: [u64; 7] = [
    0xf138_618e_4ac7_033f,
    0x6f11_0a30_fdad_30f3,
    0xe883_6fb7_81c7_50ee,
    0x83b6_2fb9_219b_bec0,
    0x1695_01c5_e7e8_f7d0,
    0x3c06_0c2b_c777_f156,
    0xada5_b580_8033_d19e,
];
const SPARSE_BIT5: [u64; 7] = [
    0x0ef1_dd86_395a_36d5,
    0x3ba5_33d7_e7c6_4b40,
    0xa403_1cd1_784c_7632,
    0x394d_76d4_f280_8e90,
    0x513c_7c3d_4ff1_4977,
    0x653f_2e32_ae30_54c8,
    0x98bd_8860_7dd0_e1bf,
];
const SPARSE_BIT7: [u64; 7] = [
    0xe9ef_72f4_2015_da1d,
    0xe4d0_9be0_11fe_81ee,
    0xc5c4_cce2_9e37_d965,
    0x8ab6_2089_55fe_54cf,
    0x1ad3_e542_07c3_ce92,
    0xe53e_30b8_67ec_097b,
    0xa86a_1858_2b0f_b27b,
];

/// `trilane verify tests/fixtures/lfm2.gguf`.
const LFM2: [Golden; 1] = [(PrecisionLane::Float32, &LFM2_FLOAT)];
const LFM2_FLOAT: [u64; 6] = [
    0x04a9_908a_e8ac_bc24,
    0xe9da_191c_b57f_1bf8,
    0x7dd5_e20b_6ff0_fc24,
    0x24e8_e723_6811_2472,
    0x45b7_4502_8f48_6502,
    0xddf0_9ac7_5650_ab47,
];

/// Spreads every product over three threads, however small it is.
struct Three;

impl Pool for Three {
    fn spread(
        &self,
        y: &mut [f32],
        unit: usize,
        _work: usize,
        each: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        let piece = (y.len() / unit).div_ceil(3).max(1) * unit;
        std::thread::scope(|scope| {
            for (i, y) in y.chunks_mut(piece).enumerate() {
                scope.spawn(move || each(i * piece, y));
            }
        });
    }
}

/// Compares the digests of a model on every level with constants.
fn check(model: &str, golden: &[Golden]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(model);
    let file = MappedFile::open(&path).unwrap();
    let gguf: Gguf<'_> = file.gguf().unwrap();
    let header = Header::read(&gguf).unwrap();
    let mut layers = memory::layers(&gguf, &header);
    let weights = Weights::load(&gguf, &mut layers).unwrap();
    let mut arena = memory::arena(&header, VERIFY_TOKENS).unwrap();
    for level in level::levels() {
        let pools = [("serial", &Serial as &dyn Pool), ("three threads", &Three)];
        // One level with threads: an emulator keeps some memory of every thread that ever ran.
        let pools = if level == level::detect() { &pools[..] } else { &pools[..1] };
        for &(name, pool) in pools {
            for &(lane, golden) in golden {
                let mut decoder = Decoder::new(weights, level, VERIFY_TOKENS, &mut arena).unwrap();
                let mut digests = vec![Digest::default(); header.layers + 1];
                let all = verify(&mut decoder, pool, lane, &mut digests).unwrap();
                let found: Vec<u64> = digests.iter().chain([&all]).map(|d| d.value()).collect();
                assert_eq!(found, golden, "{model}: {lane} on {level}, {name}");
            }
        }
    }
}

#[test]
fn the_shakespeare_model_has_its_digests_at_every_level_and_lane() {
    check("models/shakespeare.gguf", &GOLDEN);
}

#[test]
fn the_sparse_model_has_its_digests_at_every_level_and_lane() {
    check("models/shakespeare-sparse.gguf", &SPARSE);
}

#[test]
fn the_lfm2_model_has_its_digests_at_every_level() {
    check("tests/fixtures/lfm2.gguf", &LFM2);
}
