//! What one thread of this machine can do at best: bytes read and integer multiply-adds per
//! second. Measured in the process that runs the kernels, since neither the clock nor the load of
//! a machine stays the same for long.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

#[cfg(target_arch = "x86_64")]
mod x86_64;

/// The working set that stands for L2: half of the smallest L2 of current server cores.
pub const L2_BYTES: usize = 512 << 10;
/// The working set that stands for L3: a 4096×4096 matrix of 2-bit weights.
pub const L3_BYTES: usize = 4 << 20;
/// The working set that stands for memory: far beyond one thread's share of any L3.
pub const DRAM_BYTES: usize = 512 << 20;

/// Repetitions of a measurement; the best one is the limit, as everything else only slows it.
const REPETITIONS: usize = 7;
/// The shortest time a repetition may take, so that the clock's resolution does not matter.
const SHORTEST: Duration = Duration::from_millis(20);

/// A cache line, and the largest vector register.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Line(pub [u8; 64]);

/// A way to read lines, and a name for it.
type Reader = (&'static str, fn(&[Line]) -> u64);
/// A way to compute `3 · Σ bytes` of lines by dot products, and a name for it.
type Dot = (&'static str, fn(&[Line]) -> i32);

/// The limits that kernels are compared with.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Read bandwidth of [`L2_BYTES`], in GB/s.
    pub l2: f64,
    /// Read bandwidth of [`L3_BYTES`], in GB/s.
    pub l3: f64,
    /// Read bandwidth of [`DRAM_BYTES`], in GB/s.
    pub dram: f64,
    /// Each integer dot product instruction this machine has, with its GMAC/s.
    pub dots: Vec<(&'static str, f64)>,
}

impl Limits {
    /// Measures all of them; takes about two seconds.
    #[must_use]
    pub fn measure() -> Self {
        Self {
            l2: read_bandwidth(L2_BYTES),
            l3: read_bandwidth(L3_BYTES),
            dram: read_bandwidth(DRAM_BYTES),
            dots: dot_peaks(),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "limits of one thread, {}:", reader().0)?;
        for (name, bytes, speed) in
            [("L2", L2_BYTES, self.l2), ("L3", L3_BYTES, self.l3), ("DRAM", DRAM_BYTES, self.dram)]
        {
            writeln!(f, "  read {name:<5} {:>7} KiB {speed:>8.1} GB/s", bytes >> 10)?;
        }
        for (name, speed) in &self.dots {
            writeln!(f, "  {name:<22} {speed:>8.1} GMAC/s")?;
        }
        Ok(())
    }
}

/// The speed at which one thread reads a buffer of `bytes` again and again, in GB/s (10⁹).
#[must_use]
pub fn read_bandwidth(bytes: usize) -> f64 {
    // Written, so that every page is memory of its own.
    let lines: Vec<Line> = (0..bytes / size_of::<Line>()).map(|i| Line([i as u8; 64])).collect();
    let (_, read) = reader();
    best_rate(size_of_val(lines.as_slice()) as f64, || {
        black_box(read(black_box(&lines)));
    }) / 1e9
}

/// GMAC/s of each integer dot product instruction with operands in L1.
#[must_use]
pub fn dot_peaks() -> Vec<(&'static str, f64)> {
    // Codes of 2 bits; a quarter of the smallest L1.
    let codes: Vec<Line> = (0..8 << 10 >> 6).map(|i| Line([i as u8 & 3; 64])).collect();
    let macs = size_of_val(codes.as_slice()) as f64;
    let measure = |(name, dot): Dot| {
        let rate = best_rate(macs, || {
            black_box(dot(black_box(&codes)));
        });
        (name, rate / 1e9)
    };
    dots().into_iter().map(measure).collect()
}

/// The best of several repetitions, in units per second, where one call of `work` does `units`.
fn best_rate(units: f64, mut work: impl FnMut()) -> f64 {
    let mut time = |calls: u32| {
        let start = Instant::now();
        (0..calls).for_each(|_| work());
        start.elapsed()
    };
    let mut calls = 1;
    while time(calls) < SHORTEST {
        calls *= 2;
    }
    let best = (0..REPETITIONS).map(|_| time(calls)).min().unwrap_or(SHORTEST);
    units * f64::from(calls) / best.as_secs_f64()
}

/// The widest read loop this machine can run. The result depends on every byte.
fn reader() -> Reader {
    #[cfg(target_arch = "x86_64")]
    if let Some(found) = x86_64::reader() {
        return found;
    }
    ("portable loads", read_portable)
}

fn dots() -> Vec<Dot> {
    #[cfg(target_arch = "x86_64")]
    return x86_64::dots();
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

/// For machines without a loop of their own; the compiler vectorises it.
fn read_portable(lines: &[Line]) -> u64 {
    let mut sums = [0u8; 64];
    for Line(bytes) in lines {
        for (sum, byte) in sums.iter_mut().zip(bytes) {
            *sum ^= byte;
        }
    }
    sums.iter().map(|&sum| u64::from(sum)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_depend_on_every_line() {
        let mut lines = vec![Line([0; 64]); 37];
        for read in [reader().1, read_portable] {
            let before = read(&lines);
            for index in [0, 1, 7, 8, 15, 16, 31, 36] {
                for byte in [0, 31, 32, 63] {
                    lines[index].0[byte] = 1;
                    assert_ne!(read(&lines), before, "line {index} byte {byte}");
                    lines[index].0[byte] = 0;
                }
            }
        }
    }

    #[test]
    fn dots_agree_with_plain_arithmetic() {
        let lines: Vec<Line> = (0..67u8).map(|i| Line([i & 3; 64])).collect();
        let codes: i32 = lines.iter().flat_map(|line| line.0).map(i32::from).sum();
        for (name, dot) in dots() {
            assert_eq!(dot(&lines), 3 * codes, "{name}");
        }
    }
}
