//! One small file per way of being wrong, each with its exact error.

use std::string::String;
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
}

#[test]
fn headers() {
    let whole = keys(&[]);
    assert!(Gguf::parse(&whole).is_ok());
    for (start, needed) in [(0, 4), (4, 4), (8, 8), (16, 8)] {
        for available in 0..needed {
            let end = (start + available) as usize;
            refused(
                &whole[..end],
                GgufError::Truncated {
                    offset: start,
                    needed,
                    available,
                },
            );
        }
    }
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    refused(&patched(0, b"GGML"), GgufError::Magic { found: *b"GGML" });
    refused(&patched(0, b"FUGG"), GgufError::ByteSwapped { version: 3 });
    refused(
        &patched(4, &[0, 0, 0, 3]),
        GgufError::ByteSwapped { version: 3 << 24 },
    );
    for found in [0, 1, 4, 1 << 15, u32::MAX] {
        refused(
            &patched(4, &found.to_le_bytes()),
            GgufError::Version { found },
        );
    }
    assert_eq!(Gguf::parse(&patched(4, &[2])).unwrap().version(), 2);
    for found in [MAX_TENSORS + 1, 1 << 32, u64::MAX] {
        let error = GgufError::TensorCount {
            found,
            limit: MAX_TENSORS,
        };
        refused(&patched(8, &found.to_le_bytes()), error);
    }
    for found in [MAX_KEYS + 1, 1 << 32, u64::MAX] {
        let error = GgufError::KeyCount {
            found,
            limit: MAX_KEYS,
        };
        refused(&patched(16, &found.to_le_bytes()), error);
    }
    let one_more = GgufError::Truncated {
        offset: 24,
        needed: 8,
        available: 0,
    };
    refused(&patched(8, &[1]), one_more);
    refused(&patched(16, &[1]), one_more);
}

#[test]
fn keys_and_values() {
    let one = |key: &[u8]| keys(&[entry(key, 0, [7])]);
    assert_eq!(
        Gguf::parse(&one(b"k")).unwrap().get("k"),
        Some(Value::U8(7))
    );
    assert!(Gguf::parse(&one(&[b'k'; MAX_KEY_LEN])).is_ok());
    refused(&one(b""), GgufError::KeyLength { key: 0, found: 0 });
    let found = MAX_KEY_LEN as u64 + 1;
    refused(
        &one(&[b'k'; MAX_KEY_LEN + 1]),
        GgufError::KeyLength { key: 0, found },
    );
    refused(&one(b"a\xFFb"), GgufError::Utf8 { offset: 33 });
    refused(&one(b"ab\0"), GgufError::Nul { offset: 34 });
    for found in [7, 1 << 40, u64::MAX, u64::MAX - 31] {
        let mut file = one(b"k");
        file[24..32].copy_from_slice(&found.to_le_bytes());
        refused(
            &file,
            GgufError::StringLength {
                offset: 32,
                found,
                available: 6,
            },
        );
    }
    for found in [13, 255, u32::MAX] {
        let file = keys(&[entry("a", 0, [1]), entry("k", found, [0; 16])]);
        refused(
            &file,
            GgufError::ValueType {
                key: 1,
                offset: 47,
                found,
            },
        );
    }
    refused(
        &keys(&[entry("k", 7, [2])]),
        GgufError::Bool {
            offset: 37,
            found: 2,
        },
    );
    let long = entry("k", 8, 9u64.to_le_bytes());
    refused(
        &keys(&[long]),
        GgufError::StringLength {
            offset: 45,
            found: 9,
            available: 0,
        },
    );
    let not_text = entry("k", 8, text(b"\x80"));
    refused(&keys(&[not_text]), GgufError::Utf8 { offset: 45 });
    let twice = keys(&[entry("a", 0, [1]), entry("b", 0, [1]), entry("a", 0, [2])]);
    refused(
        &twice,
        GgufError::DuplicateKey {
            key: 2,
            first: 24,
            second: 52,
        },
    );
    // Every fixed-size type, one byte short.
    for kind in (0..13).filter_map(ValueType::from_u32) {
        let Some(len) = kind.fixed_len() else {
            continue;
        };
        let short = keys(&[entry("k", kind as u32, std::vec![0; len - 1])]);
        let (needed, available) = (len as u64, len as u64 - 1);
        refused(
            &short,
            GgufError::Truncated {
                offset: 37,
                needed,
                available,
            },
        );
    }
}

