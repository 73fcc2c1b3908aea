//! Handing out the rows of stored matrices, strip by strip.

use super::{StoredError, StoredFile};
use crate::neuron_cache::{CacheError, NeuronCache};
use std::ops::Range;
use trilane_core::lane::PrecisionLane;
use trilane_core::nn::{
    EachListed, EachPiece, Extent, Linear, LinearError, MAX_PARTS, RowSource, StoredMatrix,
};

/// Strips that fit in what the cache has room for.
const STRIPS: usize = 16;

/// Bytes of a strip from which on longer ones are no faster.
const LONG: usize = 1 << 20;

/// Bytes of a digit plane that rows of neurons which are read together take at least, if one row
/// does not: shorter reads take as long.
const SHORT: usize = 128;

/// The parts of a strip that have to be read.
fn wanted(extents: &[Extent; MAX_PARTS]) -> Vec<Extent> {
    extents.iter().copied().filter(|extent| extent.len > 0).collect()
}

/// Bytes of the cache that rows take at the highest lane.
fn cost(matrix: &StoredMatrix, rows: usize) -> usize {
    let extents = matrix.extents(matrix.top_lane(), 0..rows);
    extents.map_or(usize::MAX, |extents| extents.into_iter().map(NeuronCache::cost).sum())
}

/// Rows that cannot be read without each other.
fn fewest_rows(matrix: &StoredMatrix) -> usize {
    if matrix.trailer() > 0 { matrix.rows() } else { 1 }
}

/// Bytes of the cache that the shortest strip of a matrix takes.
pub(super) fn smallest(matrix: &StoredMatrix) -> usize {
    cost(matrix, fewest_rows(matrix))
}

/// Rows that are read together of a matrix stored by neuron.
pub(super) fn neuron_rows(matrix: &StoredMatrix) -> usize {
    (SHORT / (matrix.cols() / 4).max(1)).clamp(fewest_rows(matrix), matrix.rows())
}

/// Bytes of the cache that they take.
pub(super) fn neuron_cost(matrix: &StoredMatrix) -> usize {
    cost(matrix, neuron_rows(matrix))
}

impl StoredFile {
    /// Rows of a strip of a matrix. The same for every lane, so that lanes share what they read.
    pub(super) fn strip_rows(&self, matrix: &StoredMatrix) -> usize {
        let (fewest, all) = (fewest_rows(matrix), matrix.rows());
        let most = (self.budget.saturating_sub(self.vector_bytes) / STRIPS).min(LONG);
        let mut rows = all.min(most / (matrix.row_bytes().max(1))).max(fewest);
        // Parts take whole lines.
        while rows > fewest && cost(matrix, rows) > most {
            rows -= 1;
        }
        rows
    }

    /// Bytes of the cache that a strip of a matrix takes.
    pub(super) fn strip_cost(&self, matrix: &StoredMatrix) -> usize {
        cost(matrix, self.strip_rows(matrix))
    }

    /// Pins rows of a matrix at a lane if `room` bytes stay free.
    pub(super) fn pin(
        &self,
        matrix: &StoredMatrix,
        lane: PrecisionLane,
        rows: Range<usize>,
        room: usize,
    ) -> Result<(), CacheError> {
        let extents = matrix.extents(lane, rows);
        let extents = extents.map_or_else(|_| Vec::new(), |extents| wanted(&extents));
        let cost: usize = extents.iter().map(|&extent| NeuronCache::cost(extent)).sum();
        let mut cache = self.cache();
        if cache.free_bytes() < room.saturating_add(cost) {
            return Ok(());
        }
        extents.into_iter().try_for_each(|extent| cache.pin(extent))
    }

    /// Keeps the reason for a core that has no place for it.
    fn fail(&self, extent: Extent, reason: impl FnOnce(String) -> StoredError) -> LinearError {
        self.set_failure(reason(self.name_at(extent.offset)));
        LinearError::Unread { offset: extent.offset, len: extent.len }
    }

    /// Makes rows of a matrix resident at a lane and gives `part` of them to `each`.
    fn piece(
        &self,
        cache: &mut NeuronCache,
        matrix: &StoredMatrix,
        lane: PrecisionLane,
        rows: &Range<usize>,
        part: &Range<usize>,
        each: &mut dyn FnMut(&Linear<'_>) -> Result<(), LinearError>,
    ) -> Result<(), LinearError> {
        let extents = matrix.extents(lane, rows.clone())?;
        let wanted = wanted(&extents);
        let first = wanted.first().copied().unwrap_or_default();
        let path = || self.path.clone();
        cache.together(&wanted).map_err(|error| {
            self.fail(first, |name| StoredError::Tensor { path: path(), name, error })
        })?;
        let mut parts = [&[][..]; MAX_PARTS];
        for (to, extent) in parts.iter_mut().zip(&extents) {
            let bytes = cache.resident(*extent).unwrap_or(&[]);
            let row = extent.len / rows.len().max(1);
            let of_part = (part.start - rows.start) * row..(part.end - rows.start) * row;
            *to = if part == rows { bytes } else { bytes.get(of_part).unwrap_or(&[]) };
        }
        let piece = matrix.resident(lane, part.len(), parts).map_err(|error| {
            self.fail(first, |name| StoredError::Content { path: path(), name, error })
        })?;
        each(&piece)
    }
}

impl RowSource for StoredFile {
    fn resident(&self, extent: Extent) -> Option<&[u8]> {
        let Extent { offset, len } = extent;
        let last = Extent { offset, len: usize::MAX };
        let (vector, lines) = self.vectors.range(..=last).next_back()?;
        let start = offset - vector.offset;
        let bytes: &[u8] = bytemuck::cast_slice(lines);
        bytes.get(..vector.len)?.get(start..start.checked_add(len)?)
    }

    fn rows(
        &self,
        matrix: &StoredMatrix,
        lane: PrecisionLane,
        rows: Range<usize>,
        each: EachPiece<'_>,
    ) -> Result<(), LinearError> {
        let strip_rows = self.strip_rows(matrix);
        let mut cache = self.cache();
        let mut at = rows.start;
        while at < rows.end {
            let start = at / strip_rows * strip_rows;
            let strip = start..matrix.rows().min(start + strip_rows);
            let part = at..rows.end.min(strip.end);
            let has = |extent: &Extent| extent.len == 0 || cache.resident(*extent).is_some();
            let whole = part == strip || matrix.extents(lane, strip.clone())?.iter().all(has);
            // Of a strip that is not there no other rows are read than those asked for.
            let read = if whole { &strip } else { &part };
            self.piece(&mut cache, matrix, lane, read, &part, &mut |piece| {
                each(part.start, piece)
            })?;
            at = part.end;
        }
        Ok(())
    }

    fn listed(
        &self,
        matrix: &StoredMatrix,
        lane: PrecisionLane,
        rows: &[u32],
        each: EachListed<'_>,
    ) -> Result<(), LinearError> {
        let together = neuron_rows(matrix);
        let mut cache = self.cache();
        let mut first = 0;
        for list in rows.chunk_by(|a, b| *a as usize / together == *b as usize / together) {
            let start = list.first().map_or(0, |&row| row as usize) / together * together;
            let unit = start..matrix.rows().min(start + together);
            let inside: Vec<u32> = list.iter().map(|row| row - start as u32).collect();
            self.piece(&mut cache, matrix, lane, &unit, &unit, &mut |piece| {
                each(first, piece, &inside)
            })?;
            first += list.len();
        }
        Ok(())
    }
}
