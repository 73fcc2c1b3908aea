//! One sequence of tokens through a model, with the memory it takes.

use crate::argument::lane;
use crate::failure::Failure;
use crate::model::{Loaded, Model};
use js_sys::Float32Array;
use self_cell::{MutBorrow, self_cell};
use std::rc::Rc;
use trilane_core::kernel::{Baseline, Serial};
use trilane_core::model::{Decoder, Line};
use trilane_std::memory;
use wasm_bindgen::prelude::wasm_bindgen;

/// What a decoder borrows from.
struct Held {
    model: Rc<Loaded>,
    arena: MutBorrow<Box<[Line]>>,
}

type Running<'a> = Decoder<'a, 'a, Baseline>;

self_cell!(
    struct Cell {
        owner: Held,
        #[not_covariant]
        dependent: Running,
    }
);

/// A decoder with an arena of its own, so that sequences of one model do not disturb each other.
/// Keeps the model alive.
#[wasm_bindgen]
pub struct Sequence {
    cell: Cell,
}

impl Sequence {
    /// An empty sequence with room for `capacity` tokens.
    pub(crate) fn of(model: &Rc<Loaded>, capacity: usize) -> Result<Self, Failure> {
        let header = *model.borrow_dependent().weights.header();
        let arena = MutBorrow::new(memory::arena(&header, capacity)?);
        let held = Held { model: Rc::clone(model), arena };
        let cell = Cell::try_new(held, |held| {
            let weights = held.model.borrow_dependent().weights;
            Decoder::new(weights, Baseline, capacity, held.arena.borrow_mut())
        })?;
        Ok(Self { cell })
    }

    /// Lends the decoder.
    pub(crate) fn with_decoder<T>(
        &mut self,
        work: impl for<'a> FnOnce(&mut Decoder<'a, 'a, Baseline>) -> T,
    ) -> T {
        self.cell.with_dependent_mut(|_, decoder| work(decoder))
    }
}

#[wasm_bindgen]
impl Sequence {
    /// An empty sequence with room for `capacity` tokens.
    ///
    /// # Errors
    /// `memory`.
    #[wasm_bindgen(constructor)]
    pub fn new(model: &Model, capacity: usize) -> Result<Self, Failure> {
        Self::of(model.loaded(), capacity)
    }

    /// Takes a token.
    ///
    /// # Errors
    /// `token`, `lane`, `context`, `value`.
    pub fn forward(&mut self, token: u32, lane: u8) -> Result<(), Failure> {
        let lane = self::lane(lane)?;
        Ok(self.with_decoder(|decoder| decoder.forward(&Serial, token, lane).map(|_| ()))?)
    }

    /// Takes a token and gives a copy of the logits of the next.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn logits(&mut self, token: u32, lane: u8) -> Result<Float32Array, Failure> {
        let lane = self::lane(lane)?;
        let copy = |logits: &mut [f32]| Float32Array::from(&*logits);
        Ok(self.with_decoder(|decoder| decoder.forward(&Serial, token, lane).map(copy))?)
    }
}
