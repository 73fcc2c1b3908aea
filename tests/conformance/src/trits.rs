//! Balanced ternary and hypervectors.

use crate::random::Random;
use trilane_core::error::ArgumentError;
use trilane_core::hyper::{
    Bundle, ItemMemory, Neighbour, SparseTrits, Stored, bind, bind_mod3, bundle_words, cosine, dot,
    hamming_distance, permute, project, random, random_sparse, thermometer, words,
};
use trilane_core::kernel::Backend;
use trilane_core::model::Digest;
use trilane_core::trit::{
    I64_TRITS, Trit, Word6, add_ternary, from_balanced_ternary, multiply_ternary,
    to_balanced_ternary,
};

/// A dimension with part of a word, of a register and of a group of registers.
const DIM: usize = 2900;
const ITEM: usize = 2 * words(DIM);

/// The digest of a part; the test below shows that none fails.
pub(crate) fn digest(part: Result<Digest, ArgumentError>) -> Digest {
    part.unwrap_or_else(|_| {
        let mut digest = Digest::default();
        digest.bytes(b"failed");
        digest
    })
}

/// Words and integers of any width: every operation over the same numbers.
pub(crate) fn arithmetic() -> Result<Digest, ArgumentError> {
    let (mut digest, mut numbers) = (Digest::default(), Random(31));
    for value in (-Word6::MAX..=Word6::MAX).step_by(7) {
        let (a, b) = (Word6::from_value(value)?, Word6::from_value(Word6::MAX - value.abs())?);
        let ((sum, carry), (low, high)) = (a + b, a * b);
        for word in [a, -b, sum, low, high] {
            digest.bytes(&word.to_bits().to_le_bytes());
        }
        digest.bytes(&carry.value().to_le_bytes());
    }
    for _ in 0..20 {
        let [a, b] = [0; 2].map(|_| (numbers.signed() * 1e9) as i64);
        let (mut x, mut y) = ([Trit::Z; I64_TRITS], [Trit::Z; I64_TRITS]);
        to_balanced_ternary(a, &mut x)?;
        to_balanced_ternary(b, &mut y)?;
        let (mut sum, mut product) = ([Trit::Z; I64_TRITS], [Trit::Z; 2 * I64_TRITS]);
        add_ternary(&x, &y, &mut sum)?;
        multiply_ternary(&x, &y, &mut product)?;
        for value in [from_balanced_ternary(&sum)?, from_balanced_ternary(&product)?] {
            digest.bytes(&value.to_le_bytes());
        }
    }
    Ok(digest)
}

/// Every operation on hypervectors, by the kernels of a backend.
pub(crate) fn hypervectors(backend: impl Backend) -> Result<Digest, ArgumentError> {
    let mut digest = Digest::default();
    let mut memory = [0; 6 * ITEM];
    let items = ItemMemory::filled(DIM, &mut memory, |i, item| match i {
        0 | 1 => {
            random(i as u64, item);
            Ok(())
        }
        2 | 3 => random_sparse(i as u64, 0.4, item),
        4 => thermometer(3, 7, item),
        _ => project(&[0.5, -1.25, 3.0], 5, item),
    })?;
    let mut out = Stored::zeros(DIM, [0; ITEM])?;
    let mut counters = [0; bundle_words(DIM, 20)];
    let mut sums = Bundle::new(DIM, &mut counters)?;
    let mut put = |out: &Stored<[u64; ITEM]>| {
        for plane in [out.view().plus(), out.view().minus()] {
            digest.bytes(bytemuck::cast_slice(plane));
        }
    };
    for (i, a) in items.iter().enumerate() {
        sums.add_weighted(backend, &a, i as i32 - 2)?;
        permute(&a, 700 * i as i64 - 1000, &mut out.view_mut())?;
        put(&out);
        for b in items.iter() {
            bind(&a, &b, &mut out.view_mut())?;
            put(&out);
            bind_mod3(&a, &b, &mut out.view_mut())?;
            put(&out);
        }
    }
    sums.majority(&mut out.view_mut())?;
    put(&out);
    let mut nearest = [Neighbour::NONE; 6];
    items.nearest(backend, &out.view(), &mut nearest)?;
    for n in nearest {
        digest.bytes(&[n.index as u8]);
        digest.floats(&[n.cosine]);
    }
    for (a, b) in items.iter().flat_map(|a| items.iter().map(move |b| (a, b))) {
        digest.bytes(&dot(backend, &a, &b)?.to_le_bytes());
        digest.bytes(&hamming_distance(backend, &a, &b)?.to_le_bytes());
        digest.floats(&[cosine(backend, &a, &b)?]);
    }
    let sparse = SparseTrits::new(DIM, &[1, 70, 2899], &[0, 64, 1000])?;
    for item in items.iter() {
        digest.bytes(&sparse.dot_planes(&item)?.to_le_bytes());
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trilane_core::kernel::{Baseline, Scalar};

    #[test]
    fn no_part_fails_and_backends_agree() {
        assert!(arithmetic().is_ok());
        let [a, b] = [hypervectors(Scalar), hypervectors(Baseline)].map(|d| d.map(|d| d.value()));
        assert!(a.is_ok() && a == b);
    }
}
