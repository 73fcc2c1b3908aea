//! Schedules and numbers keyed by digits of π.

use std::collections::HashSet;
use trilane_core::pi::{PiChaos, PiScheduler};

fn is_permutation(order: &[u32]) -> bool {
    let mut seen = vec![false; order.len()];
    order.iter().all(|&v| !std::mem::replace(&mut seen[v as usize], true))
}

#[test]
fn schedules_do_not_repeat() {
    let rounds = if super::full() { 1_000_000 } else { 50_000 };
    let mut scheduler = PiScheduler::new(PiChaos::new());
    let mut order = [0; 20];
    let mut seen = HashSet::new();
    for round in 0..rounds {
        scheduler.next_order(&mut order).unwrap();
        assert!(is_permutation(&order), "round {round}");
        // 20! is 2.4·10¹⁸: by chance, fewer than one pair in a million runs of a million coincide.
        assert!(seen.insert(order), "round {round} repeats an earlier one");
    }
    println!("schedules: {rounds} rounds of 20 agents, all of them different");
}

/// With few agents orders must come back, but not after a fixed number of rounds.
#[test]
fn schedules_of_few_agents_have_no_period() {
    let orders: Vec<[u32; 5]> = (0..4096)
        .map(|round| {
            let mut order = [0; 5];
            PiChaos::new().schedule_order(round, &mut order).unwrap();
            order
        })
        .collect();
    let matches = |lag: usize| {
        let pairs = orders.iter().zip(&orders[lag..]);
        pairs.filter(|(a, b)| a == b).count() as f64 / (orders.len() - lag) as f64
    };
    let worst =
        (1..=2048).map(|lag| (matches(lag), lag)).fold((0.0, 0), |a, b| if b > a { b } else { a });
    println!(
        "schedules of 5 agents: rounds a lag apart coincide in at most {:.2}% (lag {}); chance {:.2}%",
        100.0 * worst.0,
        worst.1,
        100.0 / 120.0
    );
    assert!(worst.0 < 0.03, "lag {}", worst.1);
    assert!((matches(100) - 1.0 / 120.0).abs() < 0.01, "the table of 100 digits repeated here");
}

/// χ² of counts that should be equal.
fn chi_square(counts: &[u32]) -> f64 {
    let expected = counts.iter().sum::<u32>() as f64 / counts.len() as f64;
    counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum()
}

#[test]
fn every_permutation_is_equally_likely() {
    let mut worst: f64 = 0.0;
    for position in [0, 1, 100, 4_096] {
        let chaos = PiChaos::from_digits(position).unwrap();
        let mut counts = [0; 24];
        for seed in 0..24_000 {
            let mut order = [0; 4];
            chaos.permutation(seed, &mut order).unwrap();
            assert!(is_permutation(&order));
            let rank = (0..4).fold(0, |rank, i| {
                let smaller = order[i + 1..].iter().filter(|&&v| v < order[i]).count();
                rank * (4 - i) + smaller
            });
            counts[rank] += 1;
        }
        worst = worst.max(chi_square(&counts));
    }
    println!(
        "permutations of 4: chi-square at most {worst:.1} over 4 keys (23 degrees of freedom)"
    );
    // 49.7 is exceeded by chance once in a thousand.
    assert!(worst < 49.7);
}

/// Where each of 64 elements ends, over 20,000 permutations.
#[test]
fn every_element_ends_everywhere() {
    let mut counts = vec![0; 64 * 64];
    let mut order = [0; 64];
    for seed in 0..20_000 {
        PiChaos::new().permutation(seed, &mut order).unwrap();
        assert!(is_permutation(&order));
        for (place, &v) in order.iter().enumerate() {
            counts[place * 64 + v as usize] += 1;
        }
    }
    let chi = chi_square(&counts);
    println!("places of 64 elements: chi-square {chi:.0} (3,969 degrees of freedom)");
    // Within four standard deviations, √(2·3969) each.
    assert!((chi - 3969.0).abs() < 4.0 * (2.0f64 * 3969.0).sqrt());
}

#[test]
fn numbers_are_uniform_and_independent() {
    let mut chaos = PiChaos::from_digits(12).unwrap();
    let x: Vec<f64> = (0..200_000).map(|_| f64::from(chaos.next_float())).collect();
    assert!(x.iter().all(|x| (0.0..1.0).contains(x)));
    let mut counts = [0; 256];
    x.iter().for_each(|x| counts[(x * 256.0) as usize] += 1);
    let chi = chi_square(&counts);
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let correlation = |lag: usize| {
        12.0 * x.iter().zip(&x[lag..]).map(|(a, b)| (a - 0.5) * (b - 0.5)).sum::<f64>() / n
    };
    let worst = (1..=16).map(correlation).fold(0.0, |w: f64, c| w.max(c.abs()));
    println!(
        "next_float: mean {mean:.5}, chi-square {chi:.0} (255 degrees of freedom), \
         largest correlation at lags 1..16 {worst:.4}"
    );
    assert!((mean - 0.5).abs() < 4.0 * (1.0 / 12.0 / n).sqrt());
    assert!((chi - 255.0).abs() < 4.0 * 510f64.sqrt() && worst < 4.0 / n.sqrt());
}

#[test]
fn jitter_depends_on_key_and_index_alone() {
    let (a, b) = (PiChaos::new(), PiChaos::from_digits(1).unwrap());
    let mut advanced = PiChaos::new();
    advanced.next_float();
    let mut mean = 0.0;
    for i in 0..10_000 {
        assert_eq!(a.jitter(i), advanced.jitter(i));
        assert_ne!(a.bits(i), b.bits(i));
        assert!(a.jitter(i).abs() < 0.5);
        mean += f64::from(a.jitter(i)) / 10_000.0;
    }
    println!("jitter: mean of 10,000 {mean:.5}");
    assert!(mean.abs() < 4.0 * (1.0f64 / 12.0 / 10_000.0).sqrt());
}
