//! Classes of characters, and characters without case and accents.

use super::tables::{BASES, CONTROL, MARKS, PUNCTUATION};
use core::cmp::Ordering;

fn is_in(c: char, ranges: &[(u32, u32)]) -> bool {
    let c = u32::from(c);
    let order = |&(first, last): &(u32, u32)| match () {
        () if last < c => Ordering::Less,
        () if first > c => Ordering::Greater,
        () => Ordering::Equal,
    };
    ranges.binary_search_by(order).is_ok()
}

/// Whether a character is left out of a text: NUL, U+FFFD, and control, format and private
/// characters that are no white space.
pub(super) fn is_dropped(c: char) -> bool {
    let kept = matches!(c, '\t' | '\n' | '\r') || (' '..='\x7e').contains(&c);
    c == '\u{fffd}' || (!kept && is_in(c, &CONTROL))
}

/// Whether a character is a word of its own: every ASCII character that is neither letter, digit,
/// control nor space, and Unicode's categories P.
pub(super) fn is_punctuation(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_punctuation() } else { is_in(c, &PUNCTUATION) }
}

/// Whether a character is a Chinese, or borrowed, ideograph, which is a word of its own too.
pub(super) fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c),
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x2_0000..=0x2_A6DF | 0x2_A700..=0x2_B73F
        | 0x2_B740..=0x2_B81F | 0x2_B920..=0x2_CEAF | 0xF900..=0xFAFF | 0x2_F800..=0x2_FA1F)
}

/// Calls `each` with the character in lower case and without accents: none, one or some.
pub(super) fn plain(c: char, each: &mut impl FnMut(char)) {
    if c.is_ascii() {
        return each(c.to_ascii_lowercase());
    }
    if let Some(letters) = hangul(c) {
        return letters.into_iter().flatten().for_each(each);
    }
    if is_in(c, &MARKS) {
        return;
    }
    let base = u16::try_from(u32::from(c))
        .ok()
        .and_then(|c| BASES.binary_search_by_key(&c, |&(c, _)| c).ok())
        .and_then(|i| BASES.get(i))
        .and_then(|&(_, base)| char::from_u32(base.into()));
    base.unwrap_or(c).to_lowercase().for_each(each);
}

/// The two or three letters of a Hangul syllable (Unicode, section 3.12).
fn hangul(c: char) -> Option<[Option<char>; 3]> {
    let index = u32::from(c).checked_sub(0xAC00).filter(|&index| index < 11_172)?;
    let (lead, vowel, tail) = (index / 588, index % 588 / 28, index % 28);
    let tail = if tail == 0 { None } else { char::from_u32(0x11A7 + tail) };
    Some([char::from_u32(0x1100 + lead), char::from_u32(0x1161 + vowel), tail])
}
