//! The key-value cache: layout, counting, refusing.

use trilane_core::nn::{CacheError, KvCache};

/// Writes numbers that say where they are: layer, token, key or value, position.
fn write(cache: &mut KvCache<'_>, layer: usize, token: usize) -> Result<(), CacheError> {
    let number = |value: usize, i: usize| (1000 * layer + 100 * token + 10 * value + i) as f32;
    let (key, value) = cache.next(layer)?;
    key.iter_mut().enumerate().for_each(|(i, to)| *to = number(0, i));
    value.iter_mut().enumerate().for_each(|(i, to)| *to = number(1, i));
    Ok(())
}

#[test]
fn layers_hold_all_keys_and_then_all_values() {
    let mut memory = [-1.0; 2 * 2 * 4 * 3];
    let mut cache = KvCache::new(&mut memory, 2, 4, 3).unwrap();
    for token in 0..3 {
        for layer in 0..2 {
            write(&mut cache, layer, token).unwrap();
        }
        assert_eq!(cache.len(), token);
        cache.commit().unwrap();
    }
    assert_eq!((cache.len(), cache.capacity(), cache.is_empty()), (3, 4, false));
    for layer in 0..2 {
        for value in 0..2 {
            for token in 0..4 {
                for i in 0..3 {
                    let place = 24 * layer + 12 * value + 3 * token + i;
                    let number = (1000 * layer + 100 * token + 10 * value + i) as f32;
                    let expected = if token < 3 { number } else { -1.0 };
                    assert_eq!(memory[place], expected, "layer {layer}, token {token}");
                }
            }
        }
    }
}

#[test]
fn a_full_cache_takes_no_more_and_stays_as_it_is() {
    let mut memory = [-1.0; 2 * 2 * 2 * 3];
    let mut cache = KvCache::new(&mut memory, 2, 2, 3).unwrap();
    for token in 0..2 {
        write(&mut cache, 0, token).unwrap();
        write(&mut cache, 1, token).unwrap();
        cache.commit().unwrap();
    }
    let full = Err(CacheError::Full { capacity: 2 });
    for layer in 0..2 {
        assert_eq!(cache.next(layer).map(|_| ()), full);
    }
    assert_eq!(cache.commit(), full);
    assert_eq!(cache.len(), 2);
    cache.truncate(1);
    write(&mut cache, 1, 7).unwrap();
    assert_eq!(cache.commit(), Ok(()));
    assert_eq!(cache.commit(), full);
    assert_eq!(memory[12..15], [1000.0, 1001.0, 1002.0]);
    assert_eq!(memory[15..18], [1700.0, 1701.0, 1702.0]);
}

#[test]
fn there_is_no_place_in_a_layer_that_does_not_exist() {
    let mut memory = [-1.0; 2 * 2 * 2 * 3];
    let mut cache = KvCache::new(&mut memory, 2, 2, 3).unwrap();
    for layer in [2, 3, usize::MAX / 12, usize::MAX] {
        let error = CacheError::Layer { layer, layers: 2 };
        assert_eq!(cache.next(layer).map(|_| ()), Err(error));
    }
    // Not even in a full cache.
    cache.commit().unwrap();
    cache.commit().unwrap();
    let error = CacheError::Layer { layer: 2, layers: 2 };
    assert_eq!(cache.next(2).map(|_| ()), Err(error));
    assert_eq!(error.to_string(), "key-value cache: layer 2 of 2 does not exist");
}

#[test]
fn truncation_only_forgets() {
    let mut memory = [0.0; 2 * 5];
    let mut cache = KvCache::new(&mut memory, 1, 5, 1).unwrap();
    for _ in 0..3 {
        cache.commit().unwrap();
    }
    for (len, left) in [(4, 3), (3, 3), (2, 2), (usize::MAX, 2), (0, 0), (1, 0)] {
        cache.truncate(len);
        assert_eq!((cache.len(), cache.is_empty()), (left, left == 0));
    }
}

#[test]
fn memory_of_another_length_is_refused() {
    let new = |floats: usize, layers, capacity, width| {
        KvCache::new(&mut vec![0.0; floats], layers, capacity, width).map(|_| ())
    };
    let length = |expected, actual| Err(CacheError::Length { expected, actual });
    assert_eq!(new(2 * 3 * 4 * 5, 3, 4, 5), Ok(()));
    assert_eq!(new(119, 3, 4, 5), length(120, 119));
    assert_eq!(new(121, 3, 4, 5), length(120, 121));
    for sizes in [(0, 4, 5), (3, 0, 5), (3, 4, 0)] {
        assert_eq!(new(0, sizes.0, sizes.1, sizes.2), length(1, 0));
    }
    assert_eq!(KvCache::floats(usize::MAX, 2, 2), None);
    assert_eq!(KvCache::floats(1, usize::MAX, 2), None);
    assert_eq!(KvCache::floats(1, 1, usize::MAX), None);
    assert_eq!(new(7, usize::MAX, 2, 2), length(usize::MAX, 7));
}
