//! Text that arrives in pieces cut anywhere, printed only in whole characters.

/// Puts bytes together to characters; keeps at most the 3 bytes of one that is not complete.
#[derive(Debug, Clone, Copy, Default)]
pub struct Utf8Stream {
    held: [u8; 4],
    len: usize,
}

impl Utf8Stream {
    /// A stream at its start.
    #[must_use]
    pub const fn new() -> Self {
        Self { held: [0; 4], len: 0 }
    }

    /// Length of output that is always enough for `len_bytes` of input: each byte, and the held
    /// ones, may become U+FFFD.
    #[must_use]
    pub const fn output_len(len_bytes: usize) -> usize {
        len_bytes.saturating_add(3).saturating_mul(3)
    }

    /// Takes the next bytes and gives the characters that are now complete. Exact.
    ///
    /// Bytes that cannot be part of a character become U+FFFD, one for each maximal invalid
    /// sequence, as `String::from_utf8_lossy` has it. `None` when `out` is shorter than
    /// [`output_len`](Self::output_len); nothing is taken then.
    pub fn push<'o>(&mut self, bytes: &[u8], out: &'o mut [u8]) -> Option<&'o str> {
        if out.len() < Self::output_len(bytes.len()) {
            return None;
        }
        let mut written = 0;
        for &byte in bytes {
            if let Some(free) = self.held.get_mut(self.len) {
                *free = byte;
                self.len += 1;
            }
            self.drain(out, &mut written);
        }
        str::from_utf8(out.get(..written)?).ok()
    }

    /// Ends the text: U+FFFD if a character was not complete, else nothing.
    #[must_use]
    pub fn finish(&mut self) -> &'static str {
        let open = self.len > 0;
        self.len = 0;
        if open { "\u{fffd}" } else { "" }
    }

    /// Moves what is decided from the held bytes to `out`.
    fn drain(&mut self, out: &mut [u8], written: &mut usize) {
        while self.len > 0 {
            let held = self.held;
            let held = held.get(..self.len).unwrap_or_default();
            let (taken, text) = match str::from_utf8(held) {
                Ok(text) => (self.len, text),
                Err(error) => match error.error_len() {
                    Some(invalid) => (invalid, "\u{fffd}"),
                    None => return,
                },
            };
            if let Some(place) = out.get_mut(*written..*written + text.len()) {
                place.copy_from_slice(text.as_bytes());
                *written += text.len();
            }
            self.held.rotate_left(taken);
            self.len -= taken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Utf8Stream;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn through(chunks: &[&[u8]]) -> String {
        let mut stream = Utf8Stream::new();
        let mut text = String::new();
        for chunk in chunks {
            let mut out = [0; 256];
            text.push_str(stream.push(chunk, &mut out).unwrap());
        }
        text + stream.finish()
    }

    #[test]
    fn characters_wait_for_their_last_byte() {
        let mut stream = Utf8Stream::new();
        let mut out = [0; 16];
        for &byte in &[0xf0, 0x9f, 0x98] {
            assert_eq!(stream.push(&[byte], &mut out), Some(""));
        }
        assert_eq!(stream.push(&[0x80], &mut out), Some("😀"));
        assert_eq!(stream.push(b"a", &mut [0; 11]), None);
        assert_eq!(stream.finish(), "");
    }

    proptest! {
        #[test]
        fn any_cut_is_like_the_lossy_conversion(
            chunks in prop::collection::vec(
                prop::collection::vec(
                    prop_oneof![any::<u8>(), 0x80u8..0xc0, prop::sample::select(&[0xe2, 0xf0, 0xed, 0x9f][..])],
                    0..9,
                ),
                0..9,
            )
        ) {
            let whole = chunks.concat();
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(through(&chunks), String::from_utf8_lossy(&whole));
        }
    }
}
