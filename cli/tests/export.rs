//! `trilane export`: what firmware gets computes the same, and says what it takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use serde_json::Value;
use std::fs;
use support::{Folder, fail, json, succeed, tiny_model};

const DIGITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits.gguf");
const DIGITS_TEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/digits-test.bin");
const SHAKESPEARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/shakespeare.gguf");

/// The tiny model with lanes up to `lane`.
fn nested(folder: &Folder, lane: &str, more: &[&str]) -> String {
    let (model, out) =
        (folder.write("tiny.gguf", tiny_model(|_, _| {})), folder.path("nested.gguf"));
    succeed([&["convert", &model, &out, "--lane", lane, "--force"], more].concat());
    out
}

fn digests(model: &str) -> Value {
    json(["verify", model])["lanes"].clone()
}

#[test]
fn each_lane_that_is_kept_has_the_digest_that_it_had() {
    let folder = Folder::new();
    let (model, out) = (nested(&folder, "bit7", &[]), folder.path("out"));
    let before = digests(&model);
    let mut len = 0;
    for (lane, kept) in [("bit3", 1), ("bit5", 2), ("bit7", 3)] {
        let arguments = ["export", &model, "--target", "esp32", "--out", &out, "--force"];
        let report = json(arguments.into_iter().chain(["--lane", lane]));
        let stripped = format!("{out}/nested.gguf");
        let after = digests(&stripped);
        assert_eq!(after.as_object().unwrap().len(), kept, "{lane}");
        for (lane, digest) in after.as_object().unwrap() {
            assert_eq!(*digest, before[lane], "{lane}");
        }
        assert_eq!(report["digest"], before[lane]["digest"]);
        assert_eq!(report["feature"], if kept == 1 { Value::Null } else { "lanes".into() });
        let now = fs::metadata(&stripped).unwrap().len();
        assert_eq!(report["flash"]["model"], now);
        assert!(now > len, "{lane}");
        len = now;
    }
}

#[test]
fn tensors_that_are_kept_above_the_lane_stay_where_they_are() {
    let folder = Folder::new();
    let keep = ["--keep", "token_embd*=bit5", "--keep", "blk.0.*=float"];
    let (model, out) = (nested(&folder, "bit7", &keep), folder.path("out"));
    let report = json(["export", &model, "--target", "esp32", "--out", &out]);
    assert_eq!(report["feature"], "lanes");
    assert_eq!(digests(&format!("{out}/nested.gguf"))["bit3"], digests(&model)["bit3"]);
}

#[test]
fn trits_are_exported_whole() {
    let folder = Folder::new();
    let (model, out) = (nested(&folder, "ternary", &[]), folder.path("out"));
    let report = json(["export", &model, "--target", "esp32", "--lane", "ternary", "--out", &out]);
    assert_eq!(report["lane"], "ternary");
    assert_eq!(digests(&format!("{out}/nested.gguf")), digests(&model));
}

#[test]
fn sources_hold_the_file_and_its_numbers() {
    let folder = Folder::new();
    let (model, out) = (nested(&folder, "bit3", &[]), folder.path("out"));
    let arguments = ["export", &model, "--target", "esp32", "--context", "20", "--out", &out];
    let report = json(arguments);
    let bytes = fs::read(format!("{out}/nested.gguf")).unwrap();
    let header = fs::read_to_string(format!("{out}/model.h")).unwrap();
    let defined = |name: &str| {
        let line = header.lines().find_map(|l| l.strip_prefix(&format!("#define {name} ")));
        line.unwrap_or_else(|| panic!("{name} is not defined")).trim_end_matches('u')
    };
    assert_eq!(defined("MODEL_LEN"), bytes.len().to_string());
    assert_eq!(defined("MODEL_CONTEXT"), "20");
    assert_eq!(defined("MODEL_MEMORY_BYTES"), report["ram"]["memory"].to_string());
    assert_eq!(defined("MODEL_ARENA_BYTES"), report["ram"]["arena"].to_string());
    let digest = report["digest"].as_str().unwrap();
    assert_eq!(defined("MODEL_DIGEST"), format!("UINT64_C(0x{digest})"));
    let (_, numbers) = header.split_once("= {").unwrap();
    let numbers: Vec<u8> = numbers
        .trim_end_matches("};\n")
        .split(',')
        .filter_map(|number| Some(number.trim()).filter(|n| !n.is_empty())?.parse().ok())
        .collect();
    assert_eq!(numbers, bytes);
    let module = fs::read_to_string(format!("{out}/model.rs")).unwrap();
    assert!(module.contains("include_model!(\"nested.gguf\")"), "{module}");
    assert!(module.contains(&format!("0x{digest}")), "{module}");
}

#[test]
fn the_budget_says_whether_it_fits_and_by_how_much() {
    let folder = Folder::new();
    let out = folder.path("out");
    let export = |context: &'static str| {
        let arguments = ["export", SHAKESPEARE, "--target", "esp32", "--out", &out, "--force"];
        arguments.map(String::from).into_iter().chain(["--context".into(), context.into()])
    };
    let report = json(export("64"));
    assert_eq!(report["fits"], true);
    let number = |part: &str, name: &str| report[part][name].as_i64().unwrap();
    let ram = number("ram", "memory") + number("ram", "stack");
    assert_eq!(ram + number("ram", "left"), 384 * 1024);
    let flash = number("flash", "model") + number("flash", "code");
    assert_eq!(flash + number("flash", "left"), 4032 * 1024);
    assert!(succeed(export("64")).contains("fits ESP32-C3: yes"));
    let report = json(export("256"));
    assert_eq!(report["fits"], false);
    assert!(report["ram"]["left"].as_i64().unwrap() < 0);
    let said = succeed(export("256"));
    assert!(said.contains("fits ESP32-C3: no") && said.contains("missing"), "{said}");
}

