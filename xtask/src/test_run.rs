//! One run of `cargo xtask test`: the chosen steps in order, then the table.

use crate::arguments::Selection;
use crate::report::{Outcome, Report};
use crate::requirement::Requirement;
use crate::setup;
use crate::steps::{STEPS, Step, Work};
use std::io::Write as _;
use std::time::Instant;

/// Runs the selected steps and prints the summary; false if any step failed.
pub(crate) fn run(selection: &Selection) -> bool {
    let chosen: Vec<&Step> = STEPS.iter().filter(|step| is_chosen(step, selection)).collect();
    let strict = is_strict(std::env::var("CI").ok().as_deref());
    let mut report = Report::default();
    let mut not_installed = Vec::new();
    for (index, step) in chosen.iter().enumerate() {
        if selection.fail_fast && report.any_failed() {
            break;
        }
        println!("\n== {}/{} {}: {}", index + 1, chosen.len(), step.name, step.about);
        let start = Instant::now();
        let outcome = perform(step, &mut not_installed);
        report.add(step.name, if strict { tightened(outcome) } else { outcome }, start.elapsed());
    }
    print!("{}", report.summary());
    // The closing line must leave before the process does, even into a pipe that is already full;
    // a closed one is not a fault of the code under test.
    let _ = std::io::stdout().flush();
    !report.any_failed()
}

fn is_chosen(step: &Step, selection: &Selection) -> bool {
    if selection.only.is_empty() {
        return selection.full || !step.full;
    }
    selection.only.iter().any(|name| name == step.name)
}

/// In continuous integration nothing may go unchecked.
fn is_strict(ci: Option<&str>) -> bool {
    !matches!(ci, None | Some("" | "0" | "false"))
}

fn tightened(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Skipped(reason) => Outcome::Failed(format!("must not be skipped: {reason}")),
        other => other,
    }
}

fn perform(step: &Step, not_installed: &mut Vec<(Requirement, String)>) -> Outcome {
    if let Some(reason) = obstacle(step.needs, not_installed) {
        return Outcome::Skipped(reason);
    }
    match step.work {
        Work::Setup => {
            *not_installed = setup::install_missing();
            Outcome::Passed(setup::remark(not_installed))
        }
        Work::Check(check) => check().map_or_else(Outcome::Failed, Outcome::Passed),
        Work::Commands(commands) => {
            match commands().iter().try_for_each(|invocation| invocation.run()) {
                Ok(()) => Outcome::Passed(String::new()),
                Err(reason) => Outcome::Failed(reason),
            }
        }
    }
}

/// The first missing need, with setup's reason where setup tried.
fn obstacle(needs: &[Requirement], not_installed: &[(Requirement, String)]) -> Option<String> {
    let missing = needs.iter().find(|need| !need.is_present())?;
    let tried = not_installed.iter().find(|(requirement, _)| requirement == missing);
    Some(match tried {
        Some((_, reason)) => format!("{missing} is missing: {reason}"),
        None => format!("{missing} is missing"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_steps_run_only_when_asked_for() {
        let names = |selection: &Selection| -> Vec<&str> {
            STEPS.iter().filter(|s| is_chosen(s, selection)).map(|s| s.name).collect()
        };
        let normal = names(&Selection::default());
        assert!(normal.contains(&"tests-debug") && !normal.contains(&"miri"));
        let full = names(&Selection { full: true, ..Selection::default() });
        assert_eq!(full.len(), STEPS.len());
        let named = Selection { only: vec!["miri".into()], ..Selection::default() };
        assert_eq!(names(&named), ["miri"]);
    }

    #[test]
    fn continuous_integration_turns_a_skip_into_a_failure() {
        assert!(is_strict(Some("true")) && is_strict(Some("1")));
        assert!(!is_strict(None) && !is_strict(Some("")) && !is_strict(Some("false")));
        assert!(tightened(Outcome::Skipped("no emulator".into())).is_failure());
        assert_eq!(tightened(Outcome::Passed(String::new())), Outcome::Passed(String::new()));
    }

    #[test]
    fn a_missing_need_carries_the_reason_of_setup() {
        const NOWHERE: Requirement = Requirement::Target("pdp11-unknown-none");
        let tried = [(NOWHERE, "rustup target: exit status: 1".to_owned())];
        let reason = obstacle(&[NOWHERE], &tried).unwrap();
        assert_eq!(reason, "target pdp11-unknown-none is missing: rustup target: exit status: 1");
        assert_eq!(obstacle(&[], &tried), None);
    }
}
