//! Products with matrices in digit planes: exact, and how near to the copy's bandwidth.

use crate::Sizes;
use crate::figures::seconds;
use std::error::Error;
use trilane_core::digits::Group;
use trilane_core::gguf::TensorType;
use trilane_core::kernel::Serial;
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{Input, Linear};
use trilane_core::quant::{ActivationsBuf, activation_lens};
use trilane_cuda::activations::{Activations, Status};
use trilane_cuda::{Buffer, Matrix, Stream};
use trilane_cuda_tests::{Packed, bits, float};
use trilane_std::level;

/// Checks every shape at every lane with one vector and with many, and times both.
pub(crate) fn check_and_time(
    stream: &Stream,
    sizes: &Sizes,
    bandwidth: f64,
    seed: &mut u64,
) -> Result<(), Box<dyn Error>> {
    println!("\n| matrix | lane | one vector | GB/s | share of the copy | of f32 | many | TOPS |");
    println!("|---|---|---|---|---|---|---|---|");
    for &(rows, cols) in sizes.shapes {
        let float = float_seconds(stream, sizes, rows, cols)?;
        for (ternary, group) in [(true, Group::Row), (false, Group::G64)] {
            let packed = Packed::new(rows, cols, group, ternary, seed);
            let linear = packed.linear();
            let lanes = if ternary { &PrecisionLane::ALL[..1] } else { &PrecisionLane::ALL[1..4] };
            for &lane in lanes {
                let one = Case::new(stream, &linear, lane, 1, seed)?;
                let many = Case::new(stream, &linear, lane, sizes.batch, seed)?;
                let (one, bytes) = (one.timed(stream, sizes)?, linear.bytes(lane)? as f64);
                let many = many.timed(stream, sizes)?;
                let operations = 2.0 * (rows * cols * sizes.batch) as f64;
                println!(
                    "| {rows}×{cols} | {lane} | {:.2} µs | {:.0} | {:.0}% | {:.1}× | {:.1} µs | {:.0} |",
                    1e6 * one,
                    bytes / one / 1e9,
                    100.0 * bytes / one / bandwidth,
                    float / one,
                    1e6 * many,
                    operations / many / 1e12,
                );
            }
        }
    }
    Ok(())
}

/// A product that has been found to be exact.
struct Case<'l> {
    linear: &'l Linear<'l>,
    lane: PrecisionLane,
    x: Buffer<f32>,
    integers: Activations,
    y: Buffer<f32>,
}

impl<'l> Case<'l> {
    /// Random vectors, whose products are compared with this processor's.
    fn new(
        stream: &Stream,
        linear: &'l Linear<'l>,
        lane: PrecisionLane,
        batch: usize,
        seed: &mut u64,
    ) -> Result<Self, Box<dyn Error>> {
        let (rows, cols) = (linear.rows(), linear.cols());
        let values: Vec<f32> = (0..batch * cols).map(|_| float(seed)).collect();
        let x = Buffer::from_host(stream, &values)?;
        let mut integers = Activations::new(stream, batch, cols)?;
        let mut status = Status::new(stream, batch)?;
        integers.quantize(stream, &x, cols, &mut status, 0)?;
        status.take(stream)?;
        let mut y = Buffer::zeros(stream, batch * rows)?;
        Matrix::upload(stream, linear)?.multiply(stream, lane, &x, &integers, &mut y)?;
        let found = y.to_vec(stream)?;
        let (q, multipliers, sums) = activation_lens(cols);
        let (mut q, mut multipliers, mut sums) = (vec![0; q], vec![0; multipliers], vec![0; sums]);
        let mut expected = vec![0.0; rows];
        for (i, (x, found)) in values.chunks(cols).zip(found.chunks(rows)).enumerate() {
            let mut buf = ActivationsBuf::new(&mut q, &mut multipliers, &mut sums);
            let input = Input::new(level::detect(), x, &mut buf, &[linear])?;
            linear.matvec(level::detect(), &Serial, lane, &input, &mut expected)?;
            if bits(found) != bits(&expected) {
                let what = format!("{rows}×{cols}, {lane}: vector {i} of {batch} differs");
                return Err(what.into());
            }
        }
        Ok(Self { linear, lane, x, integers, y })
    }

    /// Seconds for one product, of matrices that no cache holds.
    fn timed(mut self, stream: &Stream, sizes: &Sizes) -> Result<f64, Box<dyn Error>> {
        let copies = sizes.bytes.div_ceil(self.linear.bytes(self.lane)?);
        let matrices = (0..copies).map(|_| Matrix::upload(stream, self.linear));
        let matrices = matrices.collect::<Result<Vec<_>, _>>()?;
        let all = seconds(stream, &mut || {
            matrices.iter().try_for_each(|matrix| {
                matrix.multiply(stream, self.lane, &self.x, &self.integers, &mut self.y)
            })
        })?;
        Ok(all / copies as f64)
    }
}

/// Seconds for the product of a matrix of floats with one vector.
fn float_seconds(
    stream: &Stream,
    sizes: &Sizes,
    rows: usize,
    cols: usize,
) -> Result<f64, Box<dyn Error>> {
    let data = vec![0; 4 * rows * cols];
    let linear = Linear::blocks(TensorType::F32, rows, cols, &data)?;
    let copies = sizes.bytes.div_ceil(data.len());
    let matrices = (0..copies).map(|_| Matrix::upload(stream, &linear));
    let matrices = matrices.collect::<Result<Vec<_>, _>>()?;
    let (x, integers) = (Buffer::zeros(stream, cols)?, Activations::new(stream, 1, cols)?);
    let mut y = Buffer::zeros(stream, rows)?;
    let all = seconds(stream, &mut || {
        matrices.iter().try_for_each(|matrix| {
            matrix.multiply(stream, PrecisionLane::Float32, &x, &integers, &mut y)
        })
    })?;
    Ok(all / copies as f64)
}
