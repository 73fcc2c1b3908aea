//! Tensor descriptions and data.

use core::fmt;

use super::cursor::Cursor;
use super::distinct::find_duplicate;
use super::metadata::{MAX_HEADER_LEN, header_position};
use super::size::{MAX_DIMS, Section, TensorSize, pad, place};
use super::{GgufError, SizeError, TensorType};

/// Most tensors accepted.
pub const MAX_TENSORS: u64 = 65_536;
/// Longest tensor name accepted, in bytes.
pub const MAX_NAME_LEN: usize = 64;

/// A tensor: name, type, shape, and its bytes in the file.
#[derive(Clone, Copy)]
pub struct Tensor<'a> {
    entry: Entry<'a>,
    file_offset: usize,
    data: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// The tensor's name: 1 to 64 bytes without NUL.
    pub const fn name(&self) -> &'a str {
        self.entry.name
    }

    /// How the weights are stored.
    pub const fn kind(&self) -> TensorType {
        self.entry.kind
    }

    /// The dimensions, row length first; 1 to 4 of them, none zero.
    pub fn dims(&self) -> &[usize] {
        self.entry.dims.get(..self.entry.dim_count).unwrap_or_default()
    }

    /// Weights in a row: the first dimension, a whole number of blocks.
    pub const fn cols(&self) -> usize {
        let [cols, ..] = self.entry.dims;
        cols
    }

    /// Rows: the product of the other dimensions.
    pub const fn rows(&self) -> usize {
        let [_, y, z, w] = self.entry.dims;
        y * z * w
    }

    /// Weights in all: `rows · cols`.
    pub const fn elements(&self) -> usize {
        self.entry.size.elements
    }

    /// The stored bytes, `elements / block_len · block_bytes + trailer_bytes` of them. Their
    /// address is a multiple of the file's alignment only if the file's own address is. Empty where
    /// they are not in memory, see [`Gguf::parse_beginning`](super::Gguf::parse_beginning).
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// How many stored bytes there are, in memory or not.
    pub const fn data_len(&self) -> u64 {
        self.entry.size.bytes
    }

    /// Where the stored bytes begin in the file.
    pub const fn file_offset(&self) -> usize {
        self.file_offset
    }
}

impl fmt::Debug for Tensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, kind, dims) = (self.name(), self.kind(), self.dims());
        write!(f, "{name:?} {kind} {dims:?} at {}", self.file_offset)
    }
}

/// A tensor's description as it stands in the header.
///
/// ```text
/// u64 length, name | u32 n | u64 × n dimensions | u32 type | u64 offset in the data section
/// ```
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    name: &'a str,
    kind: TensorType,
    /// Dimensions the file does not have are 1.
    dims: [usize; MAX_DIMS],
    dim_count: usize,
    size: TensorSize,
    offset: u64,
}

impl<'a> Entry<'a> {
    /// Reads the description of tensor `tensor` and checks everything in it except its place.
    fn read(cursor: &mut Cursor<'a>, tensor: u32) -> Result<Self, GgufError> {
        let name = cursor.name()?;
        if name.is_empty() || name.len() > MAX_NAME_LEN {
            return Err(GgufError::NameLength { tensor, found: name.len() as u64 });
        }
        let size_error = |error| GgufError::Size { tensor, error };
        let found = cursor.u32()?;
        let mut stored = [1u64; MAX_DIMS];
        let (used, unused) = usize::try_from(found)
            .ok()
            .and_then(|count| stored.split_at_mut_checked(count))
            .ok_or(size_error(SizeError::DimensionCount { found }))?;
        for size in used.iter_mut() {
            *size = cursor.u64()?;
        }
        let number = cursor.u32()?;
        let kind = TensorType::from_u32(number).ok_or(if TensorType::is_removed(number) {
            GgufError::RemovedTensorType { tensor, found: number }
        } else {
            GgufError::UnknownTensorType { tensor, found: number }
        })?;
        let size = TensorSize::new(kind, used).map_err(size_error)?;
        let dim_count = MAX_DIMS - unused.len();
        let mut dims = [1; MAX_DIMS];
        for (dimension, (to, from)) in (0..).zip(dims.iter_mut().zip(stored)) {
            let too_large = SizeError::Dimension { dimension, found: from };
            *to = usize::try_from(from).map_err(|_| size_error(too_large))?;
        }
        Ok(Self { name, kind, dims, dim_count, size, offset: cursor.u64()? })
    }
}

