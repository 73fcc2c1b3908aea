//! Ascending positions in few bits (Elias 1974, Fano 1971).
//!
//! ```text
//! k positions below n, l = ⌊log₂(n/k)⌋:
//!   low bits    l of each, one after another          k·l bits, padded to words
//!   high bits   bit (p >> l) + i set for the i-th p   k + (n−1 >> l) bits, padded to words
//! ```
//!
//! About 2 + log₂(n/k) bits a position, a length that depends on n and k alone.

use crate::error::ArgumentError;

/// The layout of k positions below n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positions {
    n: usize,
    k: usize,
    low_bits: u32,
}

impl Positions {
    /// `0 < k ≤ n < 2³²`.
    pub(super) const fn new(n: usize, k: usize) -> Self {
        Self { n, k, low_bits: (n / k).ilog2() }
    }

    const fn low_words(self) -> usize {
        (self.k * self.low_bits as usize).div_ceil(32)
    }

    /// Words that they take.
    pub(super) const fn words(self) -> usize {
        let high_bits = self.k + ((self.n - 1) >> self.low_bits);
        self.low_words() + high_bits.div_ceil(32)
    }

    /// A writer into words that are all zero.
    pub(super) fn writer(self, words: &mut [u32]) -> Writer<'_> {
        let (low, high) = words.split_at_mut(self.low_words().min(words.len()));
        Writer { low_bits: self.low_bits, count: 0, low, high }
    }

    /// Calls `visit(place, position)` for all.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for words that do not hold k ascending positions below n.
    pub(super) fn read(
        self,
        words: &[u32],
        mut visit: impl FnMut(usize, usize),
    ) -> Result<(), ArgumentError> {
        let (low, high) = words.split_at(self.low_words().min(words.len()));
        let mut place = 0;
        let mut next = 0;
        for (w, word) in high.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                let bit = 32 * w + word.trailing_zeros() as usize;
                word &= word - 1;
                let upper = bit.checked_sub(place).unwrap_or(self.n) << self.low_bits;
                let position = upper | self.low(low, place);
                super::check_count("position", position, next, self.n - 1)?;
                super::check_count("positions", place + 1, 1, self.k)?;
                visit(place, position);
                (place, next) = (place + 1, position + 1);
            }
        }
        super::check_count("positions", place, self.k, self.k)
    }

    fn low(self, words: &[u32], place: usize) -> usize {
        let bit = place * self.low_bits as usize;
        let word = |w: usize| u64::from(words.get(w).copied().unwrap_or(0));
        let both = word(bit / 32) | word(bit / 32 + 1) << 32;
        (both >> (bit % 32)) as usize & ((1 << self.low_bits) - 1)
    }
}

/// Writes positions in ascending order.
pub(super) struct Writer<'w> {
    low_bits: u32,
    count: usize,
    low: &'w mut [u32],
    high: &'w mut [u32],
}

impl Writer<'_> {
    pub(super) fn push(&mut self, position: usize) {
        let bit = self.count * self.low_bits as usize;
        let low = (position as u64 & ((1 << self.low_bits) - 1)) << (bit % 32);
        if let Some(word) = self.low.get_mut(bit / 32) {
            *word |= low as u32;
        }
        if let Some(word) = self.low.get_mut(bit / 32 + 1) {
            *word |= (low >> 32) as u32;
        }
        let bit = (position >> self.low_bits) + self.count;
        if let Some(word) = self.high.get_mut(bit / 32) {
            *word |= 1 << (bit % 32);
        }
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::{vec, vec::Vec};

    fn round_trip(n: usize, wanted: &[usize]) {
        let layout = Positions::new(n, wanted.len());
        let mut words = vec![0; layout.words()];
        let mut writer = layout.writer(&mut words);
        wanted.iter().for_each(|&p| writer.push(p));
        let mut read = Vec::new();
        layout.read(&words, |_, p| read.push(p)).unwrap();
        assert_eq!(read, wanted);
    }

    #[test]
    fn extremes() {
        for n in [1, 2, 31, 64, 65, 1000] {
            round_trip(n, &(0..n).collect::<Vec<_>>());
            round_trip(n, &[n - 1]);
            round_trip(n, &[0]);
        }
        round_trip(1 << 30, &[0, 5, (1 << 30) - 1]);
    }

    #[test]
    fn a_position_takes_about_two_bits_more_than_its_share() {
        // 1% of a million: 2 + log₂ 100 = 8.6 bits.
        let bits = 32.0 * Positions::new(1_000_000, 10_000).words() as f64 / 10_000.0;
        assert!(bits < 8.7, "{bits}");
    }

    proptest! {
        #[test]
        fn positions_come_back(n in 1usize..5000, some in proptest::collection::vec(any::<u32>(), 1..300)) {
            let wanted: BTreeSet<usize> = some.iter().map(|p| *p as usize % n).collect();
            round_trip(n, &wanted.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn words_by_chance_are_refused_or_read_as_ascending(
            n in 1usize..3000, k in 1usize..200, seed in proptest::collection::vec(any::<u32>(), 400),
        ) {
            let layout = Positions::new(n, k.min(n));
            let words = &seed[..layout.words().min(400)];
            let mut last = None;
            let _ = layout.read(words, |_, p| {
                assert!(p < n && last.is_none_or(|last| last < p));
                last = Some(p);
            });
        }
    }
}
