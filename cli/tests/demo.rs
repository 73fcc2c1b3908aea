//! The demonstration, on the model that is in the repository.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use support::{fail, json, run, succeed};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/shakespeare.gguf");

#[test]
fn the_demonstration_shows_every_lane_with_its_digest() {
    let text = succeed(["demo", "--tokens", "12", "--prompt", "JULIET:", "--seed", "4"]);
    let report = json(["verify", MODEL]);
    let lanes = report["lanes"].as_object().unwrap();
    assert_eq!(lanes.keys().collect::<Vec<_>>(), ["bit3", "bit5", "bit7"]);
    for (lane, report) in lanes {
        assert!(text.contains(&format!("── {lane} ──\nJULIET:")), "{text}");
        let digest = report["digest"].as_str().unwrap();
        let row = text.lines().find(|line| line.starts_with(&format!("{lane} ")));
        assert!(row.unwrap().ends_with(digest), "{text}");
        let run = ["run", MODEL, "--tokens", "12", "--prompt", "JULIET:", "--seed", "4"];
        let alone = succeed(run.iter().chain(&["--lane", lane]));
        assert!(text.contains(&alone), "{alone} is not in {text}");
    }
    assert!(text.contains("Next"), "{text}");
}

#[test]
fn every_lane_predicts_far_better_than_chance() {
    let text = succeed(["demo", "--tokens", "1"]);
    let loss = |lane: &str| {
        let row = text.lines().find(|line| line.starts_with(&format!("{lane} "))).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        cells[cells.len() - 2].parse::<f64>().unwrap()
    };
    let chance = 512f64.ln();
    for lane in ["bit3", "bit5", "bit7"] {
        assert!(loss(lane) < chance / 2.0, "{text}");
    }
}

#[test]
fn the_repositorys_model_agrees_on_every_level_and_runs_at_every_lane() {
    assert_eq!(json(["verify", MODEL, "--all-levels"])["agree"], true);
    for lane in ["bit3", "bit5", "bit7"] {
        let run = run(["run", MODEL, "--prompt", "ROMEO:", "--tokens", "20", "--lane", lane]);
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(run.out.starts_with("ROMEO:") && run.err.contains(lane), "{}", run.out);
    }
    fail(2, &["float", "bit3, bit5, bit7"], ["run", MODEL, "--prompt", "a", "--lane", "float"]);
}
