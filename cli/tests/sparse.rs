//! Sparse feed-forward blocks and lanes that a policy chooses, on a tiny model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use support::{Folder, fail, json, run, succeed, tiny_model};

/// A tiny model, texts, and the model calibrated with a predictor of rank 8.
struct Files {
    folder: Folder,
    model: String,
    text: String,
    sparse: String,
}

impl Files {
    fn new() -> Self {
        let folder = Folder::new();
        let model = folder.write("model.gguf", tiny_model(|_, _| {}));
        let text =
            folder.write("text.txt", "a cat sits on a mat and looks at the moon\n".repeat(4));
        let sparse = folder.path("sparse.gguf");
        let files = Self { folder, model, text, sparse };
        succeed([
            "calibrate",
            &files.model,
            "--text",
            &files.text,
            "-o",
            &files.sparse,
            "--rank",
            "8",
        ]);
        files
    }

    /// The calibrated file with some bytes replaced by as many others.
    fn spoiled(&self, from: &[u8], to: &[u8]) -> String {
        assert_eq!(from.len(), to.len());
        let mut bytes = fs::read(&self.sparse).unwrap();
        let places: Vec<usize> =
            (0..bytes.len() - from.len()).filter(|&i| bytes[i..].starts_with(from)).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|&i| bytes[i..i + to.len()].copy_from_slice(to));
        self.folder.write("spoiled.gguf", bytes)
    }
}

#[test]
fn a_calibrated_file_computes_the_same_when_every_neuron_is_computed() {
    let files = Files::new();
    let loss = |options: &[&str]| {
        let command = ["perplexity", &files.sparse, "--text", &files.text, "--min-chars", "8"];
        json(command.iter().chain(options))
    };
    let dense = loss(&[]);
    for predictor in ["tier0", "tier0-gate", "gate", "magnitude", "low-rank"] {
        let half = loss(&["--active", "0.5", "--predictor", predictor]);
        let computed = &half["feed_forward"]["computed"]["bit7"];
        let share = computed.as_f64().unwrap() / half["feed_forward"]["neurons"].as_f64().unwrap();
        assert!((0.25..0.75).contains(&share), "{predictor}: {share}");
        assert_ne!(half["loss"], dense["loss"], "{predictor}");
    }
    // A threshold that every magnitude reaches, and all neurons in order.
    for predictor in ["gate", "magnitude"] {
        let all = loss(&["--active", "1", "--predictor", predictor]);
        assert_eq!(all["loss"], dense["loss"], "{predictor}");
    }
    let bytes = loss(&["--ffn-bytes", "0.6"]);
    let (read, of) = (&bytes["feed_forward"]["bytes"], &bytes["feed_forward"]["dense_bytes"]);
    assert!(read.as_f64().unwrap() <= 0.6 * of.as_f64().unwrap(), "{read} of {of}");
    succeed(["run", &files.sparse, "--prompt", "a cat", "--tokens", "4", "--active", "auto"]);
}

#[test]
fn ranks_are_the_smallest_that_find_enough() {
    let files = Files::new();
    let out = files.folder.path("ranked.gguf");
    let calibrate = |options: &[&str]| {
        let command = ["calibrate", &files.model, "--text", &files.text, "-o", &out, "--force"];
        succeed(command.iter().chain(options))
    };
    // Rank and recall of each layer.
    let rows = |shown: &str| -> Vec<(usize, f64)> {
        let lines = shown.lines().skip_while(|line| !line.contains("recall at 30.0%")).skip(1);
        lines
            .map_while(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
                [_, rank, recall] => {
                    Some((rank.parse().ok()?, recall.trim_end_matches('%').parse().ok()?))
                }
                _ => None,
            })
            .collect()
    };
    let shown = calibrate(&["--recall", "0.7", "--active", "0.3"]);
    let chosen = rows(&shown);
    assert!(!chosen.is_empty() && !shown.contains("no rank"), "{shown}");
    assert!(chosen.iter().all(|&(_, recall)| recall >= 70.0), "{shown}");
    let more = |&(_, &(rank, _)): &(usize, &(usize, f64))| rank > 4;
    assert!(chosen.iter().enumerate().any(|each| more(&each)), "{shown}");
    for (layer, &(rank, _)) in chosen.iter().enumerate().filter(more) {
        let fewer = (rank - 4).to_string();
        let below = rows(&calibrate(&["--rank", &fewer, "--active", "0.3"]))[layer];
        assert!(below.0 == rank - 4 && below.1 < 70.0, "{below:?}, {shown}");
    }
    // Predicting gate and up with 48 ranks takes 48 · (64 + 2 · 96) products, they 64 · 2 · 96.
    let shown = calibrate(&["--recall", "1", "--active", "0.3"]);
    assert!(rows(&shown).iter().all(|&(rank, _)| rank == 48), "{shown}");
    assert!(shown.contains("layer 0: no rank finds 100.0%"), "{shown}");
    let run = ["run", &out, "--prompt", "a cat", "--tokens", "2", "--predictor", "low-rank"];
    succeed(run.iter().chain(&["--active", "0.3"]));
    let calibrate = ["calibrate", &files.model, "--text", &files.text, "-o", &out, "--force"];
    fail(2, &["--rank", "--recall"], calibrate.iter().chain(&["--rank", "4", "--recall", "0.5"]));
    fail(2, &["2 or more"], calibrate.iter().chain(&["--rank", "1"]));
}

