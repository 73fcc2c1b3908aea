//! Which samples come next.

use trilane_std::train::random;

/// The samples in a new seeded order every epoch.
pub(crate) struct Order {
    seed: u64,
    drawn: u64,
    rest: Vec<usize>,
    samples: usize,
}

impl Order {
    /// An order of `samples` samples.
    pub(crate) fn new(samples: usize, seed: u64) -> Self {
        Self { seed: seed ^ 0x0D3E_72A1, drawn: 0, rest: Vec::new(), samples }
    }

    /// The next `n` samples, of two epochs where one ends.
    pub(crate) fn next(&mut self, n: usize) -> Vec<usize> {
        let next = (0..n).map(|_| {
            if self.rest.is_empty() {
                self.rest.extend(0..self.samples);
            }
            let at = random::below(self.seed, self.drawn, self.rest.len());
            self.drawn += 1;
            self.rest.swap_remove(at)
        });
        next.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_sample_once() {
        let mut order = Order::new(10, 1);
        let mut epochs = [order.next(10), order.next(10)];
        assert_ne!(epochs[0], epochs[1]);
        for epoch in &mut epochs {
            epoch.sort_unstable();
            assert_eq!(*epoch, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(Order::new(10, 1).next(10), Order::new(10, 2).next(10));
    }
}
