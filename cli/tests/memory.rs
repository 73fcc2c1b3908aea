//! Models larger than the memory they may take: the same results, and errors where a file goes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use support::{Folder, command, fail, json, run, succeed, tiny_model};

/// A model of the repository, copied to where a test may spoil it.
fn copy(folder: &Folder, name: &str) -> String {
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/");
    folder.write(name, std::fs::read(format!("{models}{name}")).unwrap())
}

/// A model whose feed-forward blocks are stored by neuron, with predictors of that rank.
fn by_neuron(folder: &Folder, rank: &str) -> String {
    let (dense, model) = (copy(folder, "shakespeare-sparse.gguf"), folder.path("by-neuron.gguf"));
    let text = copy(folder, "shakespeare-validation.txt");
    let from = ["calibrate", &dense, "--text", &text, "--tokens", "200"];
    succeed(from.iter().chain(&["--rank", rank, "--output", &model]));
    model
}

/// The smallest budget that a model takes, as the refusal of a smaller one states it.
fn minimum(model: &str) -> u64 {
    let refused = run(["verify", model, "--memory", "0"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains(model), "{}", refused.err);
    let (_, number) = refused.err.trim_end().rsplit_once("expected at least ").unwrap();
    number.parse().unwrap()
}

fn size(model: &str) -> u64 {
    std::fs::metadata(model).unwrap().len()
}

#[test]
fn a_model_larger_than_its_memory_has_the_digest_of_one_that_is_resident() {
    let folder = Folder::new();
    let float = folder.write("float.gguf", tiny_model(|_, _| {}));
    let (nested, ternary) = (folder.path("nested.gguf"), folder.path("ternary.gguf"));
    succeed(["convert", &float, &nested, "--lane", "bit7"]);
    succeed(["convert", &float, &ternary, "--lane", "ternary"]);
    let trained = copy(&folder, "shakespeare.gguf");
    let by_neuron = by_neuron(&folder, "0");
    for model in [&float, &nested, &ternary, &trained, &by_neuron] {
        let expected = json(["verify", model]);
        let smallest = minimum(model);
        assert!(smallest < size(model) / 10, "{model}: {smallest} of {}", size(model));
        let mut budgets = vec![size(model) / 4, size(model) / 10];
        if size(model) < 500_000 {
            // Row by row takes its time.
            budgets.push(smallest);
        }
        for budget in budgets {
            let budget = budget.to_string();
            let found = json(["verify", model, "--threads", "2", "--memory", &budget]);
            assert_eq!(found["lanes"], expected["lanes"], "{model}, {budget} bytes");
        }
        let less = (smallest - 1).to_string();
        let words = [&**model, &less, &smallest.to_string()];
        fail(2, &words, ["verify", model, "--memory", &less]);
    }
}

#[test]
fn neurons_that_come_and_go_compute_what_resident_ones_do() {
    let folder = Folder::new();
    let model = by_neuron(&folder, "8");
    let text =
        folder.write("text.txt", "MENENIUS: What work's, my countrymen, in hand? where go you");
    let perplexity = |more: &[&str]| {
        let arguments = ["perplexity", &model, "--text", &text, "--min-chars", "1"];
        json(arguments.iter().chain(more))
    };
    let budget = (size(&model) / 4).to_string();
    for choice in [
        &["--active", "0.2", "--predictor", "tier0"][..],
        &["--active", "0.3", "--predictor", "low-rank"],
        &["--ffn-bytes", "0.5", "--predictor", "tier0-gate"],
        &["--ffn-lanes", "0.3,0.1,0.4", "--predictor", "gate"],
    ] {
        let expected = perplexity(choice);
        for strategy in ["lru", "lfu"] {
            let within = [choice, &["--memory", &budget, "--evict", strategy]].concat();
            let found = perplexity(&within);
            assert_eq!(found["loss"], expected["loss"], "{within:?}");
            assert_eq!(found["feed_forward"], expected["feed_forward"], "{within:?}");
            let memory = &found["memory"];
            let rate = memory["hit_rate"].as_f64().unwrap();
            assert!(rate > 0.0 && rate < 1.0, "{memory}");
            assert!(memory["resident"].as_u64() <= memory["budget"].as_u64(), "{memory}");
            assert!(expected["memory"].is_null());
        }
    }
}

#[test]
fn what_was_read_is_reported() {
    let folder = Folder::new();
    let model = copy(&folder, "shakespeare.gguf");
    let budget = (size(&model) / 4).to_string();
    let goes_on = ["run", &model, "--prompt", "ROMEO:", "--tokens", "8"];
    let within = run(goes_on.iter().chain(&["--memory", &budget]));
    assert_eq!(within.code, 0, "{}", within.err);
    assert_eq!(within.out, succeed(goes_on));
    for words in [&format!("of {budget} bytes resident"), "hit rate", "bytes read a token"] {
        assert!(within.err.contains(words), "{}", within.err);
    }
}

/// A conversation after its first turn, and how the command said so.
fn conversation(model: &str) -> (Child, BufReader<std::process::ChildStderr>) {
    let budget = (size(model) / 10).to_string();
    let arguments = ["run", model, "--interactive", "--tokens", "3", "--temperature", "0"];
    let mut command = command(arguments.iter().chain(&["--memory", &budget]));
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    child.stdin.as_mut().unwrap().write_all(b"ROMEO:\n").unwrap();
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.contains("generated: 3 tokens"), "{line}");
    (child, errors)
}

