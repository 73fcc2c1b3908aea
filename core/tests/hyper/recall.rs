//! How alike the answer of a record is to the value that was put in: products with dense keys, and
//! the binding modulo 3 with keys of three values, as published. Prints its figures (`--nocapture`).

use crate::Owned;
use trilane_core::error::ArgumentError;
use trilane_core::hyper::{
    TritPlanes, TritPlanesMut, bind, bind_mod3, bundle, bundle_words, cosine, random,
    random_sparse, unbind_mod3,
};
use trilane_core::kernel::Baseline;

const DIM: usize = 10_000;

type Binding =
    fn(&TritPlanes<'_>, &TritPlanes<'_>, &mut TritPlanesMut<'_>) -> Result<(), ArgumentError>;

/// The mean cosine of answers and values over the fields of a record.
fn recall(fields: u64, vector: impl Fn(u64) -> Owned, join: Binding, ask: Binding) -> f32 {
    let new = |op: Binding, a: &Owned, b: &Owned| {
        Owned::written(DIM, |out| op(&a.view(), &b.view(), out).unwrap())
    };
    let keys: Vec<Owned> = (0..fields).map(&vector).collect();
    let values: Vec<Owned> = (100..100 + fields).map(&vector).collect();
    let pairs: Vec<Owned> = values.iter().zip(&keys).map(|(v, k)| new(join, v, k)).collect();
    let views: Vec<_> = pairs.iter().map(Owned::view).collect();
    let mut counters = vec![0; bundle_words(DIM, fields)];
    let record = Owned::written(DIM, |out| {
        bundle(Baseline, &views, &mut counters, out).unwrap();
    });
    let answer = |(value, key): (&Owned, &Owned)| {
        cosine(Baseline, &new(ask, &record, key).view(), &value.view()).unwrap()
    };
    values.iter().zip(&keys).map(answer).sum::<f32>() / fields as f32
}

#[test]
fn products_answer_twice_as_well_as_the_binding_modulo_3() {
    let dense = |seed| Owned::written(DIM, |out| random(seed, out));
    let thirds = |seed| Owned::written(DIM, |out| random_sparse(seed, 1.0 / 3.0, out).unwrap());
    println!("fields, product of dense vectors, modulo 3 of dense, modulo 3 of three values:");
    for (fields, least, most) in [(2, 0.69, 0.58), (5, 0.36, 0.27), (15, 0.20, 0.15)] {
        let product = recall(fields, dense, bind, bind);
        let dense_mod3 = recall(fields, dense, bind_mod3, unbind_mod3);
        let mod3 = recall(fields, thirds, bind_mod3, unbind_mod3);
        println!("{fields:3} {product:.3} {dense_mod3:.3} {mod3:.3}");
        assert!(product > least && mod3 < most && dense_mod3 < most, "{fields}");
    }
}