/// Iterator over a file's tensors, in the file's order, which is also that of their data.
#[derive(Clone, Debug)]
pub struct Tensors<'a> {
    cursor: Cursor<'a>,
    data_start: usize,
    left: u32,
}

impl<'a> Tensors<'a> {
    /// `count` descriptions from `cursor` on, which have passed [`check`], and the start of the
    /// data section.
    pub(super) const fn new(cursor: Cursor<'a>, data_start: usize, count: u32) -> Self {
        Self { cursor, data_start, left: count }
    }

    /// Reads one description and finds its data.
    fn read(&mut self) -> Option<Tensor<'a>> {
        let entry = Entry::read(&mut self.cursor, 0).ok()?;
        let file_offset = self.data_start.checked_add(entry.offset.try_into().ok()?)?;
        let data = self.cursor.at(file_offset).take(entry.size.bytes).unwrap_or_default();
        Some(Tensor { entry, file_offset, data })
    }
}

impl<'a> Iterator for Tensors<'a> {
    type Item = Tensor<'a>;

    fn next(&mut self) -> Option<Tensor<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.read()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Tensors<'_> {}

/// Checks `count` descriptions from `cursor` on, the padding, and the places of their data in a file
/// of `file_len` bytes, leaves the cursor behind them, and returns where the data section begins.
pub(super) fn check(
    cursor: &mut Cursor<'_>,
    count: u32,
    alignment: u32,
    file_len: u64,
) -> Result<usize, GgufError> {
    let start = *cursor;
    for tensor in 0..count {
        Entry::read(cursor, tensor)?;
        header_position(cursor)?;
    }
    find_equal_names(start, count)?;
    let alignment = u64::from(alignment);
    let header_len = cursor.offset();
    let too_long = GgufError::HeaderLength { found: header_len, limit: MAX_HEADER_LEN.into() };
    let section =
        Section { start: pad(header_len, alignment).ok_or(too_long)?, alignment, file_len };
    check_padding(cursor, section.start - header_len)?;
    let (mut entries, mut expected) = (start, 0);
    for tensor in 0..count {
        let entry = Entry::read(&mut entries, tensor)?;
        expected = place(tensor, entry.size, entry.offset, expected, &section)?;
    }
    usize::try_from(section.start).map_err(|_| too_long)
}

/// Checks that the next `len` bytes, as far as the file has them, are zero.
fn check_padding(cursor: &Cursor<'_>, len: u64) -> Result<(), GgufError> {
    for (offset, &found) in (cursor.offset()..cursor.offset() + len).zip(cursor.rest()) {
        if found != 0 {
            return Err(GgufError::Padding { offset, found });
        }
    }
    Ok(())
}

/// Refuses two tensors of one name.
fn find_equal_names(start: Cursor<'_>, count: u32) -> Result<(), GgufError> {
    let positions = || {
        let mut entries = start;
        (0..count).map_while(move |_| {
            let position = header_position(&entries).ok()?;
            skip_entry(&mut entries)?;
            Some(position)
        })
    };
    let name_at = |at: u32| start.at(at as usize).string_bytes().unwrap_or_default();
    match find_duplicate(positions, name_at) {
        None => Ok(()),
        Some(found) => Err(GgufError::DuplicateTensor {
            tensor: found.index,
            first: found.first.into(),
            second: found.second.into(),
        }),
    }
}

/// Steps over a description that has been read before.
fn skip_entry(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.string_bytes().ok()?;
    let dims = u64::from(cursor.u32().ok()?);
    // The dimensions, a type and an offset.
    cursor.take(8 * dims + 12).map(drop)
}
