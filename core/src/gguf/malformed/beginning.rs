//! Files of which only the beginning is in memory.

use super::*;

#[test]
fn a_beginning_is_checked_as_the_whole_file_is() {
    let whole = tensors(&[tensor("a", &[16], 0, 0), tensor("b", &[8], 0, 64)], 96);
    let (len, all) = (whole.len() as u64, Gguf::parse(&whole).unwrap());
    for end in 0..=whole.len() {
        let beginning = &whole[..end];
        let Ok(part) = Gguf::parse_beginning(beginning, len) else {
            assert!(end < all.header_len());
            continue;
        };
        assert!(end >= all.header_len());
        assert_eq!(part.data_start(), all.data_start());
        assert_eq!(part.tensors().count(), 2);
        for (found, expected) in part.tensors().zip(all.tensors()) {
            assert_eq!(found.name(), expected.name());
            assert_eq!(found.file_offset(), expected.file_offset());
            assert_eq!(found.data_len(), expected.data().len() as u64);
            let there = expected.file_offset() + expected.data().len() <= end;
            assert_eq!(found.data(), if there { expected.data() } else { &[] });
        }
    }
    let missing = GgufError::PastEnd { tensor: 1, found: 64, len: 32, file_len: len - 1 };
    assert_eq!(Gguf::parse_beginning(&whole, len - 1).err(), Some(missing));
    assert_eq!(Gguf::parse(&whole[..whole.len() - 1]).err(), Some(missing));
}
