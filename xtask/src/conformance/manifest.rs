//! The digests that every target must agree on.

use std::fmt;
use std::fs;

/// The committed manifest.
pub(super) const PATH: &str = "tests/conformance/golden.txt";

/// Names and digests of the program's parts, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts(Vec<(String, String)>);

impl Parts {
    /// Reads lines of `part · digest`, tabs between; the last one is the digest of all.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(|line| {
            let (part, digest) = line
                .split_once('\t')
                .ok_or_else(|| format!("expected a part, a tab and a digest, found {line:?}"))?;
            Ok((part.to_owned(), digest.to_owned()))
        });
        let parts = lines.collect::<Result<Vec<_>, String>>()?;
        match parts.last() {
            Some((last, _)) if last == "all" => Ok(Self(parts)),
            _ => Err("the program ended before its last part".into()),
        }
    }

    /// Reads a file.
    pub(super) fn read(path: &str) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
        Self::parse(&text).map_err(|error| format!("{path}: {error}"))
    }

    /// The digest of all parts.
    pub(super) fn all(&self) -> &str {
        self.0.last().map_or("", |(_, digest)| digest)
    }

    /// Part, expected digest and found digest where this and the expected one differ.
    pub(super) fn differences<'a>(
        &'a self,
        expected: &'a Self,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        let missing = expected.0.iter().filter(move |(part, _)| self.digest(part).is_none());
        let both = move |part: &'a str| {
            let or_nothing = |digest: Option<&'a str>| digest.unwrap_or("nothing");
            (part, or_nothing(expected.digest(part)), or_nothing(self.digest(part)))
        };
        let parts = self.0.iter().chain(missing).map(move |(part, _)| both(part));
        parts.filter(|(_, expected, found)| expected != found)
    }

    /// The digest of a part.
    fn digest(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(part, _)| part == name).map(|(_, digest)| digest.as_str())
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(part, digest)| writeln!(f, "{part}\t{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_read_and_written_as_it_is() {
        let text = "matvec bit3\t00ff\nall\t1234\n";
        let parts = Parts::parse(text).unwrap();
        assert_eq!(parts.all(), "1234");
        assert_eq!(parts.to_string(), text);
    }

    #[test]
    fn output_that_ends_early_is_refused() {
        assert!(Parts::parse("").is_err());
        assert!(Parts::parse("norms\t1\n").unwrap_err().contains("before its last part"));
        assert!(Parts::parse("panicked\nall\t1\n").unwrap_err().contains("panicked"));
    }

    #[test]
    fn parts_that_are_missing_on_either_side_differ() {
        let expected = Parts::parse("a\t1\nb\t2\nall\t3\n").unwrap();
        let found = Parts::parse("b\t2\nc\t9\nall\t3\n").unwrap();
        let differences: Vec<_> = found.differences(&expected).collect();
        assert_eq!(differences, [("c", "nothing", "9"), ("a", "1", "nothing")]);
    }
}
