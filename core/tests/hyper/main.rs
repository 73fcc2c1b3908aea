//! Hypervectors: their algebra, what they refuse, and how well records answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod algebra;
mod encoders;
mod hostile;
mod memory;
mod recall;
mod sparse;

use trilane_core::hyper::{TritPlanes, TritPlanesMut, words};
use trilane_core::trit::Trit;

/// A vector that owns its memory.
#[derive(Clone, Debug, PartialEq)]
struct Owned {
    dim: usize,
    memory: Vec<u64>,
}

impl Owned {
    fn zeros(dim: usize) -> Self {
        Self { dim, memory: vec![0; 2 * words(dim)] }
    }

    fn from_values(values: &[i8]) -> Self {
        Self::written(values.len(), |out| out.write_i8(values).unwrap())
    }

    /// What a function writes over a vector that was full of −1.
    fn written(dim: usize, write: impl FnOnce(&mut TritPlanesMut<'_>)) -> Self {
        let mut new = Self::zeros(dim);
        let mut out = TritPlanesMut::new(dim, &mut new.memory).unwrap();
        out.write_trits(&vec![Trit::N; dim]).unwrap();
        write(&mut out);
        // The invariants hold whatever wrote.
        new.view();
        new
    }

    fn view(&self) -> TritPlanes<'_> {
        let (plus, minus) = self.memory.split_at(words(self.dim));
        TritPlanes::new(self.dim, plus, minus).unwrap()
    }

    fn values(&self) -> Vec<i8> {
        self.view().iter().map(Trit::value).collect()
    }
}
