//! A codec for a model: one for each tensor, messages end to end.

use trilane_core::error::ArgumentError;
use trilane_core::train::compress::{Codec, Dense, Exchange, LowRank, RoundRobin};

/// A tensor's codec.
pub type TensorCodec = Box<dyn Codec + Send + Sync>;

/// The codecs of a model's tensors, as one codec for their values end to end.
///
/// Its rounds are the most of any tensor; a tensor with fewer is silent in the first ones.
pub struct ModelCodec {
    tensors: Vec<TensorCodec>,
    exchange: Exchange,
    rounds: usize,
}

impl ModelCodec {
    /// One codec for each tensor, in order, all with the same exchange.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] for none, [`ArgumentError::Count`] when some merge and some do not.
    pub fn new(tensors: Vec<TensorCodec>) -> Result<Self, ArgumentError> {
        let exchange = tensors.first().ok_or(ArgumentError::Empty)?.exchange();
        let alike = tensors.iter().filter(|codec| codec.exchange() == exchange).count();
        if alike < tensors.len() {
            let (least, actual) = (tensors.len() as i64, alike as i64);
            let name = "tensors of one exchange";
            return Err(ArgumentError::Count { name, least, greatest: least, actual });
        }
        let rounds = tensors.iter().map(|codec| codec.rounds()).max().unwrap_or(1);
        Ok(Self { tensors, exchange, rounds })
    }

    /// Low-rank factors of every matrix for which `ratio` leaves room, and what is left of the words
    /// for the other tensors: all of them if it suffices, else their values in turn.
    ///
    /// # Errors
    /// [`ArgumentError::Count`] for a tensor of no values, [`ArgumentError::Parameter`] for a ratio
    /// outside 2⁻²⁰..=1, [`ArgumentError::Empty`] for no tensors.
    pub fn low_rank(shapes: &[Vec<usize>], ratio: f32, seed: u64) -> Result<Self, ArgumentError> {
        // Refuses a ratio that makes no sense.
        LowRank::<Vec<f32>>::rank_for_ratio(1, 1, ratio)?;
        let len = |shape: &Vec<usize>| shape.iter().product::<usize>();
        let total: usize = shapes.iter().map(len).sum();
        let rank = |shape: &Vec<usize>| match shape[..] {
            [rows, cols] => {
                (f64::from(ratio) * (rows * cols) as f64 / (rows + cols) as f64) as usize
            }
            _ => 0,
        };
        let (factored, rest): (Vec<_>, Vec<_>) = shapes.iter().partition(|shape| rank(shape) > 0);
        let spent: usize = factored.iter().map(|s| rank(s) * s.iter().sum::<usize>()).sum();
        let left = (f64::from(ratio) * total as f64) as usize;
        let left = left.saturating_sub(spent + rest.len()).max(1);
        let period = rest.iter().map(|shape| len(shape)).sum::<usize>().div_ceil(left);
        let codec = |(shape, index): (&Vec<usize>, u64)| -> Result<TensorCodec, ArgumentError> {
            Ok(match (shape.as_slice(), rank(shape), period) {
                (&[rows, cols], 1.., _) => {
                    let greatest = LowRank::<Vec<f32>>::rank_for_ratio(rows, cols, ratio)?;
                    let state = vec![0.0; LowRank::<Vec<f32>>::state_floats(rows, cols, greatest)];
                    Box::new(LowRank::new(rows, cols, greatest, seed.wrapping_add(index), state)?)
                }
                (_, _, 0 | 1) => Box::new(Dense::new(len(shape))?),
                _ => Box::new(RoundRobin::new(len(shape), period.min(len(shape)))?),
            })
        };
        Self::new(shapes.iter().zip(0..).map(codec).collect::<Result<_, _>>()?)
    }

    /// The round of a tensor's own that takes place in a round of the model's.
    fn own_round(&self, codec: &TensorCodec, round: usize) -> Option<usize> {
        (round + codec.rounds()).checked_sub(self.rounds)
    }

    fn words(&self, codec: &TensorCodec, round: usize) -> usize {
        self.own_round(codec, round).map_or(0, |own| codec.message_words(own))
    }
}

/// The first `len` elements of a slice, which then begins after them.
fn take<'s, T>(rest: &mut &'s [T], len: usize) -> Result<&'s [T], ArgumentError> {
    rest.split_off(..len).ok_or(ArgumentError::Length { expected: len, actual: rest.len() })
}

fn take_mut<'s, T>(rest: &mut &'s mut [T], len: usize) -> Result<&'s mut [T], ArgumentError> {
    let actual = rest.len();
    rest.split_off_mut(..len).ok_or(ArgumentError::Length { expected: len, actual })
}

