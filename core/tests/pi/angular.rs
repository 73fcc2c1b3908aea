//! Round trips through angles, and angles against double precision.

use crate::random::Random;
use std::f64::consts::PI;
use trilane_core::lane::PrecisionLane;
use trilane_core::pi::{AngularEmbedding, HypersphericalProjection};

fn vector(random: &mut Random, n: usize) -> Vec<f32> {
    (0..n).map(|_| random.normal() as f32).collect()
}

/// Coordinates over many magnitudes.
fn uneven(random: &mut Random, n: usize) -> Vec<f32> {
    (0..n).map(|_| (random.normal() * 2f64.powi(-(random.below(30) as i32))) as f32).collect()
}

#[test]
fn the_hyperspherical_round_trip_is_exact() {
    let mut random = Random(31);
    println!(
        "n: coordinates of at least 2^-20 of the length that changed; worst error of all, per length"
    );
    for n in [2, 3, 8, 64, 512, 4096] {
        let (mut coordinates, mut changed, mut worst) = (0, 0, 0.0f64);
        for trial in 0..(80_000 / n).min(5_000) {
            let x = if trial % 2 == 0 { vector(&mut random, n) } else { uneven(&mut random, n) };
            let mut angles = vec![0.0; n - 1];
            let radius = HypersphericalProjection::forward(&x, &mut angles).unwrap();
            assert!(angles[..n - 2].iter().all(|a| (0.0..=PI).contains(a)));
            let mut back = vec![0.0; n];
            HypersphericalProjection::inverse(radius, &angles, &mut back).unwrap();
            for (&x, &y) in x.iter().zip(&back) {
                coordinates += 1;
                changed += u32::from(f64::from(x.abs()) >= radius * 2f64.powi(-20) && x != y);
                worst = worst.max((f64::from(x) - f64::from(y)).abs() / radius);
            }
        }
        println!("  {n:4}: {changed} of {coordinates}; 2^{:.1}", worst.log2());
        assert!(changed == 0 && worst < 2f64.powi(-44));
    }
}

/// The angle in double precision of a rotation by a known angle.
#[test]
fn angles_are_true_also_where_cosines_cannot_tell() {
    let angular = AngularEmbedding::new(PrecisionLane::Bit7).unwrap();
    let (mut worst, mut worst_cosine) = (0.0f64, 0.0f64);
    for i in 0..2_000 {
        // From 10⁻¹⁰ to nearly π, by a constant factor, then as near to π.
        let small = 1e-10 * 3.0e10f64.powf(f64::from(i % 1_000) / 1_000.0);
        let angle = if i < 1_000 { small } else { PI - small };
        // Exact in f32: the plane's second vector is rounded first and its own angle is the truth.
        let b = [angle.cos() as f32, angle.sin() as f32];
        let truth = f64::from(b[1]).atan2(f64::from(b[0]));
        let found = f64::from(angular.angular_distance(&[1.0, 0.0], &b).unwrap());
        worst = worst.max(((found - truth) / truth).abs());
        let norm = f64::from(b[0]).hypot(f64::from(b[1])) as f32;
        let cosine = f64::from((b[0] / norm).acos());
        worst_cosine = worst_cosine.max((cosine - truth).abs());
    }
    println!(
        "angles from 1e-10 to pi: worst relative error {worst:.2e}; the arc cosine of an f32 cosine \
         is off by up to {worst_cosine:.2e} rad"
    );
    assert!(worst < 1.3e-7 && worst_cosine > 1e-4);
}

#[test]
fn angles_are_symmetric_scale_free_and_a_metric() {
    let angular = AngularEmbedding::new(PrecisionLane::Bit5).unwrap();
    let mut random = Random(37);
    for n in [2, 5, 100] {
        for _ in 0..200 {
            let [a, b, c] = [0; 3].map(|_| vector(&mut random, n));
            let distance = |a: &[f32], b: &[f32]| angular.angular_distance(a, b).unwrap();
            let doubled: Vec<f32> = a.iter().map(|a| a * 1024.0).collect();
            assert_eq!(distance(&a, &b), distance(&b, &a));
            assert_eq!(distance(&a, &b), distance(&doubled, &b));
            assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c) + 1e-6);
            let mut codes = (vec![0; n - 1], vec![0; n - 1]);
            angular.project(&a, &mut codes.0).unwrap();
            angular.project(&doubled, &mut codes.1).unwrap();
            assert_eq!(codes.0, codes.1);
        }
    }
}

/// How far codes turn a vector, beside coordinates rounded to the same lane with the largest as scale:
/// no other figure here speaks so plainly for the plain method.
#[test]
fn codes_of_angles_beside_rounded_coordinates() {
    println!("mean angle between a normal vector and its codes, in radians: angles, coordinates");
    for lane in PrecisionLane::NESTED {
        let angular = AngularEmbedding::new(lane).unwrap();
        let greatest = (1 << (lane.code_bits() - 1)) - 1;
        for n in [2, 3, 8, 64, 512] {
            let mut random = Random(41);
            let (mut by_angles, mut by_coordinates) = (0.0, 0.0);
            let trials = 200;
            for _ in 0..trials {
                let x = vector(&mut random, n);
                let mut codes = vec![0; n - 1];
                angular.project(&x, &mut codes).unwrap();
                let mut y = vec![0.0; n];
                angular.direction(&codes, &mut y).unwrap();
                by_angles += angular.angular_distance(&x, &y).unwrap() / trials as f32;
                let step = x.iter().fold(0.0f32, |m, v| m.max(v.abs())) / greatest as f32;
                let rounded: Vec<f32> = x.iter().map(|x| (x / step).round_ties_even()).collect();
                by_coordinates += angular.angular_distance(&x, &rounded).unwrap() / trials as f32;
            }
            println!("  {lane} n = {n:3}: {by_angles:.4} {by_coordinates:.4}");
            let half_arc = PI as f32 / (1 << lane.code_bits()) as f32;
            if n == 2 {
                assert!((by_angles / (half_arc / 2.0) - 1.0).abs() < 0.1, "half of half an arc");
            }
            assert!(by_coordinates < by_angles && by_angles < half_arc * (n as f32).sqrt());
        }
    }
}
