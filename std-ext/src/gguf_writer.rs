//! Writing GGUF files, the counterpart of [`trilane_core::gguf`].
//!
//! ```
//! use trilane_core::gguf::{Gguf, TensorType, Value};
//! use trilane_std::gguf_writer::GgufWriter;
//!
//! let mut file = GgufWriter::new(32)?;
//! file.add("general.architecture", Value::Str("llama"))?;
//! file.add_array("tokenizer.ggml.tokens", &["<s>", "a"])?;
//! file.declare("x", TensorType::F32, &[2], 8)?;
//! let mut data = file.begin(Vec::new())?;
//! data.write_tensor("x", &[0; 8])?;
//! let bytes = data.finish()?;
//! assert_eq!(Gguf::parse(&bytes).unwrap().tensor("x").unwrap().data(), [0; 8]);
//! # Ok::<(), trilane_std::gguf_writer::WriteError>(())
//! ```

mod atomic;
mod data;
mod element;
mod error;

use std::collections::HashSet;
use std::io::Write;

use trilane_core::gguf::{
    ALIGNMENT_KEY, DEFAULT_ALIGNMENT, Gguf, MAX_ALIGNMENT, MAX_ARRAY_DEPTH, MAX_HEADER_LEN,
    MAX_KEY_LEN, MAX_KEYS, MAX_NAME_LEN, MAX_TENSORS, TensorSize, TensorType, Value, pad,
};

pub use atomic::{remove_temporaries, write_atomically};
pub use data::DataWriter;
pub use element::Element;
pub use error::WriteError;

/// A GGUF file in the making: first metadata and declarations of tensors, in any order, then
/// [`begin`](Self::begin) and the tensors' data.
///
/// It refuses whatever [`Gguf::parse`] would refuse, so what it wrote can be read. Version 3,
/// little-endian.
#[derive(Clone, Debug)]
pub struct GgufWriter {
    alignment: u32,
    keys: HashSet<String>,
    metadata: Vec<u8>,
    names: HashSet<String>,
    tensors: Vec<Declared>,
    descriptions: Vec<u8>,
    data_len: u64,
}

/// A tensor whose data is still to come.
#[derive(Clone, Debug)]
struct Declared {
    name: String,
    len: u64,
}

