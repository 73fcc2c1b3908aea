//! The cache of rows against a naive model, and against files that change under it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use trilane_core::nn::Extent;
use trilane_std::neuron_cache::{CacheConfig, CacheError, CacheStrategy, NeuronCache, Rows};

/// Whole lines of 64 bytes, which is what a row counts as.
const ROW: usize = 128;
const COUNT: usize = 40;
const OFFSET: usize = 7;

/// A file in a folder of the test's own, removed at the end.
struct Fixture(PathBuf);

impl Fixture {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join(format!("neuron-cache-{name}-{}", std::process::id()));
        fs::write(&path, contents()).unwrap();
        Self(path)
    }

    fn open(&self, budget: usize, strategy: CacheStrategy) -> Result<NeuronCache, CacheError> {
        NeuronCache::open(&self.0, CacheConfig { budget, strategy })
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A row of the file.
fn row(row: usize) -> Extent {
    Rows { offset: OFFSET, row_bytes: ROW, count: COUNT }.row(row).unwrap()
}

fn contents() -> Vec<u8> {
    (0..OFFSET + ROW * COUNT).map(|i| (i * 31 % 251) as u8).collect()
}

/// Row, uses, time of the last use, pinned: looked through from end to end.
#[derive(Default)]
struct Naive {
    resident: Vec<(usize, u64, u64, bool)>,
    hits: u64,
    misses: u64,
}

impl Naive {
    fn row(&mut self, row: usize, room: usize, strategy: CacheStrategy, time: u64) {
        if let Some(found) = self.resident.iter_mut().find(|r| r.0 == row) {
            self.hits += 1;
            (found.1, found.2) = (found.1 + 1, time);
            return;
        }
        self.misses += 1;
        while self.resident.len() >= room {
            let candidates = self.resident.iter().filter(|r| !r.3);
            let coldest = candidates.min_by_key(|r| match strategy {
                CacheStrategy::Lru => (r.2, 0),
                CacheStrategy::Lfu => (r.1, r.2),
            });
            let coldest = coldest.unwrap().0;
            self.resident.retain(|r| r.0 != coldest);
        }
        self.resident.push((row, 0, time, false));
    }
}

#[test]
fn rows_are_those_of_the_file_and_give_way_as_in_the_naive_model() {
    let fixture = Fixture::new("naive");
    let contents = contents();
    let mut random = 1u64;
    for strategy in [CacheStrategy::Lru, CacheStrategy::Lfu] {
        for room in [3, 5, 17, COUNT] {
            // Not a whole number of rows.
            let budget = room * ROW + ROW / 2;
            let mut cache = fixture.open(budget, strategy).unwrap();
            let mut naive = Naive::default();
            for pinned in [4, 9] {
                cache.pin(row(pinned)).unwrap();
                naive.resident.push((pinned, 0, 0, true));
            }
            for time in 1..1500 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Low rows are hot.
                let (a, b) = ((random >> 40) as usize % COUNT, (random >> 20) as usize % COUNT);
                let hot = a * b / COUNT;
                let start = OFFSET + hot * ROW;
                assert_eq!(cache.row(row(hot)).unwrap(), &contents[start..start + ROW]);
                naive.row(hot, room, strategy, time);
                assert!(cache.resident_bytes() <= budget);
                let resident: Vec<_> =
                    (0..COUNT).filter(|&r| cache.resident(row(r)).is_some()).collect();
                let mut expected: Vec<_> = naive.resident.iter().map(|r| r.0).collect();
                expected.sort_unstable();
                assert_eq!(resident, expected, "{strategy:?}, room for {room}, step {time}");
            }
            let statistics = cache.statistics();
            assert_eq!((statistics.hits, statistics.misses), (naive.hits, naive.misses));
            assert!(statistics.hit_rate() > 0.0 && statistics.hit_rate() < 1.0);
        }
    }
}

#[test]
fn a_cycle_longer_than_the_budget_defeats_lru_but_not_pinned_rows() {
    let fixture = Fixture::new("cycle");
    let mut cache = fixture.open(10 * ROW, CacheStrategy::Lru).unwrap();
    (0..5).for_each(|pinned| cache.pin(row(pinned)).unwrap());
    for _ in 0..4 {
        (0..COUNT).for_each(|next| drop(cache.row(row(next)).unwrap().to_vec()));
    }
    let statistics = cache.statistics();
    assert_eq!((statistics.hits, statistics.misses), (4 * 5, 4 * 35));
}

