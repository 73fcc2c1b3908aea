//! Rows of a file within a budget of memory: hot ones resident, cold ones read when asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::SystemTime;

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
    pub offset: u64,
    /// Bytes of a row.
    pub row_bytes: usize,
    /// How many there are.
    pub count: usize,
}

/// Why a row cannot be had. What was resident stays as it was, but for rows that gave way.
#[derive(Debug)]
#[non_exhaustive]
pub enum CacheError {
    /// There is no such row.
    Row {
        /// The row asked for.
        row: usize,
        /// Rows there are.
        count: usize,
    },
    /// A row does not fit next to those that are pinned.
    Budget {
        /// Bytes of a row.
        row_bytes: usize,
        /// Bytes that are not pinned.
        free: usize,
    },
    /// The file ends before the rows do, or has become shorter since.
    Truncated {
        /// Bytes that it has to have.
        expected: u64,
        /// Bytes found.
        actual: u64,
    },
    /// The file was written to since it was opened.
    Changed,
    /// The operating system's answer.
    Io(io::Error),
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { row, count } => write!(f, "row {row} of {count} does not exist"),
            Self::Budget { row_bytes, free } => {
                write!(f, "a row of {row_bytes} bytes does not fit in the {free} that are free")
            }
            Self::Truncated { expected, actual } => {
                write!(f, "expected a file of at least {expected} bytes, found {actual}")
            }
            Self::Changed => f.write_str("the file was written to while it was in use"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CacheError {}

impl From<io::Error> for CacheError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
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
}

impl CacheStatistics {
    /// Hits among all rows asked for; 0 when there were none.
    pub fn hit_rate(&self) -> f64 {
        let all = self.hits + self.misses;
        if all == 0 { 0.0 } else { self.hits as f64 / all as f64 }
    }
}

/// A resident row.
#[derive(Debug)]
struct Resident {
    bytes: Box<[u8]>,
    /// Its place in the order of giving way; `None` for a pinned row.
    rank: Option<(u64, u64)>,
}

/// Rows of a file, as many resident as the budget allows.
///
/// Rows are read with positioned reads, so a file that is cut off or removed while it is in use is
/// an error and neither a fault nor a wrong row. Which rows are resident depends on nothing but the
/// rows asked for so far.
#[derive(Debug)]
pub struct NeuronCache {
    file: File,
    modified: Option<SystemTime>,
    rows: Rows,
    config: CacheConfig,
    resident: BTreeMap<usize, Resident>,
    /// (uses, time of the last use, row), the first to give way first; uses count for LFU only.
    order: BTreeSet<(u64, u64, usize)>,
    time: u64,
    statistics: CacheStatistics,
}

impl NeuronCache {
    /// Opens a file with rows; reads none.
    ///
    /// # Errors
    /// [`CacheError::Io`], [`CacheError::Truncated`] for a file that the rows do not fit in,
    /// [`CacheError::Budget`] for a budget below one row.
    pub fn open(path: &Path, rows: Rows, config: CacheConfig) -> Result<Self, CacheError> {
        let file = File::open(path)?;
        if config.budget < rows.row_bytes {
            let (row_bytes, free) = (rows.row_bytes, config.budget);
            return Err(CacheError::Budget { row_bytes, free });
        }
        let modified = file.metadata()?.modified().ok();
        let cache = Self {
            file,
            modified,
            rows,
            config,
            resident: BTreeMap::new(),
            order: BTreeSet::new(),
            time: 0,
            statistics: CacheStatistics::default(),
        };
        cache.check_file()?;
        Ok(cache)
    }

    /// The bytes of a row.
    ///
    /// # Errors
    /// [`CacheError`]: a row that there is not, one that does not fit beside the pinned rows, or a
    /// file that cannot be read, has become shorter or was written to.
    pub fn row(&mut self, row: usize) -> Result<&[u8], CacheError> {
        self.time += 1;
        if let Some(found) = self.resident.get_mut(&row) {
            self.statistics.hits += 1;
            if let Some((uses, last)) = found.rank {
                self.order.remove(&(uses, last, row));
                let lfu = u64::from(self.config.strategy == CacheStrategy::Lfu);
                found.rank = Some((uses + lfu, self.time));
                self.order.insert((uses + lfu, self.time, row));
            }
        } else {
            let bytes = self.read(row)?;
            self.statistics.misses += 1;
            self.resident.insert(row, Resident { bytes, rank: Some((0, self.time)) });
            self.order.insert((0, self.time, row));
        }
        Ok(self.resident.get(&row).map_or(&[], |found| &*found.bytes))
    }

    /// Makes a row resident for good. Counts as neither hit nor miss.
    ///
    /// # Errors
    /// As [`row`](Self::row).
    pub fn pin(&mut self, row: usize) -> Result<(), CacheError> {
        match self.resident.get_mut(&row) {
            Some(found) => {
                if let Some((uses, last)) = found.rank.take() {
                    self.order.remove(&(uses, last, row));
                }
            }
            None => {
                let bytes = self.read(row)?;
                self.resident.insert(row, Resident { bytes, rank: None });
            }
        }
        Ok(())
    }

    /// Bytes of rows that are resident; at most the budget.
    pub fn resident_bytes(&self) -> usize {
        self.resident.len() * self.rows.row_bytes
    }

    /// Whether a row is resident. Does not count as a use.
    pub fn is_resident(&self, row: usize) -> bool {
        self.resident.contains_key(&row)
    }

    /// Hits, misses and evictions so far.
    pub fn statistics(&self) -> CacheStatistics {
        self.statistics
    }

    /// Makes room for a row, then reads it.
    fn read(&mut self, row: usize) -> Result<Box<[u8]>, CacheError> {
        let Rows { offset, row_bytes, count } = self.rows;
        if row >= count {
            return Err(CacheError::Row { row, count });
        }
        self.check_file()?;
        while self.resident_bytes() + row_bytes > self.config.budget {
            let Some((.., coldest)) = self.order.pop_first() else {
                let free = self.config.budget - self.resident_bytes();
                return Err(CacheError::Budget { row_bytes, free });
            };
            self.resident.remove(&coldest);
            self.statistics.evictions += 1;
        }
        let mut bytes = vec![0; row_bytes].into_boxed_slice();
        let at = offset + (row * row_bytes) as u64;
        read_exact_at(&self.file, &mut bytes, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let actual = self.file.metadata().map_or(0, |metadata| metadata.len());
                CacheError::Truncated { expected: at + row_bytes as u64, actual }
            }
            _ => error.into(),
        })?;
        // What was written while the row was read is found out here.
        self.check_file()?;
        Ok(bytes)
    }

    /// Whether the file still is what was opened.
    fn check_file(&self) -> Result<(), CacheError> {
        let Rows { offset, row_bytes, count } = self.rows;
        let bytes = (row_bytes as u64).checked_mul(count as u64);
        let expected = bytes.and_then(|bytes| bytes.checked_add(offset)).unwrap_or(u64::MAX);
        let metadata = self.file.metadata()?;
        if metadata.len() < expected {
            return Err(CacheError::Truncated { expected, actual: metadata.len() });
        }
        if metadata.modified().ok() != self.modified {
            return Err(CacheError::Changed);
        }
        Ok(())
    }
}

/// Fills `bytes` from a place in the file.
#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Fills `bytes` from a place in the file.
#[cfg(not(unix))]
fn read_exact_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}
