//! The wire format of Protocol Buffers, as far as reading one message needs it.

/// The value of a field.
pub(super) enum Field<'a> {
    /// A variable-length integer.
    Number(u64),
    /// Four bytes.
    Word(u32),
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
    /// Eight bytes, which no field that is read here has.
    Long,
}

/// Number and value of each field of a message; `None`, and nothing more, where the bytes end early
/// or are none.
pub(super) fn fields(mut rest: &[u8]) -> impl Iterator<Item = Option<(u64, Field<'_>)>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = number(rest)?;
    let value = match key & 7 {
        0 => Field::Number(number(rest)?),
        1 => {
            take(rest, 8)?;
            Field::Long
        }
        2 => {
            let len = usize::try_from(number(rest)?).ok()?;
            Field::Bytes(take(rest, len)?)
        }
        5 => Field::Word(u32::from_le_bytes(*take(rest, 4)?.first_chunk()?)),
        _ => return None,
    };
    Some((key >> 3, value))
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = *take(rest, 1)?.first_chunk()?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (first, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(first)
}
