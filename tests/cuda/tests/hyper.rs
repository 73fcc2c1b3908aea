//! Hypervectors on the emulated device against the scalar backend.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use trilane_core::error::ArgumentError;
use trilane_core::hyper::{self, Bundle, ItemMemory, Neighbour, TritPlanes, TritPlanesMut, words};
use trilane_core::kernel::Scalar;
use trilane_core::trit::Trit;
use trilane_cuda::hyper::{Bundles, Hypervectors};
use trilane_cuda::{Buffer, CudaError, Stream, hyper as device};
use trilane_cuda_tests::{Order, bits, device, random};

/// Vectors in memory, as an item memory takes them.
struct Vectors {
    dim: usize,
    words: Vec<u64>,
}

impl Vectors {
    fn zeros(dim: usize, len: usize) -> Self {
        Self { dim, words: vec![0; len * 2 * words(dim)] }
    }

    /// Dense and sparse vectors, zeros, and copies of those before, which tie.
    fn random(dim: usize, len: usize, seed: &mut u64) -> Self {
        let mut vectors = Self::zeros(dim, len);
        for i in 0..len {
            let kind = random(seed) % 8;
            if kind < 2 && i > 0 {
                let each = 2 * words(dim);
                let from = random(seed) as usize % i * each;
                vectors.words.copy_within(from..from + each, i * each);
                if kind == 1 {
                    vectors.view_mut(i).negate();
                }
            } else {
                let sparsity = [0.0, 0.0, 0.2, 0.5, 0.9, 1.0][kind as usize % 6];
                hyper::random_sparse(random(seed), sparsity, &mut vectors.view_mut(i)).unwrap();
            }
        }
        vectors
    }

    fn memory(&self) -> ItemMemory<'_> {
        ItemMemory::new(self.dim, &self.words).unwrap()
    }

    fn get(&self, i: usize) -> TritPlanes<'_> {
        self.memory().get(i).unwrap()
    }

    fn view_mut(&mut self, i: usize) -> TritPlanesMut<'_> {
        let each = 2 * words(self.dim);
        TritPlanesMut::new(self.dim, &mut self.words[i * each..(i + 1) * each]).unwrap()
    }

    fn upload(&self, stream: &Stream) -> Hypervectors {
        Hypervectors::upload(stream, self.memory().iter()).unwrap()
    }
}

fn stream(descending: bool) -> Stream {
    let order = if descending { Order::Descending } else { Order::Ascending };
    device(order).stream().unwrap()
}

