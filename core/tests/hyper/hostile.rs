//! Arguments that break a promise are refused with numbers, and nothing panics.

use crate::Owned;
use trilane_core::error::ArgumentError::{self, Count, Empty, Length, NotFinite, Parameter};
use trilane_core::hyper::{
    Bundle, ItemMemory, Neighbour, SparseTrits, TritPlanes, TritPlanesMut, bind, bind_many, bundle,
    bundle_words, cosine, dot, hamming_distance, level_of, ngram, permute, project, random_sparse,
    record, sequence, thermometer, words,
};
use trilane_core::kernel::Scalar;
use trilane_core::trit::Trit;

fn length<T>(expected: usize, actual: usize) -> Result<T, ArgumentError> {
    Err(Length { expected, actual })
}

#[test]
fn planes_keep_their_promises_or_are_refused() {
    assert_eq!(TritPlanes::new(0, &[], &[]), Err(Empty));
    assert_eq!(TritPlanes::new(65, &[0], &[0, 0]), length(2, 1));
    assert_eq!(TritPlanes::new(65, &[0, 0], &[0; 3]), length(2, 3));
    let overlap = TritPlanes::new(65, &[7, 1], &[5, 1]).unwrap_err();
    assert_eq!(overlap.to_string(), "positions both +1 and −1: expected 0 to 0, found 3");
    let dirty = TritPlanes::new(65, &[0, 2], &[0, 4]).unwrap_err();
    assert_eq!(dirty.to_string(), "positions past the dimension: expected 0 to 0, found 2");
    assert!(TritPlanes::new(128, &[0, u64::MAX], &[u64::MAX, 0]).is_ok());
    assert_eq!(TritPlanes::new(usize::MAX, &[], &[]), length(words(usize::MAX), 0));
    assert_eq!(TritPlanesMut::new(0, &mut []), Err(Empty));
    assert_eq!(TritPlanesMut::zeros(usize::MAX, &mut [1; 3]), length(2 * words(usize::MAX), 3));
    assert!(TritPlanesMut::new(3, &mut [1, 9]).is_err());
    let mut memory = [u64::MAX; 2];
    let mut v = TritPlanesMut::zeros(3, &mut memory).unwrap();
    let position = Count { name: "position", least: 0, greatest: 2, actual: 3 };
    assert_eq!(v.set(3, Trit::P), Err(position));
    assert_eq!(v.write_i8(&[0; 4]), length(3, 4));
    assert_eq!(
        v.write_i8(&[1, 0, 2]),
        Err(Count { name: "trit", least: -1, greatest: 1, actual: 2 })
    );
    assert_eq!(v.view().count_zero(), 3);
    assert_eq!(v.view().to_i8(&mut [0; 2]), length(3, 2));
    assert_eq!(v.view().get(usize::MAX), None);
}

#[test]
fn dimensions_that_differ_are_refused() {
    let (a, b) = (Owned::zeros(70), Owned::zeros(71));
    let (a, b) = (a.view(), b.view());
    assert_eq!(dot(Scalar, &a, &b), length(70, 71));
    assert_eq!(cosine(Scalar, &a, &b), length(70, 71));
    assert_eq!(hamming_distance(Scalar, &a, &b), length(70, 71));
    let (mut m, mut n) = (vec![0; 4], vec![0; 4]);
    let mut out = TritPlanesMut::zeros(70, &mut m).unwrap();
    let mut scratch = TritPlanesMut::zeros(70, &mut n).unwrap();
    assert_eq!(bind(&a, &b, &mut out), length(70, 71));
    assert_eq!(bind(&b, &b, &mut out), length(71, 70));
    assert_eq!(bind_many(&[], &mut out), Err(Empty));
    assert_eq!(bind_many(&[a, b], &mut out), length(70, 71));
    assert_eq!(permute(&b, 1, &mut out), length(71, 70));
    assert_eq!(ngram(&[], &mut scratch, &mut out), Err(Empty));
    let mut counters = vec![0; bundle_words(70, 9)];
    assert_eq!(bundle(Scalar, &[a, b], &mut counters, &mut out), length(70, 71));
    let mut sums = Bundle::new(70, &mut counters).unwrap();
    assert_eq!(sequence(Scalar, &[], &mut sums, &mut scratch, &mut out), Err(Empty));
    assert_eq!(record(Scalar, &[], &[], &mut sums, &mut scratch, &mut out), Err(Empty));
    assert_eq!(record(Scalar, &[a], &[a, a], &mut sums, &mut scratch, &mut out), length(1, 2));
    assert_eq!(record(Scalar, &[a], &[b], &mut sums, &mut scratch, &mut out), length(70, 71));
}