impl GgufWriter {
    /// A file without keys and tensors, except for `general.alignment` if `alignment` (bytes) is
    /// not the default of 32.
    ///
    /// # Errors
    /// [`WriteError::Alignment`] unless it is a power of two, at most 65,536.
    pub fn new(alignment: u32) -> Result<Self, WriteError> {
        if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
            return Err(WriteError::Alignment { found: alignment });
        }
        let mut writer = Self {
            alignment,
            keys: HashSet::new(),
            metadata: Vec::new(),
            names: HashSet::new(),
            tensors: Vec::new(),
            descriptions: Vec::new(),
            data_len: 0,
        };
        if alignment != DEFAULT_ALIGNMENT {
            writer.put(ALIGNMENT_KEY, |out| element::put_value(out, &Value::U32(alignment)))?;
        }
        Ok(writer)
    }

    /// Adds a key with a value, which may be an array of a parsed file.
    ///
    /// # Errors
    /// [`WriteError`]: `AlignmentKey` for `general.alignment`, which [`new`](Self::new) sets;
    /// `KeyLength`, `Nul`, `DuplicateKey`, `KeyCount`, `HeaderLength`.
    pub fn add(&mut self, key: &str, value: Value<'_>) -> Result<(), WriteError> {
        refuse_alignment_key(key)?;
        self.put(key, |out| element::put_value(out, &value))
    }

    /// Adds a key with an array of numbers, booleans, text, or of arrays of these.
    ///
    /// # Errors
    /// As [`add`](Self::add), and [`WriteError::ArrayDepth`] above 4 levels.
    pub fn add_array<T: Element>(&mut self, key: &str, values: &[T]) -> Result<(), WriteError> {
        refuse_alignment_key(key)?;
        if T::DEPTH >= MAX_ARRAY_DEPTH {
            return Err(WriteError::ArrayDepth { found: T::DEPTH + 1, limit: MAX_ARRAY_DEPTH });
        }
        self.put(key, |out| element::put_array(out, values))
    }

    /// Adds all keys of a parsed file except `general.alignment`.
    ///
    /// # Errors
    /// As [`add`](Self::add); keys before the one refused have been added.
    pub fn copy_metadata(&mut self, from: &Gguf<'_>) -> Result<(), WriteError> {
        from.metadata()
            .filter(|(key, _)| *key != ALIGNMENT_KEY)
            .try_for_each(|(key, value)| self.add(key, value))
    }

    /// Declares the next tensor: its name, type, dimensions (row length first), and how many bytes
    /// its data will have.
    ///
    /// # Errors
    /// [`WriteError`]: `NameLength`, `Nul`, `DuplicateTensor`, `TensorCount`, `Size` when type and
    /// dimensions do not go together, `DataLength` when `len_bytes` is not what they ask for,
    /// `HeaderLength`, `TotalLength`.
    pub fn declare(
        &mut self,
        name: &str,
        kind: TensorType,
        dims: &[u64],
        len_bytes: u64,
    ) -> Result<(), WriteError> {
        check_name(name, MAX_NAME_LEN, |found| WriteError::NameLength { found })?;
        let size = TensorSize::new(kind, dims).map_err(WriteError::Size)?;
        if size.bytes != len_bytes {
            let name = name.into();
            return Err(WriteError::DataLength { name, expected: size.bytes, actual: len_bytes });
        }
        if self.tensors.len() as u64 >= MAX_TENSORS {
            return Err(WriteError::TensorCount { limit: MAX_TENSORS });
        }
        if self.names.contains(name) {
            return Err(WriteError::DuplicateTensor { name: name.into() });
        }
        let next = self.data_len.checked_add(size.bytes);
        let next = next.and_then(|end| pad(end, self.alignment.into()));
        // The reader adds the header, which is below 2³², to this.
        let next = next.filter(|&next| next <= u64::MAX >> 1).ok_or(WriteError::TotalLength)?;
        let added = 8 + name.len() + 4 + 8 * dims.len() + 4 + 8;
        self.check_header_len(added)?;

        element::put_str(&mut self.descriptions, name);
        self.descriptions.extend((dims.len() as u32).to_le_bytes());
        self.descriptions.extend(dims.iter().flat_map(|size| size.to_le_bytes()));
        self.descriptions.extend((kind as u32).to_le_bytes());
        self.descriptions.extend(self.data_len.to_le_bytes());
        self.names.insert(name.into());
        self.tensors.push(Declared { name: name.into(), len: size.bytes });
        self.data_len = next;
        Ok(())
    }

    /// Writes the header and its padding; the tensors' data comes next, in the order they were
    /// declared in.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn begin<W: Write>(self, mut out: W) -> Result<DataWriter<W>, WriteError> {
        let mut fixed = Vec::from(*b"GGUF");
        fixed.extend(3u32.to_le_bytes());
        fixed.extend((self.tensors.len() as u64).to_le_bytes());
        fixed.extend((self.keys.len() as u64).to_le_bytes());
        out.write_all(&fixed)?;
        out.write_all(&self.metadata)?;
        out.write_all(&self.descriptions)?;
        let len = (fixed.len() + self.metadata.len() + self.descriptions.len()) as u64;
        data::write_padding(&mut out, len, self.alignment)?;
        Ok(DataWriter::new(out, self.tensors, self.alignment))
    }

    /// Adds a key with the type and value that `value` writes.
    fn put(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) -> Result<(), WriteError> {
        check_name(key, MAX_KEY_LEN, |found| WriteError::KeyLength { found })?;
        if self.keys.len() as u64 >= MAX_KEYS {
            return Err(WriteError::KeyCount { limit: MAX_KEYS });
        }
        if self.keys.contains(key) {
            return Err(WriteError::DuplicateKey { key: key.into() });
        }
        let before = self.metadata.len();
        element::put_str(&mut self.metadata, key);
        value(&mut self.metadata);
        if let Err(error) = self.check_header_len(0) {
            self.metadata.truncate(before);
            return Err(error);
        }
        self.keys.insert(key.into());
        Ok(())
    }

    /// Whether `added` more bytes keep the header within the reader's limit.
    fn check_header_len(&self, added: usize) -> Result<(), WriteError> {
        let found = 24 + self.metadata.len() + self.descriptions.len() + added;
        if found as u64 > u64::from(MAX_HEADER_LEN) {
            return Err(WriteError::HeaderLength { found, limit: MAX_HEADER_LEN });
        }
        Ok(())
    }
}

/// Refuses a name that is empty, too long, or contains NUL.
fn check_name(
    name: &str,
    limit: usize,
    length_error: impl FnOnce(usize) -> WriteError,
) -> Result<(), WriteError> {
    if name.is_empty() || name.len() > limit {
        return Err(length_error(name.len()));
    }
    match name.find('\0') {
        None => Ok(()),
        Some(at) => Err(WriteError::Nul { at }),
    }
}

/// Refuses the key that only the constructor sets.
fn refuse_alignment_key(key: &str) -> Result<(), WriteError> {
    if key == ALIGNMENT_KEY { Err(WriteError::AlignmentKey) } else { Ok(()) }
}
