//! Item memory against sorting everything.

use crate::Owned;
use trilane_core::hyper::{ItemMemory, Neighbour, cosine, random, random_sparse, words};
use trilane_core::kernel::{Baseline, Scalar};

#[test]
fn the_nearest_are_the_first_of_all_sorted_with_ties_by_index() {
    // So few trits that many cosines are the same.
    for (dim, sparsity) in [(7, 0.3), (64, 0.5), (65, 0.0), (200, 0.9)] {
        let mut memory = vec![0; 60 * 2 * words(dim)];
        let items = ItemMemory::filled(dim, &mut memory, |i, item| {
            random_sparse(i as u64 % 50, sparsity, item)
        })
        .unwrap();
        let mut batch = vec![0; 5 * 2 * words(dim)];
        let queries =
            ItemMemory::filled(dim, &mut batch, |i, q| random_sparse(90 + i as u64, 0.2, q));
        let queries = queries.unwrap();
        let mut all_nearest = [Neighbour::NONE; 5 * 8];
        items.nearest_batch(Baseline, &queries, &mut all_nearest).unwrap();
        for (query, found) in queries.iter().zip(all_nearest.chunks(8)) {
            let mut all: Vec<(f32, usize)> = items
                .iter()
                .map(|item| cosine(Scalar, &item, &query).unwrap())
                .enumerate()
                .map(|(i, cosine)| (cosine, i))
                .collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let found: Vec<_> = found.iter().map(|n| (n.cosine, n.index)).collect();
            assert_eq!(found, all[..8]);
        }
    }
}

#[test]
fn there_may_be_more_places_than_items_or_none() {
    let mut memory = vec![0; 3 * 2 * words(100)];
    let items = ItemMemory::random(100, 4, &mut memory).unwrap();
    let query = Owned::written(100, |out| random(5, out));
    assert_eq!(items.get(1).unwrap(), query.view());
    let mut nearest = [Neighbour::NONE; 5];
    assert_eq!(items.nearest(Scalar, &query.view(), &mut nearest), Ok(3));
    assert_eq!((nearest[0].index, nearest[0].cosine), (1, 1.0));
    assert_eq!(nearest[3..], [Neighbour::NONE; 2]);
    assert_eq!(items.nearest(Scalar, &query.view(), &mut []), Ok(0));
}