/// Dimensions within a word, about whole words, and such that warps go round.
fn dims() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..70, 100usize..400, Just(128), Just(192), 4090usize..4220]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn bindings_and_shifts(
        dim in dims(), len in 1usize..5, by: i64, few in -130i64..130, descending: bool, mut seed: u64,
    ) {
        let stream = stream(descending);
        let (a, b) = (Vectors::random(dim, len, &mut seed), Vectors::random(dim, len, &mut seed));
        let (on_a, on_b) = (a.upload(&stream), b.upload(&stream));
        let mut found = Hypervectors::zeros(&stream, dim, len).unwrap();
        let mut expected = Vectors::zeros(dim, len);
        type On = fn(&Stream, &Hypervectors, &Hypervectors, &mut Hypervectors) -> Result<(), CudaError>;
        type At = fn(&TritPlanes<'_>, &TritPlanes<'_>, &mut TritPlanesMut<'_>) -> Result<(), ArgumentError>;
        let operations: [(On, At); 3] = [
            (device::bind, hyper::bind),
            (device::bind_mod3, hyper::bind_mod3),
            (device::unbind_mod3, hyper::unbind_mod3),
        ];
        for (on, at) in operations {
            on(&stream, &on_a, &on_b, &mut found).unwrap();
            (0..len).for_each(|i| at(&a.get(i), &b.get(i), &mut expected.view_mut(i)).unwrap());
            prop_assert_eq!(&found.download(&stream).unwrap(), &expected.words);
        }
        for by in [by, few] {
            device::permute(&stream, &on_a, by, &mut found).unwrap();
            (0..len).for_each(|i| hyper::permute(&a.get(i), by, &mut expected.view_mut(i)).unwrap());
            prop_assert_eq!(&found.download(&stream).unwrap(), &expected.words);
        }
    }

    #[test]
    fn bundles(
        dim in prop_oneof![1usize..70, 100usize..300, Just(2100)],
        len in 1usize..3,
        each in prop_oneof![1usize..8, 55usize..70, 119usize..122],
        descending: bool,
        mut seed: u64,
    ) {
        let stream = stream(descending);
        let v = Vectors::random(dim, len * each, &mut seed);
        let weights: Vec<i32> = (0..len * each).map(|_| random(&mut seed) as i32 >> 8).collect();
        let (on, on_weights) = (v.upload(&stream), Buffer::from_host(&stream, &weights).unwrap());
        let mut sums = Bundles::new(&stream, dim, len).unwrap();
        let mut found = Hypervectors::zeros(&stream, dim, len).unwrap();
        // What is in the sums does not matter.
        sums.add(&stream, &on).unwrap();
        device::bundle(&stream, &on, &mut sums, &mut found).unwrap();
        let mut expected = Vectors::zeros(dim, len);
        let mut counters = vec![0; 40 * words(dim)];
        for i in 0..len {
            let vectors: Vec<TritPlanes<'_>> = (i * each..(i + 1) * each).map(|j| v.get(j)).collect();
            hyper::bundle(Scalar, &vectors, &mut counters, &mut expected.view_mut(i)).unwrap();
        }
        prop_assert_eq!(&found.download(&stream).unwrap(), &expected.words);
        sums.add_weighted(&stream, &on, &on_weights).unwrap();
        let found = sums.sums().to_vec(&stream).unwrap();
        for i in 0..len {
            let mut bundle = Bundle::new(dim, &mut counters).unwrap();
            for (j, weight) in weights.iter().enumerate().skip(i * each).take(each) {
                bundle.add(Scalar, &v.get(j)).unwrap();
                bundle.add_weighted(Scalar, &v.get(j), *weight).unwrap();
            }
            let expected: Vec<i64> = (0..dim).map(|at| bundle.sum(at).unwrap()).collect();
            prop_assert_eq!(&found[i * dim..(i + 1) * dim], &expected);
        }
    }

    #[test]
    fn likeness_and_the_nearest(
        dim in dims(), len in 1usize..30, asked in 1usize..11, each in 1usize..5,
        descending: bool, mut seed: u64,
    ) {
        let stream = stream(descending);
        let items = Vectors::random(dim, len, &mut seed);
        let queries = Vectors::random(dim, asked, &mut seed);
        let (on_items, on_queries) = (items.upload(&stream), queries.upload(&stream));
        let mut found = Buffer::zeros(&stream, asked * len).unwrap();
        let pairs = || (0..asked * len).map(|i| (queries.get(i / len), items.get(i % len)));
        device::distances(&stream, &on_queries, &on_items, &mut found).unwrap();
        let expected = pairs().map(|(q, i)| hyper::hamming_distance(Scalar, &q, &i).unwrap() as i32);
        prop_assert_eq!(found.to_vec(&stream).unwrap(), expected.collect::<Vec<_>>());
        let memory = device::ItemMemory::new(&stream, on_items).unwrap();
        let mut indices = Buffer::zeros(&stream, asked * each).unwrap();
        let mut cosines = Buffer::zeros(&stream, asked * each).unwrap();
        memory.nearest(&stream, &on_queries, &mut found, &mut indices, &mut cosines).unwrap();
        let expected = pairs().map(|(q, i)| hyper::dot(Scalar, &q, &i).unwrap() as i32);
        prop_assert_eq!(found.to_vec(&stream).unwrap(), expected.collect::<Vec<_>>());
        let mut nearest = vec![Neighbour::NONE; asked * each];
        items.memory().nearest_batch(Scalar, &queries.memory(), &mut nearest).unwrap();
        // No item has an index that does not fit.
        let expected: Vec<u32> = nearest.iter().map(|n| n.index.try_into().unwrap_or(u32::MAX)).collect();
        prop_assert_eq!(indices.to_vec(&stream).unwrap(), expected);
        let expected: Vec<f32> = nearest.iter().map(|n| n.cosine).collect();
        prop_assert_eq!(bits(&cosines.to_vec(&stream).unwrap()), bits(&expected));
    }
}

