//! One digest: the conformance program on every target that can run here, against the manifest.

mod manifest;
mod targets;

use crate::invocation::Invocation;
use manifest::Parts;
use std::fmt::Write as _;
use std::fs;

const MODELS: [&str; 2] = ["models/shakespeare.gguf", "models/digits.gguf"];

/// The program's output on one target at one level.
struct Row {
    target: &'static str,
    level: String,
    place: &'static str,
    parts: Parts,
}

/// Runs the program everywhere and prints the table; with `bless` the manifest becomes what all
/// targets agree on.
///
/// # Errors
/// A target that does not run, targets that differ among each other, or from the manifest.
pub(crate) fn run(bless: bool) -> Result<String, String> {
    let rows = targets::run()?;
    let golden = if bless {
        let parts = rows.first().map(|row| row.parts.clone()).unwrap_or_default();
        fs::write(manifest::PATH, parts.to_string())
            .map_err(|e| format!("{}: {e}", manifest::PATH))?;
        parts
    } else {
        Parts::read(manifest::PATH)?
    };
    print!("{}", table(&rows, &golden));
    let wrong = rows.iter().filter(|row| row.parts != golden).count();
    if wrong > 0 {
        return Err(format!("{wrong} of {} rows differ from {}", rows.len(), manifest::PATH));
    }
    Ok(format!("{} rows, one digest: {}", rows.len(), golden.all()))
}

/// A line for each row, and under it the parts that differ.
fn table(rows: &[Row], golden: &Parts) -> String {
    let mut text = format!("{:<30}{:<12}{:<22}{:<18}\n", "target", "level", "where", "digest");
    for Row { target, level, place, parts } in rows {
        let mark = if parts == golden { "equal" } else { "DIFFERS" };
        let _ = writeln!(text, "{target:<30}{level:<12}{place:<22}{:<18}{mark}", parts.all());
        for (part, expected, found) in parts.differences(golden) {
            let _ = writeln!(text, "    {part}: expected {expected}, found {found}");
        }
    }
    text
}

/// Output of a command, as the parts it prints.
fn parts(command: &Invocation) -> Result<Parts, String> {
    Parts::parse(&command.capture()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_differs_names_its_parts() {
        let golden = Parts::parse("norms\t1\nall\t2\n").unwrap();
        let row = |text: &str| Row {
            target: "t",
            level: "lut".into(),
            place: "here",
            parts: Parts::parse(text).unwrap(),
        };
        let text = table(&[row("norms\t1\nall\t2\n"), row("norms\t3\nall\t4\n")], &golden);
        assert_eq!(text.matches("equal").count(), 1);
        assert!(
            text.contains("DIFFERS\n    norms: expected 1, found 3\n    all: expected 2, found 4")
        );
    }
}
