//! Keys, values and alignment.

use super::*;

#[test]
fn keys_and_values() {
    let one = |key: &[u8]| keys(&[entry(key, 0, [7])]);
    assert_eq!(Gguf::parse(&one(b"k")).unwrap().get("k"), Some(Value::U8(7)));
    assert!(Gguf::parse(&one(&[b'k'; MAX_KEY_LEN])).is_ok());
    refused(&one(b""), GgufError::KeyLength { key: 0, found: 0 });
    let found = MAX_KEY_LEN as u64 + 1;
    refused(&one(&[b'k'; MAX_KEY_LEN + 1]), GgufError::KeyLength { key: 0, found });
    refused(&one(b"a\xFFb"), GgufError::Utf8 { offset: 33 });
    refused(&one(b"ab\0"), GgufError::Nul { offset: 34 });
    for found in [7, 1 << 40, u64::MAX, u64::MAX - 31] {
        let mut file = one(b"k");
        file[24..32].copy_from_slice(&found.to_le_bytes());
        refused(&file, GgufError::StringLength { offset: 32, found, available: 6 });
    }
    for found in [13, 255, u32::MAX] {
        let file = keys(&[entry("a", 0, [1]), entry("k", found, [0; 16])]);
        refused(&file, GgufError::ValueType { key: 1, offset: 47, found });
    }
    refused(&keys(&[entry("k", 7, [2])]), GgufError::Bool { offset: 37, found: 2 });
    let long = entry("k", 8, 9u64.to_le_bytes());
    refused(&keys(&[long]), GgufError::StringLength { offset: 45, found: 9, available: 0 });
    for found in [1 << 40, u64::MAX - 44, u64::MAX] {
        let wrapping = keys(&[entry("k", 8, found.to_le_bytes())]);
        refused(&wrapping, GgufError::StringLength { offset: 45, found, available: 0 });
    }
    let not_text = entry("k", 8, text(b"\x80"));
    refused(&keys(&[not_text]), GgufError::Utf8 { offset: 45 });
    let twice = keys(&[entry("a", 0, [1]), entry("b", 0, [1]), entry("a", 0, [2])]);
    refused(&twice, GgufError::DuplicateKey { key: 2, first: 24, second: 52 });
    // Every fixed-size type, one byte short.
    for kind in (0..13).filter_map(ValueType::from_u32) {
        let Some(len) = kind.fixed_len() else {
            continue;
        };
        let short = keys(&[entry("k", kind as u32, std::vec![0; len - 1])]);
        let (needed, available) = (len as u64, len as u64 - 1);
        refused(&short, GgufError::Truncated { offset: 37, needed, available });
    }
}

#[test]
fn arrays() {
    let array = |element: u32, count: u64, payload: &[u8]| {
        [&element.to_le_bytes()[..], &count.to_le_bytes(), payload].concat()
    };
    let one =
        |element, count, payload: &[u8]| keys(&[entry("k", 9, array(element, count, payload))]);
    assert!(Gguf::parse(&one(9, 2, &[array(8, 0, &[]), array(0, 0, &[])].concat())).is_ok());
    for found in [13, 255, u32::MAX] {
        refused(&one(found, 0, &[]), GgufError::ElementType { offset: 37, found });
    }
    // Counts that are over-long, that wrap when multiplied by the element's size, and 2^40 arrays
    // that claim to be empty.
    let too_long = |element, found| {
        let error = GgufError::ArrayLength { offset: 49, found, available: 24 };
        refused(&one(element, found, &[0; 24]), error);
    };
    for (element, least) in [(0, 25), (4, 7), (6, 7), (7, 25), (8, 4), (9, 3), (10, 4), (12, 4)] {
        for found in [least, 1 << 40, 1 << 61, 1 << 62, 1 << 63, u64::MAX] {
            too_long(element, found);
        }
    }
    refused(&one(7, 3, &[0, 1, 2]), GgufError::Bool { offset: 51, found: 2 });
    refused(&one(8, 1, &text(b"a\xC0")), GgufError::Utf8 { offset: 58 });
    let mut nested = array(0, 0, &[]);
    for _ in 0..MAX_ARRAY_DEPTH {
        nested = array(9, 1, &nested);
    }
    let offset = 37 + 12 * u64::from(MAX_ARRAY_DEPTH);
    let error = GgufError::ArrayDepth { offset, limit: MAX_ARRAY_DEPTH };
    refused(&keys(&[entry("k", 9, nested)]), error);
}

#[test]
fn a_header_beyond_the_limit() {
    let count = MAX_HEADER_LEN as usize;
    let array = [&0u32.to_le_bytes()[..], &(count as u64).to_le_bytes()].concat();
    let mut file = keys(&[entry("k", 9, array)]);
    let found = (file.len() + count) as u64;
    file.resize(file.len() + count, 0);
    refused(&file, GgufError::HeaderLength { found, limit: MAX_HEADER_LEN.into() });
}

#[test]
fn alignments() {
    let with = |kind, bytes: &[u8]| keys(&[entry(ALIGNMENT_KEY, kind, bytes)]);
    for alignment in [1u32, 2, 8, 64, MAX_ALIGNMENT] {
        let file = with(4, &alignment.to_le_bytes());
        assert_eq!(Gguf::parse(&file).unwrap().alignment(), alignment.into());
    }
    for found in [0u32, 3, 33, MAX_ALIGNMENT * 2, u32::MAX] {
        refused(&with(4, &found.to_le_bytes()), GgufError::Alignment { found });
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
    refused(&file, GgufError::Unaligned { tensor: 1, found: 32, alignment: 64 });
}
