//! Models in every block type, by whole files: the same bits as from their weights in F32.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use support::{Folder, fail, float_bytes, json, llama, run, succeed};
use trilane::core::gguf::TensorType;
use trilane::core::gguf::blocks::{Stored, is_supported};

/// Every K type has rows of at least this length.
const SIZES: [u64; 3] = [256, 256, 128];

/// Where a block's scales stand, each with the exponent (of ten) of its largest value.
fn scales(kind: TensorType) -> &'static [(usize, i32)] {
    match kind {
        TensorType::Q4_0 | TensorType::Q5_0 => &[(0, -2)],
        TensorType::Q8_0 => &[(0, -3)],
        TensorType::Q4_1 | TensorType::Q5_1 => &[(0, -2), (2, -1)],
        TensorType::Q2_K => &[(80, -2), (82, -2)],
        TensorType::Q3_K => &[(108, -3)],
        TensorType::Q4_K | TensorType::Q5_K => &[(0, -4), (2, -3)],
        TensorType::Q6_K => &[(208, -4)],
        TensorType::TQ1_0 => &[(52, -1)],
        TensorType::TQ2_0 => &[(64, -1)],
        _ => &[],
    }
}

/// Random weights of a type, the largest of them around 1/8.
fn random(kind: TensorType, count: usize, state: &mut u64) -> Vec<u8> {
    let mut next = || {
        *state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (*state >> 40) as u32
    };
    let unit = |bits: u32| bits as f32 / 8_388_608.0 - 1.0;
    let mut data: Vec<u8> =
        (0..count / kind.block_len() * kind.block_bytes()).map(|_| next() as u8).collect();
    for block in data.chunks_mut(kind.block_bytes()) {
        for &(at, exponent) in scales(kind) {
            let scale = half::f16::from_f32(unit(next()) * 10f32.powi(exponent));
            block[at..at + 2].copy_from_slice(&scale.to_le_bytes());
        }
        let weight = unit(next()) / 8.0;
        match kind {
            TensorType::F32 => block.copy_from_slice(&weight.to_le_bytes()),
            TensorType::BF16 => block.copy_from_slice(&weight.to_le_bytes()[2..]),
            TensorType::F16 => {
                block.copy_from_slice(&half::f16::from_f32(weight).to_le_bytes());
            }
            _ => {}
        }
    }
    if kind == TensorType::I2_S {
        data.extend(0.05f32.to_le_bytes());
        data.extend([0xA5; 28]);
    }
    data
}

/// A model whose matrices have the types that `kind` gives to their names, and the same model with
/// its weights in F32.
fn models(folder: &Folder, kind: impl Fn(&str) -> TensorType) -> [String; 2] {
    let mut expanded = Vec::new();
    let mut state = 7;
    let stored = llama(SIZES, |name, dims| {
        let count = dims.iter().product::<u64>() as usize;
        let kind = if dims.len() == 1 { TensorType::F32 } else { kind(name) };
        let data = random(kind, count, &mut state);
        let mut weights = vec![0.0; count];
        Stored::new(kind, &data).unwrap().expand(0, &mut weights).unwrap();
        expanded.push(float_bytes(&weights));
        (kind, data)
    });
    let mut expanded = expanded.into_iter();
    let floats = llama(SIZES, |_, _| (TensorType::F32, expanded.next().unwrap()));
    [folder.write("stored.gguf", stored), folder.write("floats.gguf", floats)]
}

/// Everything that reads weights gives for both files the same, to the bit.
fn agree(files: &[String; 2], folder: &Folder) {
    let both = |each: &dyn Fn(&String) -> String| {
        let [stored, floats] = files.each_ref().map(each);
        assert_eq!(stored, floats);
        stored
    };
    let digests = both(&|file| json(["verify", file])["digest"].to_string());
    assert!(digests.len() > 16, "{digests}");
    both(&|file| succeed(["run", file, "--prompt", "a time", "--tokens", "6"]));
    let text = folder.write("text.txt", "how it is done");
    both(&|file| {
        json(["perplexity", file, "--text", &text, "--min-chars", "0"])["loss"].to_string()
    });
    let out = folder.path("out");
    let bytes = |arguments: &[&str]| {
        succeed(arguments);
        let bytes = std::fs::read(&out).unwrap();
        std::fs::remove_file(&out).unwrap();
        bytes
    };
    for name in ["token_embd.weight", "blk.1.ffn_down.weight"] {
        let dump = |file: &String| bytes(&["inspect", file, "--dump", name, &out]);
        assert!(dump(&files[0]) == dump(&files[1]), "{name}");
    }
    let nested = |file: &String| bytes(&["convert", file, &out, "--lane", "bit5"]);
    assert!(nested(&files[0]) == nested(&files[1]), "digit planes");
}

