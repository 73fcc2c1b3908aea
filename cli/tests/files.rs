//! Looking into files and converting them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use support::{Folder, fail, json, run, succeed, tiny_model};

#[test]
fn inspect_reports_a_model() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let text = succeed(["inspect", &model, "--tensors"]);
    for part in ["llama.embedding_length", "64", "blk.1.ffn_down.weight", "96 × 64", "float"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let report = json(["inspect", &model]);
    assert_eq!(report["runs"], true);
    assert_eq!(report["metadata"]["llama.block_count"], 2);
    assert_eq!(report["metadata"]["tokenizer.ggml.tokens"]["len"], 286);
    assert_eq!(report["types"]["F32"]["tensors"], 20);
    // Each weight of a matrix is read once, of the embedding one row, and the norms.
    let (dim, hidden, kv, vocabulary) = (64, 96, 32, 286);
    let layers = 2 * (2 * dim * dim + 2 * kv * dim + 3 * hidden * dim);
    assert_eq!(report["weights"], layers + vocabulary * dim);
    let read = 4 * (layers + vocabulary * dim + dim + 5 * dim);
    assert_eq!(report["lanes"]["float"]["bytes_per_token"], read);
    assert_eq!(report["lanes"]["float"]["bits_per_weight"], 32.0);
    assert!(report["arena_bytes"]["128"].as_u64().unwrap() > 2 * 2 * 128 * 32 * 4);
}

#[test]
fn inspect_says_why_another_architecture_does_not_run() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/sample.gguf");
    let text = succeed(["inspect", sample]);
    assert!(text.contains("Q8_0") && text.contains("found \"sample\""), "{text}");
    let report = json(["inspect", sample]);
    assert_eq!(report["runs"], false);
    assert!(report["reason"].as_str().unwrap().contains("expected \"llama\""));
    assert_eq!(report["types"]["Q4_0"]["elements"], 640);
}

#[test]
fn a_dump_has_the_weights_of_the_file() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let (nested, out) = (folder.path("nested.gguf"), folder.path("out.f32"));
    succeed(["convert", &model, &nested, "--lane", "bit7"]);
    let dump = |file: &str, arguments: &[&str]| {
        let all = ["inspect", file, "--dump", "blk.0.attn_q.weight", &out];
        succeed(all.iter().chain(arguments));
        let bytes = std::fs::read(&out).unwrap();
        std::fs::remove_file(&out).unwrap();
        let words = bytes.as_chunks::<4>().0.iter();
        words.map(|b| f32::from_le_bytes(*b)).collect::<Vec<f32>>()
    };
    let weights = dump(&model, &[]);
    assert_eq!(weights.len(), 64 * 64);
    let report = json(["convert", &model, &folder.path("again.gguf"), "--lane", "bit7"]);
    let tensors = report["tensors"].as_array().unwrap();
    let entry = tensors.iter().find(|t| t["name"] == "blk.0.attn_q.weight").unwrap();
    for lane in ["bit3", "bit5", "bit7"] {
        let read = dump(&nested, &["--lane", lane]);
        let square = |x: f64| x * x;
        let error: f64 =
            weights.iter().zip(&read).map(|(&w, &r)| square(f64::from(w) - f64::from(r))).sum();
        let all: f64 = weights.iter().map(|&w| square(w.into())).sum();
        let reported = entry["lanes"][lane]["relative_error"].as_f64().unwrap();
        assert!(((error / all).sqrt() - reported).abs() < 1e-9, "{lane}");
    }
    assert_eq!(dump(&nested, &[]), dump(&nested, &["--lane", "bit7"]));
    let dump = |name, lane| ["inspect", &nested, "--dump", name, &out, "--lane", lane];
    fail(2, &["float", "bit3, bit5, bit7"], dump("blk.0.attn_q.weight", "float"));
    fail(2, &["output_norm.weight"], dump("output_norm.weight", "bit3"));
    fail(3, &["blk.9.attn_q.weight", "missing"], dump("blk.9.attn_q.weight", "bit3"));
    folder.write("out.f32", "precious");
    fail(2, &[&out, "exists"], dump("blk.0.attn_q.weight", "bit3"));
}

#[test]
fn a_nested_file_has_three_lanes_and_lower_ones_are_smaller() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let mut sizes = Vec::new();
    for group in ["32", "64"] {
        let out = folder.path(&format!("nested{group}.gguf"));
        let report = json(["convert", &model, &out, "--lane", "bit7", "--group", group]);
        let lanes = &report["lanes"];
        let size = |lane: &str| lanes[lane]["bytes"].as_u64().unwrap();
        assert!(size("bit3") < size("bit5") && size("bit5") < size("bit7"), "{lanes}");
        let inspected = json(["inspect", &out]);
        for lane in ["bit3", "bit5", "bit7"] {
            assert_eq!(inspected["lanes"][lane]["bytes"], size(lane));
            let bits = &inspected["lanes"][lane]["bits_per_weight"];
            assert_eq!(bits, &lanes[lane]["bits_per_weight"]);
        }
        assert_eq!(inspected["lanes"].as_object().unwrap().len(), 3);
        sizes.push(size("bit7"));
    }
    assert!(sizes[1] < sizes[0]);
    fail(2, &["32 or 64"], ["convert", &model, "x", "--lane", "bit3", "--group", "16"]);
}

