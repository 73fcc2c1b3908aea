//! A feed-forward layer of which a few neurons are active: trilane's engine, its prediction
//! included, beside the published engine and dense floats, on one thread and in one process.
//!
//! `cargo bench --bench sparse` measures 512→2048→512, `-- large` 4096→11008→4096 as well. It prints
//! a table in Markdown, and what calibration found to standard error; answers are checked before anything
//! is timed.

use trilane_benches::Error;
use trilane_benches::ffn::{PowerLaw, Timing, all, markdown};

/// Shares of the neurons that are active.
const ACTIVE: [f64; 4] = [0.1, 0.3, 0.5, 0.7];

fn main() -> Result<(), Error> {
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: this is the first thing the process does; no other thread exists that could
        // read the environment at the same time.
        unsafe { std::env::set_var(variable, "1") };
    }
    let mut sizes = vec![([512, 2048, 512], 32)];
    if std::env::args().any(|argument| argument == "large") {
        sizes.push(([4096, 11008, 4096], 4));
    }
    for (shape, inputs) in sizes {
        let mut layer = PowerLaw::new(shape);
        let [input, hidden, output] = shape;
        println!("\n{input}→{hidden}→{output}\n");
        println!("| active | | computed | recall | error | µs | × candle | × ruvector |");
        println!("|---|---|---|---|---|---|---|---|");
        for active in ACTIVE {
            layer.activate(active);
            let everyone = all(&layer, active)?;
            let rows = Timing::all(&everyone, &layer, &layer.inputs(inputs, 9))?;
            print!("{}", markdown(active, &rows));
        }
    }
    Ok(())
}
