//! Finding equal names without memory to remember them all.

/// Positions remembered at a time: 1 KiB of stack together with their number.
const WINDOW: usize = 254;

/// Two entries with the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duplicate {
    /// How many entries stand before the later of the two.
    pub(super) index: u32,
    /// Position of the earlier one.
    pub(super) first: u32,
    /// Position of the later one.
    pub(super) second: u32,
}

/// Finds two entries with the same name, if there are any. `walk` starts an iterator over the
/// positions of all entries, `name_at` gives the name at a position.
///
/// Each pass over the n entries collects, sorted, the positions of the 254 smallest names above
/// those that the passes before collected. Equal names therefore belong to the same pass, and in
/// it the later one finds the earlier one in the window: only names above 254 others are kept or
/// pushed out of it, and the same then holds for their equals.
///
/// Names are compared in full, so there is no hash to attack. Whatever the names are, there are at
/// most ⌈n / 254⌉ passes (one, for most models' keys) and 10 comparisons per entry and pass.
pub(super) fn find_duplicate<'a, I>(
    walk: impl Fn() -> I,
    name_at: impl Fn(u32) -> &'a [u8],
) -> Option<Duplicate>
where
    I: Iterator<Item = u32>,
{
    let mut finished: Option<&[u8]> = None;
    loop {
        let mut window = Window { positions: [0; WINDOW], len: 0 };
        let mut more = false;
        for (index, second) in (0..).zip(walk()) {
            let name = name_at(second);
            if finished.is_some_and(|largest| name <= largest) {
                continue;
            }
            match window.used().binary_search_by(|&at| name_at(at).cmp(name)) {
                Ok(slot) => {
                    let first = window.used().get(slot).copied().unwrap_or(second);
                    return Some(Duplicate { index, first, second });
                }
                Err(slot) => more |= window.insert(slot, second),
            }
        }
        if !more {
            return None;
        }
        finished = window.used().last().map(|&at| name_at(at));
    }
}

/// Positions in the order of their names, the largest of which fall out at the end.
struct Window {
    positions: [u32; WINDOW],
    len: usize,
}

impl Window {
    fn used(&self) -> &[u32] {
        self.positions.get(..self.len).unwrap_or_default()
    }

    /// Inserts `position` before the one in `slot`; says whether one fell out, be it the new one.
    fn insert(&mut self, slot: usize, position: u32) -> bool {
        let full = self.len == WINDOW;
        if !full {
            self.len += 1;
        }
        let mut carried = position;
        for place in self.positions.iter_mut().take(self.len).skip(slot) {
            core::mem::swap(place, &mut carried);
        }
        full
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    fn find(names: &[String]) -> Option<Duplicate> {
        let count = u32::try_from(names.len()).unwrap();
        find_duplicate(|| 0..count, |at| names[at as usize].as_bytes())
    }

    /// `count` different names in an order that is neither rising nor falling.
    fn scattered(count: usize) -> Vec<String> {
        (0..count).map(|i| std::format!("blk.{}.w", i * 7919 % count)).collect()
    }

    #[test]
    fn different_names_pass_at_every_window_boundary() {
        for count in [0, 1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW, 2 * WINDOW + 1, 2003] {
            let mut names = scattered(count);
            assert_eq!(find(&names), None, "{count}");
            names.sort();
            assert_eq!(find(&names), None, "{count} rising");
            names.reverse();
            assert_eq!(find(&names), None, "{count} falling");
        }
    }

    #[test]
    fn one_pair_is_found_wherever_it_stands() {
        for count in [2, 3, WINDOW, WINDOW + 1, 3 * WINDOW + 5] {
            let step = count / 50 + 1;
            for first in (0..count).step_by(step) {
                for second in (first + 1..count).step_by(step) {
                    let mut names = scattered(count);
                    names[second] = names[first].clone();
                    let [first, second] = [first as u32, second as u32];
                    let expected = Duplicate { index: second, first, second };
                    assert_eq!(find(&names), Some(expected), "{count}");
                }
            }
        }
    }

    #[test]
    fn a_prefix_is_another_name() {
        let names = ["a", "ab", "b", "abc"].map(String::from);
        assert_eq!(find(&names), None);
    }
}
