//! Exit codes and messages: what is refused, and what is left behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::process::Stdio;
use support::{Folder, command, fail, finished, run, succeed, tiny_model};

#[test]
fn wrong_arguments_exit_with_2() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let out = folder.path("out.gguf");
    fail(2, &["Usage"], ["--frobnicate"]);
    fail(2, &["Usage"], &[] as &[&str]);
    fail(2, &["bit4", "ternary, bit3, bit5, bit7"], ["convert", &model, &out, "--lane", "bit4"]);
    fail(2, &["float", "ternary, bit3, bit5, bit7"], ["convert", &model, &out, "--lane", "float"]);
    fail(2, &["this machine has scalar"], ["verify", &model, "--level", "mmx"]);
    fail(2, &["0"], ["verify", &model, "--threads", "0"]);
    fail(2, &[&model, "bit3", "the file has float"], ["verify", &model, "--lane", "bit3"]);
    fail(2, &["token_embd*"], ["convert", &model, &out, "--lane", "bit3", "--keep", "token_embd*"]);
    let keep = ["convert", &model, &out, "--lane", "bit3", "--keep", "nothing*=bit3"];
    fail(2, &[&model, "nothing*"], keep);
    assert_eq!(folder.names(), ["tiny.gguf"]);
}

/// There may be a driver, but never as many devices.
#[test]
fn a_device_that_is_not_there_exits_with_5() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    fail(5, &["CUDA"], ["verify", &model, "--device", "cuda:9999"]);
    fail(5, &["CUDA"], ["run", &model, "--prompt", "a", "--device", "cuda:9999"]);
    fail(2, &["gpu", "cuda"], ["run", &model, "--prompt", "a", "--device", "gpu"]);
    let auto = ["run", &model, "--prompt", "a", "--device", "cuda", "--lane", "auto"];
    fail(2, &["--lane auto", "--device"], auto);
}

#[test]
fn an_instruction_set_of_another_architecture_is_refused_with_those_there_are() {
    let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
    fail(2, &[foreign, "this machine has scalar"], ["verify", "x.gguf", "--level", foreign]);
}

#[test]
fn bad_files_exit_with_3() {
    let folder = Folder::new();
    let model = tiny_model(|_, _| {});
    let empty = folder.write("empty.gguf", []);
    let cut = folder.write("cut.gguf", &model[..model.len() / 2]);
    let magic = folder.write("magic.gguf", b"GGML and then something else");
    let out = folder.path("out.gguf");
    for path in [&empty, &cut, &magic] {
        for command in ["inspect", "verify"] {
            fail(3, &[path], [command, path]);
        }
        fail(3, &[path], ["convert", path, &out, "--lane", "bit7"]);
    }
    fail(3, &["empty.gguf", "0"], ["inspect", &empty]);
    fail(3, &["magic.gguf", "not a GGUF file"], ["inspect", &magic]);
    assert_eq!(folder.names(), ["cut.gguf", "empty.gguf", "magic.gguf"]);
}

#[test]
fn weights_that_are_not_finite_are_refused_with_their_tensor() {
    let folder = Folder::new();
    let bad = tiny_model(|name, weights| {
        if name == "blk.1.ffn_up.weight" {
            weights[70] = f32::NAN;
        }
    });
    let bad = folder.write("nan.gguf", bad);
    let out = folder.path("out.gguf");
    fail(3, &["nan.gguf", "blk.1.ffn_up.weight"], ["verify", &bad]);
    let words = ["nan.gguf", "blk.1.ffn_up.weight", "row 1"];
    fail(3, &words, ["convert", &bad, &out, "--lane", "bit7"]);
    assert_eq!(folder.names(), ["nan.gguf"], "a failed conversion leaves nothing behind");
    // What was there stays as it was.
    folder.write("out.gguf", "precious");
    fail(3, &words, ["convert", &bad, &out, "--lane", "bit7", "--force"]);
    assert_eq!(std::fs::read(&out).unwrap(), b"precious");
}

#[test]
fn a_header_that_asks_for_more_layers_than_there_are_tensors_is_refused() {
    let folder = Folder::new();
    let mut model = tiny_model(|_, _| {});
    let key = b"llama.block_count";
    let at = model.windows(key.len()).position(|w| w == key).unwrap() + key.len() + 4;
    model[at..at + 4].copy_from_slice(&(1u32 << 24).to_le_bytes());
    let model = folder.write("deep.gguf", model);
    fail(3, &["deep.gguf", "block_count", "16777216"], ["verify", &model]);
}

#[test]
fn what_cannot_be_read_or_written_exits_with_4() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let (missing, directory) = (folder.path("missing.gguf"), folder.path("."));
    for command in ["inspect", "verify"] {
        fail(4, &[&missing], [command, &missing]);
        fail(4, &[&directory, "directory"], [command, &directory]);
    }
    let nowhere = folder.path("no/such/folder/out.gguf");
    fail(4, &[&nowhere], ["convert", &model, &nowhere, "--lane", "bit3"]);
    let dump = ["inspect", &model, "--dump", "output_norm.weight", &nowhere];
    fail(4, &[&nowhere], dump);
}

#[test]
fn an_output_that_exists_is_kept_unless_forced() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let out = folder.write("out.gguf", "precious");
    fail(2, &[&out, "--force"], ["convert", &model, &out, "--lane", "bit3"]);
    assert_eq!(std::fs::read(&out).unwrap(), b"precious");
    succeed(["convert", &model, &out, "--lane", "bit3", "--force"]);
    succeed(["verify", &out, "--lane", "bit3"]);
    fail(3, &[&out, "already"], ["convert", &out, &folder.path("b.gguf"), "--lane", "bit3"]);
}

#[test]
fn input_and_output_must_differ_however_they_are_spelled() {
    let folder = Folder::new();
    let bytes = tiny_model(|_, _| {});
    let model = folder.write("tiny.gguf", &bytes);
    for same in [model.clone(), folder.path("./tiny.gguf")] {
        fail(2, &["the same"], ["convert", &model, &same, "--lane", "bit3", "--force"]);
    }
    fail(2, &["expected a file"], ["convert", &model, &folder.path("."), "--lane", "bit3"]);
    assert_eq!(std::fs::read(&model).unwrap(), bytes);
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let folder = Folder::new();
    let model = folder.write("tiny.gguf", tiny_model(|_, _| {}));
    let mut child = command(["inspect", &model, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let run = finished(child.wait_with_output().unwrap());
    assert_eq!((run.code, &*run.err), (0, ""));
}

#[test]
fn help_teaches_with_examples() {
    let overview = succeed(["--help"]);
    for command in ["demo", "run", "convert", "inspect", "verify", "perplexity", "classify"] {
        assert!(overview.contains(command), "{overview}");
        let help = succeed([command, "--help"]);
        assert!(help.contains("Examples:") && help.contains(&format!("trilane {command} ")));
    }
    assert!(run(["--version"]).out.starts_with("trilane "));
}
