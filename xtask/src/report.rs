//! What happened to each step, and the table that closes a run.

use std::fmt::Write as _;
use std::time::Duration;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done; the text, often empty, is worth knowing all the same.
    Passed(String),
    /// Failed, and why.
    Failed(String),
    /// Not run, and why.
    Skipped(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "ok",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
        }
    }

    fn remark(&self) -> &str {
        match self {
            Self::Passed(text) | Self::Failed(text) | Self::Skipped(text) => text,
        }
    }

    /// A step that failed.
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// The outcomes of a run, in order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// Adds a step and prints how it ended.
    pub(crate) fn add(&mut self, name: &'static str, outcome: Outcome, time: Duration) {
        println!("-- {}", row(name, &outcome, time));
        self.rows.push((name, outcome, time));
    }

    /// Whether any step failed.
    pub(crate) fn any_failed(&self) -> bool {
        self.rows.iter().any(|(_, outcome, _)| outcome.is_failure())
    }

    /// The table, then the line `N passed, N failed, N skipped`.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::from("\n== summary\n");
        for (name, outcome, time) in &self.rows {
            let _ = writeln!(text, "   {}", row(name, outcome, *time));
        }
        let total: Duration = self.rows.iter().map(|(_, _, time)| *time).sum();
        let _ = writeln!(text, "   {:<18} {:<8}{:>8}\n", "total", "", seconds(total));
        let count = |word| self.rows.iter().filter(|row| row.1.word() == word).count();
        let (passed, failed, skipped) = (count("ok"), count("failed"), count("skipped"));
        let _ = writeln!(text, "{passed} passed, {failed} failed, {skipped} skipped");
        text
    }
}

fn row(name: &str, outcome: &Outcome, time: Duration) -> String {
    let start = format!("{name:<18} {:<8}{:>8}", outcome.word(), seconds(time));
    match outcome.remark() {
        "" => start,
        remark => format!("{start}  {remark}"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_counts_and_closes_with_the_plain_line() {
        let mut report = Report::default();
        report.add("fmt", Outcome::Passed(String::new()), Duration::from_millis(1500));
        report.add("clippy", Outcome::Failed("cargo clippy: status 101".into()), Duration::ZERO);
        report.add("aarch64", Outcome::Skipped("no emulator".into()), Duration::ZERO);
        report.add("docs", Outcome::Passed(String::new()), Duration::ZERO);
        assert!(report.any_failed());
        let summary = report.summary();
        assert_eq!(summary.lines().last(), Some("2 passed, 1 failed, 1 skipped"));
        assert!(summary.contains("   fmt                ok         1.5 s\n"));
        assert!(summary.contains("  no emulator\n"));
    }

    #[test]
    fn an_empty_run_has_not_failed() {
        assert!(!Report::default().any_failed());
    }
}