#[test]
fn a_header_beyond_the_limit() {
    let count = MAX_HEADER_LEN as usize;
    let array = [&0u32.to_le_bytes()[..], &(count as u64).to_le_bytes()].concat();
    let mut file = keys(&[entry("k", 9, array)]);
    let found = (file.len() + count) as u64;
    file.resize(file.len() + count, 0);
    refused(
        &file,
        GgufError::HeaderLength {
            found,
            limit: MAX_HEADER_LEN.into(),
        },
    );
}

#[test]
fn alignments() {
    let with = |kind, bytes: &[u8]| keys(&[entry(ALIGNMENT_KEY, kind, bytes)]);
    for alignment in [1u32, 2, 8, 64, MAX_ALIGNMENT] {
        let file = with(4, &alignment.to_le_bytes());
        assert_eq!(Gguf::parse(&file).unwrap().alignment(), alignment.into());
    }
    for found in [0u32, 3, 33, MAX_ALIGNMENT * 2, u32::MAX] {
        refused(
            &with(4, &found.to_le_bytes()),
            GgufError::Alignment { found },
        );
    }
    for (kind, len) in [(ValueType::I32, 4), (ValueType::U64, 8), (ValueType::U8, 1)] {
        let file = with(kind as u32, &[32, 0, 0, 0, 0, 0, 0, 0][..len]);
        refused(&file, GgufError::AlignmentType { found: kind });
    }
    let mut file = keys(&[entry(ALIGNMENT_KEY, 4, 64u32.to_le_bytes())]);
    file.extend(tensor("a", &[1], 0, 0));
    file.extend(tensor("b", &[1], 0, 32));
    file[8] = 2;
    file.resize(512, 0);
    refused(
        &file,
        GgufError::Unaligned {
            tensor: 1,
            found: 32,
            alignment: 64,
        },
    );
}

#[test]
fn descriptions() {
    let one = |name: &[u8], dims: &[u64], kind| tensors(&[tensor(name, dims, kind, 0)], 4096);
    assert!(Gguf::parse(&one(&[b'n'; 64], &[3, 1, 2, 5], 0)).is_ok());
    refused(
        &one(b"", &[1], 0),
        GgufError::NameLength {
            tensor: 0,
            found: 0,
        },
    );
    refused(
        &one(&[b'n'; 65], &[1], 0),
        GgufError::NameLength {
            tensor: 0,
            found: 65,
        },
    );
    refused(&one(b"\xC3", &[1], 0), GgufError::Utf8 { offset: 32 });
    refused(&one(b"n\0", &[1], 0), GgufError::Nul { offset: 33 });
    let size = |dims: &[u64], kind, error| {
        refused(&one(b"n", dims, kind), GgufError::Size { tensor: 0, error });
    };
    size(&[], 0, SizeError::DimensionCount { found: 0 });
    size(&[1; 5], 0, SizeError::DimensionCount { found: 5 });
    let mut many = one(b"n", &[1], 0);
    many[33..37].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = SizeError::DimensionCount { found: u32::MAX };
    refused(&many, GgufError::Size { tensor: 0, error });
    size(
        &[1, 0],
        0,
        SizeError::Dimension {
            dimension: 1,
            found: 0,
        },
    );
    size(
        &[u64::MAX],
        0,
        SizeError::Dimension {
            dimension: 0,
            found: u64::MAX,
        },
    );
    size(
        &[33],
        2,
        SizeError::Row {
            columns: 33,
            block_len: 32,
        },
    );
    size(
        &[16, 2],
        2,
        SizeError::Row {
            columns: 16,
            block_len: 32,
        },
    );
    let half = 1 << 32;
    size(
        &[half, half],
        24,
        SizeError::Elements {
            partial: half,
            factor: half,
        },
    );
    if cfg!(target_pointer_width = "64") {
        size(
            &[half, 1 << 30],
            0,
            SizeError::Bytes {
                blocks: 1 << 62,
                block_bytes: 4,
            },
        );
        // A size that fits, but whose padding does not.
        let wide = (1 << 60) - 1;
        let error = GgufError::PastEnd {
            tensor: 0,
            found: 0,
            len: 16 * wide,
            file_len: 4192,
        };
        refused(&one(b"n", &[(1 << 60) - 1, 2], 28), error);
    }
    for found in [4, 5, 31, 32, 33, 37, 38] {
        refused(
            &one(b"n", &[256], found),
            GgufError::RemovedTensorType { tensor: 0, found },
        );
    }
    for found in [43, 100, 1 << 31, u32::MAX] {
        refused(
            &one(b"n", &[256], found),
            GgufError::UnknownTensorType { tensor: 0, found },
        );
    }
    let twice = [
        tensor("n", &[1], 0, 0),
        tensor("m", &[1], 0, 32),
        tensor("n", &[1], 0, 64),
    ];
    let error = GgufError::DuplicateTensor {
        tensor: 2,
        first: 24,
        second: 90,
    };
    refused(&tensors(&twice, 100), error);
}

