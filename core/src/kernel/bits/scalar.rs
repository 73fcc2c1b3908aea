//! The specification.

use crate::hyper::TritPlanes;

/// The words of both planes of two vectors, in turn.
fn words<'a>(a: &TritPlanes<'a>, b: &TritPlanes<'a>) -> impl Iterator<Item = ([u64; 2], [u64; 2])> {
    let pairs = |v: &TritPlanes<'a>| v.plus().iter().zip(v.minus()).map(|(p, m)| [*p, *m]);
    pairs(a).zip(pairs(b))
}

pub(in crate::kernel) fn trit_dot(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> i64 {
    let product = |([ap, am], [bp, bm]): ([u64; 2], [u64; 2])| {
        let (agree, differ) = (ap & bp | am & bm, ap & bm | am & bp);
        i64::from(agree.count_ones()) - i64::from(differ.count_ones())
    };
    words(a, b).map(product).sum()
}

pub(in crate::kernel) fn trit_distance(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> u64 {
    let differ = |([ap, am], [bp, bm]): ([u64; 2], [u64; 2])| (ap ^ bp) | (am ^ bm);
    words(a, b).map(|pair| u64::from(differ(pair).count_ones())).sum()
}

pub(in crate::kernel) fn trit_nonzeros(a: &TritPlanes<'_>) -> u64 {
    let nonzero = a.plus().iter().zip(a.minus()).map(|(p, m)| p | m);
    nonzero.map(|bits| u64::from(bits.count_ones())).sum()
}

pub(in crate::kernel) fn trit_gram(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> (i64, u64, u64) {
    (trit_dot(a, b), trit_nonzeros(a), trit_nonzeros(b))
}

pub(in crate::kernel) fn trit_sums(vectors: &[TritPlanes<'_>], first: usize, counters: &mut [u64]) {
    for v in vectors {
        let words = v.plus().len();
        for (at, (plus, minus)) in v.plus().iter().zip(v.minus()).enumerate() {
            for mut carry in [*plus, !minus] {
                for bits in counters.iter_mut().skip(first * words + at).step_by(words.max(1)) {
                    (*bits, carry) = (*bits ^ carry, *bits & carry);
                    if carry == 0 {
                        break;
                    }
                }
            }
        }
    }
}