#[test]
fn calibration_refuses_what_it_cannot_do() {
    let files = Files::new();
    let out = files.folder.path("again.gguf");
    let before = files.folder.names();
    let text = &files.text[..];
    fail(
        2,
        &["sparse.gguf", "calibrated already"],
        ["calibrate", &files.sparse, "--text", text, "-o", &out],
    );
    fail(
        2,
        &["sparse.gguf", "--force"],
        ["calibrate", &files.model, "--text", text, "-o", &files.sparse],
    );
    fail(4, &["nowhere.txt"], ["calibrate", &files.model, "--text", "nowhere.txt", "-o", &out]);
    fail(2, &["--group"], ["calibrate", &files.model, "--text", text, "-o", &out, "--group", "48"]);
    fail(4, &["missing"], ["calibrate", &files.model, "--text", text, "-o", "missing/out.gguf"]);
    assert_eq!(files.folder.names(), before);
}

#[test]
fn sparse_runs_refuse_what_they_cannot_do() {
    let files = Files::new();
    let with = |file: &str, options: &[&str]| -> Vec<String> {
        let command = ["run", file, "--prompt", "a cat", "--tokens", "2"];
        command.iter().chain(options).map(|&argument| argument.into()).collect()
    };
    fail(2, &["model.gguf", "trilane calibrate"], with(&files.model, &["--active", "0.5"]));
    fail(2, &["auto, dense or a share"], with(&files.sparse, &["--active", "1.5"]));
    fail(2, &["expected 3 shares, found 2"], with(&files.sparse, &["--ffn-lanes", "0.2,0.3"]));
    fail(2, &["at most 1"], with(&files.sparse, &["--ffn-lanes", "0.6,0.6,0.6"]));
    fail(2, &["expected one of"], with(&files.sparse, &["--predictor", "oracle"]));
    let plain = files.folder.path("plain.gguf");
    succeed(["calibrate", &files.model, "--text", &files.text, "-o", &plain, "--rank", "0"]);
    let low_rank = ["--active", "0.5", "--predictor", "low-rank"];
    fail(3, &["plain.gguf", "trilane.sparsity.rank"], with(&plain, &low_rank));
}

#[test]
fn spoiled_calibrated_files_are_refused() {
    let files = Files::new();
    let refused = |from: &[u8], to: &[u8], words: &[&str]| {
        let file = files.spoiled(from, to);
        fail(3, words, ["run", &file, "--prompt", "a cat", "--tokens", "2"]);
    };
    refused(b"ffn_importance", b"ffn_importancX", &["blk.0.ffn_importance", "spoiled.gguf"]);
    refused(b"ffn_predict_bias", b"ffn_predict_biaX", &["blk.0.ffn_predict_bias"]);
    refused(b"ffn_predict_down", b"ffn_predict_dowX", &["blk.0.ffn_predict_down"]);
    refused(b"ffn_predict_gate", b"ffn_predict_gatX", &["blk.0.ffn_predict_gate"]);
    refused(b"ffn_down_t", b"ffn_down_X", &["blk.0.ffn_down_t"]);
    let rank =
        |rank: u32| [b"trilane.sparsity.rank\x04\0\0\0".as_slice(), &rank.to_le_bytes()].concat();
    refused(&rank(8), &rank(7), &["blk.0.ffn_predict_down", "7", "8"]);
    refused(&rank(8), &rank(1 << 30), &["trilane.sparsity.rank", "feed_forward_length"]);
    // Without thresholds the other predictors are still there.
    let file = files.spoiled(b"ffn_magnitudes", b"ffn_magnitudeX");
    succeed(["run", &file, "--prompt", "a cat", "--tokens", "2", "--active", "0.5"]);
    let magnitude = ["--active", "0.5", "--predictor", "magnitude"];
    let command = ["run", &file, "--prompt", "a cat", "--tokens", "2"];
    fail(3, &["blk.0.ffn_magnitudes"], command.iter().chain(&magnitude));
}

