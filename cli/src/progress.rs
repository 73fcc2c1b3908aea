//! Progress on standard error, for people only: nothing is shown when it is not a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for `len` steps of work. Cleared when it is dropped.
pub(crate) fn bar(what: &'static str, len: usize) -> Progress {
    let bar = ProgressBar::new(len as u64).with_message(what);
    let template = "{msg} [{bar:32}] {pos}/{len}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    Progress(bar)
}

/// A bar that disappears at the end, errors included.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Some steps more are done.
    pub(crate) fn step(&self, steps: usize) {
        self.0.inc(steps as u64);
    }

    /// Says how it goes, before the bar.
    #[cfg(feature = "train")]
    pub(crate) fn note(&self, text: String) {
        self.0.set_message(text);
    }

    /// Says a line that stays, above the bar.
    #[cfg(feature = "train")]
    pub(crate) fn line(&self, text: &str) {
        self.0.println(text);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
