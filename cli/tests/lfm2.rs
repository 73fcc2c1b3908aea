//! The commands on an LFM2 of random weights.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use support::{Folder, fail, json, succeed};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/lfm2.gguf");

fn converted(folder: &Folder) -> String {
    let model = folder.path("lanes.gguf");
    let out = succeed(["convert", MODEL, &model, "--lane", "bit7"]);
    let copied = |line: &&str| line.contains("shortconv.conv.weight") && line.contains("copied");
    assert_eq!(out.lines().filter(copied).count(), 2, "{out}");
    model
}

#[test]
fn lanes_are_computed_from_memory_and_from_the_file() {
    let folder = Folder::new();
    let lanes = converted(&folder);
    for model in [MODEL, &lanes] {
        let expected = json(["verify", model]);
        let small = json(["verify", model, "--memory", "30K"]);
        assert_eq!(small["digest"], expected["digest"]);
    }
    let auto = json(["verify", &lanes, "--lane", "auto"]);
    assert_ne!(auto["digest"], json(["verify", &lanes])["digest"]);
    let text = succeed(["verify", &lanes, "--all-levels"]);
    assert!(text.contains("all agree"), "{text}");
    let report = json(["inspect", &lanes]);
    assert_eq!((&report["runs"], &report["weights"]), (&true.into(), &34048.into()));
}

#[test]
fn texts_go_on_and_are_measured() {
    let folder = Folder::new();
    let model = converted(&folder);
    let text = folder.write("text.txt", "the other theater is near the heath ".repeat(4));
    let loss = |model: &str, lane| {
        let report = json(["perplexity", model, "--text", &text, "--lane", lane]);
        report["loss"].as_f64().unwrap()
    };
    let float = loss(MODEL, "float");
    assert!((loss(&model, "bit7") - float).abs() < 0.05, "{float}");
    assert!((loss(&model, "bit3") - float).abs() > 0.05, "{float}");
    for lane in ["bit3", "bit7", "auto"] {
        let run = ["run", &model, "--prompt", "the heath", "--tokens", "6", "--lane", lane];
        assert!(succeed(run).starts_with("the heath"));
    }
}

#[test]
fn blocks_by_neuron_compute_the_same_when_all_of_them_are() {
    let folder = Folder::new();
    let (model, sparse) = (converted(&folder), folder.path("sparse.gguf"));
    let text = folder.write("text.txt", "the other theater is near the heath\n".repeat(4));
    succeed(["calibrate", &model, "--text", &text, "--rank", "4", "--output", &sparse]);
    let all = json(["verify", &sparse]);
    let stored = json(["verify", &sparse, "--memory", "40K"]);
    assert_eq!(all["digest"], stored["digest"]);
    for share in [["--active", "0.5"], ["--ffn-bytes", "0.5"]] {
        let run = ["run", &sparse, "--prompt", "the ", "--tokens", "6"];
        assert!(succeed(run.iter().chain(&share)).starts_with("the "));
    }
}

#[test]
fn what_does_not_run_is_named() {
    let folder = Folder::new();
    let model = std::fs::read(MODEL).unwrap();
    let spoiled = |name: &str, from: &[u8], to: &[u8]| {
        assert_eq!(from.len(), to.len());
        let at = model.windows(from.len()).position(|bytes| bytes == from).unwrap();
        let mut bytes = model.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        folder.write(name, bytes)
    };
    let other = spoiled("other.gguf", b"lfm2", b"lfm3");
    let words = ["general.architecture", "\"llama\" or \"lfm2\"", "\"lfm3\""];
    fail(3, &words, ["verify", &other]);
    let taps = spoiled("taps.gguf", b"shortconv.conv", b"shortconv.tons");
    fail(3, &["blk.0.shortconv.conv.weight", "missing"], ["verify", &taps]);
    let vocabulary =
        spoiled("vocabulary.gguf", b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0gpt-2");
    fail(3, &["tokenizer.ggml.model", "\"gpt-2\""], ["run", &vocabulary, "--prompt", "a"]);
    let out = folder.path("out");
    fail(
        3,
        &["general.architecture", "\"lfm2\""],
        ["export", MODEL, "--target", "esp32", "--out", &out],
    );
}