fn same(expected: usize, actual: usize) -> Result<(), ArgumentError> {
    if expected == actual { Ok(()) } else { Err(ArgumentError::Length { expected, actual }) }
}

impl Codec for ModelCodec {
    fn parameters(&self) -> usize {
        self.tensors.iter().map(|codec| codec.parameters()).sum()
    }

    fn rounds(&self) -> usize {
        self.rounds
    }

    fn message_words(&self, round: usize) -> usize {
        if round >= self.rounds {
            return 0;
        }
        self.tensors.iter().map(|codec| self.words(codec, round)).sum()
    }

    fn exchange(&self) -> Exchange {
        self.exchange
    }

    fn start(&mut self, step: u64) {
        self.tensors.iter_mut().for_each(|codec| codec.start(step));
    }

    fn encode(
        &self,
        round: usize,
        mut x: &[f32],
        mut message: &mut [u32],
    ) -> Result<(), ArgumentError> {
        same(self.parameters(), x.len())?;
        same(self.message_words(round), message.len())?;
        for codec in &self.tensors {
            let x = take(&mut x, codec.parameters())?;
            let message = take_mut(&mut message, self.words(codec, round))?;
            if let Some(own) = self.own_round(codec, round) {
                codec.encode(own, x, message)?;
            }
        }
        Ok(())
    }

    fn absorb(&mut self, round: usize, mut merged: &[u32]) -> Result<(), ArgumentError> {
        same(self.message_words(round), merged.len())?;
        for i in 0..self.tensors.len() {
            let words = self.words(&self.tensors[i], round);
            let own = self.own_round(&self.tensors[i], round);
            let merged = take(&mut merged, words)?;
            if let Some(own) = own {
                self.tensors[i].absorb(own, merged)?;
            }
        }
        Ok(())
    }

    fn add_decoded(
        &self,
        mut message: &[u32],
        factor: f32,
        mut x: &mut [f32],
    ) -> Result<(), ArgumentError> {
        same(self.parameters(), x.len())?;
        same(self.message_words(self.rounds - 1), message.len())?;
        for codec in &self.tensors {
            let x = take_mut(&mut x, codec.parameters())?;
            let message = take(&mut message, self.words(codec, self.rounds - 1))?;
            codec.add_decoded(message, factor, x)?;
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.tensors.iter().map(|codec| codec.state_bytes()).sum()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use trilane_core::train::compress::{TopK, settle};

    #[test]
    fn tensors_share_the_words_and_lose_nothing() {
        let shapes = [vec![64, 256], vec![256], vec![256, 10], vec![10]];
        let n = 64 * 256 + 256 + 2560 + 10;
        for ratio in [0.5, 0.1, 0.02] {
            let mut codec = ModelCodec::low_rank(&shapes, ratio, 1).unwrap();
            assert!(codec.step_words() as f32 <= ratio * n as f32, "{ratio}");
            assert!(codec.state_bytes() <= 4 * codec.step_words());
            let x: Vec<f32> = (0..n).map(|i| ((i * 37 + 11) % 101) as f32 - 50.0).collect();
            let (mut rest, mut sent) = (x.clone(), vec![0.0; n]);
            let mut message = Vec::new();
            for step in 0..5 {
                codec.start(step);
                for round in 0..codec.rounds() {
                    message = vec![0; codec.message_words(round)];
                    codec.encode(round, &rest, &mut message).unwrap();
                    codec.absorb(round, &message).unwrap();
                }
                settle(&codec, &message, &mut rest).unwrap();
                codec.add_decoded(&message, 1.0, &mut sent).unwrap();
            }
            let worst = x.iter().zip(rest.iter().zip(&sent)).map(|(x, (r, s))| (x - r - s).abs());
            assert!(worst.fold(0.0, f32::max) < 1e-4, "{ratio}");
            let length = |x: &[f32]| x.iter().map(|v| v * v).sum::<f32>();
            assert!(length(&rest) < length(&x));
        }
    }

    #[test]
    fn tensors_that_do_not_fit_together_are_refused() {
        assert!(matches!(ModelCodec::new(Vec::new()), Err(ArgumentError::Empty)));
        let mixed: Vec<TensorCodec> =
            vec![Box::new(Dense::new(3).unwrap()), Box::new(TopK::new(3, 1).unwrap())];
        assert!(matches!(ModelCodec::new(mixed), Err(ArgumentError::Count { .. })));
        assert!(ModelCodec::low_rank(&[vec![4, 0]], 0.1, 1).is_err());
        assert!(ModelCodec::low_rank(&[vec![4, 4]], f32::NAN, 1).is_err());
        let codec = ModelCodec::low_rank(&[vec![4, 4]], 1.0, 1).unwrap();
        assert!(codec.encode(0, &[0.0; 15], &mut [0; 4]).is_err());
    }
}
