//! Models larger than memory: a file whose matrices are read when they are computed on.

mod error;
mod rows;

pub use error::StoredError;

use crate::mapped::OpenError;
use crate::neuron_cache::file::WatchedFile;
use crate::neuron_cache::{CacheConfig, CacheStatistics, NeuronCache};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use trilane_core::gguf::blocks::Stored;
use trilane_core::gguf::{Gguf, GgufError, MAX_HEADER_LEN, Tensor};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::sparsity_parts::DOWN;
use trilane_core::model::{Line, TAPS, TensorName, Weights, parts};
use trilane_core::nn::{Extent, Linear, RowSource, StoredMatrix};

/// Bytes that are read at first to find the end of the header.
const BEGINNING: u64 = 1 << 16;

/// Name of the parts of predictors, which stay in memory.
const PREDICTOR: &str = "ffn_predict_";

/// How a model is going to be read.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The lane, or the highest of several.
    pub lane: PrecisionLane,
    /// Whether only some neurons of blocks stored by neuron are computed.
    pub sparse: bool,
}

/// A model file of which no more than a budget of bytes is in memory, beside its header.
///
/// ```text
/// for good     vectors and predictors; strips of matrices that are pinned
/// for a while  strips of the other matrices, one after the other; rows of the embedding table
/// ```
///
/// A strip is some rows of a matrix, as far as a lane reads them. Every token reads every matrix
/// from its first row to its last, so it does not matter which strips are pinned, only that they
/// stay: a cache of what was used last would never have what is used next. Blocks stored by neuron
/// are read in shorter strips, and where not all neurons are computed, what is not pinned comes and
/// goes by the [strategy](crate::neuron_cache::CacheStrategy).
#[derive(Debug)]
pub struct StoredFile {
    path: PathBuf,
    file_len: u64,
    header: Vec<u8>,
    vectors: BTreeMap<Extent, Box<[Line]>>,
    vector_bytes: usize,
    budget: usize,
    cache: Mutex<NeuronCache>,
    failure: Mutex<Option<StoredError>>,
}

impl StoredFile {
    /// Opens a file and reads its header, and the vectors and predictors that it holds.
    ///
    /// # Errors
    /// [`StoredError::Open`] for a file that cannot be read or is not GGUF,
    /// [`StoredError::Tensor`] for a vector that cannot be read.
    pub fn open(path: &Path, config: CacheConfig) -> Result<Self, StoredError> {
        let file = WatchedFile::open(path).map_err(|error| StoredError::open(path, error))?;
        let (file_len, budget) = (file.len(), config.budget);
        let header = read_header(path, &file)?;
        let gguf = Gguf::parse_beginning(&header, file_len).map_err(|e| gguf_error(path, e))?;
        let mut vectors = BTreeMap::new();
        for tensor in gguf.tensors().filter(stays) {
            let (path, name) = (path.to_owned(), tensor.name().to_owned());
            let lines = file.lines(extent(&tensor));
            let lines = lines.map_err(|error| StoredError::Tensor { path, name, error })?;
            vectors.insert(extent(&tensor), lines);
        }
        let vector_bytes: usize = vectors.keys().map(|&extent| NeuronCache::cost(extent)).sum();
        // Whether that is enough is known when the matrices are.
        let config = CacheConfig { budget: budget.saturating_sub(vector_bytes), ..config };
        let cache = Mutex::new(NeuronCache::of(file, config));
        let (path, failure) = (path.into(), Mutex::new(None));
        Ok(Self { path, file_len, header, vectors, vector_bytes, budget, cache, failure })
    }

