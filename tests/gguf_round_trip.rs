//! What the writer writes, the reader reads; what the reader would refuse, the writer refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "std")]

use std::io::{self, Write};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use trilane::core::gguf::{Gguf, SizeError, TensorType, Value, ValueType};
use trilane::std::gguf_writer::{Element, GgufWriter, WriteError, write_atomically};

/// A value that owns what it needs.
#[derive(Clone, Debug)]
enum Owned {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    U64(u64),
    I64(i64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    Ints(Vec<i32>),
    Words(Vec<String>),
    Flags(Vec<bool>),
    Nested(Vec<Vec<Vec<u64>>>),
}

fn value() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<u8>().prop_map(Owned::U8),
        any::<i8>().prop_map(Owned::I8),
        any::<u16>().prop_map(Owned::U16),
        any::<i16>().prop_map(Owned::I16),
        any::<u32>().prop_map(Owned::U32),
        any::<i32>().prop_map(Owned::I32),
        any::<u64>().prop_map(Owned::U64),
        any::<i64>().prop_map(Owned::I64),
        any::<f32>().prop_map(Owned::F32),
        any::<f64>().prop_map(Owned::F64),
        any::<bool>().prop_map(Owned::Bool),
        any::<String>().prop_map(Owned::Text),
        vec(any::<u8>(), 0..9).prop_map(Owned::Bytes),
        vec(any::<i32>(), 0..9).prop_map(Owned::Ints),
        vec(any::<String>(), 0..5).prop_map(Owned::Words),
        vec(any::<bool>(), 0..9).prop_map(Owned::Flags),
        vec(vec(vec(any::<u64>(), 0..3), 0..3), 0..3).prop_map(Owned::Nested),
    ]
}

fn add(file: &mut GgufWriter, key: &str, value: &Owned) -> Result<(), WriteError> {
    match value {
        Owned::U8(value) => file.add(key, Value::U8(*value)),
        Owned::I8(value) => file.add(key, Value::I8(*value)),
        Owned::U16(value) => file.add(key, Value::U16(*value)),
        Owned::I16(value) => file.add(key, Value::I16(*value)),
        Owned::U32(value) => file.add(key, Value::U32(*value)),
        Owned::I32(value) => file.add(key, Value::I32(*value)),
        Owned::U64(value) => file.add(key, Value::U64(*value)),
        Owned::I64(value) => file.add(key, Value::I64(*value)),
        Owned::F32(value) => file.add(key, Value::F32(*value)),
        Owned::F64(value) => file.add(key, Value::F64(*value)),
        Owned::Bool(value) => file.add(key, Value::Bool(*value)),
        Owned::Text(value) => file.add(key, Value::Str(value)),
        Owned::Bytes(values) => file.add_array(key, values),
        Owned::Ints(values) => file.add_array(key, values),
        Owned::Words(values) => file.add_array(key, values),
        Owned::Flags(values) => file.add_array(key, values),
        Owned::Nested(values) => file.add_array(key, values),
    }
}

/// Whether a value read is the one written, floats by their bits.
fn same(found: Value<'_>, written: &Owned) -> bool {
    match (found, written) {
        (Value::U8(found), Owned::U8(value)) => found == *value,
        (Value::I8(found), Owned::I8(value)) => found == *value,
        (Value::U16(found), Owned::U16(value)) => found == *value,
        (Value::I16(found), Owned::I16(value)) => found == *value,
        (Value::U32(found), Owned::U32(value)) => found == *value,
        (Value::I32(found), Owned::I32(value)) => found == *value,
        (Value::U64(found), Owned::U64(value)) => found == *value,
        (Value::I64(found), Owned::I64(value)) => found == *value,
        (Value::F32(found), Owned::F32(value)) => found.to_bits() == value.to_bits(),
        (Value::F64(found), Owned::F64(value)) => found.to_bits() == value.to_bits(),
        (Value::Bool(found), Owned::Bool(value)) => found == *value,
        (Value::Str(found), Owned::Text(value)) => found == value,
        (Value::Array(found), Owned::Bytes(values)) => found.u8s() == Some(values),
        (Value::Array(found), Owned::Ints(values)) => {
            found.i32s().is_some_and(|ints| ints.eq(values.iter().copied()))
        }
        (Value::Array(found), Owned::Words(values)) => {
            found.strs().is_some_and(|words| words.eq(values))
        }
        (Value::Array(found), Owned::Flags(values)) => {
            found.element() == ValueType::Bool
                && found.iter().eq(values.iter().map(|&value| Value::Bool(value)))
        }
        (Value::Array(found), Owned::Nested(values)) => {
            let read: Vec<Vec<Vec<u64>>> = found
                .iter()
                .map(|middle| {
                    let inner = middle.as_array().unwrap().iter();
                    inner.map(|v| v.as_array().unwrap().u64s().unwrap().collect()).collect()
                })
                .collect();
            read == *values
        }
        _ => false,
    }
}