#[test]
fn what_does_not_fit_or_exist_is_named() {
    let fixture = Fixture::new("refused");
    let mut small = fixture.open(ROW - 1, CacheStrategy::Lru).unwrap();
    let refused = small.row(row(0)).unwrap_err();
    assert!(matches!(refused, CacheError::Budget { row_bytes: ROW, free } if free == ROW - 1));
    let refused = Rows { offset: OFFSET, row_bytes: ROW, count: COUNT }.row(COUNT).unwrap_err();
    assert!(matches!(refused, CacheError::Row { row: COUNT, count: COUNT }));
    let mut cache = fixture.open(2 * ROW, CacheStrategy::Lfu).unwrap();
    cache.pin(row(0)).unwrap();
    cache.pin(row(1)).unwrap();
    let refused = cache.row(row(2)).unwrap_err();
    assert!(matches!(refused, CacheError::Budget { free: 0, .. }));
    assert!(cache.row(row(1)).is_ok());
    let past = Extent { offset: OFFSET + COUNT * ROW - 1, len: 2 };
    let refused = fixture.open(ROW, CacheStrategy::Lru).unwrap().row(past).unwrap_err().to_string();
    let len = OFFSET + COUNT * ROW;
    assert_eq!(refused, format!("expected a file of at least {} bytes, found {len}", len + 1));
    let config = CacheConfig { budget: ROW, strategy: CacheStrategy::Lru };
    let nowhere = fixture.0.with_extension("nowhere");
    assert!(matches!(NeuronCache::open(&nowhere, config), Err(CacheError::Io(_))));
}

#[test]
fn a_file_that_is_cut_off_or_written_to_is_an_error_and_no_wrong_row() {
    let fixture = Fixture::new("changed");
    let mut cache = fixture.open(5 * ROW, CacheStrategy::Lru).unwrap();
    let first = cache.row(row(0)).unwrap().to_vec();
    let file = OpenOptions::new().write(true).open(&fixture.0).unwrap();
    file.set_len((OFFSET + 3 * ROW) as u64).unwrap();
    // A row that is whole, too: the file is not the one that was opened.
    for other in [1, 20] {
        assert!(matches!(cache.row(row(other)), Err(CacheError::Truncated { .. })));
    }
    assert_eq!(cache.row(row(0)).unwrap(), first);
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    (&file).write_all(&contents()).unwrap();
    file.set_modified(later).unwrap();
    assert!(matches!(cache.row(row(1)), Err(CacheError::Changed)));
}

#[cfg(unix)]
#[test]
fn a_file_that_is_removed_stays_readable_to_the_end() {
    let fixture = Fixture::new("removed");
    let mut cache = fixture.open(ROW, CacheStrategy::Lru).unwrap();
    fs::remove_file(&fixture.0).unwrap();
    assert_eq!(cache.row(row(39)).unwrap(), &contents()[OFFSET + 39 * ROW..]);
}

#[test]
fn rows_needed_together_stay_together_or_are_refused() {
    let fixture = Fixture::new("together");
    let mut cache = fixture.open(4 * ROW, CacheStrategy::Lfu).unwrap();
    // Two that are used often, and so would stay rather than what is new.
    for _ in 0..3 {
        cache.together(&[row(0), row(1)]).unwrap();
    }
    for next in (2..COUNT - 4).step_by(4) {
        let four = [next, next + 1, next + 2, next + 3].map(row);
        cache.together(&four).unwrap();
        let start = OFFSET + next * ROW;
        let found: Vec<u8> =
            four.iter().flat_map(|r| cache.resident(*r).unwrap().to_vec()).collect();
        assert_eq!(found, &contents()[start..start + 4 * ROW]);
    }
    assert_eq!(cache.resident_bytes(), 4 * ROW);
    let five = [0, 1, 2, 3, 4].map(row);
    assert!(matches!(cache.together(&five), Err(CacheError::Budget { free: 0, .. })));
    assert!(cache.together(&five[1..]).is_ok());
    let statistics = cache.statistics();
    assert_eq!(statistics.bytes_hit, statistics.hits * ROW as u64);
    assert_eq!(statistics.bytes_read, statistics.misses * ROW as u64);
}
