//! Arguments that JavaScript passes as numbers and bytes.

use crate::failure::Failure;
use js_sys::Uint8Array;
#[cfg(feature = "decoder")]
use trilane_core::digits::Group;
use trilane_core::lane::PrecisionLane;
use trilane_std::memory::filled;

/// The lane of a number.
pub(crate) fn lane(number: u8) -> Result<PrecisionLane, Failure> {
    let lane = PrecisionLane::ALL.get(usize::from(number)).copied();
    lane.ok_or_else(|| Failure::new("option", format!("there is no lane {number}")))
}

/// How many weights share a scale.
#[cfg(feature = "decoder")]
pub(crate) fn group(weights: u32) -> Result<Group, Failure> {
    Group::from_weights(weights as usize).ok_or_else(|| {
        Failure::new("option", format!("group: expected 0, 32 or 64, found {weights}"))
    })
}

/// A text that JavaScript has encoded.
pub(crate) fn utf8(text: &Uint8Array) -> Result<String, Failure> {
    let mut bytes = filled("the text", 0, text.length() as usize)?;
    text.copy_to(&mut bytes);
    String::from_utf8(bytes).map_err(|error| Failure::new("text", error))
}
