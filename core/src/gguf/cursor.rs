//! The one place where header bytes are read.

use super::GgufError;

/// A position in the whole file, so that every error can name a file offset.
///
/// Nothing here panics or allocates; a read either fits or says how many bytes were missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor over `bytes`, standing at byte `at`.
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// A cursor over the same bytes, standing at byte `at`.
    pub(super) const fn at(&self, at: usize) -> Self {
        Self { bytes: self.bytes, at }
    }

    /// Bytes before the cursor.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// The same as a file offset.
    pub(super) const fn offset(&self) -> u64 {
        self.at as u64
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Bytes not read yet.
    pub(super) fn available(&self) -> u64 {
        self.rest().len() as u64
    }

    /// Steps over `len` bytes and returns them, or `None`, having moved nowhere, when the file is
    /// shorter.
    pub(super) fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let taken = self.rest().get(..usize::try_from(len).ok()?)?;
        self.at += taken.len();
        Some(taken)
    }

    /// Reads `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let Some(found) = self.rest().first_chunk::<N>() else {
            return Err(GgufError::Truncated {
                offset: self.offset(),
                needed: N as u64,
                available: self.available(),
            });
        };
        self.at += N;
        Ok(*found)
    }

    /// Reads a little-endian `u32`.
    pub(super) fn u32(&mut self) -> Result<u32, GgufError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a little-endian `u64`.
    pub(super) fn u64(&mut self) -> Result<u64, GgufError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a string's length, then its bytes.
    pub(super) fn string_bytes(&mut self) -> Result<&'a [u8], GgufError> {
        let found = self.u64()?;
        let (offset, available) = (self.offset(), self.available());
        self.take(found).ok_or(GgufError::StringLength { offset, found, available })
    }

    /// Reads a string and checks that it is UTF-8.
    pub(super) fn string(&mut self) -> Result<&'a str, GgufError> {
        let bytes = self.string_bytes()?;
        let start = self.offset() - bytes.len() as u64;
        core::str::from_utf8(bytes)
            .map_err(|error| GgufError::Utf8 { offset: start + error.valid_up_to() as u64 })
    }

    /// Reads a string that names something: UTF-8 without NUL.
    pub(super) fn name(&mut self) -> Result<&'a str, GgufError> {
        let name = self.string()?;
        match name.bytes().position(|byte| byte == 0) {
            None => Ok(name),
            Some(at) => Err(GgufError::Nul { offset: self.offset() - (name.len() - at) as u64 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_says_what_was_missing_and_does_not_move() {
        let mut cursor = Cursor::new(&[1, 0, 0, 0, 9, 9], 0);
        assert_eq!(cursor.u32(), Ok(1));
        let missing = GgufError::Truncated { offset: 4, needed: 4, available: 2 };
        assert_eq!(cursor.u32(), Err(missing));
        assert_eq!(cursor.take(3), None);
        assert_eq!(cursor.take(u64::MAX), None);
        assert_eq!(cursor.take(2), Some([9, 9].as_slice()));
        assert_eq!(cursor.position(), 6);
        assert_eq!(cursor.available(), 0);
    }

    #[test]
    fn a_cursor_beyond_its_bytes_has_nothing_left() {
        let mut cursor = Cursor::new(&[1, 2], 5);
        assert_eq!(cursor.available(), 0);
        assert_eq!(cursor.take(1), None);
    }

    #[test]
    fn strings_are_checked_where_they_stand() {
        let text = |bytes: &[u8]| {
            let mut file = std::vec![0xAA; 3];
            file.extend((bytes.len() as u64).to_le_bytes());
            file.extend(bytes);
            file
        };
        let ok = text("a\0é".as_bytes());
        assert_eq!(Cursor::new(&ok, 3).string(), Ok("a\0é"));
        assert_eq!(Cursor::new(&ok, 3).name(), Err(GgufError::Nul { offset: 12 }));
        let bad = text(b"ab\xFFc");
        assert_eq!(Cursor::new(&bad, 3).string(), Err(GgufError::Utf8 { offset: 13 }));
        let mut long = text(b"ab");
        long[3] = 3;
        let error = GgufError::StringLength { offset: 11, found: 3, available: 2 };
        assert_eq!(Cursor::new(&long, 3).string(), Err(error));
    }
}
