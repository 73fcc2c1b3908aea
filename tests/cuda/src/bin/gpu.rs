//! Checks a device at real sizes and times its kernels: `gpu`; `gpu --emulated` at small sizes, where
//! no figure means anything; `gpu --describe` only says what the device is.
//!
//! The answers are checked before anything is timed. What is printed is Markdown.

#[path = "gpu/figures.rs"]
mod figures;
#[path = "gpu/hypervectors.rs"]
mod hypervectors;
#[path = "gpu/models.rs"]
mod models;
#[path = "gpu/products.rs"]
mod products;
#[path = "gpu/sparse.rs"]
mod sparse;

use figures::copy_bandwidth;
use std::error::Error;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use trilane_cuda::Device;
use trilane_cuda_tests::{Emulator, Order};

/// How large everything is.
struct Sizes {
    /// Rows and columns of matrices.
    shapes: &'static [(usize, usize)],
    /// Vectors of the product with many.
    batch: usize,
    /// Bytes that a copy moves, and that the matrices have together which are read one after the
    /// other, so that no cache holds them.
    bytes: usize,
    /// Trits of a hypervector, and how many there are.
    hypervectors: (usize, usize),
    /// Values and neurons of a feed-forward block.
    feed_forward: (usize, usize),
}

const REAL: Sizes = Sizes {
    shapes: &[(13824, 2560), (20480, 3200), (8192, 28672)],
    batch: 128,
    bytes: 1 << 30,
    hypervectors: (10_000, 10_000),
    feed_forward: (2560, 13824),
};
const SMALL: Sizes = Sizes {
    shapes: &[(40, 600)],
    batch: 9,
    bytes: 1 << 14,
    hypervectors: (300, 7),
    feed_forward: (64, 40),
};

fn main() -> ExitCode {
    let work = match std::env::args().nth(1).as_deref() {
        None => Device::open(0).map_err(Box::from).and_then(|device| run(&device, &REAL)),
        Some("--emulated") => run(&Emulator::device(Order::Ascending), &SMALL),
        Some("--describe") => Device::open(0).map_err(Box::from).map(|device| describe(&device)),
        Some(other) => {
            eprintln!("gpu: {other}: expected --emulated, --describe or nothing");
            return ExitCode::from(2);
        }
    };
    match work {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gpu: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(device: &Device, sizes: &Sizes) -> Result<(), Box<dyn Error>> {
    describe(device);
    let stream = device.stream()?;
    models::check(device)?;
    let bandwidth = copy_bandwidth(&stream, sizes.bytes)?;
    println!("\nA copy within the device: {:.2} TB/s, read and written.", bandwidth / 1e12);
    // Fresh values in every run.
    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    println!("\nValues from seed {seed}.");
    products::check_and_time(&stream, sizes, bandwidth, &mut seed)?;
    sparse::check_and_time(&stream, sizes, &mut seed)?;
    hypervectors::check_and_time(&stream, sizes, seed)
}

fn describe(device: &Device) {
    let info = device.info();
    let (major, minor) = info.capability;
    println!("# {}\n", info.name);
    println!(
        "Capability {major}.{minor}, {} multiprocessors, {:.1} GiB, L2 {:.1} MiB.",
        info.multiprocessors,
        info.memory as f64 / (1u64 << 30) as f64,
        info.l2_bytes as f64 / (1u64 << 20) as f64,
    );
}
