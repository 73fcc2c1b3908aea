//! Damaged files: whatever happens to the bytes, parsing ends with an error or with a file whose
//! every part can be read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "std")]

use std::path::Path;

use proptest::prelude::*;
use trilane::core::gguf::blocks::{expand, is_supported};
use trilane::core::gguf::{Array, Gguf, GgufError, TensorType, Value};
use trilane::std::gguf_writer::GgufWriter;

/// A file with every kind of value and several tensors.
fn small_file() -> Vec<u8> {
    let mut file = GgufWriter::new(64).unwrap();
    for (key, value) in [
        ("u8", Value::U8(1)),
        ("i16", Value::I16(-1)),
        ("f32", Value::F32(1.5)),
        ("bool", Value::Bool(true)),
        ("text", Value::Str("zwölf")),
        ("f64", Value::F64(-2.5)),
    ] {
        file.add(key, value).unwrap();
    }
    file.add_array("words", &["", "x", "yz"]).unwrap();
    file.add_array("bools", &[true, false]).unwrap();
    file.add_array("ints", &[1u32, 2, 3]).unwrap();
    file.add_array("nested", &[vec![vec![1u16], vec![]], vec![]]).unwrap();
    file.declare("a", TensorType::F32, &[3, 2], 24).unwrap();
    file.declare("blk.0.b", TensorType::Q4_0, &[32, 1, 3], 54).unwrap();
    file.declare("c", TensorType::I8, &[5], 5).unwrap();
    let mut data = file.begin(Vec::new()).unwrap();
    data.write_tensor("a", &[0x3F; 24]).unwrap();
    data.write_tensor("blk.0.b", &[0x35; 54]).unwrap();
    data.write_tensor("c", &[1, 2, 3, 4, 5]).unwrap();
    data.finish().unwrap()
}

/// Reads everything an accepted file offers and checks that it is all there.
fn read_all(file: &Gguf<'_>) {
    fn read_array(array: Array<'_>) {
        assert!(array.payload().len() >= array.len());
        let elements: Vec<_> = array.iter().collect();
        assert_eq!(elements.len(), array.len(), "an element could not be read");
        assert_eq!(array.strs().map_or(array.len(), Iterator::count), array.len());
        for (index, element) in elements.into_iter().enumerate().take(40) {
            assert_eq!(element.kind(), array.element());
            // As text, since a NaN is not equal to itself.
            assert_eq!(format!("{:?}", array.get(index)), format!("{:?}", Some(element)));
            if let Value::Array(inner) = element {
                read_array(inner);
            }
        }
        assert_eq!(array.get(array.len()), None);
    }

    let bytes = file.bytes();
    assert!(file.header_len() <= bytes.len() && file.header_len() <= file.data_start());
    assert!(file.alignment().is_power_of_two());
    let promised = file.metadata().len();
    assert_eq!(file.metadata().count(), promised, "an entry could not be read");
    for (key, value) in file.metadata() {
        assert!(!key.is_empty() && !key.contains('\0'));
        assert!(file.get(key).is_some_and(|found| found.kind() == value.kind()));
        if let Value::Array(array) = value {
            read_array(array);
        }
    }
    let promised = file.tensors().len();
    assert_eq!(file.tensors().count(), promised, "a tensor could not be read");
    let mut end = file.data_start();
    for tensor in file.tensors() {
        assert!(tensor.file_offset() >= end, "{tensor:?} overlaps");
        end = tensor.file_offset() + tensor.data().len();
        assert_eq!(bytes.get(tensor.file_offset()..end), Some(tensor.data()));
        assert_eq!(tensor.dims().iter().product::<usize>(), tensor.elements());
        assert_eq!(tensor.rows() * tensor.cols(), tensor.elements());
        assert!(file.tensor(tensor.name()).is_some_and(|found| found.data() == tensor.data()));
        if is_supported(tensor.kind()) {
            let mut weights = vec![0.0; tensor.elements()];
            assert_eq!(expand(tensor.kind(), tensor.data(), &mut weights), Ok(()));
        }
    }
}

