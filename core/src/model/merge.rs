//! Byte-pair merging in O(n·log n): a list of symbols and a heap of the pairs that may merge.
//!
//! A merge makes the left symbol longer and the right one empty. Pairs that had either symbol stay
//! in the heap and are recognised as stale when they come out: the left symbol is empty, or the two
//! lengths no longer add up. Each of the at most m − 1 merges takes one pair out and puts at most
//! two in, and there are at most m − 1 pairs at the start, so 2·m places are enough for m symbols.

use core::cmp::Ordering;

/// No symbol, no token.
pub(super) const NONE: u32 = u32::MAX;

/// A stretch of text that is one symbol so far. Empty once merged into its left neighbour.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Symbol {
    pub(super) start: u32,
    pub(super) len: u32,
    /// Neighbours to merge with, or `NONE`.
    pub(super) previous: u32,
    pub(super) next: u32,
    /// The token it is, or `NONE` when not looked up.
    pub(super) token: u32,
}

/// Two neighbours whose concatenation is a token.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    score: f32,
    left: u32,
    len: u32,
    token: u32,
}

impl Pair {
    /// Whether this pair merges before the other: higher score first, then further left.
    fn before(&self, other: &Self) -> bool {
        other.score.total_cmp(&self.score).then(self.left.cmp(&other.left)) == Ordering::Less
    }
}

/// Scratch of [`Tokenizer::encode`](super::tokenizer::Tokenizer::encode), one for each byte of text
/// and one more; start from the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slot {
    symbol: Symbol,
    pairs: [Pair; 2],
}

/// Symbols and heap over the caller's scratch.
pub(super) struct Merger<'s> {
    slots: &'s mut [Slot],
    symbols: usize,
    pairs: usize,
}

impl<'s> Merger<'s> {
    pub(super) fn new(slots: &'s mut [Slot]) -> Self {
        Self { slots, symbols: 0, pairs: 0 }
    }

    /// Appends a symbol. One with a token stays as it is; others are linked to neighbours.
    pub(super) fn push_symbol(&mut self, start: u32, len: u32, token: u32) {
        let last = self.symbols.checked_sub(1);
        let open = last.filter(|&i| token == NONE && self.symbol(i as u32).token == NONE);
        let previous = open.map_or(NONE, |i| i as u32);
        let symbol = Symbol { start, len, previous, next: NONE, token };
        self.set_symbol(self.symbols as u32, symbol);
        self.set_next(previous, self.symbols as u32);
        self.symbols += 1;
    }

    /// Merges until no pair is left. `lookup(start, len)` gives token and score of a stretch.
    pub(super) fn run(&mut self, lookup: impl Fn(u32, u32) -> Option<(u32, f32)>) {
        for left in 0..self.symbols as u32 {
            self.offer(left, &lookup);
        }
        while let Some(pair) = self.pop() {
            let left = self.symbol(pair.left);
            let right = self.symbol(left.next);
            if left.len == 0 || left.next == NONE || left.len + right.len != pair.len {
                continue;
            }
            self.set_symbol(left.next, Symbol { len: 0, ..right });
            let merged = Symbol { len: pair.len, next: right.next, token: pair.token, ..left };
            self.set_symbol(pair.left, merged);
            if right.next != NONE {
                let after = self.symbol(right.next);
                self.set_symbol(right.next, Symbol { previous: pair.left, ..after });
            }
            if left.previous != NONE {
                self.offer(left.previous, &lookup);
            }
            self.offer(pair.left, &lookup);
        }
    }

    /// The symbols that are left, in the order of the text.
    pub(super) fn symbols(&self) -> impl Iterator<Item = Symbol> {
        let slots = self.slots.get(..self.symbols).unwrap_or_default();
        slots.iter().map(|slot| slot.symbol).filter(|symbol| symbol.len > 0)
    }

    /// Puts the pair that starts at `left` into the heap if it is a token.
    fn offer(&mut self, left: u32, lookup: &impl Fn(u32, u32) -> Option<(u32, f32)>) {
        let Symbol { start, len, next, .. } = self.symbol(left);
        if next == NONE {
            return;
        }
        let len = len + self.symbol(next).len;
        if let Some((token, score)) = lookup(start, len) {
            self.push(Pair { score, left, len, token });
        }
    }

    fn symbol(&self, i: u32) -> Symbol {
        self.slots.get(i as usize).map_or_else(Symbol::default, |slot| slot.symbol)
    }

    fn set_symbol(&mut self, i: u32, symbol: Symbol) {
        if let Some(slot) = self.slots.get_mut(i as usize) {
            slot.symbol = symbol;
        }
    }

    fn set_next(&mut self, i: u32, next: u32) {
        if i != NONE {
            let symbol = self.symbol(i);
            self.set_symbol(i, Symbol { next, ..symbol });
        }
    }

    fn pair(&self, i: usize) -> Pair {
        let slot = self.slots.get(i / 2);
        slot.map_or_else(Pair::default, |slot| slot.pairs[i % 2])
    }

    fn set_pair(&mut self, i: usize, pair: Pair) {
        if let Some(slot) = self.slots.get_mut(i / 2) {
            slot.pairs[i % 2] = pair;
        }
    }

    fn push(&mut self, pair: Pair) {
        let mut i = self.pairs;
        self.pairs += 1;
        while i > 0 && pair.before(&self.pair((i - 1) / 2)) {
            self.set_pair(i, self.pair((i - 1) / 2));
            i = (i - 1) / 2;
        }
        self.set_pair(i, pair);
    }

    fn pop(&mut self) -> Option<Pair> {
        self.pairs = self.pairs.checked_sub(1)?;
        let top = self.pair(0);
        let moved = self.pair(self.pairs);
        let mut i = 0;
        loop {
            let mut child = 2 * i + 1;
            if child >= self.pairs {
                break;
            }
            if child + 1 < self.pairs && self.pair(child + 1).before(&self.pair(child)) {
                child += 1;
            }
            if !self.pair(child).before(&moved) {
                break;
            }
            self.set_pair(i, self.pair(child));
            i = child;
        }
        self.set_pair(i, moved);
        Some(top)
    }
}