#[test]
fn every_type_computes_as_its_expansion_does() {
    for &kind in TensorType::ALL.iter().filter(|&&kind| is_supported(kind)) {
        eprintln!("{kind}");
        let folder = Folder::new();
        let files = models(&folder, |_| kind);
        agree(&files, &folder);
        let said = run(["run", &files[0], "--prompt", "a", "--tokens", "1"]).err;
        let expected = if kind == TensorType::F32 { "float," } else { kind.name() };
        assert!(said.contains(expected), "{said}");
    }
}

/// The mixtures that quantising programs make.
#[test]
fn files_of_several_types_compute_as_their_expansion_does() {
    use TensorType::{F16, I2_S, Q3_K, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0, TQ1_0};
    for [embedding, value, down, other] in [
        [Q4_K, Q6_K, Q6_K, Q4_K],
        [Q6_K, Q5_K, Q4_K, Q3_K],
        [F16, I2_S, I2_S, I2_S],
        [Q4_K, TQ1_0, TQ1_0, TQ1_0],
        [Q8_0, Q5_1, Q8_0, Q5_0],
    ] {
        let folder = Folder::new();
        let files = models(&folder, |name| match name.split('.').rev().nth(1) {
            Some("token_embd") => embedding,
            Some("attn_v") => value,
            Some("ffn_down") => down,
            _ => other,
        });
        agree(&files, &folder);
        let said = run(["run", &files[0], "--prompt", "a", "--tokens", "1"]).err;
        for kind in [embedding, value, down, other] {
            assert!(said.contains(kind.name()), "{said}");
        }
    }
}

#[test]
fn what_cannot_be_expanded_is_named() {
    let folder = Folder::new();
    let model = llama(SIZES, |name, dims| {
        let kind = match (name, dims.len()) {
            ("blk.1.ffn_up.weight", _) => TensorType::IQ4_XS,
            (_, 1) => TensorType::F32,
            _ => TensorType::Q6_K,
        };
        (kind, random(kind, dims.iter().product::<u64>() as usize, &mut 1))
    });
    let model = folder.write("model.gguf", model);
    let words = ["blk.1.ffn_up.weight", "IQ4_XS"];
    fail(3, &words, ["run", &model, "--prompt", "a"]);
    fail(3, &words, ["convert", &model, &folder.path("out.gguf"), "--lane", "bit7"]);
    let out = folder.path("out.f32");
    fail(3, &words, ["inspect", &model, "--dump", "blk.1.ffn_up.weight", &out]);
    assert_eq!(folder.names(), ["model.gguf"]);
}

/// A scale that is not a number is refused by every command that would compute with it.
#[test]
fn scales_that_are_not_finite_are_refused() {
    for kind in [TensorType::Q5_1, TensorType::Q2_K, TensorType::Q6_K, TensorType::I2_S] {
        let folder = Folder::new();
        let model = llama(SIZES, |name, dims| {
            let kind = if dims.len() == 1 { TensorType::F32 } else { kind };
            let mut data = random(kind, dims.iter().product::<u64>() as usize, &mut 1);
            if name == "blk.0.attn_v.weight" {
                match scales(kind).last() {
                    Some((at, _)) => data[at + 1] |= 0x7C,
                    None => {
                        let at = data.len() - 32;
                        data[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
                    }
                }
            }
            (kind, data)
        });
        let model = folder.write("model.gguf", model);
        fail(3, &["blk.0.attn_v.weight"], ["run", &model, "--prompt", "a"]);
        let out = folder.path("out.gguf");
        fail(3, &["blk.0.attn_v.weight"], ["convert", &model, &out, "--lane", "bit7"]);
    }
}
