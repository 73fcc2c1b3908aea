//! The command line: what was asked for, and the text that teaches it.

use crate::steps::{self, STEPS};

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Print the help.
    Help,
    /// Print the names of the steps.
    List,
    /// Install what is missing, and nothing else.
    Setup,
    /// Build the npm package and the demo page.
    Wasm,
    /// Build them and serve the page.
    Demo,
    /// Check and time the GPU of this machine.
    Gpu,
    /// Run the conformance program everywhere; make what it prints the manifest if asked to.
    Conformance {
        /// Whether the manifest is written.
        bless: bool,
    },
    /// Run test steps.
    Test(Selection),
}

/// Which steps of the test run are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Includes the steps that take long.
    pub(crate) full: bool,
    /// Only these steps, by name; empty means all. A step named here runs even without `full`.
    pub(crate) only: Vec<String>,
    /// Stops at the first failed step.
    pub(crate) fail_fast: bool,
}

/// Reads the words after `cargo xtask`.
pub(crate) fn parse(words: &[String]) -> Result<Request, String> {
    let Some((task, rest)) = words.split_first() else {
        return Ok(Request::Help);
    };
    match task.as_str() {
        "help" | "--help" | "-h" => Ok(Request::Help),
        "setup" if rest.is_empty() => Ok(Request::Setup),
        "setup" => Err("setup takes no arguments".into()),
        "wasm" if rest.is_empty() => Ok(Request::Wasm),
        "wasm" => Err("wasm takes no arguments".into()),
        "demo" if rest.is_empty() => Ok(Request::Demo),
        "demo" => Err("demo takes no arguments".into()),
        "gpu" if rest.is_empty() => Ok(Request::Gpu),
        "gpu" => Err("gpu takes no arguments".into()),
        "conformance" => match rest {
            [] => Ok(Request::Conformance { bless: false }),
            [option] if option == "--bless" => Ok(Request::Conformance { bless: true }),
            _ => Err("conformance takes no arguments but --bless".into()),
        },
        "test" => parse_test(rest),
        other => Err(format!("unknown task `{other}`; `cargo xtask help` lists them")),
    }
}

fn parse_test(words: &[String]) -> Result<Request, String> {
    let mut selection = Selection::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--full" => selection.full = true,
            "--keep-going" => selection.fail_fast = false,
            "--fail-fast" => selection.fail_fast = true,
            "--list" => return Ok(Request::List),
            "--help" | "-h" => return Ok(Request::Help),
            "--only" => {
                let names = words.next().ok_or("--only needs the names of steps")?;
                select(&mut selection.only, names)?;
            }
            other => match other.strip_prefix("--only=") {
                Some(names) => select(&mut selection.only, names)?,
                None => return Err(format!("unknown option `{other}` of test")),
            },
        }
    }
    Ok(Request::Test(selection))
}

/// Adds the comma-separated `names` to `only`; each must be the name of a step.
fn select(only: &mut Vec<String>, names: &str) -> Result<(), String> {
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !STEPS.iter().any(|step| step.name == name) {
            return Err(format!(
                "no step is called `{name}`; the steps are:\n{}",
                steps::listing()
            ));
        }
        only.push(name.into());
    }
    if only.is_empty() {
        return Err("--only needs the names of steps".into());
    }
    Ok(())
}

/// The text of `cargo xtask help`.
pub(crate) fn help() -> String {
    format!(
        "\
cargo xtask test [OPTIONS]   check everything: lints, tests, every target that can run here
    --full               also the steps that take long (marked below)
    --only STEP[,STEP]   these steps only, in the order of the list
    --list               print the steps
    --keep-going         run the remaining steps after a failed one (the default)
    --fail-fast          stop at the first failed step
cargo xtask setup            install what the tests need and this machine lacks
cargo xtask wasm             build the npm package in target/npm/trilane, the demo page in target/demo
cargo xtask demo             build them and serve the page on localhost
cargo xtask gpu              check the NVIDIA GPU of this machine, write its figures to docs/gpu.md
cargo xtask conformance      run the conformance program on every target, compare the digests
    --bless              make this machine's digests the manifest tests/conformance/golden.txt
cargo xtask help             print this text

Steps of test:
{}
A step whose tool cannot be installed is skipped, with the reason in the closing table; when the
environment variable CI is set (and not `false`), it fails instead. The test steps set
TRILANE_REQUIRE to the instruction sets this machine has, so that a backend cannot go untested
unnoticed; a value already in the environment is kept.
",
        steps::listing()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(&line.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn no_words_ask_for_help() {
        assert_eq!(parsed(""), Ok(Request::Help));
        assert_eq!(parsed("test --help"), Ok(Request::Help));
    }

    #[test]
    fn test_options_are_read() {
        let selection =
            Selection { full: true, only: vec!["fmt".into(), "docs".into()], fail_fast: true };
        let request = Ok(Request::Test(selection));
        assert_eq!(parsed("test --full --only fmt,docs --fail-fast"), request);
        assert_eq!(parsed("test --only=fmt --full --only docs --fail-fast"), request);
        assert_eq!(parsed("test --list"), Ok(Request::List));
    }

    #[test]
    fn later_of_two_opposite_options_wins() {
        let Ok(Request::Test(selection)) = parsed("test --fail-fast --keep-going") else {
            panic!("not read as a test request");
        };
        assert!(!selection.fail_fast);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parsed("tset").unwrap_err().contains("`tset`"));
        assert!(parsed("test --only fmt,speling").unwrap_err().contains("`speling`"));
        assert!(parsed("test --only").is_err());
        assert!(parsed("test --only ,").is_err());
        assert!(parsed("test --fast").unwrap_err().contains("`--fast`"));
        assert!(parsed("setup now").is_err());
        assert!(parsed("wasm now").is_err());
        assert!(parsed("demo now").is_err());
    }
}