#[test]
fn bundles_refuse_what_does_not_fit_their_counters() {
    let one = Owned::from_values(&[1; 70]);
    assert!(matches!(Bundle::new(0, &mut []), Err(Empty)));
    assert!(matches!(Bundle::new(70, &mut [0; 3]), Err(Length { expected: 4, actual: 3 })));
    for capacity in [0, 1, 2, 3, 4, 33, 1000] {
        let mut counters = vec![0; bundle_words(70, capacity)];
        let mut sums = Bundle::new(70, &mut counters).unwrap();
        let capacity = sums.capacity().max(capacity);
        assert_eq!(sums.capacity(), capacity);
        let add = |sums: &mut Bundle<'_>, weight| sums.add_weighted(Scalar, &one.view(), weight);
        let all = capacity as i32;
        add(&mut sums, -all).unwrap();
        let weight =
            |actual| Err(Count { name: "weight", least: 0, greatest: capacity as i64, actual });
        assert_eq!(sums.add(Scalar, &one.view()), weight(capacity as i64 + 1));
        assert_eq!(add(&mut sums, i32::MIN), weight(capacity as i64 + (1 << 31)));
        assert_eq!((sums.sum(69), sums.weight()), (Some(-i64::from(all)), capacity));
    }
    let mut huge = vec![0; 2 * 80];
    assert_eq!(Bundle::new(70, &mut huge).unwrap().capacity(), (1 << 61) - 1);
}

#[test]
fn encoders_of_numbers_refuse_what_is_not_one() {
    let mut memory = [0; 2];
    let mut out = TritPlanesMut::zeros(9, &mut memory).unwrap();
    for sparsity in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
        assert!(matches!(random_sparse(1, sparsity, &mut out), Err(Parameter { .. })));
    }
    assert_eq!(project(&[], 1, &mut out), Err(Empty));
    assert_eq!(project(&[0.0, f32::NAN], 1, &mut out), Err(NotFinite { index: 1 }));
    for (level, levels) in [(0, 0), (0, 1), (2, 2), (usize::MAX, 3)] {
        assert!(matches!(thermometer(level, levels, &mut out), Err(Count { .. })));
    }
    thermometer(usize::MAX / 4, usize::MAX / 2, &mut out).unwrap();
    assert!(matches!(level_of(f32::NAN, 0.0, 1.0, 5), Err(NotFinite { index: 0 })));
    for (low, high) in [(1.0, 1.0), (2.0, 1.0), (f32::NAN, 1.0), (0.0, f32::NAN)] {
        assert!(matches!(level_of(1.0, low, high, 5), Err(Parameter { .. })));
    }
    assert_eq!(level_of(0.0, f32::MIN, f32::MAX, 5), Ok(2));
    assert!(matches!(level_of(1.0, 0.0, 1.0, usize::MAX), Err(Count { .. })));
}

#[test]
fn item_memories_and_sparse_vectors_are_checked() {
    assert!(matches!(ItemMemory::new(70, &[]), Err(Empty)));
    assert!(matches!(ItemMemory::new(0, &[0]), Err(Empty)));
    assert!(matches!(ItemMemory::new(70, &[0; 7]), Err(Length { expected: 8, actual: 7 })));
    assert!(matches!(ItemMemory::new(usize::MAX, &[0; 7]), Err(Length { .. })));
    assert!(matches!(ItemMemory::new(70, &[1, 0, 1, 0]), Err(Count { actual: 1, .. })));
    let items = ItemMemory::new(70, &[0; 8]).unwrap();
    let other = Owned::zeros(71);
    let mut nearest = [Neighbour::NONE; 3];
    assert_eq!(items.nearest(Scalar, &other.view(), &mut nearest), length(70, 71));
    assert_eq!(items.nearest_batch(Scalar, &items, &mut nearest), length(2, 3));
    assert!(items.get(2).is_none() && items.get(usize::MAX).is_none());
    for (plus, minus) in [(&[3, 3][..], &[][..]), (&[4, 3], &[]), (&[10], &[]), (&[5], &[2, 5])] {
        assert!(matches!(SparseTrits::new(10, plus, minus), Err(Count { .. })), "{plus:?}");
    }
    assert_eq!(SparseTrits::new(0, &[], &[]), Err(Empty));
    let sparse = SparseTrits::new(10, &[9], &[0]).unwrap();
    assert_eq!(sparse.dot_planes(&other.view()), length(10, 71));
    assert_eq!(sparse.get(usize::MAX), None);
}
