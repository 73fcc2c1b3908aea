//! GGUF, read in place.
//!
//! ```text
//! "GGUF" | u32 version | u64 tensors | u64 keys          24 bytes
//! u64 length, key | u32 type | value                     per key
//! u64 length, name | u32 n | n × u64 | u32 type | u64 offset   per tensor
//! padding to the alignment, counted from the start of the file
//! data of each tensor, padded to the alignment           in the same order, without gaps
//! ```
//!
//! [`Gguf::parse`] checks all of it once, against hostile files too, and borrows; after that
//! nothing can fail. [`blocks::expand`] turns stored weights into `f32`.
//!
//! ```
//! use trilane_core::gguf::{Gguf, GgufError};
//!
//! let empty = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
//! let file = Gguf::parse(empty)?;
//! assert_eq!(file.tensors().len(), 0);
//! assert!(file.get("general.architecture").is_none());
//! assert_eq!(
//!     Gguf::parse(&empty[..23]).err(),
//!     Some(GgufError::Truncated { offset: 16, needed: 8, available: 7 }),
//! );
//! # Ok::<(), GgufError>(())
//! ```

mod array;
pub mod blocks;
mod cursor;
mod distinct;
mod error;
mod file;
mod kind;
#[cfg(test)]
mod malformed;
mod metadata;
mod size;
mod tensor;
mod value;
mod value_type;

pub use array::{Array, Elements};
pub use error::GgufError;
pub use file::Gguf;
pub use kind::TensorType;
pub use metadata::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, MAX_ALIGNMENT, MAX_HEADER_LEN, MAX_KEY_LEN, MAX_KEYS,
    Metadata,
};
pub use size::{MAX_DIMS, SizeError, TensorSize, pad};
pub use tensor::{MAX_NAME_LEN, MAX_TENSORS, Tensor, Tensors};
pub use value::{MAX_ARRAY_DEPTH, Value};
pub use value_type::ValueType;
