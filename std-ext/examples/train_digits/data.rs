//! The digits: reading, splitting, moving.

use crate::random;
use std::error::Error;

/// Pixels of an image, row after row.
pub(crate) const PIXELS: usize = 64;
/// Width and height of an image.
const SIDE: usize = 8;
/// The largest value of a pixel.
pub(crate) const WHITE: f32 = 16.0;
/// Digits there are.
pub(crate) const CLASSES: usize = 10;
/// One sample of so many is held out.
pub(crate) const FOLDS: usize = 5;

/// One image and what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) label: u8,
    /// 0 (background) to 16.
    pub(crate) pixels: [i8; PIXELS],
}

/// How much an image is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Warp {
    /// Largest part of a stretch, turn or slant.
    pub(crate) slant: f32,
    /// Largest move, in pixels.
    pub(crate) shift: f32,
}

impl Sample {
    /// The image under a small affine map about its middle, by chance: a pixel at `p` gets what is
    /// at `A·p + b`, interpolated between four pixels and rounded; `A` is the identity changed by
    /// up to `slant` in each entry, `b` up to `shift` each way. Outside is background.
    pub(crate) fn warped(&self, warp: Warp, seed: u64, index: u64) -> [i8; PIXELS] {
        let Warp { slant, shift } = warp;
        let chance = |i: u64, range: f32| range * random::signed(seed, 6 * index + i);
        let (a, b) = (1.0 + chance(0, slant), chance(1, slant));
        let (c, d) = (chance(2, slant), 1.0 + chance(3, slant));
        let (right, down) = (chance(4, shift), chance(5, shift));
        let middle = (SIDE - 1) as f32 / 2.0;
        std::array::from_fn(|i| {
            let (x, y) = ((i % SIDE) as f32 - middle, (i / SIDE) as f32 - middle);
            self.between(a * x + b * y + middle + right, c * x + d * y + middle + down)
        })
    }

    /// The value at a point between pixels, rounded to nearest.
    fn between(&self, x: f32, y: f32) -> i8 {
        let (left, top) = (x.floor(), y.floor());
        let (across, along) = (x - left, y - top);
        let row = |y: f32| (1.0 - across) * self.at(left, y) + across * self.at(left + 1.0, y);
        ((1.0 - along) * row(top) + along * row(top + 1.0)).round() as i8
    }

    /// The pixel of that column and row, background outside.
    fn at(&self, x: f32, y: f32) -> f32 {
        let inside = 0.0..SIDE as f32;
        match inside.contains(&x) && inside.contains(&y) {
            true => f32::from(self.pixels[SIDE * y as usize + x as usize]),
            false => 0.0,
        }
    }
}

/// Reads lines of 64 pixels and a label, with commas.
pub(crate) fn parse(csv: &str) -> Result<Vec<Sample>, Box<dyn Error>> {
    let line = |text: &str| {
        let values: Vec<i8> =
            text.split(',').map(|v| v.trim().parse().ok()).collect::<Option<_>>()?;
        let (&label, pixels) = values.split_last()?;
        let label = u8::try_from(label).ok().filter(|&label| usize::from(label) < CLASSES)?;
        let pixels: [i8; PIXELS] = pixels.try_into().ok()?;
        let in_range = pixels.iter().all(|&v| (0.0..=WHITE).contains(&f32::from(v)));
        in_range.then_some(Sample { label, pixels })
    };
    let wrong = |n: usize| format!("line {}: expected 64 pixels of 0..=16 and a digit", n + 1);
    let samples = csv.lines().enumerate().map(|(n, text)| line(text).ok_or_else(|| wrong(n)));
    Ok(samples.collect::<Result<_, _>>()?)
}

/// Training and held-out samples: of each class, in the order of the file, the samples number
/// `fold`, `fold` + 5, `fold` + 10, … are held out.
pub(crate) fn split(samples: &[Sample], fold: usize) -> (Vec<Sample>, Vec<Sample>) {
    let mut seen = [0; CLASSES];
    samples.iter().partition(|sample| {
        let count = &mut seen[usize::from(sample.label)];
        *count += 1;
        (*count - 1) % FOLDS != fold
    })
}

/// The samples as a file for `trilane classify`: one byte of label and 64 of pixels each.
pub(crate) fn to_bytes(samples: &[Sample]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|s| std::iter::once(s.label).chain(s.pixels.iter().map(|&v| v as u8)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_image_and_its_label() {
        let line = format!("{}16,7", "0,".repeat(63));
        let samples = parse(&format!("{line}\n{line}\n")).unwrap();
        assert_eq!(samples.len(), 2);
        assert_eq!((samples[1].label, samples[1].pixels[63]), (7, 16));
        for bad in ["", "1,2,3", &line.replace("16", "17"), &line.replace(",7", ",10")] {
            let error = parse(&format!("{line}\n{bad}\n")).unwrap_err().to_string();
            assert!(error.starts_with("line 2: expected 64 pixels"), "{error}");
        }
    }

    #[test]
    fn values_between_pixels_are_interpolated() {
        let mut pixels = [0; PIXELS];
        (pixels[9], pixels[10], pixels[17], pixels[63]) = (4, 16, 8, 16);
        let sample = Sample { label: 0, pixels };
        let points = [(1.0, 1.0, 4), (1.5, 1.0, 10), (1.0, 1.5, 6), (1.25, 1.0, 7), (7.5, 7.0, 8)];
        for (x, y, expected) in points {
            assert_eq!(sample.between(x, y), expected, "{x} {y}");
        }
        for (x, y) in [(-1.0, 3.0), (8.0, 8.0), (-100.0, 1e9)] {
            assert_eq!(sample.between(x, y), 0);
        }
    }

    #[test]
    fn warps_differ_and_keep_what_they_can() {
        let pixels = std::array::from_fn(|i| if matches!(i, 18..22 | 26..30) { 16 } else { 0 });
        let sample = Sample { label: 1, pixels };
        let warp = Warp { slant: 0.15, shift: 1.0 };
        let warped: Vec<_> = (0..50).map(|index| sample.warped(warp, 7, index)).collect();
        assert!(warped.iter().all(|w| w.iter().all(|v| (0..=16).contains(v))));
        let ink = |p: &[i8]| p.iter().map(|&v| i32::from(v)).sum::<i32>();
        assert!(warped.iter().all(|w| (64..=200).contains(&ink(w))), "128 before");
        assert!(warped.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_fifth_of_each_class_is_held_out() {
        let sample = |i: usize| Sample { label: (i % 10) as u8, pixels: [(i / 10) as i8; PIXELS] };
        let samples: Vec<Sample> = (0..100).map(sample).collect();
        let (training, held_out) = split(&samples, 1);
        assert_eq!((training.len(), held_out.len()), (80, 20));
        assert!(held_out.iter().all(|s| s.pixels[0] % 5 == 1));
        assert!((0..10).all(|l| held_out.iter().filter(|s| s.label == l).count() == 2));
    }
}
