//! Which neurons are computed, and at which lane.

use crate::math;

/// Which neurons a sparse feed-forward block computes, by their predicted contribution.
///
/// A neuron whose predicted contribution is 0 is never computed, other than by [`All`](Self::All).
/// Of equal predictions the earlier neuron comes first. Exact, given the predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Selection {
    /// Every neuron.
    All,
    /// The `k` with the largest predictions, at the block's lane.
    TopK(usize),
    /// Those with at least this prediction, at the block's lane.
    Threshold(f32),
    /// This share of the neurons (0 to 1, rounded up), those with the largest predictions, at the
    /// block's lane.
    Share(f32),
    /// Shares of the neurons, by descending prediction, at Bit7, Bit5 and Bit3; the rest is left
    /// out. A lane above the block's counts as the block's.
    Lanes([f32; 3]),
    /// As many as can be read in this share (0 to 1) of the bytes of the dense block at its lane,
    /// each at the lane that is worth its bytes. What the prediction reads counts as well; when that
    /// alone is more, no neuron is computed.
    Bytes(f32),
}

impl Selection {
    /// What [`Bytes`](Self::Bytes) multiplies its λ with: a neuron is computed at Bit7, Bit5 or Bit3
    /// when its prediction is above λ times these, for the smallest λ whose neurons can be read.
    /// Descending. `neuron` are the bytes of one at Bit7, Bit5 and Bit3. Ordered.
    pub fn byte_factors(neuron: [usize; 3]) -> [f32; 3] {
        let [mut seven, mut five, three] = factors(neuron);
        // Steps that are not worth taking alone are taken together with the next.
        five = five.max(three);
        seven = seven.max(five);
        [seven, five, three]
    }
}

/// Squared error of a neuron's contribution at Bit7, Bit5 and Bit3, relative to leaving it out.
///
/// Weights of groups of 32 without error-compensated rounding; only the ratios matter, and only
/// for [`Selection::Bytes`].
const SQUARED_ERRORS: [f32; 3] = [0.0004, 0.006, 0.12];

/// What a selection costs: bytes of a neuron at Bit7, Bit5 and Bit3, of the prediction, and of the
/// dense block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Costs {
    pub(super) neuron: [usize; 3],
    pub(super) prediction: usize,
    pub(super) dense: usize,
}

/// A limit among predictions: those above it, and the first few equal to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    bits: u32,
    equal: usize,
}

/// Nothing is above it.
const NOTHING: Limit = Limit { bits: u32::MAX, equal: 0 };

/// How many neurons are computed at each lane; their indices are consecutive lists.
pub(super) type Counts = [usize; 3];

/// Writes the selected neurons to `rows`: those at Bit7, then Bit5, then Bit3, each list ascending.
/// `scores` are the predictions, not negative; `rows` has their length.
pub(super) fn select(
    selection: Selection,
    scores: &[f32],
    costs: Costs,
    rows: &mut [u32],
) -> Counts {
    let n = scores.len();
    let limits = match selection {
        Selection::All => {
            for (row, i) in rows.iter_mut().zip(0..) {
                *row = i;
            }
            return [n, 0, 0];
        }
        Selection::TopK(k) => [largest(scores, k, rows), NOTHING, NOTHING],
        Selection::Share(share) => [largest(scores, share_of(share, n), rows), NOTHING, NOTHING],
        Selection::Threshold(least) => {
            [Limit { bits: least.to_bits().saturating_sub(1), equal: 0 }, NOTHING, NOTHING]
        }
        Selection::Lanes([first, second, third]) => {
            let mut upto = |share| largest(scores, share_of(share, n), rows);
            [upto(first), upto(first + second), upto(first + second + third)]
        }
        Selection::Bytes(share) => affordable(scores, share, costs),
    };
    distribute(scores, limits, rows)
}

/// That share of `n`, rounded up.
fn share_of(share: f32, n: usize) -> usize {
    libm::ceilf(share * n as f32) as usize
}

/// The limit that leaves the `k` largest above it: a byte of its bits at a time, highest first, by
/// counting how many of those that agree so far have each value. `agreeing` is memory as long as
/// `scores`, for the bits of those.
fn largest(scores: &[f32], k: usize, agreeing: &mut [u32]) -> Limit {
    if k == 0 {
        return NOTHING;
    }
    if k >= scores.len() {
        return Limit { bits: 0, equal: 0 };
    }
    // Magnitudes are in the order of their bits.
    for (bits, score) in agreeing.iter_mut().zip(scores) {
        *bits = score.to_bits();
    }
    let (mut bits, mut wanted, mut len) = (0, k, scores.len());
    for shift in [24, 16, 8, 0] {
        let agreeing = agreeing.get_mut(..len).unwrap_or(&mut []);
        let mut counts = [0; 256];
        for key in &*agreeing {
            counts[usize::from((key >> shift) as u8)] += 1;
        }
        let mut digit = 0;
        for (value, &count) in counts.iter().enumerate().rev() {
            if wanted <= count {
                digit = value as u8;
                break;
            }
            wanted -= count;
        }
        bits |= u32::from(digit) << shift;
        len = retain(agreeing, |key| (key >> shift) as u8 == digit);
    }
    Limit { bits, equal: wanted }
}

