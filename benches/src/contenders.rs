//! Who takes part. A new kernel is one line in [`all`].

use crate::peers::{bitnet, candle, tritter};
use crate::{Error, Matvec, Ternary};

/// Every contender, loaded with the matrix of `problem`, in the order of the table.
///
/// # Errors
///
/// When a library refuses the matrix.
pub fn all(problem: &Ternary) -> Result<Vec<Box<dyn Matvec>>, Error> {
    Ok(vec![
        Box::new(candle::Float::new(problem)?),
        Box::new(candle::Quantised::q8_0(problem)?),
        Box::new(candle::Quantised::q4_0(problem)?),
        Box::new(tritter::Packed::new(problem)?),
        Box::new(bitnet::Layer::new(problem)?),
    ])
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
