//! Commands on the classifier that is in the repository.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use support::{Folder, fail, json, succeed, tiny_model};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits.gguf");
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits-test.bin");

#[test]
fn classify_counts_what_is_right_and_what_is_taken_for_what() {
    let report = json(["classify", MODEL, "--data", DATA]);
    assert_eq!((&report["samples"], &report["correct"]), (&364.into(), &360.into()));
    assert!((report["accuracy"].as_f64().unwrap() - 360.0 / 364.0).abs() < 1e-12);
    let counts = report["confusion"].as_array().unwrap();
    let times = |c: &serde_json::Value| c["times"].as_u64().unwrap();
    assert_eq!(counts.iter().map(times).sum::<u64>(), 364);
    let right = counts.iter().filter(|c| c["label"] == c["class"]);
    assert_eq!(right.map(times).sum::<u64>(), 360);
    let scalar = json(["classify", MODEL, "--data", DATA, "--level", "scalar"]);
    assert_eq!((&scalar["level"], &scalar["confusion"]), (&"scalar".into(), &report["confusion"]));
    let text = succeed(["classify", MODEL, "--data", DATA]);
    assert!(text.contains("360 of 364 samples correct, 98.90%"), "{text}");
}

#[test]
fn classify_refuses_data_that_do_not_fit() {
    let folder = Folder::new();
    let classify = |data: &str| ["classify", MODEL, "--data", data].map(str::to_owned);
    let short = folder.write("short.bin", [0; 66]);
    fail(3, &[&short, "records of 65 bytes", "found 66"], classify(&short));
    let mut records = vec![1; 130];
    records[65] = 10;
    let label = folder.write("label.bin", &records);
    fail(3, &[&label, "record 1", "below 10", "found 10"], classify(&label));
    records[65] = 0;
    records[68] = 128;
    let feature = folder.write("feature.bin", &records);
    fail(3, &[&feature, "record 1, feature 2", "−128"], classify(&feature));
    let missing = folder.path("missing.bin");
    fail(4, &[&missing], classify(&missing));
    fail(2, &["--data"], ["classify", MODEL]);
}

#[test]
fn a_model_of_the_other_kind_is_refused_with_what_it_is() {
    let folder = Folder::new();
    let llama = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let words = ["expected \"mlp\"", "found \"llama\""];
    fail(3, &words, ["classify", &llama, "--data", DATA]);
    let words = ["expected \"llama\"", "found \"mlp\""];
    fail(3, &words, ["perplexity", MODEL, "--text", DATA]);
}

#[test]
fn verify_gives_the_digest_of_every_layer() {
    let report = json(["verify", MODEL]);
    assert_eq!(report["digest"], "396730d59be71b5b");
    assert_eq!(report["lanes"]["bit3"]["layers"].as_array().unwrap().len(), 1);
    assert_eq!(json(["verify", MODEL, "--all-levels"])["agree"], true);
    assert_eq!(json(["verify", MODEL, "--lane", "bit3"])["digest"], report["digest"]);
    fail(2, &["digits.gguf", "bit3"], ["verify", MODEL, "--lane", "bit5"]);
}

#[test]
fn inspect_reports_and_dumps_the_matrices() {
    let report = json(["inspect", MODEL]);
    assert_eq!((&report["runs"], &report["weights"]), (&true.into(), &14208.into()));
    // 24 bytes a unit of 64 weights and one scale a row.
    assert_eq!(report["weight_bytes"], 192 * (24 + 4) + 10 * (3 * 24 + 4));
    assert_eq!(report["arena_bytes"], 30 * 64);
    let text = succeed(["inspect", MODEL]);
    assert!(text.contains("Perceptron (64 features, 10 classes)"), "{text}");
    let folder = Folder::new();
    let out = folder.path("out.f32");
    let dump = ["inspect", MODEL, "--dump", "blk.1.linear.weight", &out];
    succeed(dump);
    let bytes = std::fs::read(&out).unwrap();
    assert_eq!(bytes.len(), 4 * 10 * 192);
    // Eight values, as many as three bits have.
    let mut values: Vec<[u8; 4]> = bytes.as_chunks::<4>().0.to_vec();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), 8);
    std::fs::remove_file(&out).unwrap();
    fail(2, &["blk.1.linear.weight", "bit3"], dump.iter().chain(&["--lane", "bit5"]));
    fail(3, &["blk.2.linear.weight"], ["inspect", MODEL, "--dump", "blk.2.linear.weight", &out]);
}
