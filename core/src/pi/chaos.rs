//! Reproducible disorder, keyed by digits of π.

use super::weyl::{centered_float, unit_float};
use super::{PiError, hex_digits};

/// The odd multiplier that spreads keys: digits 16 to 31 of π's fraction, with the lowest bit set.
const SPREAD: u64 = 0x1319_8A2E_0370_7345;

/// Numbers and orders that depend on a key and an index alone: same input, same output, on every
/// platform. Exact.
///
/// The key is sixteen hexadecimal digits of π at a position of the caller's choice, really computed
/// ([`hex_digits`]). A number is the key plus a counter times an odd constant, passed through the
/// finaliser of SplitMix64 (Steele, Lea and Flood 2014), so a stream has a period of 2⁶⁴ whatever the
/// key, where a table of a hundred digits repeats after a hundred. Not for secrets.
///
/// ```
/// use trilane_core::pi::PiChaos;
/// let chaos = PiChaos::new();
/// assert_eq!(chaos.jitter(7), chaos.jitter(7));
/// let mut schedule = [0; 5];
/// chaos.schedule_order(3, &mut schedule)?;
/// schedule.sort();
/// assert_eq!(schedule, [0, 1, 2, 3, 4]);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PiChaos {
    key: u64,
    counter: u64,
}

impl Default for PiChaos {
    fn default() -> Self {
        Self::new()
    }
}

impl PiChaos {
    /// Keyed by the first sixteen digits, 243F6A8885A308D3.
    pub const fn new() -> Self {
        Self { key: 0x243F_6A88_85A3_08D3, counter: 0 }
    }

    /// Keyed by the sixteen digits from `position` on.
    ///
    /// # Errors
    /// Those of [`hex_digits`].
    pub fn from_digits(position: u64) -> Result<Self, PiError> {
        Ok(Self { key: hex_digits(position)?, counter: 0 })
    }

    /// The 64 bits of an index. Exact; one to one, so no two indices share them.
    pub const fn bits(&self, index: u64) -> u64 {
        mix(self.key.wrapping_add(index.wrapping_add(1).wrapping_mul(SPREAD)))
    }

    /// A generator of its own for each seed: its key is the seed's bits, so that no two seeds share
    /// one. Exact.
    pub const fn stream(&self, seed: u64) -> Self {
        Self { key: self.bits(seed), counter: 0 }
    }

    /// A number in (−½, ½) for an index, an odd multiple of 2⁻²⁵. Exact.
    pub const fn jitter(&self, index: u64) -> f32 {
        centered_float(self.bits(index))
    }

    /// The next number of the stream in [0, 1), a multiple of 2⁻²⁴. Exact.
    pub const fn next_float(&mut self) -> f32 {
        let bits = self.bits(self.counter);
        self.counter = self.counter.wrapping_add(1);
        unit_float(bits)
    }

    /// A permutation of `0..order.len()` for each `seed`, every one equally likely up to the
    /// generator: the shuffle of Fisher and Yates, draws without bias by Lemire's rejection (2019).
    /// Exact.
    ///
    /// # Errors
    /// [`PiError::TooLarge`] for more than 2³¹ elements.
    pub fn permutation(&self, seed: u64, order: &mut [u32]) -> Result<(), PiError> {
        let greatest = 1 << 31;
        if order.len() as u64 > greatest {
            return Err(PiError::TooLarge { greatest, actual: order.len() as u64 });
        }
        let mut stream = self.stream(seed);
        for (i, v) in order.iter_mut().enumerate() {
            *v = i as u32;
        }
        for last in (1..order.len()).rev() {
            order.swap(last, stream.below(last as u32 + 1) as usize);
        }
        Ok(())
    }

    /// The order in which `order.len()` agents take their turns in a round: the permutation of the
    /// round's number, so that rounds do not repeat with a period. Exact.
    ///
    /// # Errors
    /// Those of [`permutation`](Self::permutation).
    pub fn schedule_order(&self, round: u64, order: &mut [u32]) -> Result<(), PiError> {
        self.permutation(round, order)
    }

    /// The next number of the stream below `n`, without bias. `n > 0`.
    const fn below(&mut self, n: u32) -> u32 {
        loop {
            let bits = self.bits(self.counter) >> 32;
            self.counter = self.counter.wrapping_add(1);
            let product = bits * n as u64;
            // The 2³² mod n lowest products would make some results likelier.
            if product as u32 >= n.wrapping_neg() % n {
                return (product >> 32) as u32;
            }
        }
    }
}

/// Hands out the orders of one round after another.
///
/// ```
/// use trilane_core::pi::{PiChaos, PiScheduler};
/// let mut scheduler = PiScheduler::new(PiChaos::from_digits(1_000)?);
/// let mut order = [0; 8];
/// scheduler.next_order(&mut order)?;
/// assert_eq!(scheduler.round(), 1);
/// # Ok::<(), trilane_core::pi::PiError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PiScheduler {
    chaos: PiChaos,
    round: u64,
}

impl PiScheduler {
    /// Starts at round 0.
    pub const fn new(chaos: PiChaos) -> Self {
        Self { chaos, round: 0 }
    }

    /// The round that comes next.
    pub const fn round(&self) -> u64 {
        self.round
    }

    /// Goes to any round, for example where another machine is.
    pub const fn seek(&mut self, round: u64) {
        self.round = round;
    }

    /// The order of this round; moves on to the next. Exact.
    ///
    /// # Errors
    /// Those of [`PiChaos::permutation`]; the round then stays.
    pub fn next_order(&mut self, order: &mut [u32]) -> Result<(), PiError> {
        self.chaos.schedule_order(self.round, order)?;
        self.round = self.round.wrapping_add(1);
        Ok(())
    }
}

/// The finaliser of SplitMix64: one to one on 64 bits.
const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_digits_of_pi() {
        assert_eq!(PiChaos::from_digits(0), Ok(PiChaos::new()));
        assert_eq!(hex_digits(16).map(|d| d | 1), Ok(SPREAD));
    }

    #[test]
    fn a_scheduler_follows_the_rounds_and_can_be_placed() {
        let mut scheduler = PiScheduler::new(PiChaos::new());
        let (mut a, mut b) = ([0; 9], [0; 9]);
        for round in 0..3 {
            assert_eq!(scheduler.round(), round);
            scheduler.next_order(&mut a).unwrap();
            PiChaos::new().schedule_order(round, &mut b).unwrap();
            assert_eq!(a, b);
        }
        scheduler.seek(1);
        let mut c = [0; 9];
        scheduler.next_order(&mut c).unwrap();
        PiChaos::new().permutation(1, &mut b).unwrap();
        assert_eq!(c, b);
        assert_ne!(a, c);
    }

    #[test]
    fn short_orders_work() {
        let chaos = PiChaos::new();
        chaos.permutation(5, &mut []).unwrap();
        let mut one = [9];
        chaos.permutation(5, &mut one).unwrap();
        assert_eq!(one, [0]);
    }
}
