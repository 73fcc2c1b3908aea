//! Counts over the bit planes of hypervectors, and sums of their signs.

use crate::random::Random;
use trilane_core::hyper::{TritPlanes, words};
use trilane_core::kernel::{Backend, Level, Scalar};

/// Planes of a vector of one of several kinds: mixed, dense, all +1, all −1, zeros, dense but for
/// one word.
fn planes(dim: usize, kind: usize, random: &mut Random) -> [Vec<u64>; 2] {
    let last = u64::MAX >> (dim.wrapping_neg() % 64);
    let word = |i: usize, random: &mut Random| {
        let (a, b) = (random.bits(), random.bits());
        let some = if i == words(dim) / 2 { b } else { u64::MAX };
        let nearly_dense = [a & some, !a & some];
        let [plus, minus] =
            [[a & b, a & !b], [a, !a], [u64::MAX, 0], [0, u64::MAX], [0, 0], nearly_dense][kind];
        let mask = if i + 1 == words(dim) { last } else { u64::MAX };
        (plus & mask, minus & mask)
    };
    let (plus, minus) = (0..words(dim)).map(|i| word(i, random)).unzip();
    [plus, minus]
}

fn dims() -> impl Iterator<Item = usize> {
    (1..=66).step_by(13).chain((1..=70).map(|words| 64 * words - words % 3 * 20)).chain([10_000])
}

fn counts_are_those_of_the_specification(level: Level) {
    let mut random = Random(1);
    for dim in dims() {
        for (kind_a, kind_b) in
            [(0, 0), (0, 1), (1, 1), (2, 2), (2, 3), (4, 1), (3, 0), (5, 1), (2, 5)]
        {
            let a = planes(dim, kind_a, &mut random);
            let b = planes(dim, kind_b, &mut random);
            let a = TritPlanes::new(dim, &a[0], &a[1]).unwrap();
            let b = TritPlanes::new(dim, &b[0], &b[1]).unwrap();
            let counts = |s: &dyn Fn(&TritPlanes<'_>) -> u64| [s(&a), s(&b)];
            assert_eq!(level.trit_dot(&a, &b), Scalar.trit_dot(&a, &b), "{dim}");
            assert_eq!(level.trit_distance(&a, &b), Scalar.trit_distance(&a, &b), "{dim}");
            let nonzeros = counts(&|v| Scalar.trit_nonzeros(v));
            assert_eq!(counts(&|v| level.trit_nonzeros(v)), nonzeros, "{dim}");
            assert_eq!(level.trit_gram(&a, &b), Scalar.trit_gram(&a, &b), "{dim}");
            assert_eq!(nonzeros[0], a.count_nonzero() as u64);
        }
    }
}

fn sums_are_those_of_the_specification(level: Level) {
    let mut random = Random(2);
    for dim in [1, 63, 64, 65, 130, 192, 256, 300, 449, 512, 513, 1000] {
        let vectors: Vec<_> = (0..13).map(|i| planes(dim, i % 5, &mut random)).collect();
        let views: Vec<_> =
            vectors.iter().map(|[p, m]| TritPlanes::new(dim, p, m).unwrap()).collect();
        for count in [0, 1, 2, 3, 4, 5, 8, 13] {
            for (levels, first) in [(2, 0), (3, 1), (4, 3), (7, 0), (9, 2), (3, 3), (0, 0)] {
                let before: Vec<u64> =
                    (0..levels * words(dim) + 2).map(|_| random.bits()).collect();
                let sums = |backend: &dyn Fn(&mut [u64])| {
                    let mut counters = before.clone();
                    let end = counters.len() - 1;
                    backend(&mut counters[1..end]);
                    assert_eq!((counters[0], counters[end]), (before[0], before[end]), "guard");
                    // Counters of the padding have no meaning.
                    let last = u64::MAX >> (dim.wrapping_neg() % 64);
                    for (i, word) in counters[1..end].iter_mut().enumerate() {
                        *word &= if (i + 1) % words(dim) == 0 { last } else { u64::MAX };
                    }
                    counters
                };
                let expected = sums(&|c| Scalar.trit_sums(&views[..count], first, c));
                let found = sums(&|c| level.trit_sums(&views[..count], first, c));
                assert!(found == expected, "{dim} trits, {count} vectors, {levels} from {first}");
            }
        }
    }
}

every_backend!(counts_are_those_of_the_specification, sums_are_those_of_the_specification);
