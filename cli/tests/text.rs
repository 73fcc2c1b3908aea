//! Generating text and measuring it, on models that were trained.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::io::Write;
use std::process::Stdio;
use support::{Folder, command, data, fail, finished, json, run, succeed, tiny_model};

/// The greedy continuation by llama2.c, which computes the same model with other code.
const REFERENCE: &str = "Once upon a time, there was a little girl named Lily. She loved to play \
    outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was \
    too high.";

const GREEDY: [&str; 4] = ["--temperature", "0", "--prompt", "Once upon a time"];

#[test]
fn the_reference_continuation_is_reproduced() {
    for kind in ["f32", "f16"] {
        let Some(model) = data(&format!("stories260K-{kind}.gguf")) else { return };
        let text = succeed(["run", &model, "--tokens", "60"].iter().chain(&GREEDY));
        assert!(text.starts_with(REFERENCE), "{kind}: {text}");
        let text = succeed(["run", &model, "--lane", "float"].iter().chain(&GREEDY));
        let next = "Lily's mom said, \"Lily, let's go to the park.\"";
        assert!(text.contains(next), "{kind}: {text}");
    }
}

#[test]
fn block_types_run() {
    for kind in ["q8_0", "q4_0"] {
        let Some(model) = data(&format!("stories260K-{kind}.gguf")) else { return };
        let text = succeed(["run", &model, "--tokens", "40"].iter().chain(&GREEDY));
        assert!(
            text.starts_with("Once upon a time, there was a little girl named Lily."),
            "{text}"
        );
    }
}

#[test]
fn losses_are_those_expected_at_every_lane() {
    let (Some(model), Some(text)) = (data("stories260K-f32.gguf"), data("stories-sample.txt"))
    else {
        return;
    };
    let folder = Folder::new();
    let nested = folder.path("nested.gguf");
    succeed(["convert", &model, &nested, "--lane", "bit7"]);
    let loss = |file: &str, lane: &str| {
        let report = json(["perplexity", file, "--text", &text, "--lane", lane]);
        assert_eq!(report["documents"], 18);
        assert_eq!(report["tokens"], 1452);
        assert_eq!(report["lane"], lane);
        let loss = report["loss"].as_f64().unwrap();
        assert!((report["perplexity"].as_f64().unwrap() - loss.exp()).abs() < 1e-9);
        loss
    };
    let float = loss(&model, "float");
    assert!((float - 0.8916).abs() < 0.002, "{float}");
    for (lane, most) in [("bit7", 1.01 * float), ("bit5", 1.045 * float), ("bit3", 1.55)] {
        let found = loss(&nested, lane);
        assert!(found <= most, "{lane}: {found} > {most}");
    }
    let table = succeed(["perplexity", &nested, "--text", &text]);
    assert!(table.contains("bit7") && table.contains("1452"), "{table}");
    let whole = json(["perplexity", &model, "--text", &text, "--whole"]);
    assert_eq!(whole["documents"], 1);
    assert!(whole["tokens"].as_u64().unwrap() > 1452);
}

#[test]
fn text_does_not_depend_on_level_or_threads_but_on_the_seed() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let nested = folder.path("nested.gguf");
    succeed(["convert", &model, &nested, "--lane", "bit7"]);
    for file in [&model, &nested] {
        let text = |arguments: &[&str]| {
            let all = ["run", file, "--prompt", "a time", "--temperature", "1", "--tokens", "30"];
            succeed(all.iter().chain(arguments))
        };
        let first = text(&[]);
        assert_eq!(text(&["--level", "scalar", "--threads", "1"]), first);
        assert_eq!(text(&["--threads", "3"]), first);
        assert_ne!(text(&["--seed", "1"]), first);
    }
}

#[test]
fn the_prompt_comes_first_and_a_line_about_speed_goes_to_standard_error() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let prompt = "ä 😀 upon";
    let run = run(["run", &model, "--prompt", prompt, "--tokens", "0", "--level", "scalar"]);
    assert_eq!((run.code, run.out), (0, format!("{prompt}\n")));
    for part in ["generated: 0 tokens", "float, scalar"] {
        assert!(run.err.contains(part), "{}", run.err);
    }
}

#[test]
fn the_prompt_can_come_from_standard_input() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let feed = |input: &[u8]| {
        let mut child = command(["run", &model, "--prompt", "-", "--tokens", "0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        finished(child.wait_with_output().unwrap())
    };
    for input in ["two\nlines\n", "two\nlines\r\n", "two\nlines"] {
        assert_eq!(feed(input.as_bytes()).out, "two\nlines\n");
    }
    let bad = feed(b"\xff\xfe");
    assert_eq!(bad.code, 4);
    assert!(bad.err.contains("standard input"), "{}", bad.err);
}

#[test]
fn a_full_context_ends_the_text_and_is_said() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    // The begin token, a space and four letters.
    let full = ["run", &model, "--prompt", "abcd", "--context", "6"];
    let run = run(full);
    assert_eq!(run.code, 0);
    assert!(run.err.contains("the context of 6 tokens is full"), "{}", run.err);
    assert!(run.err.contains("generated: 1 token,"), "{}", run.err);
    let prompt = |context| ["run", &model, "--prompt", "abcd", "--context", context];
    fail(2, &["the prompt has 6 tokens, the context 5"], prompt("5"));
    fail(2, &["128 tokens, not 129"], prompt("129"));
}

#[test]
fn samplers_out_of_range_are_refused() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    for (option, value, word) in [
        ("--temperature", "-1", "temperature -1"),
        ("--top-p", "1.5", "top-p 1.5"),
        ("--min-p", "-0.5", "min-p -0.5"),
        ("--repeat-penalty", "0", "repetition penalty 0"),
    ] {
        fail(2, &[word], ["run", &model, "--prompt", "a", option, value]);
    }
}

#[test]
fn a_text_without_documents_is_refused() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let short = folder.write("short.txt", "a\nb\n");
    let empty = folder.write("empty.txt", "");
    let binary = folder.write("binary.txt", b"\xff");
    fail(3, &["short.txt", "80 characters"], ["perplexity", &model, "--text", &short]);
    fail(3, &["empty.txt", "nothing"], ["perplexity", &model, "--text", &empty, "--whole"]);
    fail(4, &["binary.txt", "UTF-8"], ["perplexity", &model, "--text", &binary]);
    fail(4, &["none.txt"], ["perplexity", &model, "--text", &folder.path("none.txt")]);
    let all = json(["perplexity", &model, "--text", &short, "--min-chars", "0"]);
    // A space and a letter each.
    assert_eq!((&all["documents"], &all["tokens"]), (&2.into(), &4.into()));
}

#[test]
fn a_vocabulary_that_does_not_fit_is_refused() {
    let folder = Folder::new();
    let mut model = tiny_model(|_, _| {});
    let at = model.windows(5).position(|w| w == b"model").unwrap();
    let value = at + 5 + 4 + 8;
    assert_eq!(&model[value..value + 5], b"llama");
    model[value..value + 5].copy_from_slice(b"other");
    let model = folder.write("other.gguf", model);
    let words = ["tokenizer.ggml.model", "expected \"llama\"", "found \"other\""];
    fail(3, &words, ["run", &model, "--prompt", "a"]);
    succeed(["verify", &model]);
}
