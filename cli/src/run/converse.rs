//! A conversation over standard input: each line is a turn.

use crate::error::Error;
use crate::generate::refused;
use crate::load::Compute;
use crate::table::counted;
use std::io::{BufRead, Write, stderr, stdin};
use std::ops::ControlFlow;
use std::path::Path;
use trilane::core::kernel::Backend;
use trilane::std::generation::{Chat, End, GenerationConfig, ModelRunner, Outcome};

/// Goes on with `prompt`, if there is one, and then with every line of standard input.
pub(super) fn converse<B: Backend>(
    path: &Path,
    runner: ModelRunner<'_, B>,
    compute: &Compute,
    config: &GenerationConfig,
    prompt: &str,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let context = runner.capacity();
    let mut chat = Chat::new(runner);
    let mut turn = |chat: &mut Chat<'_, B>, text: &str| -> Result<(), Error> {
        let mut failed = Ok(());
        let outcome = chat.say(&compute.threads, text, config, &mut |piece| {
            failed = out.write_all(piece.as_bytes()).and_then(|()| out.flush());
            if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        failed?;
        let outcome = outcome.map_err(|error| refused(path, error))?;
        writeln!(out)?;
        report(&outcome, context);
        Ok(())
    };
    if !prompt.is_empty() {
        turn(&mut chat, prompt)?;
    }
    for line in stdin().lock().lines() {
        let line = line.map_err(|e| Error::io(Path::new("standard input"), e))?;
        let transcript = chat.transcript();
        let before = if transcript.is_empty() || transcript.ends_with('\n') { "" } else { "\n" };
        turn(&mut chat, &format!("{before}{line}\n"))?;
    }
    Ok(())
}

/// What a turn took. Nothing depends on whether it can be written.
fn report(outcome: &Outcome, context: usize) {
    let ended = match outcome.end {
        Some(End::Context) => format!("; the context of {context} tokens is full"),
        _ => String::new(),
    };
    let _ = writeln!(
        stderr(),
        "[text so far: {}, {} of them kept from before; generated: {}; computed: {}{ended}]",
        counted(outcome.prompt, "token"),
        outcome.reused,
        counted(outcome.generated, "token"),
        counted(outcome.forwards, "token"),
    );
}