#[test]
fn cosines_that_floats_cannot_tell_apart_are_in_order() {
    // dot²·nonzeros takes 66 bits here; the items differ from the query by one zero more each.
    let (dim, len) = ((1 << 22) + 5, 4);
    for descending in [false, true] {
        let stream = stream(descending);
        let mut items = Vectors::zeros(dim, len);
        for (i, zeros) in [3, 1, 2, 1].into_iter().enumerate() {
            let mut item = items.view_mut(i);
            hyper::random(7, &mut item);
            (0..zeros).for_each(|at| item.set(at * 1000, Trit::Z).unwrap());
        }
        let query = items.get(1);
        let queries = Hypervectors::upload(&stream, [query, query.negated()]).unwrap();
        let memory = device::ItemMemory::new(&stream, items.upload(&stream)).unwrap();
        let mut products = Buffer::zeros(&stream, 2 * len).unwrap();
        let mut indices = Buffer::zeros(&stream, 2 * len).unwrap();
        let mut cosines = Buffer::zeros(&stream, 2 * len).unwrap();
        memory.nearest(&stream, &queries, &mut products, &mut indices, &mut cosines).unwrap();
        assert_eq!(indices.to_vec(&stream).unwrap(), [1, 3, 2, 0, 0, 2, 1, 3]);
        let mut nearest = [Neighbour::NONE; 4];
        items.memory().nearest(Scalar, &query.negated(), &mut nearest).unwrap();
        assert_eq!(nearest.map(|n| n.index), [0, 2, 1, 3]);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let stream = stream(false);
    let some = |dim, len| Hypervectors::zeros(&stream, dim, len).unwrap();
    let empty = CudaError::Argument(ArgumentError::Empty);
    assert_eq!(Hypervectors::zeros(&stream, 0, 1).unwrap_err(), empty);
    assert_eq!(Hypervectors::upload(&stream, []).unwrap_err(), empty);
    assert_eq!(Bundles::new(&stream, 3, 0).unwrap_err(), empty);
    let size = Hypervectors::zeros(&stream, 1 << 31, 1).unwrap_err();
    assert!(matches!(size, CudaError::Size { size: 0x8000_0000, .. }), "{size}");
    let (a, b) = (Vectors::zeros(5, 1), Vectors::zeros(6, 1));
    assert_refused(Hypervectors::upload(&stream, [a.get(0), b.get(0)]).map(drop));
    let (v, wide, more) = (some(65, 2), some(66, 2), some(65, 3));
    for other in [&wide, &more] {
        assert_refused(device::bind(&stream, &v, other, &mut some(65, 2)));
        assert_refused(device::bind_mod3(&stream, other, &v, &mut some(65, 2)));
        assert_refused(device::unbind_mod3(&stream, &v, other, &mut some(65, 2)));
        assert_refused(device::permute(&stream, other, 1, &mut some(65, 2)));
    }
    let mut counts = Buffer::zeros(&stream, 4).unwrap();
    assert_refused(device::dots(&stream, &v, &more, &mut counts));
    assert_refused(device::distances(&stream, &v, &wide, &mut counts));
    assert_refused(device::nonzeros(&stream, &v, &mut Buffer::zeros(&stream, 3).unwrap()));
    let mut sums = Bundles::new(&stream, 65, 2).unwrap();
    assert_refused(sums.add(&stream, &more));
    assert_refused(sums.add(&stream, &wide));
    assert_refused(sums.add_weighted(&stream, &v, &Buffer::zeros(&stream, 3).unwrap()));
    assert_refused(sums.majority(&stream, &mut some(65, 3)));
    assert_refused(sums.majority(&stream, &mut some(66, 2)));
    let memory = device::ItemMemory::new(&stream, some(65, 2)).unwrap();
    for (products, indices, cosines) in [(3, 2, 2), (4, 3, 3), (4, 2, 4)] {
        let mut products = Buffer::zeros(&stream, products).unwrap();
        let mut indices = Buffer::zeros(&stream, indices).unwrap();
        let mut cosines = Buffer::zeros(&stream, cosines).unwrap();
        assert_refused(memory.nearest(&stream, &v, &mut products, &mut indices, &mut cosines));
    }
}

fn assert_refused(outcome: Result<(), CudaError>) {
    assert!(matches!(outcome, Err(CudaError::Shape(_))), "{outcome:?}");
}
