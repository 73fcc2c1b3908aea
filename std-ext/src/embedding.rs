//! Vectors of texts, from the encoder and the vocabulary of a GGUF file.
//!
//! ```
//! # #[cfg(feature = "hugging-face")]
//! # {
//! use trilane_core::{digits::Group, lane::PrecisionLane::Bit7};
//! use trilane_std::convert::{ConvertOptions, folder::{Folder, convert_folder}};
//! use trilane_std::embedding::{EmbeddingOptions, EmbeddingProvider};
//!
//! // As `trilane convert tiny-bert/ tiny.gguf`
//! # let from = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/tiny-bert");
//! # let name = format!("trilane-doc-{}.gguf", std::process::id());
//! # let path = std::env::temp_dir().join(name);
//! let options = ConvertOptions { lane: Bit7, group: Group::G32, keep: vec![] };
//! convert_folder(&Folder::open(from.as_ref())?, &path, &options, &mut |_| {})?;
//!
//! let provider = EmbeddingProvider::open(&path, &EmbeddingOptions::default())?;
//! let embedding = provider.embed("Hello world")?;
//! assert_eq!(embedding.vector.len(), provider.dim());
//!
//! // Vectors have length 1: the cosine of two is their dot product
//! let other = provider.embed("Hello, world")?;
//! let pairs = embedding.vector.iter().zip(&other.vector);
//! let cosine: f32 = pairs.map(|(a, b)| a * b).sum();
//! assert!((-1.0..=1.0).contains(&cosine));
//! # drop(provider);
//! # std::fs::remove_file(path)?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::level;
use crate::mapped::{MappedFile, OpenError};
use crate::memory::{self, OutOfMemory};
use crate::rows::for_each_row;
use crate::text::index;
use self_cell::{MutBorrow, self_cell};
use std::fmt;
use std::path::Path;
use trilane_core::gguf::Gguf;
use trilane_core::kernel::{Level, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::tokenizer::TokenizerError;
use trilane_core::model::wordpiece::WordPiece;
use trilane_core::model::{Encoder, EncoderHeader, EncoderLayer, EncoderWeights, ModelError};

/// How to compute. The level does not show in the result.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmbeddingOptions {
    /// The lane that the weights are read at; the highest one stored if none is asked for.
    pub lane: Option<PrecisionLane>,
    /// The instruction set; the best of this machine if none is asked for.
    pub level: Option<Level>,
}

/// The vector of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Of length 1, so that the cosine of two is their dot product.
    pub vector: Vec<f32>,
    /// Tokens that it was computed from, the begin and end token included.
    pub tokens: usize,
    /// Tokens of the text beyond the model's longest, which were left out.
    pub cut: usize,
}

/// Why there is no embedding.
#[derive(Debug)]
#[non_exhaustive]
pub enum EmbeddingError {
    /// The file cannot be opened.
    Open(OpenError),
    /// The model.
    Model(ModelError),
    /// The vocabulary.
    Tokenizer(TokenizerError),
    /// The vocabulary has another number of tokens than the embedding table has rows.
    Vocabulary {
        /// Rows.
        expected: usize,
        /// Tokens.
        found: usize,
    },
    /// The system does not have the memory.
    Memory(OutOfMemory),
}

impl fmt::Display for EmbeddingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Model(error) => error.fmt(f),
            Self::Tokenizer(error) => error.fmt(f),
            Self::Vocabulary { expected, found } => {
                write!(f, "the vocabulary: expected {expected} tokens, found {found}")
            }
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EmbeddingError {}

impl From<ModelError> for EmbeddingError {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl From<TokenizerError> for EmbeddingError {
    fn from(error: TokenizerError) -> Self {
        Self::Tokenizer(error)
    }
}

/// What the model borrows.
struct Memory {
    file: MappedFile,
    index: MutBorrow<Vec<u32>>,
}

/// What was found in the file.
struct Found<'m> {
    weights: EncoderWeights<'m, 'm>,
    layers: Vec<EncoderLayer<'m>>,
    words: WordPiece<'m>,
}

self_cell!(
    struct Loaded {
        owner: Memory,
        #[covariant]
        dependent: Found,
    }
);

impl<'m> Found<'m> {
    fn read(memory: &'m Memory) -> Result<Self, EmbeddingError> {
        let gguf = memory.file.gguf().map_err(EmbeddingError::Open)?;
        let header = EncoderHeader::read(&gguf)?;
        let words = WordPiece::read(&gguf, memory.index.borrow_mut())?;
        let (expected, found) = (header.vocabulary, words.vocabulary_len());
        if expected != found {
            return Err(EmbeddingError::Vocabulary { expected, found });
        }
        let mut layers = layers(&gguf, &header);
        let weights = EncoderWeights::load(&gguf, &mut layers)?.without_layers();
        Ok(Self { weights, layers, words })
    }
}

