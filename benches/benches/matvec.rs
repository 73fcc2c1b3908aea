//! A vector times a ternary matrix: every contender beside the machine's limits, on one thread.

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use std::hint::black_box;
use std::time::{Duration, Instant};
use trilane_benches::machine::Limits;
use trilane_benches::{Error, Matvec, Table, Ternary, checked, contenders};

/// 4096: two bits a weight fit into L3 and f32 does not; 1024: they fit into L2.
const SIZES: [usize; 2] = [1024, 4096];
/// Samples of a contender. The slowest needs a quarter of a second for one product.
const SAMPLES: usize = 10;

fn main() -> Result<(), Error> {
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: this is the first thing the process does; no other thread exists that could
        // read the environment at the same time.
        unsafe { std::env::set_var(variable, "1") };
    }
    let mut criterion = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let mut table = Table::new(Limits::measure());
    for n in SIZES {
        let problem = Ternary::new(n);
        let expected = problem.reference();
        let mut group = criterion.benchmark_group(format!("ternary/{n}x{n}"));
        group.throughput(Throughput::Elements(problem.macs()));
        for contender in contenders::all(&problem)? {
            let error = checked(contender.as_ref(), &problem, &expected)?;
            let times = timed(&mut group, contender.as_ref(), &problem.x);
            table.add(n, contender.name(), contender.weight_bytes(), error, &times);
        }
        group.finish();
    }
    criterion.final_summary();
    println!("\n{table}");
    Ok(())
}

/// Lets criterion time one contender; returns the time per product of each of its samples.
fn timed(group: &mut BenchmarkGroup<WallTime>, contender: &dyn Matvec, x: &[f32]) -> Vec<Duration> {
    let mut samples = Vec::new();
    group.bench_function(contender.name(), |bencher| {
        bencher.iter_custom(|products| {
            let start = Instant::now();
            for _ in 0..products {
                // The answer was checked before; a failure now would be a failure then.
                let _ = black_box(contender.matvec(black_box(x)));
            }
            let elapsed = start.elapsed();
            samples.push(elapsed.div_f64(products as f64));
            elapsed
        });
    });
    // The warm-up comes first and is not a sample.
    samples.split_off(samples.len().saturating_sub(SAMPLES))
}
