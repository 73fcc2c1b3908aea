//! Attention on the emulated device against that of the core, token by token.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::nn::{self, KvCache, Rope};
use trilane_cuda::{Attention, Buffer, CudaError};
use trilane_cuda_tests::{Order, bits, device, float};

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn tokens_of_sequences(
        kv_heads in 1usize..3,
        groups in 1usize..4,
        head_dim in 1usize..40,
        turned in 0usize..20,
        sequences in 1usize..3,
        descending: bool,
        mut seed: u64,
    ) {
        let (capacity, tokens) = (70, 68);
        let rope_dim = (2 * turned).min(head_dim / 2 * 2);
        let shape = nn::Attention { heads: groups * kv_heads, kv_heads, head_dim };
        let (query, width) = (shape.heads * head_dim, kv_heads * head_dim);
        let order = if descending { Order::Descending } else { Order::Ascending };
        let stream = device(order).stream().unwrap();
        let mut found =
            Attention::new(&stream, shape, rope_dim, 1e4, capacity, sequences).unwrap();
        let mut on_device = found.cache(&stream).unwrap();
        let mut memory: Vec<Vec<f32>> =
            (0..sequences).map(|_| vec![0.0; 2 * capacity * width]).collect();
        let mut caches: Vec<KvCache<'_>> =
            memory.iter_mut().map(|m| KvCache::new(m, 1, capacity, width).unwrap()).collect();
        // The later sequence has begun later.
        for step in 0..tokens {
            let mut values = |len: usize| -> Vec<f32> {
                (0..len).map(|_| float(&mut seed)).collect()
            };
            let [q, k, v] = [query, width, width].map(|len| values(sequences * len));
            let late = |s: usize| usize::min(step, 64 * s);
            let positions: Vec<i32> =
                (0..sequences).map(|s| i32::try_from(step - late(s)).unwrap()).collect();
            // All steps are in the cache; the outputs of some are compared.
            let compared = step % 16 == 3 || step + 1 == tokens;
            let up = |values: &[f32]| Buffer::from_host(&stream, values).unwrap();
            let mut y = Buffer::zeros(&stream, q.len()).unwrap();
            found.set_positions(&stream, &positions).unwrap();
            let (mut turned, k_up, v_up) = (up(&q), up(&k), up(&v));
            found.attend(&stream, &mut turned, &k_up, &v_up, &mut on_device, &mut y).unwrap();
            let y = y.to_vec(&stream).unwrap();
            for (s, cache) in caches.iter_mut().enumerate() {
                let position = usize::try_from(positions[s]).unwrap();
                cache.truncate(position);
                let part = |values: &[f32], len: usize| values[s * len..(s + 1) * len].to_vec();
                let (mut cos, mut sin) = (vec![0.0; rope_dim / 2], vec![0.0; rope_dim / 2]);
                let rope = Rope::new(position, 1e4, &mut cos, &mut sin);
                let mut q = part(&q, query);
                rope.rotate(&mut q, head_dim);
                let (key, value) = cache.next(0).unwrap();
                key.copy_from_slice(&part(&k, width));
                value.copy_from_slice(&part(&v, width));
                rope.rotate(key, head_dim);
                if compared {
                    let (mut expected, mut scratch) =
                        (vec![0.0; query], vec![0.0; shape.scratch_len(capacity)]);
                    shape
                        .attend(Scalar, &Serial, &q, cache, 0, &mut expected, &mut scratch)
                        .unwrap();
                    prop_assert_eq!(bits(&part(&y, query)), bits(&expected));
                }
                cache.commit().unwrap();
            }
        }
    }
}

#[test]
fn sizes_and_positions_that_do_not_fit_are_refused() {
    let stream = device(Order::Ascending).stream().unwrap();
    let shape = nn::Attention { heads: 2, kv_heads: 1, head_dim: 4 };
    let mut attention = Attention::new(&stream, shape, 4, 1e4, 3, 1).unwrap();
    let full = Err(CudaError::CacheFull { capacity: 3 });
    assert_eq!(attention.set_positions(&stream, &[4]), full);
    assert_eq!(attention.set_positions(&stream, &[-1]), full);
    let mut cache = attention.cache(&stream).unwrap();
    let room = |len| Buffer::zeros(&stream, len).unwrap();
    let (mut q, k, v, mut y) = (room(8), room(4), room(3), room(8));
    let attended = attention.attend(&stream, &mut q, &k, &v, &mut cache, &mut y);
    assert!(matches!(attended, Err(CudaError::Shape(_))));
}
