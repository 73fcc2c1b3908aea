//! How well a classifier does on labelled inputs.
//!
//! The inputs are a file of records without a header, each a label and the features of one input:
//!
//! ```text
//! u8 label | i8 × features, each −127..=127
//! ```

use std::collections::BTreeMap;
use std::fmt;
use trilane_core::kernel::Backend;
use trilane_core::model::{Line, Mlp, MlpHeader, ModelError};

/// What can be wrong with a file of labelled inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SamplesError {
    /// The bytes are not one or more whole records.
    Length {
        /// Bytes of a record.
        record: usize,
        /// Bytes found.
        found: usize,
    },
    /// A label is not a class of the model.
    Label {
        /// The record.
        sample: usize,
        /// Its label.
        found: u8,
        /// Classes of the model.
        classes: usize,
    },
    /// A feature is −128.
    Feature {
        /// The record.
        sample: usize,
        /// The position of the feature.
        feature: usize,
    },
}

impl fmt::Display for SamplesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { record, found } => {
                write!(f, "expected one or more records of {record} bytes, found {found} bytes")
            }
            Self::Label { sample, found, classes } => {
                write!(f, "record {sample}: expected a label below {classes}, found {found}")
            }
            Self::Feature { sample, feature } => {
                write!(f, "record {sample}, feature {feature}: expected −127 to 127, found −128")
            }
        }
    }
}

impl std::error::Error for SamplesError {}

/// Labelled inputs, borrowed from bytes and checked.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    bytes: &'a [u8],
    features: usize,
}

impl<'a> Samples<'a> {
    /// Checks that the bytes are inputs of that model.
    ///
    /// # Errors
    /// [`SamplesError`] with the first record that is wrong, what was expected and what was found.
    pub fn new(bytes: &'a [u8], header: &MlpHeader) -> Result<Self, SamplesError> {
        let record = 1 + header.features;
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            return Err(SamplesError::Length { record, found: bytes.len() });
        }
        let samples = Self { bytes, features: header.features };
        for (sample, (label, features)) in samples.iter().enumerate() {
            if usize::from(label) >= header.classes {
                return Err(SamplesError::Label { sample, found: label, classes: header.classes });
            }
            if let Some(feature) = features.iter().position(|&v| v == i8::MIN) {
                return Err(SamplesError::Feature { sample, feature });
            }
        }
        Ok(samples)
    }

    /// Inputs there are; at least one.
    #[allow(clippy::len_without_is_empty, reason = "there is no empty one")]
    pub fn len(&self) -> usize {
        self.bytes.len() / (1 + self.features)
    }

    /// Each label with its features.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [i8])> + use<'a> {
        let records = self.bytes.chunks_exact(1 + self.features);
        records.filter_map(|record| {
            let (&label, features) = record.split_first()?;
            Some((label, bytemuck::cast_slice(features)))
        })
    }
}

/// How often inputs of a label were taken for a class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion(BTreeMap<(u8, usize), usize>);

impl Confusion {
    /// Each label with the class that it was taken for and how often, in this order.
    pub fn counts(&self) -> impl Iterator<Item = (u8, usize, usize)> {
        self.0.iter().map(|(&(label, class), &times)| (label, class, times))
    }

    /// Inputs there were.
    pub fn samples(&self) -> usize {
        self.0.values().sum()
    }

    /// Inputs that were taken for what they are.
    pub fn correct(&self) -> usize {
        self.counts()
            .filter(|&(label, class, _)| usize::from(label) == class)
            .map(|(_, _, times)| times)
            .sum()
    }
}

/// Classifies every input. Exact: the same for every backend. `progress` is called after each.
///
/// # Errors
/// What [`Mlp::scores`] returns, which is nothing for inputs that were checked for this model.
pub fn confusion(
    model: &Mlp<'_>,
    backend: impl Backend,
    samples: &Samples<'_>,
    progress: &mut dyn FnMut(),
) -> Result<Confusion, ModelError> {
    let mut arena = vec![Line::ZERO; model.header().arena_lines()];
    let mut all = Confusion::default();
    for (label, features) in samples.iter() {
        let class = model.scores(backend, features, &mut arena)?.class();
        *all.0.entry((label, class)).or_default() += 1;
        progress();
    }
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const HEADER: MlpHeader = MlpHeader { layers: 1, features: 2, hidden: 0, classes: 3 };

    #[test]
    fn records_are_a_label_and_features() {
        let samples = Samples::new(&[2, 5, 251, 0, 127, 129], &HEADER).unwrap();
        let all: Vec<_> = samples.iter().collect();
        assert_eq!(all, [(2, &[5, -5][..]), (0, &[127, -127])]);
        assert_eq!(samples.len(), 2);
    }

    #[test]
    fn wrong_records_are_named() {
        let error = |bytes: &[u8]| Samples::new(bytes, &HEADER).unwrap_err();
        assert_eq!(error(&[]), SamplesError::Length { record: 3, found: 0 });
        assert_eq!(error(&[0; 4]), SamplesError::Length { record: 3, found: 4 });
        let label = SamplesError::Label { sample: 1, found: 3, classes: 3 };
        assert_eq!(error(&[0, 1, 1, 3, 1, 1]), label);
        let feature = SamplesError::Feature { sample: 1, feature: 0 };
        assert_eq!(error(&[0, 1, 1, 0, 128, 1]), feature);
    }
}