#[test]
fn duplicates_beyond_one_window() {
    let many = |last: &str| {
        let name = |i: usize| {
            if i == 999 {
                String::from(last)
            } else {
                std::format!("t{i:03}")
            }
        };
        let entries: Vec<_> = (0..1000)
            .map(|i| tensor(name(i), &[1], 24, 32 * i as u64))
            .collect();
        tensors(&entries, 32_000)
    };
    assert!(Gguf::parse(&many("t999")).is_ok());
    for earlier in [0, 300, 998] {
        let [first, second] = [earlier, 999].map(|i| 24 + 36 * i);
        let file = many(&std::format!("t{earlier:03}"));
        refused(
            &file,
            GgufError::DuplicateTensor {
                tensor: 999,
                first,
                second,
            },
        );
    }
}

#[test]
fn places() {
    // Two tensors of 8 bytes each, the second one where the test wants it.
    let second_at = |offset, data| {
        tensors(
            &[tensor("a", &[2], 0, 0), tensor("b", &[2], 0, offset)],
            data,
        )
    };
    let good = second_at(32, 40);
    let parsed = Gguf::parse(&good).unwrap();
    assert_eq!(parsed.tensor("b").unwrap().file_offset(), 96 + 32);
    assert_eq!(parsed.data_start(), 96);
    assert_eq!(parsed.header_len(), 90);

    let file_len = 96 + 1024;
    let past = |found| GgufError::PastEnd {
        tensor: 1,
        found,
        len: 8,
        file_len,
    };
    let misplaced = |found| GgufError::Misplaced {
        tensor: 1,
        found,
        expected: 32,
    };
    refused(&second_at(0, 1024), misplaced(0));
    refused(&second_at(64, 1024), misplaced(64));
    refused(&second_at(992, 1024), misplaced(992));
    refused(&second_at(1024, 1024), past(1024));
    refused(&second_at(u64::MAX - 31, 1024), past(u64::MAX - 31));
    refused(&second_at(u64::MAX - 95, 1024), past(u64::MAX - 95));
    for found in [1, 31, 33, u64::MAX] {
        let error = GgufError::Unaligned {
            tensor: 1,
            found,
            alignment: 32,
        };
        refused(&second_at(found, 1024), error);
    }
    let descending = tensors(&[tensor("a", &[2], 0, 32), tensor("b", &[2], 0, 0)], 1024);
    refused(
        &descending,
        GgufError::Misplaced {
            tensor: 0,
            found: 32,
            expected: 0,
        },
    );
    for missing in 1..=40 {
        let file = &good[..good.len() - missing];
        let tensor = u32::from(missing <= 32);
        let found = 32 * u64::from(tensor);
        let file_len = file.len() as u64;
        refused(
            file,
            GgufError::PastEnd {
                tensor,
                found,
                len: 8,
                file_len,
            },
        );
    }
}

#[test]
fn counts_one_too_small() {
    let entries = [tensor("a", &[2], 0, 0), tensor("b", &[2], 0, 32)];
    refused(
        &file_with_counts(1, 0, &entries, 64),
        GgufError::Padding {
            offset: 57,
            found: 1,
        },
    );
    refused(
        &file_with_counts(0, 0, &entries, 64),
        GgufError::Padding {
            offset: 24,
            found: 1,
        },
    );
    // A key taken for a tensor: the number of the array type is read as that of dimensions.
    let array = [&[0; 4], &1u64.to_le_bytes()[..], &[7]].concat();
    let entries = [entry("k", 9, array), tensor("a", &[2], 0, 0)];
    let error = SizeError::DimensionCount { found: 9 };
    refused(
        &file_with_counts(1, 0, &entries, 64),
        GgufError::Size { tensor: 0, error },
    );
}

#[test]
fn a_fork_with_another_block_size_does_not_fit() {
    // 8 rows of 256 weights of type 42 take 576 bytes, but 544 in groups of 128.
    let entries = [tensor("a", &[256, 8], 42, 0), tensor("b", &[1], 0, 544)];
    let error = GgufError::Misplaced {
        tensor: 1,
        found: 544,
        expected: 576,
    };
    refused(&tensors(&entries, 1024), error);
}

#[test]
fn errors_explain_themselves() {
    let all = [
        GgufError::Magic { found: *b"GGML" },
        GgufError::PastEnd {
            tensor: 3,
            found: 64,
            len: 8,
            file_len: 70,
        },
        GgufError::Size {
            tensor: 1,
            error: SizeError::Row {
                columns: 33,
                block_len: 32,
            },
        },
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
