//! Every operation against the same on lists of integers, and the laws that its documentation states.

use crate::Owned;
use proptest::prelude::*;
use trilane_core::error::ArgumentError;
use trilane_core::hyper::{
    Bundle, TritPlanes, TritPlanesMut, add_clamped, bind, bind_many, bind_mod3, bundle,
    bundle_words, cosine, dot, hamming_distance, hamming_similarity, majority_trit, permute,
    unbind_mod3,
};
use trilane_core::kernel::{Baseline, Scalar};
use trilane_core::trit::Trit;

type Binary =
    fn(&TritPlanes<'_>, &TritPlanes<'_>, &mut TritPlanesMut<'_>) -> Result<(), ArgumentError>;

/// What an operation does to two values.
type OfValues = fn(i8, i8) -> i8;

/// The rest modulo 3 that is −1, 0 or 1.
fn mod3(x: i8) -> i8 {
    [0, 1, -1][x.rem_euclid(3) as usize]
}

fn apply(op: Binary, a: &Owned, b: &Owned) -> Owned {
    Owned::written(a.dim, |out| op(&a.view(), &b.view(), out).unwrap())
}

fn shifted(a: &Owned, by: i64) -> Owned {
    Owned::written(a.dim, |out| permute(&a.view(), by, out).unwrap())
}

/// Vectors of one dimension, dense or not.
fn vectors(count: usize) -> impl Strategy<Value = Vec<Owned>> {
    (1usize..300, any::<bool>()).prop_flat_map(move |(dim, dense)| {
        let trit =
            if dense { prop_oneof![Just(-1i8), Just(1)].boxed() } else { (-1i8..=1).boxed() };
        let values = prop::collection::vec(trit, dim);
        prop::collection::vec(values.prop_map(|v| Owned::from_values(&v)), count)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn elementwise_operations_are_those_of_integers(v in vectors(2)) {
        let (a, b) = (&v[0], &v[1]);
        let operations: [(Binary, OfValues); 4] = [
            (bind, |a, b| a * b),
            (bind_mod3, |a, b| mod3(a - b)),
            (unbind_mod3, |a, b| mod3(a + b)),
            (add_clamped, |a, b| (a + b).clamp(-1, 1)),
        ];
        for (op, f) in operations {
            let expected: Vec<i8> =
                a.values().iter().zip(b.values()).map(|(a, b)| f(*a, b)).collect();
            prop_assert_eq!(apply(op, a, b).values(), expected);
        }
    }

    #[test]
    fn binding_is_commutative_and_associative_and_undone_by_dense_keys(v in vectors(3)) {
        let (a, b, c) = (&v[0], &v[1], &v[2]);
        prop_assert_eq!(apply(bind, a, b), apply(bind, b, a));
        let left = apply(bind, &apply(bind, a, b), c);
        prop_assert_eq!(&left, &apply(bind, a, &apply(bind, b, c)));
        let many = [a.view(), b.view(), c.view()];
        prop_assert_eq!(&left, &Owned::written(a.dim, |out| bind_many(&many, out).unwrap()));
        let back = apply(bind, &apply(bind, a, b), b);
        let kept = a.values().iter().zip(b.values()).map(|(a, b)| a * b.abs()).collect::<Vec<_>>();
        prop_assert_eq!(back.values(), kept);
        if b.view().count_zero() == 0 {
            prop_assert_eq!(&back, a);
        }
        prop_assert_eq!(&apply(unbind_mod3, &apply(bind_mod3, a, b), b), a);
        let negated = Owned::written(a.dim, |out| {
            out.write(&a.view()).unwrap();
            out.negate();
        });
        prop_assert_eq!(negated.view(), a.view().negated());
        let minus = |v: Owned| v.values().iter().map(|x| -x).collect::<Vec<_>>();
        prop_assert_eq!(apply(bind, &negated, b).values(), minus(apply(bind, a, b)));
    }

    #[test]
    fn permutation_is_a_cyclic_shift_that_spreads_over_binding(
        v in vectors(2), by in prop_oneof![-700i64..700, any::<i64>()], and in -70i64..70,
    ) {
        let (a, b) = (&v[0], &v[1]);
        let dim = a.dim as i128;
        let mut expected = vec![0; a.dim];
        for (i, value) in a.values().into_iter().enumerate() {
            expected[(i as i128 + i128::from(by)).rem_euclid(dim) as usize] = value;
        }
        let to = shifted(a, by);
        prop_assert_eq!(to.values(), expected);
        prop_assert_eq!(&shifted(&to, by.checked_neg().unwrap_or(0)) == a, by != i64::MIN || &to == a);
        let steps = (by % dim as i64, and);
        prop_assert_eq!(shifted(&shifted(a, steps.0), and), shifted(a, steps.0 + steps.1));
        let bound = apply(bind, a, b);
        prop_assert_eq!(shifted(&bound, by), apply(bind, &to, &shifted(b, by)));
        let same = dot(Scalar, &a.view(), &b.view());
        prop_assert_eq!(dot(Scalar, &to.view(), &shifted(b, by).view()), same);
    }

    #[test]
    fn similarities_are_those_of_integers(v in vectors(2)) {
        let (a, b) = (&v[0], &v[1]);
        let pairs: Vec<(i64, i64)> =
            a.values().iter().zip(b.values()).map(|(a, b)| (i64::from(*a), b.into())).collect();
        let sum = |f: &dyn Fn(i64, i64) -> i64| pairs.iter().map(|(a, b)| f(*a, *b)).sum::<i64>();
        let product = sum(&|a, b| a * b);
        let (a, b) = (a.view(), b.view());
        prop_assert_eq!(dot(Baseline, &a, &b), Ok(product));
        let differ = sum(&|a, b| i64::from(a != b));
        prop_assert_eq!(hamming_distance(Baseline, &a, &b), Ok(differ as u64));
        let same = hamming_similarity(Baseline, &a, &b).unwrap();
        prop_assert!((f64::from(same) - (1.0 - differ as f64 / pairs.len() as f64)).abs() < 1e-6);
        let norm = (sum(&|a, _| a * a) as f64 * sum(&|_, b| b * b) as f64).sqrt();
        let expected = if norm == 0.0 { 0.0 } else { product as f64 / norm };
        prop_assert!((f64::from(cosine(Baseline, &a, &b).unwrap()) - expected).abs() < 1e-7);
        prop_assert_eq!(a.sum(), sum(&|a, _| a));
        prop_assert_eq!(a.count_zero() as i64, sum(&|a, _| i64::from(a == 0)));
        let mut trits = vec![Trit::Z; a.dim()];
        a.to_trits(&mut trits).unwrap();
        prop_assert!(trits.iter().copied().eq(a.iter()));
    }

    #[test]
    fn bundles_are_sums_and_their_signs(v in vectors(9), weights: [i8; 9]) {
        let dim = v[0].dim;
        let sums = |weights: &[i64]| -> Vec<i64> {
            let term = |i: usize| v.iter().zip(weights).map(move |(v, w)| w * i64::from(v.values()[i]));
            (0..dim).map(|i| term(i).sum()).collect()
        };
        let signs = |sums: &[i64]| sums.iter().map(|s| s.signum() as i8).collect::<Vec<_>>();
        let views: Vec<_> = v.iter().map(Owned::view).collect();
        for count in 1..=9 {
            let mut counters = vec![u64::MAX; bundle_words(dim, count as u64)];
            let out = Owned::written(dim, |out| {
                bundle(Baseline, &views[..count], &mut counters, out).unwrap();
            });
            prop_assert_eq!(out.values(), signs(&sums(&[1; 9][..count])));
            let first: Vec<Trit> = views[..count].iter().filter_map(|v| v.get(0)).collect();
            prop_assert_eq!(Some(majority_trit(&first)), out.view().get(0));
        }
        let total: u64 = weights.iter().map(|w| u64::from(w.unsigned_abs())).sum();
        let mut counters = vec![0; bundle_words(dim, total)];
        let mut weighted = Bundle::new(dim, &mut counters).unwrap();
        for (v, &weight) in views.iter().zip(&weights) {
            weighted.add_weighted(Baseline, v, weight.into()).unwrap();
        }
        prop_assert_eq!(weighted.weight(), total);
        let expected = sums(&weights.map(i64::from));
        prop_assert!((0..dim).all(|i| weighted.sum(i) == Some(expected[i])));
        prop_assert_eq!(weighted.sum(dim), None);
        let out = Owned::written(dim, |out| weighted.majority(out).unwrap());
        prop_assert_eq!(out.values(), signs(&expected));
    }
}