fn key() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("a key of the format", |key| !key.is_empty() && !key.contains('\0'))
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        alignment in (0..8u32).prop_map(|log| 1 << log),
        metadata in btree_map(key(), value(), 0..12),
        tensors in btree_map(
            "[a-zß.]{1,30}",
            (proptest::sample::select(TensorType::ALL), 1..3u64, 1..4u64, any::<u8>()),
            0..8,
        ),
    ) {
        let mut file = GgufWriter::new(alignment).unwrap();
        for (key, value) in &metadata {
            add(&mut file, key, value).unwrap();
        }
        let data_of = |kind: TensorType, blocks: u64, rows: u64, seed: u8| {
            let len = blocks as usize * rows as usize * kind.block_bytes() + kind.trailer_bytes();
            (0..len).map(|i| seed.wrapping_mul(31).wrapping_add(i as u8)).collect::<Vec<u8>>()
        };
        for (name, &(kind, blocks, rows, seed)) in &tensors {
            let dims = [blocks * kind.block_len() as u64, rows];
            let len = data_of(kind, blocks, rows, seed).len() as u64;
            file.declare(name, kind, &dims, len).unwrap();
        }
        let mut out = file.begin(Vec::new()).unwrap();
        for (name, &(kind, blocks, rows, seed)) in &tensors {
            let data = data_of(kind, blocks, rows, seed);
            if seed % 2 == 0 {
                out.write_tensor(name, &data).unwrap();
            } else {
                let (first, second) = data.split_at(data.len() / 3);
                out.write_part(name, first).unwrap();
                out.write_part(name, second).unwrap();
            }
        }
        let bytes = out.finish().unwrap();
        prop_assert_eq!(bytes.len() as u64 % u64::from(alignment), 0);

        let file = Gguf::parse(&bytes).unwrap();
        prop_assert_eq!(file.alignment(), u64::from(alignment));
        let set = usize::from(alignment != 32);
        prop_assert_eq!(file.metadata().len(), metadata.len() + set);
        for ((found_key, found), (key, value)) in file.metadata().skip(set).zip(&metadata) {
            prop_assert_eq!(found_key, key);
            prop_assert!(same(found, value), "{:?} is not {:?}", found, value);
        }
        prop_assert_eq!(file.tensors().len(), tensors.len());
        for (tensor, (name, &(kind, blocks, rows, seed))) in file.tensors().zip(&tensors) {
            prop_assert_eq!(tensor.name(), name);
            prop_assert_eq!(tensor.kind(), kind);
            let dims = [blocks as usize * kind.block_len(), rows as usize];
            prop_assert_eq!(tensor.dims(), dims);
            let data = data_of(kind, blocks, rows, seed);
            prop_assert_eq!(tensor.data(), data.as_slice());
        }

        let mut copy = GgufWriter::new(alignment).unwrap();
        copy.copy_metadata(&file).unwrap();
        let copied = copy.begin(Vec::new()).unwrap().finish().unwrap();
        let copied = Gguf::parse(&copied).unwrap();
        let text = |file: &Gguf<'_>| format!("{:?}", file.metadata().collect::<Vec<_>>());
        prop_assert_eq!(text(&copied), text(&file));
        for (key, value) in &metadata {
            prop_assert!(same(copied.get(key).unwrap(), value));
        }
    }
}

/// The name of the error's variant.
fn variant(result: Result<(), WriteError>) -> String {
    let error = result.unwrap_err();
    assert!(error.to_string().len() > 10, "{error:?} does not explain itself");
    let text = format!("{error:?}");
    text.split([' ', '(']).next().unwrap_or_default().to_owned()
}

#[test]
fn what_the_reader_refuses_is_not_written() {
    for found in [0, 3, 1 << 17] {
        assert!(
            matches!(GgufWriter::new(found), Err(WriteError::Alignment { found: f }) if f == found)
        );
    }
    let mut file = GgufWriter::new(32).unwrap();
    file.add("k", Value::U8(1)).unwrap();
    let mut key = |key: &str| variant(file.add(key, Value::U8(2)));
    assert_eq!(key(""), "KeyLength");
    assert_eq!(key(&"k".repeat(65_536)), "KeyLength");
    assert_eq!(key("a\0"), "Nul");
    assert_eq!(key("k"), "DuplicateKey");
    assert_eq!(key("general.alignment"), "AlignmentKey");
    assert_eq!(variant(file.add_array("general.alignment", &[1u32])), "AlignmentKey");
    file.add_array("four", &[vec![vec![vec![1u8]]]]).unwrap();
    assert_eq!(variant(file.add_array("five", &[vec![vec![vec![vec![1u8]]]]])), "ArrayDepth");

    file.declare("t", TensorType::F32, &[1], 4).unwrap();
    let mut tensor =
        |name: &str, dims: &[u64], len| variant(file.declare(name, TensorType::F32, dims, len));
    assert_eq!(tensor("", &[1], 4), "NameLength");
    assert_eq!(tensor(&"t".repeat(65), &[1], 4), "NameLength");
    assert_eq!(tensor("\0", &[1], 4), "Nul");
    assert_eq!(tensor("t", &[1], 4), "DuplicateTensor");
    assert_eq!(tensor("u", &[1], 3), "DataLength");
    assert_eq!(tensor("u", &[0], 0), "Size");
    let half = 1u64 << 61;
    file.declare("v", TensorType::I8, &[half], half).unwrap();
    file.declare("w", TensorType::I8, &[half, 2], 2 * half).unwrap();
    assert_eq!(variant(file.declare("x", TensorType::I8, &[half], half)), "TotalLength");
    let error = file.declare("y", TensorType::Q4_0, &[33], 0).unwrap_err();
    assert!(matches!(error, WriteError::Size(SizeError::Row { columns: 33, block_len: 32 })));
    // What was refused left no trace.
    let Err(WriteError::Unfinished { name, missing: 4 }) = file.begin(Vec::new()).unwrap().finish()
    else {
        panic!("finished without data");
    };
    assert_eq!(name, "t");
}