    /// The header as GGUF; the tensors' data is not there.
    ///
    /// # Errors
    /// [`StoredError::Open`], which [`open`](Self::open) has excluded.
    pub fn gguf(&self) -> Result<Gguf<'_>, StoredError> {
        Gguf::parse_beginning(&self.header, self.file_len).map_err(|e| gguf_error(&self.path, e))
    }

    /// Checks that every matrix can be read within the budget, pins as much as there is room for of
    /// what `lane` reads, and checks the contents of every matrix.
    ///
    /// # Errors
    /// [`StoredError::Budget`] with the smallest budget that would do; [`StoredError::Tensor`],
    /// [`StoredError::Content`] and [`StoredError::NotFinite`] for a matrix that cannot be read or
    /// computed on.
    pub fn prepare(&self, weights: &Weights<'_, '_>, access: Access) -> Result<(), StoredError> {
        let matrices = || {
            weights.linears().filter_map(|(name, linear)| match linear {
                Linear::Stored { matrix, .. } => Some((name, matrix)),
                _ => None,
            })
        };
        let by_neuron = weights.header().sparse_rank.is_some();
        let is_neurons = |name: &TensorName| by_neuron && name.part.starts_with("ffn_");
        let smallest = |(name, matrix): &(TensorName, &StoredMatrix)| {
            if is_neurons(name) { rows::neuron_cost(matrix) } else { rows::smallest(matrix) }
        };
        if let Some(largest) = matrices().max_by_key(smallest) {
            let minimum = self.vector_bytes.saturating_add(smallest(&largest));
            let (path, budget) = (self.path.clone(), self.budget);
            if minimum > budget {
                let tensor = largest.0.to_string();
                return Err(StoredError::Budget { path, tensor, budget, minimum });
            }
        }
        self.pin_hot(matrices().map(|(name, matrix)| (name, matrix, is_neurons(&name))), access)?;
        for (name, matrix) in matrices() {
            self.check(name, matrix, is_neurons(&name))?;
        }
        self.reset_statistics();
        Ok(())
    }

    /// Pins what every token reads, and of blocks stored by neuron the first rows, which were the
    /// most active when the file was made.
    fn pin_hot<'l>(
        &self,
        matrices: impl Iterator<Item = (TensorName, &'l StoredMatrix, bool)> + Clone,
        access: Access,
    ) -> Result<(), StoredError> {
        let Access { lane, sparse } = access;
        // The embedding table is read by rows, unless it is the output matrix, too.
        let matrices = matrices.skip_while(|(name, ..)| name.part == "token_embd");
        let neurons = matrices.clone().filter(|&(.., neurons)| neurons);
        let largest = matrices.clone().map(|(_, matrix, neurons)| {
            if neurons { rows::neuron_cost(matrix) } else { self.strip_cost(matrix) }
        });
        let mut room = 2 * largest.max().unwrap_or(0);
        let units = |matrix: &StoredMatrix| pieces(matrix.rows(), rows::neuron_rows(matrix));
        let pin = |name: TensorName, matrix: &StoredMatrix, lane, rows, room| {
            self.pin(matrix, lane, rows, room).map_err(|error| {
                let (path, name) = (self.path.clone(), name.to_string());
                StoredError::Tensor { path, name, error }
            })
        };
        for (name, matrix, _) in matrices.filter(|&(.., neurons)| !neurons) {
            for strip in pieces(matrix.rows(), self.strip_rows(matrix)) {
                pin(name, matrix, matrix.lane(lane), strip, room)?;
            }
        }
        if sparse {
            // Half of what is left is for the rows that come and go.
            room = room.max(self.cache().free_bytes() / 2);
            for (name, matrix, _) in neurons.clone().filter(|(name, ..)| name.part != DOWN) {
                for unit in units(matrix) {
                    pin(name, matrix, matrix.lane(PrecisionLane::Bit3), unit, room)?;
                }
            }
        }
        // The hottest rows of every layer, then the next.
        let most = neurons.clone().map(|(_, matrix, _)| units(matrix).count()).max().unwrap_or(0);
        for nth in 0..most {
            for (name, matrix, _) in neurons.clone() {
                if let Some(unit) = units(matrix).nth(nth) {
                    pin(name, matrix, matrix.lane(lane), unit, room)?;
                }
            }
        }
        Ok(())
    }

    /// Checks the contents of a matrix.
    fn check(
        &self,
        name: TensorName,
        matrix: &StoredMatrix,
        neurons: bool,
    ) -> Result<(), StoredError> {
        let (top, mut finite) = (matrix.top_lane(), true);
        let read = if neurons {
            let all: Vec<u32> = (0..matrix.rows() as u32).collect();
            self.listed(matrix, top, &all, &mut |_, _, _| Ok(()))
        } else {
            self.rows(matrix, top, 0..matrix.rows(), &mut |_, piece| {
                finite &= is_finite(piece);
                Ok(())
            })
        };
        let (path, name) = (self.path.clone(), name.to_string());
        if let Err(error) = read {
            return Err(self.failure().unwrap_or(StoredError::Content { path, name, error }));
        }
        if finite { Ok(()) } else { Err(StoredError::NotFinite { path, name }) }
    }

    /// Why the last [`LinearError::Unread`](trilane_core::nn::LinearError::Unread) was, once.
    pub fn failure(&self) -> Option<StoredError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Parts of strips that were resident, or not, since the model was prepared.
    pub fn statistics(&self) -> CacheStatistics {
        self.cache().statistics()
    }

    /// Counts strips and rows from now on.
    pub fn reset_statistics(&self) {
        self.cache().reset_statistics();
    }

    /// Bytes of tensors that are resident; at most the budget.
    pub fn resident_bytes(&self) -> usize {
        self.vector_bytes + self.cache().resident_bytes()
    }

    /// Bytes that may be resident.
    pub const fn budget(&self) -> usize {
        self.budget
    }

    /// Bytes of the header, which are in memory beside the budget.
    pub const fn header_bytes(&self) -> usize {
        self.header.len()
    }

    fn set_failure(&self, failure: StoredError) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    fn cache(&self) -> MutexGuard<'_, NeuronCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the tensor that lies there.
    fn name_at(&self, offset: usize) -> String {
        let lies = |tensor: &Tensor<'_>| {
            let Extent { offset: start, len } = extent(tensor);
            (start..start.saturating_add(len)).contains(&offset)
        };
        let gguf = self.gguf().ok();
        let tensor = gguf.and_then(|gguf| gguf.tensors().find(lies));
        tensor.map_or_else(String::new, |tensor| tensor.name().into())
    }
}

