//! Model files that are mapped as a whole, or read within a budget of memory.

use crate::error::Error;
use crate::load::{Model, refused};
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;
use trilane::core::gguf::Gguf;
use trilane::core::lane::{Lanes, PrecisionLane};
use trilane::core::model::Weights;
use trilane::std::mapped::MappedFile;
use trilane::std::neuron_cache::{CacheConfig, CacheError, CacheStrategy};
use trilane::std::stored_model::{Access, StoredError, StoredFile};

/// How much of a model may be in memory.
#[derive(Args, Debug)]
#[command(next_help_heading = "Models larger than memory")]
pub(crate) struct MemoryArgs {
    /// The most bytes of weights to have in memory, such as 64K, 300M or 2G; the others are read
    /// from the file when they are computed on [default: the whole file]. Results do not depend on
    /// it
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory: Option<usize>,
    /// Which neurons give way to others when not all of them are computed: lru, those whose last use
    /// is longest ago, or lfu, those used least often
    #[arg(long, value_name = "lru|lfu", value_parser = parse_strategy, default_value = "lfu", requires = "memory")]
    evict: CacheStrategy,
}

#[cfg(feature = "cuda")]
impl MemoryArgs {
    /// Whether there is a budget.
    pub(crate) fn is_asked(&self) -> bool {
        self.memory.is_some()
    }
}

/// Reads a number of bytes, with K, M, G or T for powers of 1024.
fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" => Some(1),
        "K" | "k" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        "T" => 1usize.checked_shl(40),
        _ => None,
    };
    let bytes = digits.parse::<usize>().ok().zip(unit).and_then(|(n, unit)| n.checked_mul(unit));
    bytes.ok_or_else(|| "expected a number of bytes such as 65536, 64K, 300M or 2G".into())
}

/// Reads the name of a strategy.
fn parse_strategy(name: &str) -> Result<CacheStrategy, String> {
    match name {
        "lru" => Ok(CacheStrategy::Lru),
        "lfu" => Ok(CacheStrategy::Lfu),
        _ => Err("expected lru or lfu".into()),
    }
}

/// An open model file.
pub(crate) enum ModelFile {
    /// In memory as its pages are touched.
    Mapped(MappedFile),
    /// Read with a budget.
    Stored(Box<StoredFile>),
}

impl ModelFile {
    /// Opens a file as the arguments ask for.
    pub(crate) fn open(path: &Path, args: &MemoryArgs) -> Result<Self, Error> {
        Ok(match args.memory {
            None => Self::Mapped(MappedFile::open(path)?),
            Some(budget) => {
                let config = CacheConfig { budget, strategy: args.evict };
                Self::Stored(Box::new(StoredFile::open(path, config)?))
            }
        })
    }

    /// The file as GGUF.
    pub(crate) fn gguf(&self) -> Result<Gguf<'_>, Error> {
        match self {
            Self::Mapped(file) => Ok(file.gguf()?),
            Self::Stored(file) => Ok(file.gguf()?),
        }
    }

    /// The weights of the file's model.
    pub(crate) fn weights<'a, 'm>(
        &'m self,
        path: &Path,
        model: &'a mut Model<'m>,
    ) -> Result<Weights<'a, 'm>, Error> {
        match self {
            Self::Mapped(_) => model.weights(path),
            Self::Stored(file) => {
                let gguf = model.gguf;
                let weights = Weights::load_stored(&gguf, &**file, model.layers());
                weights.map_err(|error| refused(path, &gguf, error))
            }
        }
    }

    /// Gets ready to compute at a lane, or at several: then for the highest.
    pub(crate) fn prepare(
        &self,
        weights: &Weights<'_, '_>,
        lanes: Lanes<'static>,
        sparse: bool,
    ) -> Result<(), Error> {
        match self {
            Self::Mapped(_) => Ok(()),
            Self::Stored(file) => {
                let highest = || crate::load::lanes(weights).last().copied();
                let lane = lanes.of(0).or_else(highest).unwrap_or(PrecisionLane::Float32);
                Ok(file.prepare(weights, Access { lane, sparse })?)
            }
        }
    }

    /// Counts what is read from now on.
    pub(crate) fn reset(&self) {
        if let Self::Stored(file) = self {
            file.reset_statistics();
        }
    }

    /// An error of computing, or why the file could not be read for it.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match self {
            Self::Mapped(_) => error,
            Self::Stored(file) => file.failure().map_or(error, Error::from),
        }
    }

    /// Refuses a budget for what is no decoder.
    pub(crate) fn check_decoder(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Mapped(_) => Ok(()),
            Self::Stored(_) => {
                let what = "--memory: only a decoder is read within a budget";
                Err(Error::Usage(format!("{}: {what}", path.display())))
            }
        }
    }

    /// What was read, in words, after so many tokens.
    pub(crate) fn report(&self, tokens: usize) -> String {
        let Self::Stored(file) = self else { return String::new() };
        let statistics = file.statistics();
        format!(
            ", {} of {} bytes resident, hit rate {:.1}% ({:.1}% of the bytes), {} bytes read a token",
            file.resident_bytes(),
            file.budget(),
            100.0 * statistics.hit_rate(),
            100.0 * statistics.byte_hit_rate(),
            statistics.bytes_read / tokens.max(1) as u64,
        )
    }

    /// What was read, as JSON; null for a mapped file.
    pub(crate) fn json(&self, tokens: usize) -> Value {
        let Self::Stored(file) = self else { return Value::Null };
        let statistics = file.statistics();
        json!({
            "budget": file.budget(),
            "resident": file.resident_bytes(),
            "hits": statistics.hits,
            "misses": statistics.misses,
            "evictions": statistics.evictions,
            "hit_rate": statistics.hit_rate(),
            "byte_hit_rate": statistics.byte_hit_rate(),
            "bytes_read_per_token": statistics.bytes_read / tokens.max(1) as u64,
        })
    }
}

impl From<StoredError> for Error {
    fn from(error: StoredError) -> Self {
        match error {
            StoredError::Open(error) => error.into(),
            StoredError::Tensor { path, name, error: CacheError::Io(error) } => {
                let what = format!("{name}: {error}");
                Self::Io { path, error: std::io::Error::new(error.kind(), what) }
            }
            StoredError::Tensor { path, name, error } => {
                Self::file(&path, format_args!("{name}: {error}"))
            }
            StoredError::Content { path, name, error } => {
                Self::file(&path, format_args!("tensor {name}: {error}"))
            }
            StoredError::NotFinite { path, name } => {
                Self::file(&path, format_args!("tensor {name} holds NaN or infinity"))
            }
            error => Self::Usage(format!("--memory: {error}")),
        }
    }
}
