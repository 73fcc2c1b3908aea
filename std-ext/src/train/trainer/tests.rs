//! Runs that end alike however they were interrupted.

use super::super::{
    CodecName, CompressionConfig, DatasetConfig, ModelConfig, PredictionConfig, QuantizationConfig,
    WindowSelectionConfig,
};
use super::*;

/// Settings of a run of milliseconds, in a folder of its own.
fn settings(name: &str, target: Target) -> TrainConfig {
    let folder = std::env::temp_dir().join(format!("trilane-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("text.txt");
    fs::write(&path, "no man is an island, entire of itself; ".repeat(60)).unwrap();
    let model = ModelConfig {
        vocab_size: 280,
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        max_position_embeddings: 16,
    };
    TrainConfig {
        base_model: None,
        model,
        hidden_act: None,
        dataset: DatasetConfig { path, val_set_size: 0.2 },
        output_dir: folder.join("out"),
        sequence_len: 16,
        micro_batch_size: 1,
        gradient_accumulation_steps: 3,
        max_steps: 8,
        eval_steps: 4,
        learning_rate: 5e-3,
        warmup_steps: 100,
        weight_decay: 0.1,
        max_grad_norm: 1.0,
        seed: 7,
        quantization: QuantizationConfig { target, start: 0.25, ..Default::default() },
        sparsity: None,
        prediction: None,
        selection: None,
        compression: None,
        ternary_accumulation: false,
    }
}

/// Predicts whatever the gradients are.
fn often() -> PredictionConfig {
    PredictionConfig {
        warmup_steps: 4,
        full_steps: 1,
        predict_steps: 4,
        correct_every: 4,
        least_cosine: -1.0,
        adaptive_phases: false,
    }
}

fn run(trainer: &mut Trainer, to: usize) {
    while trainer.step < to {
        trainer.train_step().unwrap();
        if trainer.is_evaluation_due() {
            trainer.evaluate().unwrap();
        }
    }
}

#[test]
fn an_interrupted_run_ends_with_the_bits_of_an_uninterrupted_one() {
    for target in [Target::Nested, Target::Ternary] {
        let whole = settings(&format!("whole-{target:?}"), target);
        let mut trainer = Trainer::open(whole.clone()).unwrap();
        run(&mut trainer, 8);
        let first = trainer.history[0].training;
        assert!(trainer.history[1].training < first, "{:?}", trainer.history);

        let stopped = TrainConfig { output_dir: whole.output_dir.join("stopped"), ..whole };
        let mut second = Trainer::open(stopped.clone()).unwrap();
        run(&mut second, 5);
        second.save().unwrap();
        let mut second = Trainer::open(stopped.clone()).unwrap();
        assert_eq!((second.step, second.history.len()), (5, 1));
        run(&mut second, 8);
        assert_eq!(second.values, trainer.values);
        assert_eq!(second.best_values, trainer.best_values);
        assert_eq!(second.history, trainer.history);

        let other = TrainConfig { seed: 8, ..stopped.clone() };
        let error = Trainer::open(other).err().unwrap().to_string();
        assert!(error.contains("other settings"), "{error}");
        let path = second.checkpoint_path();
        let bytes = fs::read(&path).unwrap();
        for (bytes, expected) in [
            (&bytes[..bytes.len() - 2], "cut short"),
            (&[&bytes[..], &[0]].concat(), "longer"),
            (b"TLTRAIN1", "no checkpoint of this version"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = Trainer::open(stopped.clone()).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
        fs::remove_dir_all(stopped.dataset.path.parent().unwrap()).unwrap();
    }
}

/// Prediction, compression and accumulation in trits: fewer backward passes, the same bits again, and
/// a run that is stopped goes on from its last evaluation.
#[test]
fn methods_give_the_same_bits_again_and_after_an_interruption() {
    let plain = settings("methods", Target::Float);
    for codec in [CodecName::TwoPhase, CodecName::LowRank, CodecName::TopK] {
        let config = TrainConfig {
            gradient_accumulation_steps: 4,
            max_steps: 24,
            eval_steps: 12,
            ternary_accumulation: codec == CodecName::TopK,
            prediction: Some(often()),
            compression: Some(CompressionConfig { codec, ratio: 0.2, workers: 2 }),
            output_dir: plain.output_dir.join(format!("{codec:?}")),
            ..plain.clone()
        };
        let mut trainer = Trainer::open(config.clone()).unwrap();
        run(&mut trainer, 24);
        let passes = trainer.passes();
        assert_eq!(passes.backward, 4 * (24 - passes.predicted_steps), "{passes:?}");
        assert!(passes.predicted_steps > 0, "{passes:?}");
        assert!(trainer.history[1].training < trainer.history[0].training);
        let output_dir = plain.output_dir.join(format!("{codec:?} again"));
        let config = TrainConfig { output_dir, ..config };
        let mut second = Trainer::open(config.clone()).unwrap();
        run(&mut second, 17);
        second.save().unwrap();
        let mut second = Trainer::open(config).unwrap();
        assert_eq!(second.step, 12);
        run(&mut second, 24);
        assert_eq!(second.values, trainer.values, "{codec:?}");
        assert_eq!(second.history, trainer.history, "{codec:?}");
    }
    fs::remove_dir_all(plain.dataset.path.parent().unwrap()).unwrap();
}

/// Selection: every step has all its windows, those left out are counted, and the same bits come again,
/// after an interruption and with prediction too.
#[test]
fn selected_windows_are_the_same_again_and_after_an_interruption() {
    let plain = settings("selection", Target::Ternary);
    for (name, prediction) in [("alone", None), ("predicted", Some(often()))] {
        let config = TrainConfig {
            max_steps: 16,
            eval_steps: 8,
            selection: Some(WindowSelectionConfig { power: 2.0, recent: 16, most_age: 4 }),
            prediction,
            output_dir: plain.output_dir.join(name),
            ..plain.clone()
        };
        let mut trainer = Trainer::open(config.clone()).unwrap();
        run(&mut trainer, 16);
        let passes = trainer.passes();
        assert_eq!(passes.backward, 3 * (16 - passes.predicted_steps), "{passes:?}");
        assert_eq!(passes.predicted_steps > 0, name == "predicted", "{passes:?}");
        // One of three, were it not that losses fall.
        let judged = (passes.backward + passes.skipped) as f64;
        assert!((0.1..0.4).contains(&(passes.backward as f64 / judged)), "{passes:?}");
        assert!(passes.forward >= passes.backward && passes.forward <= trainer.drawn, "{passes:?}");
        assert_eq!(trainer.history[1].passes, passes);

        let config = TrainConfig { output_dir: plain.output_dir.join("again"), ..config };
        let mut second = Trainer::open(config.clone()).unwrap();
        run(&mut second, 11);
        second.save().unwrap();
        let mut second = Trainer::open(config.clone()).unwrap();
        assert_eq!(second.step, 8);
        run(&mut second, 16);
        assert_eq!(second.values, trainer.values, "{name}");
        assert_eq!(second.history, trainer.history, "{name}");
        fs::remove_dir_all(&config.output_dir).unwrap();
    }
    fs::remove_dir_all(plain.dataset.path.parent().unwrap()).unwrap();
}

/// Windows without a difference are taken as they come.
#[test]
fn windows_that_are_alike_are_taken_as_they_come() {
    let config = TrainConfig {
        selection: Some(WindowSelectionConfig { power: 32.0, recent: 1, most_age: 1_000_000 }),
        ..settings("alike", Target::Float)
    };
    let mut trainer = Trainer::open(config).unwrap();
    trainer.train_step().unwrap();
    assert_eq!((trainer.passes().backward, trainer.passes().skipped), (3, 300));
    fs::remove_dir_all(trainer.config.dataset.path.parent().unwrap()).unwrap();
}

#[test]
fn selection_out_of_range_is_named() {
    let default = WindowSelectionConfig::default();
    for (selection, name) in [
        (WindowSelectionConfig { power: f32::NAN, ..default.clone() }, "selection.power"),
        (WindowSelectionConfig { recent: 0, ..default.clone() }, "selection.recent"),
        (WindowSelectionConfig { most_age: 1_000_001, ..default }, "selection.most_age"),
    ] {
        let config = TrainConfig { selection: Some(selection), ..settings("range", Target::Float) };
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
        fs::remove_dir_all(config.dataset.path.parent().unwrap()).unwrap();
    }
}

#[test]
fn a_run_that_diverges_says_so() {
    let config = TrainConfig { learning_rate: 100.0, ..settings("diverges", Target::Float) };
    let mut trainer = Trainer::open(config).unwrap();
    trainer.values[0].fill(f32::INFINITY);
    let error = trainer.train_step().unwrap_err().to_string();
    assert!(error.starts_with("step 1: loss "), "{error}");
    fs::remove_dir_all(trainer.config.dataset.path.parent().unwrap()).unwrap();
}
