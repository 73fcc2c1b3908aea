//! Columns of text, and numbers for people.

use std::io::{self, Write};

/// Rows of cells: the first column left, the others right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new<T: Into<String>>(headings: impl IntoIterator<Item = T>) -> Self {
        let mut table = Self::default();
        table.row(headings);
        table
    }

    /// Adds a row.
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Writes the table, columns two spaces apart.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let space = " ".repeat(width.saturating_sub(cell.chars().count()));
                match column {
                    0 => line.extend([cell, &*space]),
                    _ => line.extend(["  ", &*space, cell]),
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Bytes in the decimal unit that gives up to four digits.
pub(crate) fn bytes(count: usize) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = count as f64;
    if count < 10_000 {
        return format!("{count} B");
    }
    let mut name = "B";
    for unit in units {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        name = unit;
    }
    let decimals = if value < 10.0 { 2 } else { 1 };
    format!("{value:.decimals$} {name}")
}

/// A number of things: `1 token`, `2 tokens`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Bits for each of `weights` weights that take `bytes` bytes.
pub(crate) fn bits_per_weight(bytes: usize, weights: usize) -> f64 {
    8.0 * bytes as f64 / weights.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["name", "size"]);
        table.row(["a", "10 kB"]);
        table.row(["über", "3 B"]);
        let mut out = Vec::new();
        assert!(table.write(&mut out).is_ok());
        let expected = "name   size\na     10 kB\nüber    3 B\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn bytes_have_units() {
        let texts = [0, 9_999, 10_000, 1_054_336, 18_000_000_000].map(bytes);
        assert_eq!(texts, ["0 B", "9999 B", "10.0 kB", "1.05 MB", "18.0 GB"]);
    }
}