/// Places for the layers of a file's encoder; no more than the file has tensors, whatever its
/// header says.
pub fn layers<'m>(file: &Gguf<'m>, header: &EncoderHeader) -> Vec<EncoderLayer<'m>> {
    vec![EncoderLayer::EMPTY; header.layers.min(file.tensors().len())]
}

/// An encoder that is ready to turn texts into vectors.
pub struct EmbeddingProvider {
    loaded: Loaded,
    lane: PrecisionLane,
    level: Level,
}

impl fmt::Debug for EmbeddingProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("EmbeddingProvider");
        fields.field("path", &self.loaded.borrow_owner().file.path());
        fields.field("lane", &self.lane).field("level", &self.level).finish_non_exhaustive()
    }
}

impl EmbeddingProvider {
    /// Maps a GGUF file of the architecture `bert` and checks its weights and its vocabulary.
    ///
    /// # Errors
    /// [`EmbeddingError`], of the lane too when the file does not have it.
    pub fn open(path: &Path, options: &EmbeddingOptions) -> Result<Self, EmbeddingError> {
        let file = MappedFile::open(path).map_err(EmbeddingError::Open)?;
        let index = index(&file.gguf().map_err(EmbeddingError::Open)?);
        let memory = Memory { file, index: MutBorrow::new(index) };
        let loaded = Loaded::try_new(memory, |memory| Found::read(memory))?;
        let level = options.level.unwrap_or_else(level::detect);
        let found = loaded.borrow_dependent();
        let weights = found.weights.with_layers(&found.layers)?;
        let lane = match options.lane {
            Some(lane) => lane,
            None => {
                let stored = |&lane: &PrecisionLane| weights.check_lane(lane).is_ok();
                PrecisionLane::ALL.into_iter().rev().find(stored).unwrap_or(PrecisionLane::Float32)
            }
        };
        weights.check_computable(level, lane)?;
        Ok(Self { loaded, lane, level })
    }

    /// Values in an embedding.
    pub fn dim(&self) -> usize {
        self.header().dim
    }

    /// Tokens of the longest text, the begin and end token included.
    pub fn max_tokens(&self) -> usize {
        self.header().context
    }

    /// The lane that the weights are read at.
    pub fn lane(&self) -> PrecisionLane {
        self.lane
    }

    fn header(&self) -> &EncoderHeader {
        self.loaded.borrow_dependent().weights.header()
    }

    /// The vector of a text, computed in the calling thread. A text of more than
    /// [`max_tokens`](Self::max_tokens) is cut, and the embedding says by how much.
    ///
    /// # Errors
    /// [`EmbeddingError::Model`] when a value is not finite, [`EmbeddingError::Memory`].
    pub fn embed(&self, text: &str) -> Result<Embedding, EmbeddingError> {
        let found = self.loaded.borrow_dependent();
        // A byte gives one token at most; the begin and end token come on top.
        let most = self.max_tokens().min(text.len() + 2).max(2);
        let mut tokens =
            memory::filled("tokens of a text", 0, most).map_err(EmbeddingError::Memory)?;
        let encoded = found.words.encode(text, &mut tokens)?;
        tokens.truncate(encoded.len);
        let mut arena = memory::encoder_arena(self.header(), tokens.len())?;
        let weights = found.weights.with_layers(&found.layers)?;
        let mut encoder = Encoder::new(weights, self.level, tokens.len(), &mut arena)?;
        let vector = encoder.embed(&Serial, &tokens, self.lane)?.to_vec();
        Ok(Embedding { vector, tokens: encoded.len, cut: encoded.total - encoded.len })
    }

    /// The vectors of some texts, in their order: computed in parallel, a text a thread, with the
    /// feature `parallel`, in the rayon pool that the call runs in
    /// ([`Threads::install`](crate::threads::Threads::install)). Each is what
    /// [`embed`](Self::embed) gives.
    ///
    /// # Errors
    /// As [`embed`](Self::embed), for the first text that fails.
    pub fn embed_batch<T: AsRef<str> + Sync>(
        &self,
        texts: &[T],
    ) -> Result<Vec<Embedding>, EmbeddingError> {
        for_each_row(texts.len(), |i| self.embed(texts[i].as_ref()))
    }
}
