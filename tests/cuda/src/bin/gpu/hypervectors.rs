//! Hypervectors: bind and bundle, beside one core of this processor.

use crate::Sizes;
use crate::figures::seconds;
use std::error::Error;
use std::time::Instant;
use trilane_core::hyper::{self, Bundle, ItemMemory, TritPlanesMut, words};
use trilane_cuda::Stream;
use trilane_cuda::hyper::{Bundles, Hypervectors, bind, bundle};
use trilane_std::level;

/// Vectors of random trits, both planes of the first, then those of the next.
fn random(dim: usize, len: usize, seed: u64) -> Result<Vec<u64>, Box<dyn Error>> {
    let mut memory = vec![0; len * 2 * words(dim)];
    ItemMemory::random(dim, seed, &mut memory)?;
    Ok(memory)
}

/// Compares and times both operations.
pub(crate) fn check_and_time(
    stream: &Stream,
    sizes: &Sizes,
    seed: u64,
) -> Result<(), Box<dyn Error>> {
    let (dim, len) = sizes.hypervectors;
    let (a, b) = (random(dim, len, seed)?, random(dim, len, seed ^ 1)?);
    let (a, b) = (ItemMemory::new(dim, &a)?, ItemMemory::new(dim, &b)?);
    let (on_a, on_b) =
        (Hypervectors::upload(stream, a.iter())?, Hypervectors::upload(stream, b.iter())?);
    let mut bound = Hypervectors::zeros(stream, dim, len)?;
    let mut bundles = Bundles::new(stream, dim, 1)?;
    let mut majority = Hypervectors::zeros(stream, dim, 1)?;

    let mut expected = vec![0; len * 2 * words(dim)];
    let start = Instant::now();
    for ((a, b), out) in a.iter().zip(b.iter()).zip(expected.chunks_mut(2 * words(dim))) {
        hyper::bind(&a, &b, &mut TritPlanesMut::new(dim, out)?)?;
    }
    let bind_here = start.elapsed().as_secs_f64();
    let bind_there = seconds(stream, &mut || bind(stream, &on_a, &on_b, &mut bound))?;
    if bound.download(stream)? != expected {
        return Err("bind differs".into());
    }

    let mut counters = vec![0; 40 * words(dim)];
    let vectors: Vec<_> = a.iter().collect();
    let mut sum = vec![0; 2 * words(dim)];
    let start = Instant::now();
    let mut here = Bundle::new(dim, &mut counters)?;
    here.add_all(level::detect(), &vectors)?;
    here.majority(&mut TritPlanesMut::new(dim, &mut sum)?)?;
    let bundle_here = start.elapsed().as_secs_f64();
    let bundle_there = seconds(stream, &mut || bundle(stream, &on_a, &mut bundles, &mut majority))?;
    if majority.download(stream)? != sum {
        return Err("bundle differs".into());
    }

    println!("\n| {len} hypervectors of {dim} | device | one core | ratio |\n|---|---|---|---|");
    for (name, there, here) in
        [("bind", bind_there, bind_here), ("bundle", bundle_there, bundle_here)]
    {
        let (there_us, here_us, ratio) = (1e6 * there, 1e6 * here, here / there);
        println!("| {name} | {there_us:.1} µs | {here_us:.1} µs | {ratio:.1}× |");
    }
    Ok(())
}
