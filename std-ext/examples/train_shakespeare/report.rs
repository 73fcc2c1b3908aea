//! Progress of a training run.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Instant;

/// A bar on a terminal, a line now and then elsewhere.
pub(crate) struct Report {
    bar: Option<ProgressBar>,
    start: Instant,
    first: usize,
    step_tokens: usize,
}

impl Report {
    const LINE_EVERY: usize = 50;

    /// Progress from step `first` to `steps`, each of `step_tokens` tokens.
    pub(crate) fn new(first: usize, steps: usize, step_tokens: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(steps as u64).with_position(first as u64);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {eta} left");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, start: Instant::now(), first, step_tokens }
    }

    /// Tells loss and gradient norm of the last of `done` steps.
    pub(crate) fn step(&self, done: usize, loss: f32, norm: f64) {
        let tokens = ((done - self.first) * self.step_tokens) as f64;
        let speed = tokens / self.start.elapsed().as_secs_f64();
        let message = format!("loss {loss:.4}  norm {norm:.2}  {speed:.0} tokens/s");
        match &self.bar {
            Some(bar) => {
                bar.set_message(message);
                bar.inc(1);
            }
            None if done.is_multiple_of(Self::LINE_EVERY) => println!("step {done}: {message}"),
            None => {}
        }
    }

    /// Says a line that stays.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => println!("{text}"),
        }
    }

    /// Leaves the terminal tidy.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}