/// Whether a tensor stays in memory: vectors, taps of short convolutions, what predicts neurons, and
/// the scales that go into hidden values.
fn stays(tensor: &Tensor<'_>) -> bool {
    let scales = tensor.name().ends_with(parts::ROW_SCALES);
    match tensor.dims() {
        [_] if !scales => true,
        _ if tensor.name().ends_with(TAPS) => true,
        _ => tensor.name().contains(PREDICTOR) || (scales && tensor.name().contains(DOWN)),
    }
}

/// All rows, so many at a time.
fn pieces(all: usize, rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..all).step_by(rows.max(1)).map(move |start| start..all.min(start + rows))
}

/// Where a tensor's bytes lie.
fn extent(tensor: &Tensor<'_>) -> Extent {
    let len = usize::try_from(tensor.data_len()).unwrap_or(usize::MAX);
    Extent { offset: tensor.file_offset(), len }
}

/// Whether the weights of a piece are numbers. Digit planes have been checked when they became one.
fn is_finite(piece: &Linear<'_>) -> bool {
    match *piece {
        Linear::Blocks { kind, data, .. } => {
            Stored::new(kind, data).is_ok_and(|stored| stored.is_finite())
        }
        _ => true,
    }
}

/// The beginning of a file, as far as its tensors' data.
fn read_header(path: &Path, file: &WatchedFile) -> Result<Vec<u8>, StoredError> {
    let most = file.len().min(u64::from(MAX_HEADER_LEN) + BEGINNING);
    let mut len = most.min(BEGINNING);
    loop {
        let mut header = vec![0; len as usize];
        file.read(0, &mut header).map_err(|error| StoredError::open(path, error))?;
        match Gguf::parse_beginning(&header, file.len()) {
            Ok(gguf) => {
                let end = gguf.data_start();
                header.truncate(end);
                return Ok(header);
            }
            // What ends too early may only have been read too short.
            Err(_) if len < most => len = most.min(len * 4),
            Err(error) => return Err(gguf_error(path, error)),
        }
    }
}

fn gguf_error(path: &Path, error: GgufError) -> StoredError {
    StoredError::Open(OpenError::Gguf { path: path.into(), error })
}
