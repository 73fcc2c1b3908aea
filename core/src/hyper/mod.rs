//! Hypervectors of trits on two bit planes, in the caller's memory.
//!
//! | file | what it holds |
//! |---|---|
//! | `planes` | [`TritPlanes`] and [`TritPlanesMut`]: views whose invariants hold |
//! | `stored` | [`Stored`]: a vector and the array that it is in |
//! | `random` | seeded vectors, dense and sparse |
//! | `bind` | products, and the binding modulo 3 for data that has it |
//! | `permute` | cyclic shifts |
//! | `bundle` | sums in bit-sliced counters, and their signs |
//! | `similarity` | dot product, cosine, Hamming distance |
//! | `memory` | [`ItemMemory`]: the nearest of many vectors |
//! | `encode` | sequences, n-grams, records |
//! | `real` | real numbers: thermometer and random projection |
//! | `sparse` | [`SparseTrits`]: lists of positions |
//!
//! The algebra is that of multiply, add, permute (Gayler 1998; Kanerva 2009), over {−1, 0, +1}:
//! *bind* `a ⊗ b` is the product of the signs, *bundle* the sign of the sum, *permute* `ρ` a cyclic
//! shift. On dense vectors (no zeros) binding is its own inverse, `(a ⊗ b) ⊗ b = a`; a zero of a key
//! loses that position. Counts that need population counts take a [`Backend`](crate::kernel::Backend),
//! and every backend gives the same bits. Everything is Exact but what returns floats, which is
//! Ordered. `docs/hypervectors.md` has the figures.
//!
//! ```
//! use trilane_core::hyper::{Stored, bind, bundle, bundle_words, cosine, random, words};
//! use trilane_core::kernel::Baseline;
//! const DIM: usize = 1000;
//! let zeros = Stored::zeros(DIM, [0; 2 * words(DIM)])?;
//! let [mut colour, mut shape, mut red, mut round] = [0; 4].map(|_| zeros.clone());
//! for (seed, v) in [&mut colour, &mut shape, &mut red, &mut round].into_iter().enumerate() {
//!     random(seed as u64, &mut v.view_mut());
//! }
//! // A red, round thing.
//! let [mut a, mut b, mut thing, mut answer] = [0; 4].map(|_| zeros.clone());
//! bind(&colour.view(), &red.view(), &mut a.view_mut())?;
//! bind(&shape.view(), &round.view(), &mut b.view_mut())?;
//! let mut counters = [0; bundle_words(DIM, 2)];
//! bundle(Baseline, &[a.view(), b.view()], &mut counters, &mut thing.view_mut())?;
//! // What colour is it?
//! bind(&thing.view(), &colour.view(), &mut answer.view_mut())?;
//! assert!(cosine(Baseline, &answer.view(), &red.view())? > 0.6);
//! assert!(cosine(Baseline, &answer.view(), &round.view())? < 0.1);
//! # Ok::<(), trilane_core::error::ArgumentError>(())
//! ```

mod bind;
mod bundle;
mod encode;
mod memory;
mod permute;
mod planes;
mod random;
mod real;
mod similarity;
mod sparse;
mod stored;

pub use bind::{add_clamped, bind, bind_many, bind_mod3, unbind_mod3};
pub use bundle::{Bundle, bundle, bundle_words, majority_trit};
pub use encode::{ngram, record, sequence};
pub use memory::{ItemMemory, Neighbour};
pub use permute::permute;
pub use planes::{TritPlanes, TritPlanesMut, words};
pub use random::{random, random_sparse};
pub use real::{level_of, project, thermometer};
pub use similarity::{cosine, dot, hamming_distance, hamming_similarity};
pub use sparse::SparseTrits;
pub use stored::Stored;
