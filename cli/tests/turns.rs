//! Stop strings, and conversations over standard input.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::io::Write;
use std::process::Stdio;
use support::{Run, command, fail, finished, run, succeed};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/shakespeare.gguf");

/// A run that is fed `input`.
fn feed(arguments: &[&str], input: &str) -> Run {
    let mut child = command(["run", MODEL].iter().chain(arguments))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    finished(child.wait_with_output().unwrap())
}

#[test]
fn a_text_ends_before_a_stop_string() {
    let usual = ["run", MODEL, "--prompt", "JULIET:", "--tokens", "40", "--seed", "4"];
    let text = succeed(usual);
    let stop = &text[20..24];
    let said = run(usual.iter().chain(&["--stop", "\u{1}", "--stop", stop]));
    let expected = &text[..7 + text[7..].find(stop).unwrap()];
    assert_eq!((said.code, said.out), (0, format!("{expected}\n")));
    assert!(said.err.contains("a stop string ended it"), "{}", said.err);
    fail(2, &["stop string 0 is empty"], usual.iter().chain(&["--stop", ""]));
}

/// Each turn says what a prompt of everything before it would have said.
#[test]
fn every_line_of_input_is_a_turn() {
    let options = ["--tokens", "24", "--seed", "4", "--stop", "\n\n"];
    let interactive = [&["--interactive"][..], &options].concat();
    let said = feed(&interactive, "JULIET:\nROMEO:\nNURSE:\n");
    assert_eq!(said.code, 0, "{}", said.err);
    let (mut transcript, mut expected) = (String::new(), String::new());
    for (turn, name) in ["JULIET:\n", "ROMEO:\n", "NURSE:\n"].into_iter().enumerate() {
        if turn > 0 && !transcript.ends_with('\n') {
            transcript.push('\n');
        }
        transcript.push_str(name);
        let arguments = ["run", MODEL, "--prompt", &transcript];
        let all = succeed(arguments.iter().chain(&options));
        let all = all.strip_suffix('\n').unwrap();
        let answer = all.strip_prefix(transcript.as_str()).unwrap();
        expected.push_str(answer);
        expected.push('\n');
        transcript = all.to_owned();
    }
    assert_eq!(said.out, expected);
    let kept: Vec<&str> = said.err.lines().collect();
    assert_eq!(kept.len(), 3, "{}", said.err);
    assert!(kept[0].contains(", 0 of them kept") && !kept[2].contains(", 0 of them kept"));
}

#[test]
fn a_conversation_can_begin_with_a_prompt() {
    let options = ["--tokens", "8", "--temperature", "0"];
    let first = succeed(["run", MODEL, "--prompt", "JULIET:\n"].iter().chain(&options));
    let interactive = [&["-i", "--prompt", "JULIET:\n"][..], &options].concat();
    let said = feed(&interactive, "");
    assert_eq!(format!("JULIET:\n{}", said.out), first);
    fail(2, &["--interactive reads standard input"], ["run", MODEL, "-i", "--prompt", "-"]);
    fail(2, &["--prompt"], ["run", MODEL]);
    let long = feed(&["-i", "--context", "8", "--tokens", "2"], "a line that is too long for it\n");
    assert_eq!(long.code, 2);
    assert!(long.err.contains("the context 8"), "{}", long.err);
}
