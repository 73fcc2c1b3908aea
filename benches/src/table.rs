//! The closing table: every contender beside the limits of the machine.

use crate::machine::Limits;
use std::fmt;
use std::time::Duration;

/// Rows of results, in the order they were added.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    size: usize,
    name: String,
    median: Duration,
    weight_bytes: usize,
    error: f64,
}

impl Table {
    /// An empty table under the given limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, rows: Vec::new() }
    }

    /// Adds the median of the `times` one n×n product took; without times there is no row.
    pub fn add(
        &mut self,
        n: usize,
        name: &str,
        weight_bytes: usize,
        error: f64,
        times: &[Duration],
    ) {
        if let Some(median) = median(times) {
            self.rows.push(Row { size: n, name: name.into(), median, weight_bytes, error });
        }
    }
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.limits)?;
        writeln!(
            f,
            "{:<24}{:>6}{:>14}{:>10}{:>14}{:>10}{:>10}{:>12}",
            "matvec, 1 thread",
            "n",
            "median",
            "GMAC/s",
            "weight GB/s",
            "% of L3",
            "% of dot",
            "rel. error"
        )?;
        // The fastest integer dot product instruction bounds what any kernel can compute.
        let peak = self.limits.dots.iter().fold(f64::NAN, |peak, (_, speed)| peak.max(*speed));
        for row in &self.rows {
            let seconds = row.median.as_secs_f64();
            let rate = row.weight_bytes as f64 / seconds / 1e9;
            let speed = (row.size * row.size) as f64 / seconds / 1e9;
            writeln!(
                f,
                "{:<24}{:>6}{:>11.1} µs{:>10.2}{:>14.3}{:>10.1}{:>10.1}{:>12.0e}",
                row.name,
                row.size,
                seconds * 1e6,
                speed,
                rate,
                100.0 * rate / self.limits.l3,
                100.0 * speed / peak,
                row.error
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_show_rates_and_shares() {
        let limits = Limits { l2: 100.0, l3: 20.0, dram: 10.0, dots: vec![("dot", 400.0)] };
        let mut table = Table::new(limits);
        let times = [9, 1000, 1].map(Duration::from_millis);
        table.add(3000, "one", 9_000_000, 1e-6, &times);
        table.add(3000, "never timed", 0, 0.0, &[]);
        let text = table.to_string();
        let row = text.lines().find(|line| line.starts_with("one")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["one", "3000", "9000.0", "µs", "1.00", "1.000", "5.0", "0.2", "1e-6"]);
        assert!(!text.contains("never timed"));
    }
}