#[test]
fn a_perceptron_is_exported_with_what_it_takes() {
    let folder = Folder::new();
    let out = folder.path("out");
    let arguments = ["export", DIGITS, "--target", "esp32", "--out", &out];
    let report = json(arguments);
    assert_eq!((&report["fits"], &report["context"]), (&true.into(), &Value::Null));
    assert_eq!(report["ram"]["arena"], 1920);
    let written = format!("{out}/digits.gguf");
    assert_eq!(report["digest"], json(["verify", DIGITS])["lanes"]["bit3"]["digest"]);
    assert_eq!(report["digest"], json(["verify", &written])["lanes"]["bit3"]["digest"]);
    let correct = |model: &str| json(["classify", model, "--data", DIGITS_TEST])["correct"].clone();
    assert_eq!(correct(&written), correct(DIGITS));
    let header = fs::read_to_string(format!("{out}/model.h")).unwrap();
    for line in ["#define MODEL_FEATURES 64u", "#define MODEL_CLASSES 10u"] {
        assert!(header.contains(line), "{line}");
    }
    assert!(!header.contains("MODEL_CONTEXT"));
    let digest = report["digest"].as_str().unwrap();
    assert!(header.contains(&format!("#define MODEL_DIGEST UINT64_C(0x{digest})")), "{digest}");
    let module = fs::read_to_string(format!("{out}/model.rs")).unwrap();
    assert!(module.contains("trilane_esp32::Perceptron"), "{module}");
    assert!(module.contains(&format!("0x{digest}")), "{module}");
}

#[test]
fn a_perceptron_has_no_context_and_no_lane_that_is_not_stored() {
    let folder = Folder::new();
    let out = folder.path("out");
    let export = ["export", DIGITS, "--target", "esp32", "--out", &out];
    let with = |more: [&'static str; 2]| {
        export.map(str::to_owned).into_iter().chain(more.map(str::to_owned))
    };
    fail(2, &["a perceptron has no context"], with(["--context", "16"]));
    fail(2, &["lane bit5 is not stored; the file has bit3"], with(["--lane", "bit5"]));
    fail(2, &["lane ternary is not stored; the file has bit3"], with(["--lane", "ternary"]));
    assert!(folder.names().is_empty());
}

#[test]
fn an_unknown_architecture_is_named() {
    let folder = Folder::new();
    let mut bytes = fs::read(DIGITS).unwrap();
    let at = bytes.windows(3).position(|word| word == b"mlp").unwrap();
    bytes[at..at + 3].copy_from_slice(b"cnn");
    let model = folder.write("cnn.gguf", bytes);
    let expected = "general.architecture: expected \"llama\" or \"mlp\", found \"cnn\"";
    let export = ["export", &model, "--target", "esp32", "--out", &folder.path("out")];
    fail(3, &[expected], export);
    assert_eq!(folder.names(), ["cnn.gguf"]);
}

#[test]
fn what_cannot_be_exported_is_refused_and_nothing_is_left() {
    let folder = Folder::new();
    let model = nested(&folder, "bit3", &[]);
    let float = folder.path("tiny.gguf");
    let noise = folder.write("noise.gguf", b"noise");
    let out = folder.path("out");
    let export = |model: &str, more: &[&str]| {
        let start = ["export", model, "--target", "esp32", "--out", &out];
        start.iter().chain(more).map(|&word| word.to_owned()).collect::<Vec<String>>()
    };
    fail(2, &["bit5", "the file has bit3"], export(&model, &["--lane", "bit5"]));
    fail(2, &["bit3", "the file has float"], export(&float, &[]));
    fail(2, &["float", "ternary, bit3, bit5, bit7"], export(&model, &["--lane", "float"]));
    fail(2, &["128 tokens, not 129"], export(&model, &["--context", "129"]));
    fail(2, &["0"], export(&model, &["--context", "0"]));
    fail(2, &["esp99"], ["export", &model, "--target", "esp99", "--out", &out]);
    fail(3, &["noise.gguf"], export(&noise, &[]));
    fail(4, &["missing.gguf"], export(&folder.path("missing.gguf"), &[]));
    fail(2, &["expected a folder"], ["export", &model, "--target", "esp32", "--out", &noise]);
    assert_eq!(folder.names(), ["nested.gguf", "noise.gguf", "tiny.gguf"]);

    // Its own folder would have it overwrite itself.
    let own = folder.path("");
    let force = ["export", &model, "--target", "esp32", "--out", &own, "--force"];
    fail(2, &["input and output are the same"], force);

    fs::create_dir(&out).unwrap();
    for taken in ["nested.gguf", "model.h", "model.rs"] {
        let taken = format!("{out}/{taken}");
        fs::write(&taken, "mine").unwrap();
        fail(2, &[&taken, "--force"], export(&model, &[]));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        fs::remove_file(&taken).unwrap();
    }
    fs::create_dir(format!("{out}/model.h")).unwrap();
    fail(2, &["model.h", "expected a file"], export(&model, &["--force"]));
}
