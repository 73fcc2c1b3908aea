//! Sequences, n-grams, records, thermometers, projections and random vectors.

use crate::Owned;
use trilane_core::hyper::{
    Bundle, ItemMemory, Neighbour, TritPlanes, bind, bundle_words, cosine, dot, level_of, ngram,
    permute, project, random, random_sparse, record, sequence, thermometer, words,
};
use trilane_core::kernel::Baseline;
use trilane_core::pi::PiChaos;

const DIM: usize = 4000;

fn dense(seed: u64) -> Owned {
    Owned::written(DIM, |out| random(seed, out))
}

fn nearest(items: &ItemMemory<'_>, query: &TritPlanes<'_>) -> usize {
    let mut nearest = [Neighbour::NONE];
    items.nearest(Baseline, query, &mut nearest).unwrap();
    nearest[0].index
}

#[test]
fn sequences_and_records_answer_what_was_put_in() {
    let mut memory = vec![0; 40 * 2 * words(DIM)];
    let items = ItemMemory::random(DIM, 100, &mut memory).unwrap();
    let chosen = [3, 17, 17, 39, 0, 8, 25];
    let values: Vec<_> = chosen.iter().map(|&i| items.get(i).unwrap()).collect();
    let keys: Vec<Owned> = (0..7).map(dense).collect();
    let keys: Vec<_> = keys.iter().map(Owned::view).collect();
    let mut counters = vec![0; bundle_words(DIM, 7)];
    let mut sums = Bundle::new(DIM, &mut counters).unwrap();
    let order = Owned::written(DIM, |out| {
        Owned::written(DIM, |s| sequence(Baseline, &values, &mut sums, s, out).unwrap());
    });
    let fields = Owned::written(DIM, |out| {
        Owned::written(DIM, |s| {
            record(Baseline, &keys, &values, &mut sums, s, out).unwrap();
        });
    });
    for (place, &item) in chosen.iter().enumerate() {
        let back = Owned::written(DIM, |out| {
            permute(&order.view(), place as i64 - 6, out).unwrap();
        });
        assert_eq!(nearest(&items, &back.view()), item, "place {place}");
        let value = Owned::written(DIM, |out| bind(&fields.view(), &keys[place], out).unwrap());
        assert_eq!(nearest(&items, &value.view()), item, "field {place}");
    }
}

#[test]
fn n_grams_depend_on_the_order() {
    let gram = |seeds: [u64; 3]| {
        let items = seeds.map(dense);
        let items = items.each_ref().map(Owned::view);
        Owned::written(DIM, |out| {
            Owned::written(DIM, |scratch| ngram(&items, scratch, out).unwrap());
        })
    };
    let product = |i: usize| -> i8 {
        let at = |seed, age| dense(seed).values()[(i + DIM - age) % DIM];
        at(1, 2) * at(2, 1) * at(3, 0)
    };
    let values = gram([1, 2, 3]).values();
    assert!([0, 1, 2, 77, DIM - 1].into_iter().all(|i| values[i] == product(i)));
    let alike = |other| cosine(Baseline, &gram([1, 2, 3]).view(), &gram(other).view()).unwrap();
    assert!(alike([1, 3, 2]).abs() < 0.1 && alike([2, 1, 3]).abs() < 0.1);
}

#[test]
fn the_cosine_of_thermometers_is_a_straight_line() {
    let level = |l| Owned::written(DIM, |out| thermometer(l, 17, out).unwrap());
    for (a, b) in [(0, 0), (0, 16), (3, 4), (16, 5), (8, 8)] {
        let parted = (250 * a.max(b) - 250 * a.min(b)) as i64;
        assert_eq!(dot(Baseline, &level(a).view(), &level(b).view()), Ok(DIM as i64 - 2 * parted));
    }
    assert_eq!(level(3).view().count_positive(), 750);
    let levels = [0.0f32, 0.49, 0.51, 8.0, 15.5, 16.0].map(|x| level_of(x, 0.0, 16.0, 17).unwrap());
    assert_eq!(levels, [0, 0, 1, 8, 16, 16]);
}

#[test]
fn projections_are_signs_of_sums_and_keep_angles() {
    let x: Vec<f32> = (0..50).map(|i| ((i * 37 % 101) as f32 - 50.0) / 7.0).collect();
    let project = |x: &[f32]| Owned::written(DIM, |out| project(x, 9, out).unwrap());
    let p = project(&x);
    let rows = PiChaos::new().stream(9);
    for j in [0, 1, 63, 64, 2000, DIM - 1] {
        let term = |(i, x): (usize, &f32)| {
            let bit = rows.stream(i as u64).bits(j as u64 / 64) >> (j % 64) & 1;
            if bit == 1 { *x } else { -x }
        };
        let sum = x.iter().enumerate().map(term).fold(0.0f32, |a, b| a + b);
        assert_eq!(f32::from(p.values()[j]), if sum == 0.0 { 0.0 } else { sum.signum() });
    }
    // A quarter turn in one plane out of 25: the cosine of the vectors is known.
    let mut y = x.clone();
    (y[0], y[1]) = (-x[1], x[0]);
    let dot: f64 = x.iter().zip(&y).map(|(a, b)| f64::from(a * b)).sum();
    let angle = (dot / x.iter().map(|a| f64::from(a * a)).sum::<f64>()).acos();
    let found = cosine(Baseline, &p.view(), &project(&y).view()).unwrap();
    let expected = 1.0 - 2.0 * angle / std::f64::consts::PI;
    assert!((f64::from(found) - expected).abs() < 0.05, "{found} {expected}");
}

#[test]
fn random_vectors_are_balanced_reproducible_and_unlike_each_other() {
    let deviation = (DIM as f64).sqrt();
    let vectors: Vec<Owned> = (0..40).map(dense).collect();
    for (i, a) in vectors.iter().enumerate() {
        assert_eq!(a.view().count_zero(), 0);
        assert!(a.view().sum().abs() < (4.5 * deviation) as i64);
        for b in &vectors[..i] {
            let dot = dot(Baseline, &a.view(), &b.view()).unwrap();
            assert!(dot.abs() < (4.5 * deviation) as i64);
        }
    }
    // The first word of seed 0, for other implementations.
    assert_eq!(vectors[0].view().plus()[0], PiChaos::new().stream(0).bits(0));
    for sparsity in [0.0, 0.1, 0.5, 0.97, 1.0] {
        let v = Owned::written(DIM, |out| random_sparse(3, sparsity, out).unwrap());
        assert!((v.view().sparsity() - sparsity).abs() < 0.03, "{sparsity}");
        assert!(v.view().sum().abs() < (4.5 * deviation) as i64);
    }
}
