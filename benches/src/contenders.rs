//! Who takes part. A new kernel is one line in [`all`].

use crate::ours::Lane;
use crate::peers::{bitnet, candle, tritter};
use crate::{Error, Matvec, Ternary};
use trilane_core::digits::Group;
use trilane_core::lane::PrecisionLane;
use trilane_std::level::levels;

/// Every contender, loaded with the matrix of `problem`, in the order of the table.
///
/// # Errors
///
/// When a library refuses the matrix.
pub fn all(problem: &Ternary) -> Result<Vec<Box<dyn Matvec>>, Error> {
    let mut all: Vec<Box<dyn Matvec>> = vec![
        Box::new(candle::Float::new(problem)?),
        Box::new(candle::Quantised::q8_0(problem)?),
        Box::new(candle::Quantised::q4_0(problem)?),
        Box::new(tritter::Packed::new(problem)?),
        Box::new(bitnet::Layer::new(problem)?),
    ];
    for level in levels() {
        for (lane, group) in [
            (PrecisionLane::Ternary, Group::Row),
            (PrecisionLane::Bit3, Group::G64),
            (PrecisionLane::Bit5, Group::G64),
            (PrecisionLane::Bit7, Group::G64),
            (PrecisionLane::Bit3, Group::G32),
            (PrecisionLane::Bit5, Group::G32),
            (PrecisionLane::Bit7, Group::G32),
        ] {
            all.push(Box::new(Lane::new(problem, level, lane, group)?));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checked;

    #[test]
    fn every_contender_answers_within_its_tolerance() {
        let problem = Ternary::new(256);
        let expected = problem.reference();
        for contender in all(&problem).unwrap() {
            let error = checked(contender.as_ref(), &problem, &expected).unwrap();
            println!("{}: {error:.1e}", contender.name());
        }
    }
}
