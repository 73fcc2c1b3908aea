//! One small file per way of being wrong, each with its exact error.

mod beginning;
mod tensors;
mod values;

use std::vec::Vec;

use super::*;

/// A string with its length in front.
fn text(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()
}

/// A key with a value of type `kind`.
fn entry(key: impl AsRef<[u8]>, kind: u32, value: impl AsRef<[u8]>) -> Vec<u8> {
    [&text(key)[..], &kind.to_le_bytes(), value.as_ref()].concat()
}

/// A tensor's description.
fn tensor(name: impl AsRef<[u8]>, dims: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = text(name);
    bytes.extend((dims.len() as u32).to_le_bytes());
    bytes.extend(dims.iter().flat_map(|size| size.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

/// The fixed header with these counts, the entries, padding to 32, and `data` bytes of data.
fn file_with_counts(tensors: u64, keys: u64, entries: &[Vec<u8>], data: usize) -> Vec<u8> {
    let mut bytes = Vec::from(*b"GGUF\x03\0\0\0");
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(keys.to_le_bytes());
    bytes.extend(entries.concat());
    if data > 0 {
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.resize(bytes.len() + data, 0xDA);
    }
    bytes
}

/// A file with keys only.
fn keys(entries: &[Vec<u8>]) -> Vec<u8> {
    file_with_counts(0, entries.len() as u64, entries, 0)
}

/// A file with tensors only. The first description begins at byte 24.
fn tensors(entries: &[Vec<u8>], data: usize) -> Vec<u8> {
    file_with_counts(entries.len() as u64, 0, entries, data)
}

#[track_caller]
fn refused(file: &[u8], error: GgufError) {
    match Gguf::parse(file) {
        Ok(_) => panic!("accepted; expected: {error}"),
        Err(found) => assert_eq!(found, error),
    }
    let message = std::format!("{error}");
    assert!(message.contains(|c: char| c.is_ascii_digit()), "no number in {message:?}");
}

#[test]
fn headers() {
    let whole = keys(&[]);
    assert!(Gguf::parse(&whole).is_ok());
    for (start, needed) in [(0, 4), (4, 4), (8, 8), (16, 8)] {
        for available in 0..needed {
            let end = (start + available) as usize;
            refused(&whole[..end], GgufError::Truncated { offset: start, needed, available });
        }
    }
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    refused(&patched(0, b"GGML"), GgufError::Magic { found: *b"GGML" });
    refused(&patched(0, b"FUGG"), GgufError::ByteSwapped { version: 3 });
    refused(&patched(4, &[0, 0, 0, 3]), GgufError::ByteSwapped { version: 3 << 24 });
    for found in [0, 1, 4, 1 << 15, u32::MAX] {
        refused(&patched(4, &found.to_le_bytes()), GgufError::Version { found });
    }
    assert_eq!(Gguf::parse(&patched(4, &[2])).unwrap().version(), 2);
    for found in [MAX_TENSORS + 1, 1 << 32, u64::MAX] {
        let error = GgufError::TensorCount { found, limit: MAX_TENSORS };
        refused(&patched(8, &found.to_le_bytes()), error);
    }
    for found in [MAX_KEYS + 1, 1 << 32, u64::MAX] {
        let error = GgufError::KeyCount { found, limit: MAX_KEYS };
        refused(&patched(16, &found.to_le_bytes()), error);
    }
    let one_more = GgufError::Truncated { offset: 24, needed: 8, available: 0 };
    refused(&patched(8, &[1]), one_more);
    refused(&patched(16, &[1]), one_more);
}

#[test]
fn counts_one_too_small() {
    let entries = [tensor("a", &[2], 0, 0), tensor("b", &[2], 0, 32)];
    refused(&file_with_counts(1, 0, &entries, 64), GgufError::Padding { offset: 57, found: 1 });
    refused(&file_with_counts(0, 0, &entries, 64), GgufError::Padding { offset: 24, found: 1 });
    // A key taken for a tensor: the number of the array type is read as that of dimensions.
    let array = [&[0; 4], &1u64.to_le_bytes()[..], &[7]].concat();
    let entries = [entry("k", 9, array), tensor("a", &[2], 0, 0)];
    let error = SizeError::DimensionCount { found: 9 };
    refused(&file_with_counts(1, 0, &entries, 64), GgufError::Size { tensor: 0, error });
}

#[test]
fn errors_explain_themselves() {
    let all = [
        GgufError::Magic { found: *b"GGML" },
        GgufError::PastEnd { tensor: 3, found: 64, len: 8, file_len: 70 },
        GgufError::Size { tensor: 1, error: SizeError::Row { columns: 33, block_len: 32 } },
    ];
    assert_eq!(
        all.map(|error| std::format!("{error}")),
        [
            "not a GGUF file: it begins with bytes [47, 47, 4d, 4c]",
            "tensor 3, 8 bytes at data offset 64, ends after the file's 70 bytes",
            "tensor 1: row of 33 weights is not a whole number of blocks of 32",
        ]
    );
}
