//! Lists of positions against planes.

use crate::Owned;
use proptest::prelude::*;
use trilane_core::hyper::{SparseTrits, cosine, dot, random_sparse};
use trilane_core::kernel::Scalar;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lists_and_planes_agree(dim in 1usize..400, seed: u64, sparsity in 0.0f32..=1.0) {
        let v = [seed, !seed]
            .map(|seed| Owned::written(dim, |out| random_sparse(seed, sparsity, out).unwrap()));
        let mut lists = v.each_ref().map(|v| {
            (vec![0; v.view().count_positive()], vec![0; v.view().count_negative()])
        });
        let [p, q] = &mut lists;
        let a = SparseTrits::from_planes(&v[0].view(), &mut p.0, &mut p.1).unwrap();
        let b = SparseTrits::from_planes(&v[1].view(), &mut q.0, &mut q.1).unwrap();
        prop_assert_eq!(SparseTrits::new(dim, a.plus(), a.minus()), Ok(a));
        prop_assert!((0..=dim).all(|i| a.get(i) == v[0].view().get(i)));
        prop_assert_eq!(Owned::written(dim, |out| a.to_planes(out).unwrap()), v[0].clone());
        let expected = dot(Scalar, &v[0].view(), &v[1].view());
        prop_assert_eq!(a.dot(&b), expected);
        prop_assert_eq!(a.dot_planes(&v[1].view()), expected);
        prop_assert_eq!(a.cosine(&b), cosine(Scalar, &v[0].view(), &v[1].view()));
        prop_assert_eq!((a.sum(), a.sparsity()), (v[0].view().sum(), v[0].view().sparsity()));
        prop_assert_eq!(a.negated().sum(), -a.sum());
        prop_assert_eq!(a.negated().dot(&b), expected.map(|dot| -dot));
    }
}
