//! The windows that get a backward pass.

use super::config::WindowSelectionConfig;
use self_cell::{MutBorrow, self_cell};
use trilane_core::error::ArgumentError;
use trilane_core::train::selection::{SampleLoss, Selection, SelectionConfig};

/// What the selection of the core works in.
struct Memory {
    samples: MutBorrow<Vec<SampleLoss>>,
    recent: MutBorrow<Vec<f32>>,
}

type Inner<'a> = Selection<'a>;

self_cell!(
    /// The selection of the core with its memory.
    struct Owned {
        owner: Memory,
        #[covariant]
        dependent: Inner,
    }
);

/// Selection among windows, named by the places where they begin.
pub(super) struct Selector(Owned);

impl Selector {
    /// Selection among the windows at so many places, none of which has a loss.
    pub(super) fn new(
        config: &WindowSelectionConfig,
        places: usize,
    ) -> Result<Self, ArgumentError> {
        let &WindowSelectionConfig { power, recent, most_age } = config;
        let config = SelectionConfig { power, most_age, ..Default::default() };
        let memory = Memory {
            samples: MutBorrow::new(vec![SampleLoss::default(); places]),
            recent: MutBorrow::new(vec![0.0; recent]),
        };
        let owned = Owned::try_new(memory, |memory| {
            Inner::new(memory.samples.borrow_mut(), memory.recent.borrow_mut(), config)
        });
        owned.map(Self)
    }

    /// Those of the windows that need a forward pass.
    pub(super) fn unknown(&self, places: &[usize]) -> Result<Vec<usize>, ArgumentError> {
        let mut unknown = Vec::new();
        for &place in places {
            if self.0.borrow_dependent().needs_forward(place)? {
                unknown.push(place);
            }
        }
        Ok(unknown)
    }

    /// Takes in a loss.
    pub(super) fn record(&mut self, place: usize, loss: f32) -> Result<(), ArgumentError> {
        self.0.with_dependent_mut(|_, selection| selection.record(place, loss))
    }

    /// Judges a window that has a loss: whether it is taken.
    pub(super) fn select(&mut self, place: usize) -> Result<bool, ArgumentError> {
        let weight = self.0.with_dependent_mut(|_, selection| selection.select(place))?;
        Ok(weight.is_some())
    }

    /// The weights have changed.
    pub(super) fn updated(&mut self) {
        self.0.with_dependent_mut(|_, selection| selection.updated());
    }
}
