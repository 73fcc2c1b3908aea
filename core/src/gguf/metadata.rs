//! Keys and values.

use super::cursor::Cursor;
use super::distinct::find_duplicate;
use super::value::Check;
use super::{GgufError, Value, ValueType};

/// Most keys accepted.
pub const MAX_KEYS: u64 = 65_536;
/// Longest key accepted, in bytes.
pub const MAX_KEY_LEN: usize = 65_535;
/// Most bytes accepted for metadata and tensor descriptions together, about ten times what the
/// largest vocabularies take. Positions in the header therefore fit 32 bits.
pub const MAX_HEADER_LEN: u32 = 1 << 28;
/// The key that sets a file's alignment.
pub const ALIGNMENT_KEY: &str = "general.alignment";
/// Alignment of a file that does not set one, in bytes.
pub const DEFAULT_ALIGNMENT: u32 = 32;
/// Largest alignment accepted, in bytes.
pub const MAX_ALIGNMENT: u32 = 65_536;

/// Iterator over a file's keys and values, in the file's order.
#[derive(Clone, Debug)]
pub struct Metadata<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Metadata<'a> {
    /// `count` entries from the cursor on, which have passed [`check`].
    pub(super) const fn new(cursor: Cursor<'a>, count: u32) -> Self {
        Self { cursor, left: count }
    }
}

impl<'a> Iterator for Metadata<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let key = self.cursor.string().ok()?;
        let kind = ValueType::from_u32(self.cursor.u32().ok()?)?;
        Some((key, Value::read(&mut self.cursor, kind, Check::Lengths).ok()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Metadata<'_> {}

/// Checks `count` entries from `cursor` on, leaves it behind them, and returns the alignment.
pub(super) fn check(cursor: &mut Cursor<'_>, count: u32) -> Result<u32, GgufError> {
    let start = *cursor;
    let mut alignment = DEFAULT_ALIGNMENT;
    for index in 0..count {
        let (key, value) = check_entry(cursor, index)?;
        header_position(cursor)?;
        if key == ALIGNMENT_KEY {
            alignment = check_alignment(value)?;
        }
    }
    let positions = || {
        let mut entries = Metadata::new(start, count);
        core::iter::from_fn(move || {
            let position = header_position(&entries.cursor).ok()?;
            entries.next().map(|_| position)
        })
    };
    let name_at = |at: u32| start.at(at as usize).string_bytes().unwrap_or_default();
    match find_duplicate(positions, name_at) {
        None => Ok(alignment),
        Some(found) => Err(GgufError::DuplicateKey {
            key: found.index,
            first: found.first.into(),
            second: found.second.into(),
        }),
    }
}

/// Reads entry `index` and checks everything in it.
fn check_entry<'a>(cursor: &mut Cursor<'a>, index: u32) -> Result<(&'a str, Value<'a>), GgufError> {
    let key = cursor.name()?;
    if key.is_empty() || key.len() > MAX_KEY_LEN {
        return Err(GgufError::KeyLength { key: index, found: key.len() as u64 });
    }
    let offset = cursor.offset();
    let found = cursor.u32()?;
    let kind = ValueType::from_u32(found);
    let kind = kind.ok_or(GgufError::ValueType { key: index, offset, found })?;
    Ok((key, Value::read(cursor, kind, Check::Content)?))
}

/// The cursor's position, which is within the header's limit.
pub(super) fn header_position(cursor: &Cursor<'_>) -> Result<u32, GgufError> {
    match u32::try_from(cursor.position()) {
        Ok(position) if position <= MAX_HEADER_LEN => Ok(position),
        _ => Err(GgufError::HeaderLength { found: cursor.offset(), limit: MAX_HEADER_LEN.into() }),
    }
}

/// The alignment a file asks for.
fn check_alignment(value: Value<'_>) -> Result<u32, GgufError> {
    match value {
        Value::U32(found) if found.is_power_of_two() && found <= MAX_ALIGNMENT => Ok(found),
        Value::U32(found) => Err(GgufError::Alignment { found }),
        other => Err(GgufError::AlignmentType { found: other.kind() }),
    }
}