#[test]
fn kept_tensors_are_read_at_their_own_lane() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let out = folder.path("kept.gguf");
    let keep = [
        "--keep",
        "token_embd*=float",
        "--keep",
        "*.ffn_down.weight=bit7",
        "--keep",
        "*.ffn_gate.weight=bit3",
    ];
    let arguments = ["convert", &model, &out, "--lane", "bit7"];
    let report = json(arguments.iter().chain(&keep));
    let tensor = |name: &str| {
        let tensors = report["tensors"].as_array().unwrap();
        tensors.iter().find(|t| t["name"] == name).unwrap().clone()
    };
    assert_eq!(tensor("token_embd.weight")["lanes"].as_object().unwrap().len(), 0);
    assert_eq!(tensor("blk.1.ffn_down.weight")["floor"], "bit7");
    assert_eq!(tensor("blk.1.ffn_up.weight")["floor"], "bit3");
    assert_eq!(tensor("blk.1.ffn_up.weight")["lanes"].as_object().unwrap().len(), 3);
    assert_eq!(tensor("blk.1.ffn_gate.weight")["lanes"].as_object().unwrap().len(), 1);
    let inspected = json(["inspect", &out]);
    for lane in ["bit3", "bit5", "bit7"] {
        assert_eq!(inspected["lanes"][lane]["bytes"], report["lanes"][lane]["bytes"], "{lane}");
    }
    let text = succeed(arguments.iter().chain(&keep).chain(&["--force"]));
    assert!(text.contains("copied") && text.contains("kept.gguf"), "{text}");
}

#[test]
fn a_ternary_file_has_one_lane() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let out = folder.path("ternary.gguf");
    let report = json(["convert", &model, &out, "--lane", "ternary"]);
    assert_eq!(report["lanes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["ternary"]);
    let report = json(["verify", &out]);
    assert_eq!(report["lanes"].as_object().unwrap().keys().collect::<Vec<_>>(), ["ternary"]);
}

#[test]
fn threads_do_not_change_a_conversion() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let files = ["1", "2", "5"].map(|threads| {
        let out = folder.path(threads);
        succeed(["convert", &model, &out, "--lane", "bit7", "--threads", threads]);
        std::fs::read(out).unwrap()
    });
    assert!(files[0] == files[1] && files[1] == files[2]);
}

#[test]
fn verify_gives_one_digest_for_every_level_and_number_of_threads() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let nested = folder.path("nested.gguf");
    succeed(["convert", &model, &nested, "--lane", "bit7"]);
    for (file, lanes) in [(&model, vec!["float"]), (&nested, vec!["bit3", "bit5", "bit7"])] {
        let report = json(["verify", file]);
        let digest = report["digest"].as_str().unwrap();
        assert!(digest.len() == 16 && digest.chars().all(|c| c.is_ascii_hexdigit()), "{digest}");
        let found = report["lanes"].as_object().unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), lanes);
        for lane in lanes {
            assert_eq!(found[lane]["layers"].as_array().unwrap().len(), 2);
            assert_eq!(json(["verify", file, "--lane", lane])["lanes"][lane], found[lane]);
        }
        let all = json(["verify", file, "--all-levels"]);
        assert_eq!((&all["agree"], &all["digest"]), (&true.into(), &digest.into()));
        let runs = all["runs"].as_array().unwrap();
        assert!(runs.len() >= 2 && runs.iter().all(|run| run["digest"] == digest), "{all}");
        let scalar = json(["verify", file, "--level", "scalar", "--threads", "1"]);
        assert_eq!(scalar["digest"], digest);
        let text = succeed(["verify", file]);
        assert_eq!(text.lines().last().unwrap(), format!("digest  {digest}"));
        assert!(succeed(["verify", file, "--all-levels"]).contains("all agree"));
    }
    let changed = tiny_model(|name, weights| {
        if name == "blk.1.attn_v.weight" {
            weights[0] += 1e-3;
        }
    });
    let changed = folder.write("changed.gguf", changed);
    let (before, after) = (json(["verify", &model]), json(["verify", &changed]));
    let layer =
        |report: &serde_json::Value, i: usize| report["lanes"]["float"]["layers"][i].clone();
    assert_eq!(layer(&before, 0), layer(&after, 0));
    assert_ne!(layer(&before, 1), layer(&after, 1));
    assert_ne!(before["digest"], after["digest"]);
    assert_eq!(run(["verify", &model, "--all-levels", "--level", "scalar"]).code, 2);
}
