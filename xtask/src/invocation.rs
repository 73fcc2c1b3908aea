//! One command line: built, shown, run.

use std::fmt;
use std::process::{Command, ExitStatus, Stdio};

/// A command with the variables it sets; nothing it starts can wait for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    program: String,
    arguments: Vec<String>,
    set: Vec<(String, String)>,
    cleared: Vec<&'static str>,
    folder: Option<String>,
}

impl Invocation {
    /// The words of `line`, split at spaces: the program, then its arguments.
    pub(crate) fn new(line: &str) -> Self {
        let mut words = line.split_whitespace().map(String::from);
        Self {
            program: words.next().unwrap_or_default(),
            arguments: words.collect(),
            set: Vec::new(),
            cleared: Vec::new(),
            folder: None,
        }
    }

    /// Adds `arguments` as they are.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.set.push((name.into(), value.into()));
        self
    }

    /// Runs it in a folder.
    pub(crate) fn within(mut self, folder: &str) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Sets the compiler flags of `triple`. Cargo reads these only where no RUSTFLAGS is set, so
    /// a RUSTFLAGS of the caller is cleared; documentation tests get the same flags.
    pub(crate) fn target_flags(self, triple: &str, flags: &str) -> Self {
        let key = target_key(triple);
        let mut with_flags = self
            .set(&format!("CARGO_TARGET_{key}_RUSTFLAGS"), flags)
            .set(&format!("CARGO_TARGET_{key}_RUSTDOCFLAGS"), flags);
        with_flags.cleared.extend([
            "RUSTFLAGS",
            "RUSTDOCFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_ENCODED_RUSTDOCFLAGS",
        ]);
        with_flags
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        for name in &self.cleared {
            command.env_remove(name);
        }
        command.envs(self.set.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Prints the command, then runs it with its output on ours.
    pub(crate) fn run(&self) -> Result<(), String> {
        println!("   $ {self}");
        let status =
            self.command().status().map_err(|error| format!("{}: {error}", self.program))?;
        if status.success() { Ok(()) } else { Err(self.failure(status)) }
    }

    /// Prints the command, then runs it; its standard output, or why there is none.
    pub(crate) fn capture(&self) -> Result<String, String> {
        println!("   $ {self}");
        let output = self
            .command()
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("{}: {error}", self.program))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(text)
        } else {
            print!("{text}");
            Err(self.failure(output.status))
        }
    }

    fn failure(&self, status: ExitStatus) -> String {
        let verb = self.arguments.first().map_or("", String::as_str);
        format!("{} {verb}: {status}", self.program)
    }

    /// Runs silently; the standard output if the program exists and succeeds.
    pub(crate) fn output(&self) -> Option<String> {
        let output = self.command().stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(folder) = &self.folder {
            write!(f, "cd {} && ", quoted(folder))?;
        }
        for (name, value) in &self.set {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(&self.program)?;
        self.arguments.iter().try_for_each(|word| write!(f, " {}", quoted(word)))
    }
}

/// A word as a shell would need it, so that a shown command can be copied.
fn quoted(word: &str) -> String {
    if word.contains([' ', '"', '$', ';', '&']) { format!("'{word}'") } else { word.into() }
}

/// `triple` as Cargo spells it inside the names of environment variables.
pub(crate) fn target_key(triple: &str) -> String {
    triple.to_uppercase().replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_a_shell_line() {
        let invocation = Invocation::new("cargo doc --no-deps")
            .arguments(&["two words"])
            .set("RUSTDOCFLAGS", "-D warnings");
        let shown = "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'two words'";
        assert_eq!(invocation.to_string(), shown);
    }

    #[test]
    fn target_flags_use_cargo_names() {
        let invocation =
            Invocation::new("cargo build").target_flags("wasm32-unknown-unknown", "-g");
        let shown = invocation.to_string();
        assert!(shown.contains("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=-g "));
        assert!(invocation.cleared.contains(&"RUSTFLAGS"));
    }

    #[test]
    fn missing_program_is_an_error_not_a_panic() {
        let invocation = Invocation::new("no-such-program-anywhere");
        assert!(invocation.output().is_none());
        assert!(invocation.run().unwrap_err().starts_with("no-such-program-anywhere"));
    }
}
