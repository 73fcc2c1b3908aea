//! Rows of a file within a budget of memory: hot ones resident, cold ones read when asked for.

mod error;
pub(crate) mod file;

pub use error::CacheError;

use file::WatchedFile;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use trilane_core::model::Line;
use trilane_core::nn::Extent;

/// Which row gives way when there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheStrategy {
    /// The row whose last use is longest ago.
    #[default]
    Lru,
    /// The row used least often while it was resident; of several, the one whose last use is
    /// longest ago.
    Lfu,
}

/// Budget and strategy of a [`NeuronCache`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// Bytes of rows that may be resident at any time.
    pub budget: usize,
    /// Which row gives way.
    pub strategy: CacheStrategy,
}

/// Equal rows one after the other in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Where the first begins.
    pub offset: usize,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// How many there are.
    pub count: usize,
}

impl Rows {
    /// Where a row lies.
    ///
    /// # Errors
    /// [`CacheError::Row`] where there is none of that number.
    pub fn row(&self, row: usize) -> Result<Extent, CacheError> {
        let Self { offset, row_bytes, count } = *self;
        if row >= count {
            return Err(CacheError::Row { row, count });
        }
        Ok(Extent { offset: offset + row * row_bytes, len: row_bytes })
    }
}

/// How often a row was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    /// Rows asked for that were resident.
    pub hits: u64,
    /// Rows asked for that had to be read.
    pub misses: u64,
    /// Rows that gave way.
    pub evictions: u64,
    /// Bytes of the rows that were resident.
    pub bytes_hit: u64,
    /// Bytes of the rows that had to be read.
    pub bytes_read: u64,
}

impl CacheStatistics {
    /// Hits among all rows asked for; 0 when there were none.
    pub fn hit_rate(&self) -> f64 {
        share(self.hits, self.misses)
    }

    /// Bytes of hits among those of all rows asked for; 0 when there were none.
    pub fn byte_hit_rate(&self) -> f64 {
        share(self.bytes_hit, self.bytes_read)
    }
}