/// Moves the kept ones to the front; how many there are. Without a branch on what is kept.
fn retain(list: &mut [u32], keep: impl Fn(u32) -> bool) -> usize {
    let cells = core::cell::Cell::from_mut(list).as_slice_of_cells();
    let mut len = 0;
    for cell in cells {
        let value = cell.get();
        if let Some(to) = cells.get(len) {
            to.set(value);
        }
        len += usize::from(keep(value));
    }
    len
}

/// Lists the neurons above each limit that are not above one before it.
fn distribute(scores: &[f32], limits: [Limit; 3], rows: &mut [u32]) -> Counts {
    if let [limit, NOTHING, NOTHING] = limits {
        return [above(scores, limit, rows), 0, 0];
    }
    let mut counts = [0; 3];
    each_chosen(scores, limits, |_, lane| counts[lane.min(2)] += 1);
    let mut next = [0, counts[0], counts[0] + counts[1]];
    each_chosen(scores, limits, |i, lane| {
        let next = &mut next[lane.min(2)];
        if let Some(row) = rows.get_mut(*next) {
            *row = i;
        }
        *next += 1;
    });
    counts
}

/// Lists the neurons above one limit; how many there are.
fn above(scores: &[f32], limit: Limit, rows: &mut [u32]) -> usize {
    // Zero is below every limit.
    let mut equal = if limit.bits == 0 { 0 } else { limit.equal };
    let mut len = 0;
    for (first, scores) in (0..).step_by(32).zip(scores.chunks(32)) {
        let mut keys = [0; 32];
        keys.iter_mut().zip(scores).for_each(|(key, score)| *key = score.to_bits());
        // A bit for each, so that what is not chosen costs no branch.
        let mut chosen = 0u32;
        for (i, &key) in keys.iter().enumerate() {
            chosen |= u32::from(key > limit.bits) << i;
        }
        if equal > 0 {
            for (i, _) in keys.iter().enumerate().filter(|(_, key)| **key == limit.bits).take(equal)
            {
                chosen |= 1 << i;
                equal -= 1;
            }
        }
        while chosen != 0 {
            if let Some(row) = rows.get_mut(len) {
                *row = first + chosen.trailing_zeros();
            }
            len += 1;
            chosen &= chosen - 1;
        }
    }
    len
}

/// Calls `each` with every neuron that is within a limit, and the first such limit.
fn each_chosen(scores: &[f32], limits: [Limit; 3], mut each: impl FnMut(u32, usize)) {
    // Zero is below every limit.
    let mut equal = limits.map(|limit| if limit.bits == 0 { 0 } else { limit.equal });
    for (i, &score) in (0u32..).zip(scores) {
        let bits = score.to_bits();
        let mut first = None;
        // Limits are cumulative: each counts the equal ones that those before it take.
        for (lane, (limit, equal)) in limits.iter().zip(&mut equal).enumerate() {
            let among = bits == limit.bits && *equal > 0;
            if among {
                *equal -= 1;
            }
            if first.is_none() && (among || bits > limit.bits) {
                first = Some(lane);
            }
        }
        if let Some(lane) = first {
            each(i, lane);
        }
    }
}

/// The limits at which the chosen neurons read that share of the dense block's bytes.
///
/// A neuron of prediction `s` is worth `s²·(e_a − e_b)` at lane b instead of a, and costs
/// `c_b − c_a` more, so it takes the step where `s ≥ λ·√((c_b − c_a) / (e_a − e_b))`. The smallest
/// λ that fits is found by bisection over the bits of a float.
fn affordable(scores: &[f32], share: f32, costs: Costs) -> [Limit; 3] {
    let budget = (f64::from(share) * costs.dense as f64) as usize;
    let Some(budget) = budget.checked_sub(costs.prediction) else { return [NOTHING; 3] };
    let [seven, five, three] = Selection::byte_factors(costs.neuron);
    let limits = |lambda: f32| {
        [seven, five, three].map(|factor| Limit { bits: (lambda * factor).to_bits(), equal: 0 })
    };
    let bytes = |lambda: f32| -> usize {
        let [seven, five, three] = limits(lambda).map(|limit| {
            scores.iter().map(|s| u32::from(s.to_bits() > limit.bits)).sum::<u32>() as usize
        });
        let [c7, c5, c3] = costs.neuron;
        seven * c7 + (five - seven) * c5 + (three - five) * c3
    };
    let (mut low, mut high) = (0, f32::MAX.to_bits() >> 1);
    if bytes(0.0) <= budget {
        return limits(0.0);
    }
    while high - low > 1 {
        let middle = low.midpoint(high);
        if bytes(f32::from_bits(middle)) <= budget { high = middle } else { low = middle }
    }
    limits(f32::from_bits(high))
}

