//! Tensor descriptions and the places of data.

use std::string::String;

use super::*;

#[test]
fn descriptions() {
    let one = |name: &[u8], dims: &[u64], kind| tensors(&[tensor(name, dims, kind, 0)], 4096);
    assert!(Gguf::parse(&one(&[b'n'; 64], &[3, 1, 2, 5], 0)).is_ok());
    refused(&one(b"", &[1], 0), GgufError::NameLength { tensor: 0, found: 0 });
    refused(&one(&[b'n'; 65], &[1], 0), GgufError::NameLength { tensor: 0, found: 65 });
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
    size(&[1, 0], 0, SizeError::Dimension { dimension: 1, found: 0 });
    size(&[u64::MAX], 0, SizeError::Dimension { dimension: 0, found: u64::MAX });
    size(&[33], 2, SizeError::Row { columns: 33, block_len: 32 });
    size(&[16, 2], 2, SizeError::Row { columns: 16, block_len: 32 });
    let half = 1 << 32;
    size(&[half, half], 24, SizeError::Elements { partial: half, factor: half });
    if cfg!(target_pointer_width = "64") {
        size(&[half, 1 << 30], 0, SizeError::Bytes { blocks: 1 << 62, block_bytes: 4 });
        // A size that fits, but whose padding does not.
        let wide = (1 << 60) - 1;
        let error = GgufError::PastEnd { tensor: 0, found: 0, len: 16 * wide, file_len: 4192 };
        refused(&one(b"n", &[(1 << 60) - 1, 2], 28), error);
    }
    for found in [4, 5, 31, 32, 33, 37, 38] {
        refused(&one(b"n", &[256], found), GgufError::RemovedTensorType { tensor: 0, found });
    }
    for found in [43, 100, 1 << 31, u32::MAX] {
        refused(&one(b"n", &[256], found), GgufError::UnknownTensorType { tensor: 0, found });
    }
    let twice = [tensor("n", &[1], 0, 0), tensor("m", &[1], 0, 32), tensor("n", &[1], 0, 64)];
    let error = GgufError::DuplicateTensor { tensor: 2, first: 24, second: 90 };
    refused(&tensors(&twice, 100), error);
}

#[test]
fn duplicates_beyond_one_window() {
    let many = |last: &str| {
        let name = |i: usize| {
            if i == 999 { String::from(last) } else { std::format!("t{i:03}") }
        };
        let entries: Vec<_> = (0..1000).map(|i| tensor(name(i), &[1], 24, 32 * i as u64)).collect();
        tensors(&entries, 32_000)
    };
    assert!(Gguf::parse(&many("t999")).is_ok());
    for earlier in [0, 300, 998] {
        let [first, second] = [earlier, 999].map(|i| 24 + 36 * i);
        let file = many(&std::format!("t{earlier:03}"));
        refused(&file, GgufError::DuplicateTensor { tensor: 999, first, second });
    }
}

#[test]
fn places() {
    // Two tensors of 8 bytes each, the second one where the test wants it.
    let second_at =
        |offset, data| tensors(&[tensor("a", &[2], 0, 0), tensor("b", &[2], 0, offset)], data);
    let good = second_at(32, 40);
    let parsed = Gguf::parse(&good).unwrap();
    assert_eq!(parsed.tensor("b").unwrap().file_offset(), 96 + 32);
    assert_eq!(parsed.data_start(), 96);
    assert_eq!(parsed.header_len(), 90);

    let file_len = 96 + 1024;
    let past = |found| GgufError::PastEnd { tensor: 1, found, len: 8, file_len };
    let misplaced = |found| GgufError::Misplaced { tensor: 1, found, expected: 32 };
    refused(&second_at(0, 1024), misplaced(0));
    refused(&second_at(64, 1024), misplaced(64));
    refused(&second_at(992, 1024), misplaced(992));
    refused(&second_at(1024, 1024), past(1024));
    refused(&second_at(u64::MAX - 31, 1024), past(u64::MAX - 31));
    refused(&second_at(u64::MAX - 95, 1024), past(u64::MAX - 95));
    for found in [1, 31, 33, u64::MAX] {
        let error = GgufError::Unaligned { tensor: 1, found, alignment: 32 };
        refused(&second_at(found, 1024), error);
    }
    let descending = tensors(&[tensor("a", &[2], 0, 32), tensor("b", &[2], 0, 0)], 1024);
    refused(&descending, GgufError::Misplaced { tensor: 0, found: 32, expected: 0 });
    for missing in 1..=40 {
        let file = &good[..good.len() - missing];
        let tensor = u32::from(missing <= 32);
        let found = 32 * u64::from(tensor);
        let file_len = file.len() as u64;
        refused(file, GgufError::PastEnd { tensor, found, len: 8, file_len });
    }
}

#[test]
fn a_fork_with_another_block_size_does_not_fit() {
    // 8 rows of 256 weights of type 42 take 576 bytes, but 544 in groups of 128.
    let entries = [tensor("a", &[256, 8], 42, 0), tensor("b", &[1], 0, 544)];
    let error = GgufError::Misplaced { tensor: 1, found: 544, expected: 576 };
    refused(&tensors(&entries, 1024), error);
}
