//! Norms, gates, sums and block floating point against the scalar backend.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::nn::{self, Activation};
use trilane_cuda::activations::{
    Activations, Status, add, check_finite, gate, layer_norm, rms_norm,
};
use trilane_cuda::{Buffer, CudaError, Stream};
use trilane_cuda_tests::{Order, bits, device, float, random};

fn stream(descending: bool) -> Stream {
    device(if descending { Order::Descending } else { Order::Ascending }).stream().unwrap()
}

/// Numbers of every magnitude, subnormal ones and zeros among them.
fn wide(seed: &mut u64) -> f32 {
    match random(seed) % 5 {
        0 => float(seed),
        1 => float(seed) * 100.0,
        2 => float(seed) * f32::MIN_POSITIVE,
        3 => f32::from_bits(random(seed) as u32 & 0x9FFF_FFFF),
        _ => 0.0f32.copysign(float(seed)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn norms(n in 1usize..900, vectors in 1usize..3, sum: bool, descending: bool, mut seed: u64) {
        let stream = stream(descending);
        let mut values = |len: usize| (0..len).map(|_| float(&mut seed)).collect::<Vec<f32>>();
        let (mut x, delta, gain, bias) = (values(vectors * n), values(vectors * n), values(n), values(n));
        let up = |values: &[f32]| Buffer::from_host(&stream, values).unwrap();
        let (mut on_device, change, gains) = (up(&x), up(&delta), up(&gain));
        let mut found = Buffer::zeros(&stream, vectors * n).unwrap();
        let mut status = Status::new(&stream, vectors).unwrap();
        let change = sum.then_some(&change);
        rms_norm(&stream, &mut on_device, change, &gains, 1e-5, &mut found, &mut status, 0).unwrap();
        if sum {
            x.iter_mut().zip(&delta).for_each(|(x, delta)| *x += delta);
        }
        prop_assert_eq!(bits(&on_device.to_vec(&stream).unwrap()), bits(&x));
        let mut y = vec![0.0; n];
        let mut expected = Vec::new();
        for x in x.chunks(n) {
            nn::rms_norm(Scalar, x, &gain, 1e-5, &mut y).unwrap();
            expected.extend_from_slice(&y);
        }
        prop_assert_eq!(bits(&found.to_vec(&stream).unwrap()), bits(&expected));
        layer_norm(&stream, &on_device, &gains, &up(&bias), 1e-5, &mut found, &mut status, 0).unwrap();
        expected.clear();
        for x in x.chunks(n) {
            nn::layer_norm(Scalar, x, &gain, &bias, 1e-5, &mut y).unwrap();
            expected.extend_from_slice(&y);
        }
        prop_assert_eq!(bits(&found.to_vec(&stream).unwrap()), bits(&expected));
        status.take(&stream).unwrap();
    }

    #[test]
    fn gates(n in 1usize..700, descending: bool, mut seed: u64) {
        let stream = stream(descending);
        let (x, up): (Vec<f32>, Vec<f32>) = (0..n).map(|_| (wide(&mut seed), wide(&mut seed))).unzip();
        for function in Activation::ALL {
            let mut found = Buffer::from_host(&stream, &x).unwrap();
            gate(&stream, function, &mut found, &Buffer::from_host(&stream, &up).unwrap()).unwrap();
            let mut expected = x.clone();
            nn::gate(Scalar, &Serial, function, &mut expected, &up).unwrap();
            prop_assert_eq!(bits(&found.to_vec(&stream).unwrap()), bits(&expected), "{:?}", function);
        }
    }

    /// The products in `products` take what is quantised; here the numbers are of every magnitude.
    #[test]
    fn sums(n in 1usize..3000, descending: bool, mut seed: u64) {
        let stream = stream(descending);
        let (x, delta): (Vec<f32>, Vec<f32>) = (0..n).map(|_| (wide(&mut seed), wide(&mut seed))).unzip();
        let mut found = Buffer::from_host(&stream, &x).unwrap();
        add(&stream, &mut found, &Buffer::from_host(&stream, &delta).unwrap()).unwrap();
        let expected: Vec<f32> = x.iter().zip(&delta).map(|(x, delta)| x + delta).collect();
        prop_assert_eq!(bits(&found.to_vec(&stream).unwrap()), bits(&expected));
    }
}

#[test]
fn what_is_not_finite_is_noted_with_the_first_layer() {
    let stream = stream(false);
    let mut status = Status::new(&stream, 2).unwrap();
    let mut x = Buffer::from_host(&stream, &[1.0, 2.0, f32::INFINITY, 1.0]).unwrap();
    check_finite(&stream, &x, &mut status, 5).unwrap();
    check_finite(&stream, &x, &mut status, 7).unwrap();
    assert_eq!(status.take(&stream), Err(CudaError::Diverged { sequence: 1, layer: 5 }));
    status.take(&stream).unwrap();
    let mut q = Activations::new(&stream, 2, 2).unwrap();
    q.quantize(&stream, &x, 2, &mut status, 3).unwrap();
    assert_eq!(status.take(&stream), Err(CudaError::Diverged { sequence: 1, layer: 3 }));
    let gain = Buffer::from_host(&stream, &[1.0, 1.0]).unwrap();
    let mut y = Buffer::zeros(&stream, 4).unwrap();
    // The square of a finite number may not be.
    x.upload(&stream, &[1e30, 1.0, 1.0, 1.0]).unwrap();
    rms_norm(&stream, &mut x, None, &gain, 1e-5, &mut y, &mut status, 0).unwrap();
    assert_eq!(status.take(&stream), Err(CudaError::Diverged { sequence: 0, layer: 0 }));
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let stream = stream(false);
    let mut status = Status::new(&stream, 2).unwrap();
    let (mut x, gain) = (Buffer::zeros(&stream, 8).unwrap(), Buffer::zeros(&stream, 3).unwrap());
    let mut y = Buffer::zeros(&stream, 8).unwrap();
    let norm = rms_norm(&stream, &mut x, None, &gain, 1e-5, &mut y, &mut status, 0);
    assert!(matches!(norm, Err(CudaError::Shape(_))));
    assert!(matches!(add(&stream, &mut x, &gain), Err(CudaError::Shape(_))));
    assert!(matches!(gate(&stream, Activation::Silu, &mut x, &gain), Err(CudaError::Shape(_))));
    assert!(matches!(check_finite(&stream, &gain, &mut status, 0), Err(CudaError::Shape(_))));
    let mut q = Activations::new(&stream, 2, 3).unwrap();
    let quantised = q.quantize(&stream, &x, 4, &mut status, 0);
    assert!(matches!(quantised, Err(CudaError::Shape(_))));
    assert!(matches!(x.upload(&stream, &[0.0; 7]), Err(CudaError::Shape(_))));
}