/// `√(Δcost / Δerror)` of the steps to Bit7, to Bit5 and to Bit3.
fn factors([c7, c5, c3]: [usize; 3]) -> [f32; 3] {
    let [e7, e5, e3] = SQUARED_ERRORS;
    let factor = |cost: usize, error: f32| {
        let ratio = cost as f32 / error;
        if ratio > 0.0 { ratio * math::rsqrt(ratio) } else { 0.0 }
    };
    [
        factor(c7.saturating_sub(c5), e5 - e7),
        factor(c5.saturating_sub(c3), e3 - e5),
        factor(c3, 1.0 - e3),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const COSTS: Costs = Costs { neuron: [100, 70, 40], prediction: 500, dense: 10_000 };

    fn selected(selection: Selection, scores: &[f32]) -> (Vec<u32>, Counts) {
        let mut rows = vec![u32::MAX; scores.len()];
        let counts = select(selection, scores, COSTS, &mut rows);
        rows.truncate(counts.iter().sum());
        (rows, counts)
    }

    /// Predictions with many equal ones, zeros among them.
    fn scores(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 28) as f32 * 0.25
        };
        (0..len).map(next).collect()
    }

    /// By sorting: descending, the earlier of equal ones first, without zeros.
    fn naive(scores: &[f32], counts: [usize; 3]) -> Vec<u32> {
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b)));
        order.retain(|&i| scores[i as usize] > 0.0);
        let mut rest = &order[..];
        let mut all = Vec::new();
        for count in counts {
            let (list, after) = rest.split_at(count.min(rest.len()));
            let mut list = list.to_vec();
            list.sort_unstable();
            all.extend(list);
            rest = after;
        }
        all
    }

    #[test]
    fn the_largest_are_those_of_a_sorted_list() {
        for (len, seed) in [(0, 1), (1, 2), (2, 3), (10, 4), (64, 5), (100, 6), (1000, 7)] {
            let scores = scores(len, seed);
            for k in [0, 1, 2, 5, len / 3, len.saturating_sub(1), len, len + 5] {
                let (rows, counts) = selected(Selection::TopK(k), &scores);
                assert_eq!(rows, naive(&scores, [k, 0, 0]), "{k} of {len}");
                assert_eq!(counts[1..], [0, 0]);
            }
            for shares in [[0.5, 0.25, 0.25], [0.25, 0.5, 0.0], [0.0, 0.25, 0.5], [0.0; 3]] {
                let upto = |n: usize| share_of(shares[..n].iter().sum(), len);
                let counts = [upto(1), upto(2) - upto(1), upto(3) - upto(2)];
                let (rows, _) = selected(Selection::Lanes(shares), &scores);
                assert_eq!(rows, naive(&scores, counts), "{shares:?} of {len}");
            }
        }
    }

    #[test]
    fn thresholds_take_what_reaches_them() {
        let scores = [0.0, 0.5, 0.25, 1.0, 0.5];
        assert_eq!(selected(Selection::Threshold(0.5), &scores).0, [1, 3, 4]);
        assert_eq!(selected(Selection::Threshold(0.0), &scores).0, [1, 2, 3, 4]);
        assert_eq!(selected(Selection::Threshold(2.0), &scores).0, []);
        assert_eq!(selected(Selection::All, &scores).0, [0, 1, 2, 3, 4]);
    }

    /// Never more than the budget, more with more of it, and higher lanes for higher predictions.
    #[test]
    fn bytes_are_spent_and_not_exceeded() {
        let scores: Vec<f32> = (0..100).map(|i| 0.93f32.powi(i * 37 % 100)).collect();
        let mut before = 0;
        for percent in 0..=110 {
            let share = (percent as f32 / 100.0).min(1.0);
            let (rows, counts) = selected(Selection::Bytes(share), &scores);
            let spent: usize = counts.iter().zip(COSTS.neuron).map(|(n, c)| n * c).sum();
            assert!(spent == 0 || spent + COSTS.prediction <= (share * 10_000.0) as usize);
            assert!(spent >= before, "{percent}%");
            before = spent;
            let lists = [&rows[..counts[0]], &rows[counts[0]..][..counts[1]]];
            let least = |list: &[u32]| list.iter().map(|&i| scores[i as usize]).fold(2.0, f32::min);
            let most = |list: &[u32]| list.iter().map(|&i| scores[i as usize]).fold(0.0, f32::max);
            assert!(least(lists[0]) >= most(lists[1]));
            assert!(least(lists[1]) >= most(&rows[counts[0] + counts[1]..]));
        }
        // Nearly all of the budget is used, up to the cost of a neuron.
        assert!(before > 9_000, "{before}");
    }
}
