//! Texts for a model and from it, with the vocabulary of its GGUF file.
//!
//! ```no_run
//! use trilane_std::{mapped::MappedFile, text};
//!
//! let file = MappedFile::open("model.gguf".as_ref())?;
//! let gguf = file.gguf()?;
//! let mut index = text::index(&gguf);
//! let text = text::Text::new(&gguf, &mut index)?;
//! let tokens = text.encode("Once upon a time")?;
//! let mut stream = text.stream(true)?;
//! for token in tokens {
//!     print!("{}", stream.push(token)?);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::memory::{OutOfMemory, filled};
use std::fmt;
use trilane_core::gguf::Gguf;
pub use trilane_core::model::tokenizer::keys;
use trilane_core::model::tokenizer::{Slot, Tokenizer, TokenizerError, index_len, scratch_len};
use trilane_core::model::utf8::Utf8Stream;

/// Why a file's vocabulary cannot be used, or a text not be turned into tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextError {
    /// A metadata key is not there.
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A metadata value is not what it has to be.
    Value {
        /// The key.
        key: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The vocabulary or the text was refused.
    Tokenizer(TokenizerError),
    /// The system does not have the memory.
    Memory(OutOfMemory),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey { key } => write!(f, "metadata key {key} is missing"),
            Self::Value { key, expected, found } => {
                write!(f, "metadata key {key}: expected {expected}, found {found}")
            }
            Self::Tokenizer(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TextError {}

impl From<OutOfMemory> for TextError {
    fn from(error: OutOfMemory) -> Self {
        Self::Memory(error)
    }
}

impl From<TokenizerError> for TextError {
    fn from(error: TokenizerError) -> Self {
        Self::Tokenizer(error)
    }
}

/// Memory for the index of a file's vocabulary.
pub fn index(file: &Gguf<'_>) -> Vec<u32> {
    let tokens = file.get(keys::TOKENS).and_then(|v| v.as_array()).map_or(0, |array| array.len());
    vec![0; index_len(tokens)]
}

/// The tokenizer of a file.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    tokenizer: Tokenizer<'a>,
}

impl<'a> Text<'a> {
    /// Reads the vocabulary; `index` is memory from [`index`].
    ///
    /// # Errors
    /// [`TextError`] with the key, what was expected and what was found. Only SentencePiece
    /// vocabularies (`tokenizer.ggml.model` = `llama`) are read.
    pub fn new(file: &Gguf<'a>, index: &'a mut [u32]) -> Result<Self, TextError> {
        let tokenizer = Tokenizer::read(file, index).map_err(|error| match error {
            TokenizerError::MissingKey { key } => TextError::MissingKey { key },
            TokenizerError::Value { key, expected } => {
                TextError::Value { key, expected, found: found(file, key) }
            }
            error => error.into(),
        })?;
        Ok(Self { tokenizer })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer<'a> {
        &self.tokenizer
    }

    /// The tokens of a text, the begin token first if the model wants it.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`] for a text of 4 GiB, or a character that no token stands for,
    /// [`TextError::Memory`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        let slots = scratch_len(text.len());
        // A space in front, and three bytes for every space, are the most a text can grow.
        let len = slots.saturating_mul(3).saturating_add(1);
        let mut tokens = filled("tokens of a text", 0, len)?;
        let mut slots = filled("merging a text", Slot::default(), slots)?;
        let len = self.tokenizer.encode(text, &mut tokens, &mut slots)?;
        tokens.truncate(len);
        Ok(tokens)
    }

    /// Whether a model that gives this token has ended its text: the end token, or the begin token
    /// of a next text.
    pub fn ends(&self, token: u32) -> bool {
        let special = self.tokenizer.special();
        special.eos == Some(token) || special.bos == Some(token)
    }

    /// Tokens to text, as they come. `at_start` says that the first one begins a text, rather than
    /// going on with one that was shown.
    ///
    /// # Errors
    /// [`TextError::Memory`]: pieces can be as long as the file.
    pub fn stream(&self, at_start: bool) -> Result<TextStream<'a>, TextError> {
        let longest = self.tokenizer.max_piece_len();
        Ok(TextStream {
            tokenizer: self.tokenizer,
            at_start,
            characters: Utf8Stream::new(),
            piece: filled("a piece of text", 0, longest)?,
            out: filled("a piece of text", 0, Utf8Stream::output_len(longest))?,
        })
    }
}

/// Text from tokens, never half a character.
#[derive(Clone, Debug)]
pub struct TextStream<'a> {
    tokenizer: Tokenizer<'a>,
    at_start: bool,
    characters: Utf8Stream,
    piece: Vec<u8>,
    out: Vec<u8>,
}

impl TextStream<'_> {
    /// The characters that are complete with the next token.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`] for a token outside the vocabulary.
    pub fn push(&mut self, token: u32) -> Result<&str, TextError> {
        let len = self.tokenizer.decode_piece(token, self.at_start, &mut self.piece)?;
        // The begin token has no text; what follows it is still the start.
        self.at_start &= self.tokenizer.special().bos == Some(token);
        let piece = self.piece.get(..len).unwrap_or_default();
        Ok(self.characters.push(piece, &mut self.out).unwrap_or_default())
    }

    /// What stands for a character that was not completed: nothing, or U+FFFD.
    pub fn finish(&mut self) -> &'static str {
        self.characters.finish()
    }
}

/// What a metadata value is that should be something else.
fn found(file: &Gguf<'_>, key: &str) -> String {
    let Some(value) = file.get(key) else { return "nothing".into() };
    match (value.as_str(), value.as_array()) {
        // A hostile name can be as long as the file.
        (Some(name), _) if key == keys::MODEL => {
            format!("{:?}", name.chars().take(64).collect::<String>())
        }
        (_, Some(array)) => format!("an array of {}", array.element()),
        _ => value.kind().to_string(),
    }
}