#[test]
fn reports_hold_numbers_and_plots() {
    let files = Files::new();
    let out = files.folder.path("report");
    let command = ["report", &files.sparse, "--text", &files.text, "-o", &out, "--min-chars", "8"];
    let few = ["--shares", "0.25,1"];
    let shown = succeed(command.iter().chain(&few));
    assert!(shown.contains("magnitude") && shown.contains("low-rank"), "{shown}");
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(format!("{out}/report.json")).unwrap()).unwrap();
    let curves = report["curves"].as_array().unwrap();
    assert_eq!(curves.len(), 6);
    for curve in curves {
        let [few, all] = &curve["points"].as_array().unwrap()[..] else { panic!("{curve}") };
        assert!(few["error"].as_f64().unwrap() >= all["error"].as_f64().unwrap(), "{curve}");
        let recall = all["recall"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&recall), "{curve}");
    }
    let gate = curves.iter().find(|curve| curve["name"] == "gate").unwrap();
    assert_eq!(gate["points"][1]["error"], 0.0);
    assert_eq!(gate["points"][1]["loss"], report["dense"]["loss"]);
    for name in ["loss", "recall", "error", "time", "lanes"] {
        let svg = fs::read_to_string(format!("{out}/{name}.svg")).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
    }
    fail(2, &["report.json", "--force"], command);
    let plain = ["report", &files.model, "--text", &files.text, "-o", &files.folder.path("new")];
    fail(2, &["trilane calibrate"], plain);
    fail(3, &["no line is longer"], ["report", &files.sparse, "--text", &files.text, "-o", "new"]);
}

#[test]
fn a_policy_stays_within_its_budget_and_gives_one_digest() {
    let files = Files::new();
    let nested = files.folder.path("nested.gguf");
    succeed(["convert", &files.model, &nested, "--lane", "bit7"]);
    let measure = |budget: &str| {
        let command = ["perplexity", &nested, "--text", &files.text, "--min-chars", "8"];
        json(command.iter().chain(&["--lane", "auto", "--budget", budget]))
    };
    for (budget, share) in [("0.2", 0.2), ("0.7", 0.7)] {
        let report = measure(budget);
        let bytes: Vec<f64> = report["fixed"]
            .as_array()
            .unwrap()
            .iter()
            .map(|lane| lane["bytes_per_token"].as_f64().unwrap())
            .collect();
        let most = bytes[0] + share * (bytes[2] - bytes[0]);
        let read = report["bytes_per_token"].as_f64().unwrap();
        assert!(bytes[0] <= read && read <= most + 1.0, "{read} of {bytes:?}");
    }
    let top = measure("1");
    assert_eq!(top["loss"], top["fixed"][2]["loss"]);
    let verify = ["verify", &nested, "--lane", "auto"];
    let agree = json(verify.iter().chain(&["--all-levels"]));
    assert_eq!(agree["agree"], true);
    let other = json(verify.iter().chain(&["--budget", "0.7"]));
    assert_ne!(agree["digest"], other["digest"]);
    let text = run(["run", &nested, "--prompt", "a cat", "--tokens", "4", "--lane", "auto"]);
    assert_eq!(text.code, 0);
    assert!(text.err.contains("read per token"), "{}", text.err);
    fail(2, &["--budget goes with --lane auto"], ["verify", &nested, "--budget", "0.5"]);
    fail(2, &["budget"], ["verify", &nested, "--lane", "auto", "--budget", "2"]);
    let sparse = ["perplexity", &files.sparse, "--text", &files.text, "--lane", "auto"];
    fail(2, &["dense feed-forward"], sparse.iter().chain(&["--active", "0.5", "--min-chars", "8"]));
}
