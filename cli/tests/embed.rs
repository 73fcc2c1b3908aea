//! `trilane embed`, and what `convert`, `inspect` and `verify` make of encoders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use support::{Folder, fail, json, run, succeed};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/tiny-bert");

/// The tiny encoder in a file with three lanes.
fn model(folder: &Folder) -> String {
    let path = folder.path("tiny.gguf");
    succeed(["convert", TINY, &path, "--lane", "bit7"]);
    path
}

#[test]
fn vectors_come_as_lines_of_json_and_as_numpy() {
    let folder = Folder::new();
    let model = model(&folder);
    let texts = ["The cat sat.", "a \"quoted\" café", ""];
    let out = succeed(["embed", &model, "--text", texts[0], "--text", texts[1], "--text", ""]);
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    let file = folder.write("lines.txt", texts.join("\n") + "\n");
    let npy = folder.path("vectors.npy");
    for threads in ["1", "3"] {
        succeed(
            ["embed", &model, "--file", &file, "--format", "npy", "--out", &npy]
                .into_iter()
                .chain(["--threads", threads]),
        );
        let bytes = std::fs::read(&npy).unwrap();
        assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
        let header = String::from_utf8_lossy(&bytes[10..128]).into_owned();
        assert!(header.contains("'<f4'") && header.contains("(3, 16)"), "{header}");
        let (values, rest) = bytes[128..].as_chunks::<4>();
        assert!(rest.is_empty() && values.len() == 48);
        for (row, line) in values.chunks(16).zip(&lines) {
            let vector = line["embedding"].as_array().unwrap();
            assert_eq!(vector.len(), 16);
            for (value, expected) in row.iter().zip(vector) {
                assert_eq!(f32::from_le_bytes(*value), expected.as_f64().unwrap() as f32);
            }
        }
    }
    for (line, text) in lines.iter().zip(texts) {
        assert_eq!(line["text"], text);
    }
    assert_eq!(lines[2]["tokens"], 2);
}

#[test]
fn texts_that_are_cut_are_said() {
    let folder = Folder::new();
    let model = model(&folder);
    let run = run(["embed", &model, "--text", "cat", "--text", &"cat ".repeat(30)]);
    assert_eq!(run.code, 0);
    let warning =
        "trilane: warning: text 2 is cut: the model takes 20 tokens, 12 tokens are left out\n";
    assert_eq!(run.err, warning);
}

#[test]
fn what_cannot_be_embedded_is_refused() {
    let folder = Folder::new();
    let model = model(&folder);
    fail(2, &["--text"], ["embed", &model]);
    let empty = folder.write("empty.txt", "");
    fail(3, &["empty.txt", "empty"], ["embed", &model, "--file", &empty]);
    let latin = folder.write("latin.txt", b"caf\xe9\n");
    fail(3, &["latin.txt", "byte 3"], ["embed", &model, "--file", &latin]);
    fail(4, &["none.txt"], ["embed", &model, "--file", &folder.path("none.txt")]);
    fail(3, &["token_embd", "float"], ["embed", &model, "--text", "a", "--lane", "float"]);
    let decoder = folder.write("decoder.gguf", support::tiny_model(|_, _| {}));
    fail(3, &["general.architecture", "bert"], ["embed", &decoder, "--text", "a"]);
    fail(3, &["general.architecture", "llama"], ["run", &model, "--prompt", "a"]);
    fail(4, &["config.json"], ["convert", &folder.path(""), &folder.path("x"), "--lane", "bit7"]);
}

#[test]
fn encoders_are_inspected_and_verified() {
    let folder = Folder::new();
    let model = model(&folder);
    let report = json(["inspect", &model]);
    assert_eq!((&report["runs"], &report["dimensions"]), (&true.into(), &16.into()));
    assert!(report["arena_bytes"]["20"].as_u64().unwrap() > 4 * 4 * 16 * 20);
    assert!(succeed(["inspect", &model]).contains("Encoder of texts up to 20 tokens"));
    let verified = json(["verify", &model, "--all-levels"]);
    assert_eq!(verified["agree"], true);
    let lanes: Vec<&String> = verified["lanes"].as_object().unwrap().keys().collect();
    assert_eq!(lanes, ["bit3", "bit5", "bit7"]);
}