#[test]
fn counts_have_limits() {
    let mut file = GgufWriter::new(32).unwrap();
    for i in 0..65_536 {
        file.add(&format!("k{i}"), Value::U8(0)).unwrap();
        file.declare(&format!("t{i}"), TensorType::I8, &[1], 1).unwrap();
    }
    assert_eq!(variant(file.add("one more", Value::U8(0))), "KeyCount");
    assert_eq!(variant(file.declare("one more", TensorType::I8, &[1], 1)), "TensorCount");
    assert_eq!(variant(file.add("k0", Value::U8(0))), "KeyCount");
    let mut data = file.begin(Vec::new()).unwrap();
    for i in 0..65_536 {
        data.write_tensor(&format!("t{i}"), &[1]).unwrap();
    }
    let bytes = data.finish().unwrap();
    let file = Gguf::parse(&bytes).unwrap();
    assert_eq!((file.metadata().len(), file.tensors().len()), (65_536, 65_536));
}

#[test]
fn the_header_has_a_limit() {
    let mut file = GgufWriter::new(32).unwrap();
    let large = vec![0u8; 1 << 27];
    file.add_array("a", &large).unwrap();
    assert_eq!(variant(file.add_array("b", &large)), "HeaderLength");
    file.add("b", Value::U8(1)).unwrap();
    let bytes = file.begin(Vec::new()).unwrap().finish().unwrap();
    assert_eq!(Gguf::parse(&bytes).unwrap().get("b"), Some(Value::U8(1)));
}

#[test]
fn data_comes_in_order_and_whole() {
    let mut file = GgufWriter::new(32).unwrap();
    file.declare("a", TensorType::I8, &[3], 3).unwrap();
    file.declare("b", TensorType::I8, &[1], 1).unwrap();
    let mut data = file.begin(Vec::new()).unwrap();
    assert_eq!(variant(data.write_tensor("b", &[1])), "Order");
    assert_eq!(variant(data.write_tensor("a", &[1])), "DataLength");
    data.write_part("a", &[1, 2]).unwrap();
    assert_eq!(variant(data.write_part("a", &[3, 4])), "DataLength");
    data.write_part("a", &[]).unwrap();
    data.write_tensor("a", &[3]).unwrap();
    data.write_tensor("b", &[4]).unwrap();
    assert_eq!(variant(data.write_tensor("c", &[5])), "Order");
    let bytes = data.finish().unwrap();
    let file = Gguf::parse(&bytes).unwrap();
    assert_eq!(file.tensor("a").unwrap().data(), [1, 2, 3]);
    assert_eq!(file.tensor("b").unwrap().data(), [4]);
}

#[test]
fn element_depths_add_up() {
    assert_eq!(<u8 as Element>::DEPTH, 0);
    assert_eq!(<&str as Element>::DEPTH, 0);
    assert_eq!(<Vec<&[String]> as Element>::DEPTH, 2);
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = std::env::temp_dir().join(format!("trilane-atomic-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.gguf");
    let listing = || std::fs::read_dir(&folder).unwrap().count();

    let failed: io::Result<()> = write_atomically(&path, |out| {
        out.write_all(b"half")?;
        Err(io::ErrorKind::Other.into())
    });
    assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::Other);
    assert_eq!(listing(), 0);

    write_atomically(&path, |out| out.write_all(b"first")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"first");
    let panicked = std::panic::catch_unwind(|| {
        write_atomically(&path, |_| -> io::Result<()> { panic!("stopped") })
    });
    assert!(panicked.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"first");

    let length = write_atomically(&path, |out| {
        let mut file = GgufWriter::new(32)?;
        file.add("k", Value::U8(1))?;
        file.begin(&mut *out)?.finish()?;
        Ok::<_, WriteError>(7)
    });
    assert_eq!(length.unwrap(), 7);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(Gguf::parse(&bytes).unwrap().get("k"), Some(Value::U8(1)));
    assert_eq!(listing(), 1);
    assert!(write_atomically(&folder.join(".."), |_| io::Result::Ok(())).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}
