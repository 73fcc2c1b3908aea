//! The data section.

use std::io::{self, Write};

use trilane_core::gguf::pad;

use super::{Declared, WriteError};

/// Takes the data of the declared tensors, in order, and pads it.
#[derive(Debug)]
pub struct DataWriter<W> {
    out: W,
    /// Tensors without all of their data, the next one first.
    waiting: std::vec::IntoIter<Declared>,
    /// Bytes the first of them already has.
    written: u64,
    alignment: u32,
}

impl<W: Write> DataWriter<W> {
    /// A writer whose output stands at the start of the data section.
    pub(super) fn new(out: W, tensors: Vec<Declared>, alignment: u32) -> Self {
        Self { out, waiting: tensors.into_iter(), written: 0, alignment }
    }

    /// Writes all data of the next tensor.
    ///
    /// # Errors
    /// [`WriteError`]: `Order` if that is not `name`, `DataLength`, `Io`.
    pub fn write_tensor(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let (expected, left) = self.next_tensor(name)?;
        if left != bytes.len() as u64 {
            let actual = bytes.len() as u64;
            return Err(WriteError::DataLength { name: expected, expected: left, actual });
        }
        self.write_part(name, bytes)
    }

    /// Writes some of the data of the next tensor. When it has all of it, the tensor after it is
    /// the next one.
    ///
    /// # Errors
    /// [`WriteError`]: `Order` if the next tensor is not `name`, `DataLength` if it has fewer bytes
    /// left, `Io`.
    pub fn write_part(&mut self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let (expected, left) = self.next_tensor(name)?;
        let actual = bytes.len() as u64;
        if actual > left {
            return Err(WriteError::DataLength { name: expected, expected: left, actual });
        }
        self.out.write_all(bytes)?;
        self.written += actual;
        if actual == left {
            write_padding(&mut self.out, self.written, self.alignment)?;
            self.waiting.next();
            self.written = 0;
        }
        Ok(())
    }

    /// Flushes the output and hands it back.
    ///
    /// # Errors
    /// [`WriteError`]: `Unfinished` if data is missing, `Io`.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if let Some(tensor) = self.waiting.next() {
            let missing = tensor.len - self.written;
            return Err(WriteError::Unfinished { name: tensor.name, missing });
        }
        self.out.flush()?;
        Ok(self.out)
    }

    /// Name and missing bytes of the next tensor, if it is `name`.
    fn next_tensor(&self, name: &str) -> Result<(String, u64), WriteError> {
        match self.waiting.as_slice().first() {
            Some(tensor) if tensor.name == name => {
                Ok((tensor.name.clone(), tensor.len - self.written))
            }
            other => Err(WriteError::Order {
                expected: other.map(|tensor| tensor.name.clone()),
                actual: name.into(),
            }),
        }
    }
}

/// Writes zeros from byte `len` to the next multiple of `alignment`.
pub(super) fn write_padding(out: &mut impl Write, len: u64, alignment: u32) -> io::Result<()> {
    let end = pad(len, alignment.into()).ok_or(io::ErrorKind::FileTooLarge)?;
    io::copy(&mut io::Read::take(io::repeat(0), end - len), out)?;
    Ok(())
}