fn share(part: u64, rest: u64) -> f64 {
    let all = part + rest;
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// A resident row.
#[derive(Debug)]
struct Resident {
    lines: Box<[Line]>,
    /// Its place in the order of giving way; `None` for a pinned row.
    rank: Option<(u64, u64)>,
}

/// Rows of a file, as many resident as the budget allows.
///
/// A row is any [`Extent`] of the file, always asked for as the same one. It begins at a cache
/// line in memory and counts as whole lines of 64 bytes. Rows are read with positioned reads, so a
/// file that is cut off or removed while it is in use is an error and neither a fault nor a wrong
/// row. Which rows are resident depends on nothing but the rows asked for so far.
#[derive(Debug)]
pub struct NeuronCache {
    file: WatchedFile,
    config: CacheConfig,
    rows: BTreeMap<Extent, Resident>,
    /// (uses, time of the last use, row), the first to give way first; uses count for LFU only.
    order: BTreeSet<(u64, u64, Extent)>,
    resident: usize,
    pinned: usize,
    time: u64,
    statistics: CacheStatistics,
}

impl NeuronCache {
    /// Opens a file with rows; reads none.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn open(path: &Path, config: CacheConfig) -> Result<Self, CacheError> {
        Ok(Self::of(WatchedFile::open(path)?, config))
    }

    /// A cache of a file that is open.
    pub(crate) fn of(file: WatchedFile, config: CacheConfig) -> Self {
        Self {
            file,
            config,
            rows: BTreeMap::new(),
            order: BTreeSet::new(),
            resident: 0,
            pinned: 0,
            time: 0,
            statistics: CacheStatistics::default(),
        }
    }

    /// Bytes that a row takes of the budget.
    pub fn cost(row: Extent) -> usize {
        row.len.div_ceil(size_of::<Line>()).saturating_mul(size_of::<Line>())
    }

    /// The bytes of a row.
    ///
    /// # Errors
    /// [`CacheError`]: a row that does not fit beside the pinned ones, or a file that cannot be
    /// read, has become shorter or was written to.
    pub fn row(&mut self, row: Extent) -> Result<&[u8], CacheError> {
        self.together(&[row])?;
        Ok(self.resident(row).unwrap_or(&[]))
    }

    /// Makes rows resident that are needed at the same time; [`resident`](Self::resident) then has
    /// them until the next call. Each counts as a use.
    ///
    /// # Errors
    /// As [`row`](Self::row).
    pub fn together(&mut self, rows: &[Extent]) -> Result<(), CacheError> {
        self.time += 1;
        let result = self.load(rows);
        // Only now may they give way, to what is asked for next.
        for row in rows {
            if let Some(Resident { rank: Some((uses, last)), .. }) = self.rows.get(row) {
                self.order.insert((*uses, *last, *row));
            }
        }
        result
    }

    fn load(&mut self, rows: &[Extent]) -> Result<(), CacheError> {
        let mut missing = false;
        for row in rows {
            match self.rows.get_mut(row) {
                Some(Resident { rank, .. }) => {
                    self.statistics.hits += 1;
                    self.statistics.bytes_hit += row.len as u64;
                    if let Some((uses, last)) = rank {
                        self.order.remove(&(*uses, *last, *row));
                        *uses += u64::from(self.config.strategy == CacheStrategy::Lfu);
                        *last = self.time;
                    }
                }
                None => missing = true,
            }
        }
        if !missing {
            return Ok(());
        }
        self.file.check()?;
        for &row in rows {
            if !self.rows.contains_key(&row) {
                let lines = self.read(row)?;
                self.statistics.misses += 1;
                self.statistics.bytes_read += row.len as u64;
                self.insert(row, Resident { lines, rank: Some((0, self.time)) });
            }
        }
        // What was written while the rows were read is found out here.
        self.file.check().inspect_err(|_| {
            // Read in this call, so not to be trusted.
            rows.iter().for_each(|row| self.forget(*row));
        })
    }

    /// Makes a row resident for good. Counts as neither hit nor miss.
    ///
    /// # Errors
    /// As [`row`](Self::row).
    pub fn pin(&mut self, row: Extent) -> Result<(), CacheError> {
        match self.rows.get_mut(&row) {
            Some(Resident { rank, .. }) => match rank.take() {
                Some((uses, last)) => {
                    self.order.remove(&(uses, last, row));
                }
                None => return Ok(()),
            },
            None => {
                self.file.check()?;
                let lines = self.read(row)?;
                self.file.check()?;
                self.insert(row, Resident { lines, rank: None });
            }
        }
        self.pinned += Self::cost(row);
        Ok(())
    }

    /// The bytes of a row that is resident. Does not count as a use.
    pub fn resident(&self, row: Extent) -> Option<&[u8]> {
        let Resident { lines, .. } = self.rows.get(&row)?;
        bytemuck::cast_slice(lines).get(..row.len)
    }

    /// Bytes that are resident; at most the budget.
    pub fn resident_bytes(&self) -> usize {
        self.resident
    }

    /// Bytes of the budget that no pinned row takes.
    pub fn free_bytes(&self) -> usize {
        self.config.budget.saturating_sub(self.pinned)
    }

    /// Hits, misses and evictions so far.
    pub fn statistics(&self) -> CacheStatistics {
        self.statistics
    }

    /// Counts hits, misses and evictions from now on.
    pub fn reset_statistics(&mut self) {
        self.statistics = CacheStatistics::default();
    }

    fn insert(&mut self, row: Extent, resident: Resident) {
        self.resident += Self::cost(row);
        self.rows.insert(row, resident);
    }

    fn forget(&mut self, row: Extent) {
        if let Some(Resident { rank: Some((uses, last)), .. }) = self.rows.get(&row) {
            self.order.remove(&(*uses, *last, row));
            self.rows.remove(&row);
            self.resident -= Self::cost(row);
        }
    }

    /// Makes room for a row, then reads it.
    fn read(&mut self, row: Extent) -> Result<Box<[Line]>, CacheError> {
        let cost = Self::cost(row);
        while self.resident.saturating_add(cost) > self.config.budget {
            let Some(&(.., coldest)) = self.order.first() else {
                let free = self.config.budget.saturating_sub(self.resident);
                return Err(CacheError::Budget { row_bytes: cost, free });
            };
            self.forget(coldest);
            self.statistics.evictions += 1;
        }
        self.file.lines(row)
    }
}
