//! Bytes that arrive from JavaScript piece by piece.

use crate::failure::Failure;
use js_sys::Uint8Array;
use trilane_core::model::Line;
use wasm_bindgen::prelude::wasm_bindgen;

/// A file in this instance's memory, at a multiple of 64 bytes.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Bytes {
    lines: Vec<Line>,
    len: usize,
}

#[wasm_bindgen]
impl Bytes {
    /// Memory for `capacity` bytes at once.
    ///
    /// # Errors
    /// `memory` when there is not that much.
    #[wasm_bindgen(constructor)]
    pub fn new(capacity: f64) -> Result<Self, Failure> {
        let mut lines = Vec::new();
        let count = count("the file", capacity)?.div_ceil(size_of::<Line>());
        lines.try_reserve_exact(count).map_err(|_| Failure::size("the file", capacity))?;
        Ok(Self { lines, len: 0 })
    }

    /// Adds bytes at the end, and memory where there is none left for them.
    ///
    /// # Errors
    /// `memory` when there is not that much; what was there stays.
    pub fn append(&mut self, chunk: &Uint8Array) -> Result<(), Failure> {
        let end = self.len.saturating_add(chunk.length() as usize);
        let error = || Failure::size("the file", end as f64);
        let lines = end.div_ceil(size_of::<Line>());
        self.lines.try_reserve(lines.saturating_sub(self.lines.len())).map_err(|_| error())?;
        self.lines.resize(lines, Line::ZERO);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.lines);
        chunk.copy_to(bytes.get_mut(self.len..end).ok_or_else(error)?);
        self.len = end;
        Ok(())
    }
}

impl Bytes {
    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.lines);
        bytes.get(..self.len).unwrap_or(bytes)
    }
}

/// A number of JavaScript as a count.
pub(crate) fn count(what: &str, value: f64) -> Result<usize, Failure> {
    if value >= 0.0 && value <= f64::from(i32::MAX) * 2.0 {
        Ok(value as usize)
    } else {
        Err(Failure::size(what, value))
    }
}
