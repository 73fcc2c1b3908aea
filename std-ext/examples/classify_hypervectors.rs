//! Handwritten digits told apart by hypervectors.
//!
//! An image is a record: the vector of each of its 64 pixels, bound to the thermometer of its grey
//! level. A class is the bundle of its images, one look at each. Epochs of correction follow: an
//! image taken for another class is added to its own and taken off the other. The held-out split is
//! that of `train_digits`.
//!
//! ```console
//! cargo run --release -p trilane-std --example classify_hypervectors -- --data digits.csv
//! ```

use clap::Parser;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;
use trilane_core::error::ArgumentError;
use trilane_core::hyper::{
    Bundle, ItemMemory, Neighbour, TritPlanesMut, bundle_words, record, thermometer, words,
};
use trilane_core::kernel::Level;
use trilane_std::hyper::Hypervector;
use trilane_std::level;

#[path = "train_digits/data.rs"]
#[allow(dead_code, reason = "the training program uses the rest")]
mod data;
#[path = "train_digits/random.rs"]
#[allow(dead_code, reason = "the training program uses the rest")]
mod random;

use data::{CLASSES, PIXELS, Sample, WHITE};

/// Tells digits apart by hypervectors.
#[derive(Parser)]
struct Arguments {
    /// Lines of 64 pixels and a label.
    #[arg(long)]
    data: PathBuf,
    /// Trits of a hypervector.
    #[arg(long, default_value_t = 10_000)]
    dim: usize,
    /// Times that the training images are looked at again.
    #[arg(long, default_value_t = 20)]
    epochs: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let samples = data::parse(&std::fs::read_to_string(&arguments.data)?)?;
    let (training, held_out) = data::split(&samples, 0);
    let (dim, level) = (arguments.dim, level::detect());
    let start = Instant::now();
    let encoder = Encoder::new(dim, level)?;
    let training = encoder.images(&training)?;
    let held_out = encoder.images(&held_out)?;
    println!("{} images in {:.2?}, {dim} trits, {level}", samples.len(), start.elapsed());
    let capacity = (training.len() * (1 + 2 * arguments.epochs)) as u64;
    let mut counters = vec![0; CLASSES * bundle_words(dim, capacity)];
    let mut classes = Classes::new(dim, level, &mut counters)?;
    for (image, label) in &training {
        classes.sums[*label].add(level, &image.view())?;
    }
    classes.take_signs()?;
    println!("one look: {} right", classes.right(&held_out)?);
    for epoch in 1..=arguments.epochs {
        let wrong = classes.correct(&training)?;
        if epoch % 5 == 0 || wrong == 0 {
            let right = classes.right(&held_out)?;
            println!("epoch {epoch}: {wrong} corrections, {right} right");
        }
        if wrong == 0 {
            break;
        }
    }
    Ok(())
}

/// An image as a hypervector, and its class.
type Image = (Hypervector, usize);

/// The vectors of the pixels and of the grey levels, dim trits each.
struct Encoder {
    dim: usize,
    level: Level,
    pixels: Vec<u64>,
    levels: Vec<u64>,
}

impl Encoder {
    fn new(dim: usize, level: Level) -> Result<Self, ArgumentError> {
        let item = 2 * words(dim);
        let (mut pixels, mut levels) =
            (vec![0; PIXELS * item], vec![0; (WHITE as usize + 1) * item]);
        ItemMemory::random(dim, 0, &mut pixels)?;
        ItemMemory::filled(dim, &mut levels, |i, out| thermometer(i, WHITE as usize + 1, out))?;
        Ok(Self { dim, level, pixels, levels })
    }

    fn images(&self, samples: &[Sample]) -> Result<Vec<Image>, ArgumentError> {
        let keys: Vec<_> = ItemMemory::new(self.dim, &self.pixels)?.iter().collect();
        let levels: Vec<_> = ItemMemory::new(self.dim, &self.levels)?.iter().collect();
        let mut counters = vec![0; bundle_words(self.dim, PIXELS as u64)];
        let mut sums = Bundle::new(self.dim, &mut counters)?;
        let mut memory = vec![0; 2 * words(self.dim)];
        let mut scratch = TritPlanesMut::zeros(self.dim, &mut memory)?;
        let image = |sample: &Sample| {
            let values = sample.pixels.map(|grey| levels[grey as usize]);
            let vector = Hypervector::written(self.dim, |out| {
                record(self.level, &keys, &values, &mut sums, &mut scratch, out)
            })?;
            Ok((vector, usize::from(sample.label)))
        };
        samples.iter().map(image).collect()
    }
}

/// The sum of the images of each class, and its signs.
struct Classes<'m> {
    level: Level,
    sums: Vec<Bundle<'m>>,
    signs: Vec<Hypervector>,
}

impl<'m> Classes<'m> {
    fn new(dim: usize, level: Level, counters: &'m mut [u64]) -> Result<Self, ArgumentError> {
        let each = counters.len() / CLASSES;
        let sums = counters.chunks_exact_mut(each).map(|counters| Bundle::new(dim, counters));
        let signs = (0..CLASSES).map(|_| Hypervector::new(dim));
        Ok(Self {
            level,
            sums: sums.collect::<Result<_, _>>()?,
            signs: signs.collect::<Result<_, _>>()?,
        })
    }

    fn take_signs(&mut self) -> Result<(), ArgumentError> {
        let mut classes = self.sums.iter().zip(&mut self.signs);
        classes.try_for_each(|(sum, signs)| sum.majority(&mut signs.view_mut()))
    }

    /// The class whose signs are nearest.
    fn nearest(&self, image: &Hypervector) -> Result<usize, ArgumentError> {
        let mut nearest = [Neighbour::NONE];
        let signs = self.signs.iter().map(Hypervector::view);
        ItemMemory::nearest_of(self.level, signs, &image.view(), &mut nearest)?;
        Ok(nearest[0].index)
    }

    fn right(&self, images: &[Image]) -> Result<String, ArgumentError> {
        let mut right = 0;
        for (image, label) in images {
            right += usize::from(self.nearest(image)? == *label);
        }
        let share = 100.0 * right as f64 / images.len() as f64;
        Ok(format!("{right} of {} ({share:.2}%)", images.len()))
    }

    /// One epoch; returns the corrections.
    fn correct(&mut self, images: &[Image]) -> Result<usize, ArgumentError> {
        let mut wrong = 0;
        for (image, label) in images {
            let taken_for = self.nearest(image)?;
            if taken_for != *label {
                wrong += 1;
                for (class, weight) in [(*label, 1), (taken_for, -1)] {
                    self.sums[class].add_weighted(self.level, &image.view(), weight)?;
                    self.sums[class].majority(&mut self.signs[class].view_mut())?;
                }
            }
        }
        Ok(wrong)
    }
}
