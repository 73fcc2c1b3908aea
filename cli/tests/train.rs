//! `trilane train`: settings, the files it leaves, going on.

#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fs;
use support::{Folder, command, fail, finished, succeed};

/// A run of a second: a decoder of 7,000 weights on a text that repeats itself.
fn settings(folder: &Folder, more: &str) -> String {
    let line = "to be, or not to be, that is the question: whether tis nobler in the mind\n";
    let text = folder.write("text.txt", line.repeat(60));
    let out = folder.path("out");
    let yaml = format!(
        "model: {{ vocab_size: 290, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, \
         num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 32 }}\n\
         dataset: {{ path: {text:?} }}\noutput_dir: {out:?}\nsequence_len: 16\nmax_steps: 20\n\
         eval_steps: 10\nquantization: {{ target: ternary, start: 0.5 }}\n{more}",
    );
    folder.write("train.yaml", yaml)
}

#[test]
fn a_run_leaves_a_model_that_converts_and_runs_and_goes_on_where_it_ended() {
    let folder = Folder::new();
    let settings = settings(&folder, "");
    let first = succeed(["train", &settings]);
    assert!(first.contains("step 20: training "), "{first}");
    assert!(first.contains("whole validation  float "), "{first}");
    let model = folder.path("out/model.gguf");
    let bytes = fs::read(&model).unwrap();
    let log = fs::read_to_string(folder.path("out/log.csv")).unwrap();
    assert!(
        log.starts_with(
            "step,training,float,float active,ternary,ternary active,\
             forward,backward,skipped,predicted steps\n10,"
        ),
        "{log}"
    );
    assert!(fs::read_to_string(folder.path("out/loss.svg")).unwrap().contains("</svg>"));
    let again = succeed(["train", &settings]);
    assert!(again.contains("continuing after step 20"), "{again}");
    assert_eq!(fs::read(&model).unwrap(), bytes);

    let ternary = folder.path("ternary.gguf");
    succeed(["convert", &model, &ternary, "--lane", "ternary", "--keep", "token_embd*=bit7"]);
    succeed(["run", &ternary, "--prompt", "to be", "--tokens", "4"]);

    // Its own model is a base to go on from.
    let fine = format!("output_dir: {:?}\nbase_model: {ternary:?}\n", folder.path("fine"));
    let text = fs::read_to_string(&settings).unwrap();
    let kept = text.lines().filter(|l| !l.starts_with("output_dir"));
    let fine = kept.map(|l| format!("{l}\n")).collect::<String>() + &fine;
    let fine = succeed(["train", &folder.write("fine.yaml", fine)]);
    assert!(fine.contains("step 20: training "), "{fine}");
}

/// Processes with other numbers of threads leave the same bytes: the weights, to which sketches, sums of
/// trits and predictions have led, and in the checkpoint the moments of the optimiser and what the workers
/// have not sent.
#[test]
fn processes_with_other_threads_leave_the_same_bytes() {
    let folder = Folder::new();
    let methods = "gradient_accumulation_steps: 4\nternary_accumulation: true\n\
         selection: { power: 2, recent: 32 }\n\
         compression: { codec: two-phase, ratio: 0.2, workers: 2 }\n\
         prediction: { warmup_steps: 4, full_steps: 2, predict_steps: 4, correct_every: 2, \
         least_cosine: -1 }\n";
    let leave = |threads: &str, seed: &str| {
        let settings = settings(&folder, &format!("{methods}seed: {seed}\n"));
        let mut command = command(["train", &settings]);
        let run = finished(command.env("RAYON_NUM_THREADS", threads).output().unwrap());
        assert_eq!(run.code, 0, "{}{}", run.out, run.err);
        let files = ["model.gguf", "checkpoint.bin", "log.csv", "loss.svg"];
        let files = files.map(|name| fs::read(folder.path(&format!("out/{name}"))).unwrap());
        fs::remove_dir_all(folder.path("out")).unwrap();
        (run.out, files)
    };
    let (said, one) = leave("1", "1");
    assert!(said.contains(" skipped; steps predicted: "), "{said}");
    assert!(!said.contains("steps predicted: 0"), "{said}");
    let (_, three) = leave("3", "1");
    for (i, (one, three)) in one.iter().zip(&three).enumerate() {
        assert!(one == three, "file {i}");
    }
    let (_, other) = leave("1", "2");
    assert!(one.iter().zip(&other).all(|(one, other)| one != other), "the seed has no effect");
}

#[test]
fn wrong_settings_are_named_and_nothing_is_written() {
    let folder = Folder::new();
    for (more, expected) in [
        ("sequence_length: 3\n", "sequence_length"),
        ("micro_batch_size: 0\n", "micro_batch_size: expected 1 to "),
        ("learning_rate: .nan\n", "learning_rate: expected "),
        ("selection: { power: 33 }\n", "selection.power: expected 0 to 32"),
        ("selection: { recent: 0 }\n", "selection.recent: expected 1 to "),
        ("selection: { window: 9 }\n", "window"),
        ("sparsity: { target: 0.5 }\n", "expected hidden_act relu2"),
        ("seed: minus one\n", "line 8 column 7"),
    ] {
        let settings = settings(&folder, more);
        fail(3, &[expected], ["train", &settings]);
        assert_eq!(folder.names(), ["text.txt", "train.yaml"], "{more}");
    }
    let settings = settings(&folder, "base_model: nothing.gguf\n");
    fail(4, &["nothing.gguf"], ["train", &settings]);
    fail(4, &["missing.yaml"], ["train", &folder.path("missing.yaml")]);
    fail(2, &["--example"], ["train"]);
}

/// The file that explains the settings can be read.
#[test]
fn the_example_is_a_file_of_settings() {
    let folder = Folder::new();
    let example = folder.write("example.yaml", succeed(["train", "--example"]));
    fail(4, &["tinyshakespeare.txt"], ["train", &example]);
}
