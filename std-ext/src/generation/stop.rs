//! Ending a text before one of some strings, however it is cut into pieces.

/// Holds back what could become a stop string.
#[derive(Clone, Debug)]
pub(super) struct StopStrings {
    /// None of them empty.
    stops: Vec<String>,
    /// Text that was given away, and after it text that is held back.
    text: String,
    given: usize,
}

impl StopStrings {
    pub(super) fn new(stops: &[String]) -> Self {
        Self { stops: stops.to_vec(), text: String::new(), given: 0 }
    }

    /// What can be shown with the next piece, and whether a stop string ends the text there. Where
    /// several do, the one that begins first counts.
    pub(super) fn push(&mut self, piece: &str) -> (&str, bool) {
        self.text.drain(..self.given);
        self.text.push_str(piece);
        let found = self.stops.iter().filter_map(|stop| self.text.find(stop.as_str())).min();
        self.given = found.unwrap_or_else(|| self.text.len() - self.held());
        (&self.text[..self.given], found.is_some())
    }

    /// What was held back, now that nothing follows it but `last`.
    pub(super) fn finish(&mut self, last: &str) -> &str {
        self.text.drain(..self.given);
        self.text.push_str(last);
        self.given = self.text.len();
        &self.text
    }

    /// Bytes of the longest end of the text that a stop string begins with. No stop string is in
    /// the text, so the longest is also the first that could become one.
    fn held(&self) -> usize {
        let beginnings = self.stops.iter().map(|stop| {
            let lengths = stop.char_indices().map(|(at, _)| at).rev();
            let mut lengths = lengths.filter(|&len| self.text.ends_with(&stop[..len]));
            lengths.next().unwrap_or(0)
        });
        beginnings.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows a text cut into pieces; the second part is what a stop string was found in.
    fn shown(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.into()).collect();
        let mut filter = StopStrings::new(&stops);
        let mut all = String::new();
        for piece in pieces {
            let (text, stopped) = filter.push(piece);
            all.push_str(text);
            if stopped {
                return (all, true);
            }
        }
        all.push_str(filter.finish("!"));
        (all, false)
    }

    #[test]
    fn a_stop_string_is_found_however_the_text_is_cut() {
        let text = "ä–– ––b: aab.";
        let (stops, expected) = (["aab", "–b", "zz"], "ä–– –");
        for first in (0..=text.len()).filter(|&at| text.is_char_boundary(at)) {
            for second in (first..=text.len()).filter(|&at| text.is_char_boundary(at)) {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(shown(&stops, &pieces), (expected.into(), true), "{pieces:?}");
                assert_eq!(shown(&["–c"], &pieces), (format!("{text}!"), false), "{pieces:?}");
                assert_eq!(shown(&[], &pieces), (format!("{text}!"), false));
            }
        }
    }

    #[test]
    fn nothing_is_held_back_that_cannot_become_a_stop_string() {
        let mut filter = StopStrings::new(&["aab".into(), "b:".into()]);
        assert_eq!(filter.push("xa"), ("x", false));
        assert_eq!(filter.push("a"), ("", false));
        assert_eq!(filter.push("a"), ("a", false));
        assert_eq!(filter.push("c"), ("aac", false));
        assert_eq!(filter.push("b"), ("", false));
        assert_eq!(filter.push("c:"), ("bc:", false));
        assert_eq!(filter.push("ab:"), ("a", true));
    }

    #[test]
    fn the_stop_string_that_begins_first_counts() {
        assert_eq!(shown(&["cd", "bcde"], &["abcdef"]), ("a".into(), true));
        assert_eq!(shown(&["bcde", "cd"], &["abcd"]), ("ab".into(), true));
    }
}