/// The exit code of a second turn, what the conversation came to, and its errors.
fn second_turn(
    (mut child, mut errors): (Child, BufReader<std::process::ChildStderr>),
) -> (i32, String, String) {
    child.stdin.take().unwrap().write_all(b"JULIET:\n").unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    errors.read_to_string(&mut err).unwrap();
    (child.wait().unwrap().code().unwrap(), out, err)
}

#[test]
fn a_file_that_is_cut_off_during_a_run_is_an_error_that_names_file_and_tensor() {
    let folder = Folder::new();
    let model = copy(&folder, "shakespeare.gguf");
    let talk = conversation(&model);
    OpenOptions::new().write(true).open(&model).unwrap().set_len(size(&model) / 2).unwrap();
    let (code, _, err) = second_turn(talk);
    assert_eq!(code, 3, "{err}");
    for words in [&model, ".weight", "expected a file of at least"] {
        assert!(err.contains(words), "{err}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_removed_during_a_run_is_read_to_the_end() {
    let folder = Folder::new();
    let model = copy(&folder, "shakespeare.gguf");
    let (code, expected, err) = second_turn(conversation(&model));
    assert_eq!(code, 0, "{err}");
    let talk = conversation(&model);
    std::fs::remove_file(&model).unwrap();
    let (code, out, err) = second_turn(talk);
    assert_eq!((code, out), (0, expected), "{err}");
}

#[test]
fn weights_that_are_not_numbers_are_found_before_they_are_used() {
    let folder = Folder::new();
    let bad = tiny_model(|name, weights| {
        if name == "blk.1.ffn_up.weight" {
            weights[70] = f32::NAN;
        }
    });
    let bad = folder.write("nan.gguf", bad);
    let words = [&*bad, "blk.1.ffn_up.weight", "NaN"];
    fail(3, &words, ["verify", &bad, "--memory", "20000"]);
    let cut = tiny_model(|_, _| {});
    let cut = folder.write("cut.gguf", &cut[..cut.len() - 1]);
    fail(3, &[&cut], ["verify", &cut, "--memory", "20000"]);
}

#[test]
fn budgets_that_are_none_are_refused() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    for budget in ["", "K", "12Q", "1.5M", "99999999999999999999", "99999999999999999G", "0x10"] {
        fail(2, &["--memory", "number of bytes"], ["verify", &model, "--memory", budget]);
    }
    fail(2, &["lru or lfu"], ["verify", &model, "--memory", "64K", "--evict", "fifo"]);
    fail(2, &["--memory"], ["verify", &model, "--evict", "lru"]);
    let digits = copy(&folder, "digits.gguf");
    fail(2, &[&digits, "decoder"], ["verify", &digits, "--memory", "64K"]);
    fail(4, &["nowhere.gguf"], ["verify", "nowhere.gguf", "--memory", "64K"]);
    succeed(["verify", &model, "--memory", "1G"]);
}