/// Cuts the file at the given lengths: refused exactly when something is missing.
fn truncate(bytes: &[u8], lengths: impl Iterator<Item = usize>) {
    let needed = Gguf::parse(bytes).unwrap().data_end();
    for len in lengths {
        match Gguf::parse(&bytes[..len]) {
            Ok(file) => {
                assert!(len >= needed, "accepted at {len} of {needed} bytes");
                read_all(&file);
            }
            Err(error) => assert!(len < needed, "refused at {len} of {needed} bytes: {error}"),
        }
    }
}

/// Flips every bit of the header, one at a time, and reads every `stride`-th of the files that are
/// accepted. Returns how many were.
fn flip_header_bits(bytes: &mut [u8], stride: usize) -> usize {
    let header_len = Gguf::parse(bytes).unwrap().header_len();
    let mut accepted = 0;
    for at in 0..header_len {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            if let Ok(file) = Gguf::parse(bytes) {
                if accepted % stride == 0 {
                    read_all(&file);
                }
                accepted += 1;
            }
            bytes[at] ^= 1 << bit;
        }
    }
    accepted
}

#[test]
fn truncated_anywhere() {
    let bytes = small_file();
    truncate(&bytes, 0..=bytes.len());
}

#[test]
fn any_header_bit_flipped() {
    let mut bytes = small_file();
    read_all(&Gguf::parse(&bytes).unwrap());
    let accepted = flip_header_bits(&mut bytes, 1);
    // Flips in values and names are harmless; flips in the 24 bytes of fixed header never are,
    // but for the version bit that makes 3 a 2.
    assert!(accepted > 100, "only {accepted} accepted");
    for at in 0..24 {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert_eq!(Gguf::parse(&flipped).is_ok(), (at, bit) == (4, 0), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn every_header_byte_replaced_by_extremes() {
    let bytes = small_file();
    let header_len = Gguf::parse(&bytes).unwrap().header_len();
    for width in [1, 4, 8] {
        for at in 0..=header_len - width {
            for fill in [0, 0x7F, 0x80, 0xFF] {
                let mut damaged = bytes.clone();
                damaged[at..at + width].fill(fill);
                if let Ok(file) = Gguf::parse(&damaged) {
                    read_all(&file);
                }
            }
        }
    }
}

#[test]
fn a_real_model_damaged() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/stories260K-q4_0.gguf");
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
        return;
    }
    let mut bytes = std::fs::read(&path).unwrap();
    let file = Gguf::parse(&bytes).unwrap();
    read_all(&file);
    assert_eq!(file.get("general.architecture"), Some(Value::Str("llama")));
    let header_len = file.header_len();
    let len = bytes.len();
    truncate(&bytes, (0..header_len).chain((header_len..len).step_by(997)).chain(len - 99..=len));
    assert!(flip_header_bits(&mut bytes, 101) > 0);
}

#[test]
fn any_address_alignment() {
    let bytes = small_file();
    for shift in 0..8 {
        let mut shifted = vec![0; shift];
        shifted.extend(&bytes);
        read_all(&Gguf::parse(&shifted[shift..]).unwrap());
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let expected = bytes.first_chunk::<4>().filter(|magic| **magic != *b"GGUF");
        if let (Some(&found), Err(error)) = (expected, Gguf::parse(&bytes)) {
            prop_assert_eq!(error, GgufError::Magic { found });
        }
    }

    #[test]
    fn random_bytes_after_a_plausible_header(
        tensors in 0..4u8,
        keys in 0..4u8,
        body in proptest::collection::vec(prop_oneof![0..14u8, any::<u8>()], 0..300),
    ) {
        let mut bytes = Vec::from(*b"GGUF\x03\0\0\0");
        bytes.extend([tensors, 0, 0, 0, 0, 0, 0, 0, keys, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(body);
        if let Ok(file) = Gguf::parse(&bytes) {
            read_all(&file);
        }
    }

    #[test]
    fn a_few_random_bytes_changed(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = small_file();
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        if let Ok(file) = Gguf::parse(&bytes) {
            read_all(&file);
        }
    }
}
