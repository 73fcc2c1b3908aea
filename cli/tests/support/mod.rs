//! What the tests of the command share: running it, data, folders, and a model made on the spot.

#![allow(dead_code, reason = "every test file uses a part of this")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use trilane::core::gguf::{TensorType, Value};
use trilane::std::gguf_writer::GgufWriter;

/// The built command with arguments.
pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trilane"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a run of the command came to.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the command to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    finished(command(arguments).output().unwrap())
}

/// A finished run, whose output has to be UTF-8.
pub(crate) fn finished(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the command, which has to succeed, and gives its output.
pub(crate) fn succeed<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let run = run(arguments);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    run.out
}

/// Runs the command with `--json` and reads what it prints.
pub(crate) fn json<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
) -> serde_json::Value {
    let arguments = arguments.into_iter().map(|a| a.as_ref().to_owned());
    serde_json::from_str(&succeed(arguments.chain(["--json".into()]))).unwrap()
}

/// Runs the command, which has to fail with that code and say all of `words` on one line.
pub(crate) fn fail<S: AsRef<std::ffi::OsStr>>(
    code: i32,
    words: &[&str],
    arguments: impl IntoIterator<Item = S>,
) {
    let run = run(arguments);
    assert_eq!(run.code, code, "{}{}", run.out, run.err);
    assert_eq!(run.out, "");
    if code != 2 {
        assert_eq!(run.err.lines().count(), 1, "{}", run.err);
        assert!(run.err.starts_with("trilane: "), "{}", run.err);
    }
    for word in words {
        assert!(run.err.contains(word), "{word:?} is not in {}", run.err);
    }
}

/// A file of the data beside the repository, or `None`, said aloud, where there is none.
pub(crate) fn data(name: &str) -> Option<String> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    if path.is_file() {
        return Some(path.to_str().unwrap().into());
    }
    eprintln!("skipped: {} is missing", path.display());
    None
}

/// A folder that is removed at the end of the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNTER: AtomicUsize = AtomicUsize::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of a file in the folder, which need not be there.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().into()
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Names of the files in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Pieces of the tiny model's vocabulary: three special ones, all bytes, and some letters.
fn pieces() -> Vec<(String, i32)> {
    let special = [("<unk>", 2), ("<s>", 3), ("</s>", 3)].map(|(piece, kind)| (piece.into(), kind));
    let bytes = (0..256).map(|byte| (format!("<0x{byte:02X}>"), 6));
    let letters = "▁abcdefghijklmnopqrstuvwxyz".chars().map(|c| (c.to_string(), 1));
    special.into_iter().chain(bytes).chain(letters).collect()
}

/// A llama of two layers, four heads and the vocabulary above; `store` gives type and data of a
/// tensor from its name and dimensions.
pub(crate) fn llama(
    [dim, hidden, kv]: [u64; 3],
    mut store: impl FnMut(&str, &[u64]) -> (TensorType, Vec<u8>),
) -> Vec<u8> {
    let pieces = pieces();
    let vocabulary = pieces.len() as u64;
    let mut writer = GgufWriter::new(32).unwrap();
    writer.add("general.architecture", Value::Str("llama")).unwrap();
    for (key, value) in [
        ("llama.context_length", 128),
        ("llama.embedding_length", dim as u32),
        ("llama.block_count", 2),
        ("llama.feed_forward_length", hidden as u32),
        ("llama.attention.head_count", 4),
        ("llama.attention.head_count_kv", (4 * kv / dim) as u32),
        ("tokenizer.ggml.bos_token_id", 1),
        ("tokenizer.ggml.eos_token_id", 2),
        ("tokenizer.ggml.unknown_token_id", 0),
    ] {
        writer.add(key, Value::U32(value)).unwrap();
    }
    writer.add("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)).unwrap();
    writer.add("tokenizer.ggml.model", Value::Str("llama")).unwrap();
    let names: Vec<&str> = pieces.iter().map(|(piece, _)| &**piece).collect();
    writer.add_array("tokenizer.ggml.tokens", &names).unwrap();
    writer.add_array("tokenizer.ggml.scores", &vec![0.0f32; names.len()]).unwrap();
    let kinds: Vec<i32> = pieces.iter().map(|(_, kind)| *kind).collect();
    writer.add_array("tokenizer.ggml.token_type", &kinds).unwrap();

    let mut tensors: Vec<(String, Vec<u64>)> = vec![
        ("token_embd.weight".into(), vec![dim, vocabulary]),
        ("output_norm.weight".into(), vec![dim]),
    ];
    for layer in 0..2 {
        for (part, dims) in [
            ("attn_norm", vec![dim]),
            ("attn_q", vec![dim, dim]),
            ("attn_k", vec![dim, kv]),
            ("attn_v", vec![dim, kv]),
            ("attn_output", vec![dim, dim]),
            ("ffn_norm", vec![dim]),
            ("ffn_gate", vec![dim, hidden]),
            ("ffn_up", vec![dim, hidden]),
            ("ffn_down", vec![hidden, dim]),
        ] {
            tensors.push((format!("blk.{layer}.{part}.weight"), dims));
        }
    }
    let stored: Vec<(TensorType, Vec<u8>)> =
        tensors.iter().map(|(name, dims)| store(name, dims)).collect();
    for ((name, dims), (kind, data)) in tensors.iter().zip(&stored) {
        writer.declare(name, *kind, dims, data.len() as u64).unwrap();
    }
    let mut data = writer.begin(Vec::new()).unwrap();
    for ((name, _), (_, bytes)) in tensors.iter().zip(&stored) {
        data.write_tensor(name, bytes).unwrap();
    }
    data.finish().unwrap()
}

/// Floats as a file stores them.
pub(crate) fn float_bytes(weights: &[f32]) -> Vec<u8> {
    weights.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// A llama of 64 dimensions, with weights that a counter makes; `change` may alter any tensor's
/// weights before they are written.
pub(crate) fn tiny_model(change: impl Fn(&str, &mut [f32])) -> Vec<u8> {
    let mut state = 1u32;
    llama([64, 96, 32], |name, dims| {
        let mut weights: Vec<f32> = (0..dims.iter().product())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let unit = (state >> 8) as f32 / 16_777_216.0 - 0.5;
                if dims.len() == 1 { 1.0 + unit / 8.0 } else { unit / 2.0 }
            })
            .collect();
        change(name, &mut weights);
        (TensorType::F32, float_bytes(&weights))
    })
}
