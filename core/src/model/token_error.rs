//! What can be wrong with a vocabulary or a call of the tokenizer.

use core::fmt;

/// What is wrong with a vocabulary or with the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The file lacks a metadata key.
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A metadata value of the file is not what it has to be.
    Value {
        /// The key.
        key: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// There are no tokens.
    EmptyVocabulary,
    /// More tokens than 32 bits can number or memory can index.
    TooManyTokens {
        /// The number of tokens.
        count: usize,
    },
    /// The strings take 4 GiB or more.
    StringsLength {
        /// Their length.
        len_bytes: usize,
    },
    /// The score array has another length than the vocabulary.
    ScoresLength {
        /// Length it must have, in bytes.
        expected: usize,
        /// Length it has, in bytes.
        actual: usize,
    },
    /// The type array has another length than the vocabulary.
    TypesLength {
        /// Length it must have, in bytes.
        expected: usize,
        /// Length it has, in bytes.
        actual: usize,
    },
    /// The index is too short.
    IndexLength {
        /// Length it must have.
        expected: usize,
        /// Length it has.
        actual: usize,
    },
    /// The strings end inside this token's piece.
    TruncatedPiece {
        /// The token.
        token: u32,
    },
    /// The strings go on after the last piece.
    TrailingBytes {
        /// By how many bytes.
        count: usize,
    },
    /// A score is NaN or +∞.
    Score {
        /// The token.
        token: u32,
    },
    /// A token type outside 0..=6.
    Type {
        /// The token.
        token: u32,
        /// Its type.
        value: i32,
    },
    /// A byte token that is not written `<0xNN>` with upper-case digits.
    BytePiece {
        /// The token.
        token: u32,
    },
    /// A special or given token outside the vocabulary.
    Token {
        /// The token.
        token: u32,
        /// The number of tokens.
        count: usize,
    },
    /// Texts shall start with a begin token, but there is none.
    MissingBos,
    /// A text of 4 GiB or more.
    TextLength {
        /// Its length.
        len_bytes: usize,
    },
    /// A character has no piece, not all its bytes have tokens, and there is no unknown token.
    Character {
        /// Where it starts in the text, in bytes.
        offset: usize,
    },
    /// The scratch is too short.
    Scratch {
        /// Length it must have.
        expected: usize,
        /// Length it has.
        actual: usize,
    },
    /// The output is too short.
    Output {
        /// Length it must have.
        expected: usize,
        /// Length it has.
        actual: usize,
    },
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MissingKey { key } => write!(f, "metadata key {key} is missing"),
            Self::Value { key, expected } => write!(f, "metadata key {key}: expected {expected}"),
            Self::EmptyVocabulary => write!(f, "the vocabulary is empty"),
            Self::TooManyTokens { count } => write!(f, "{count} tokens are too many"),
            Self::StringsLength { len_bytes } => {
                write!(f, "{len_bytes} bytes of pieces are too many")
            }
            Self::ScoresLength { expected, actual } => {
                write!(f, "scores take {actual} bytes, expected {expected}")
            }
            Self::TypesLength { expected, actual } => {
                write!(f, "token types take {actual} bytes, expected {expected}")
            }
            Self::IndexLength { expected, actual } => {
                write!(f, "the index has {actual} entries, {expected} are needed")
            }
            Self::TruncatedPiece { token } => {
                write!(f, "the strings end inside the piece of token {token}")
            }
            Self::TrailingBytes { count } => {
                write!(f, "{count} bytes follow the last piece")
            }
            Self::Score { token } => write!(f, "the score of token {token} is NaN or +∞"),
            Self::Type { token, value } => write!(f, "token {token} has the unknown type {value}"),
            Self::BytePiece { token } => write!(f, "byte token {token} is not written <0xNN>"),
            Self::Token { token, count } => {
                write!(f, "token {token} is outside the vocabulary of {count}")
            }
            Self::MissingBos => write!(f, "there is no token to begin texts with"),
            Self::TextLength { len_bytes } => write!(f, "a text of {len_bytes} bytes is too long"),
            Self::Character { offset } => {
                write!(f, "no token stands for the character at byte {offset}")
            }
            Self::Scratch { expected, actual } => {
                write!(f, "the scratch has {actual} slots, {expected} are needed")
            }
            Self::Output { expected, actual } => {
                write!(f, "the output holds {actual}, {expected} are needed")
            }
        }
    }
}

impl core::error::Error for TokenizerError {}
