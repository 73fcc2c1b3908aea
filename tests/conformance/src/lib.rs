//! The conformance program: the same work on every target, a digest of every part of it.
//!
//! Kernels over random and extreme inputs, every block of [`nn`](trilane_core::nn), elementary
//! functions, quantisers, sampler and whole models. Two targets that print the same digests computed
//! the same bits. The program needs no allocator, no files and no clock: firmware runs it as it is.
#![no_std]

mod block_types;
mod blocks;
mod compression;
mod functions;
mod kernels;
mod matrix;
mod models;
mod pi;
mod random;
mod sparse;
mod sparse_blocks;
mod train;
mod trits;

use matrix::Planes;
use trilane_core::kernel::Backend;
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Digest, Line, ModelError};

/// The models of the repository, each at an address that is a multiple of 64.
#[derive(Clone, Copy, Debug)]
pub struct Models<'m> {
    /// `models/shakespeare.gguf`.
    pub shakespeare: &'m [u8],
    /// `models/digits.gguf`.
    pub digits: &'m [u8],
}

/// What the program computes in; about 280 KiB.
#[derive(Debug)]
pub struct Memory {
    planes: Planes,
    floats: [[f32; matrix::MOST_COLS]; 6],
    integers: matrix::Integers,
    lines: [Line; models::LINES],
}

impl Memory {
    /// Memory as it is before the program begins; what it holds does not matter.
    pub const EMPTY: Self = Self {
        planes: Planes::EMPTY,
        floats: [[0.0; matrix::MOST_COLS]; 6],
        integers: matrix::Integers::EMPTY,
        lines: [Line::ZERO; models::LINES],
    };
}

/// Receives the name and the digest of each part.
pub type Report<'r> = &'r mut dyn FnMut(&str, u64);

/// Runs everything on a backend, which has to compute every lane, and reports each part and, under
/// the name `all`, the digest of them.
///
/// # Errors
/// What the first part that cannot be computed returns.
pub fn run(
    backend: impl Backend,
    models: Models<'_>,
    memory: &mut Memory,
    report: Report<'_>,
) -> Result<u64, ModelError> {
    let mut all = Digest::default();
    let mut part = |name: &str, digest: Digest| {
        all.bytes(&digest.value().to_le_bytes());
        report(name, digest.value());
    };
    part("functions", functions::elementary());
    part("quantisers", functions::quantisers(memory));
    part("sampler", functions::sampler(memory));
    for (name, lane) in [
        ("matvec ternary", PrecisionLane::Ternary),
        ("matvec bit3", PrecisionLane::Bit3),
        ("matvec bit5", PrecisionLane::Bit5),
        ("matvec bit7", PrecisionLane::Bit7),
    ] {
        part(name, kernels::lane_products(backend, lane, memory)?);
    }
    part("matvec extremes", kernels::extremes(backend, memory)?);
    part("refinements", sparse::refinements(backend, memory)?);
    part("listed rows", sparse::listed_rows(backend, memory)?);
    part("sums of rows", sparse::sums_of_rows(backend, memory)?);
    part("matvec floats", kernels::float_products(backend, memory));
    part("block types", block_types::products(backend, memory)?);
    part("activations", kernels::activations(backend, memory)?);
    part("norms", kernels::norms(backend, memory));
    part("attention", blocks::attention(backend, memory)?);
    part("feed forward", blocks::feed_forward(backend, memory)?);
    part("sparse blocks", sparse_blocks::sparse_blocks(backend, memory)?);
    for (name, lane) in [
        ("shakespeare bit3", PrecisionLane::Bit3),
        ("shakespeare bit5", PrecisionLane::Bit5),
        ("shakespeare bit7", PrecisionLane::Bit7),
    ] {
        part(name, models::decoder(backend, models.shakespeare, lane, memory)?);
    }
    part("graduation", models::graduation(backend, models.shakespeare, memory)?);
    part("digits", models::perceptron(backend, models.digits, memory)?);
    part("pi", pi::everything());
    part("compression", compression::everything());
    part("prediction", train::prediction());
    part("trits", trits::digest(trits::arithmetic()));
    part("hypervectors", trits::digest(trits::hypervectors(backend)));
    part("encoder", models::encoder(backend, memory)?);
    report("all", all.value());
    Ok(all.value())
}
