//! From a file name to weights that are ready to compute.

use crate::args::{ComputeArgs, lane_names};
use crate::error::Error;
use std::path::Path;
use trilane::core::gguf::{Gguf, TensorType};
use trilane::core::kernel::Level;
use trilane::core::lane::{Lanes, PrecisionLane};
use trilane::core::model::{Architecture, Header, Layer, Mlp, ModelError, Weights};
use trilane::core::nn::Linear;
use trilane::std::text::Text;
use trilane::std::threads::Threads;
use trilane::std::{level, memory};

/// What computes.
pub(crate) struct Compute {
    /// The threads.
    pub(crate) threads: Threads,
    /// The instruction set.
    pub(crate) level: Level,
}

impl ComputeArgs {
    /// Starts the threads.
    pub(crate) fn start(&self) -> Result<Compute, Error> {
        let threads = threads(self.threads.map_or(0, usize::from))?;
        Ok(Compute { threads, level: self.level.unwrap_or_else(level::detect) })
    }
}

/// A pool of that many threads; 0 for as many as the machine has.
pub(crate) fn threads(count: usize) -> Result<Threads, Error> {
    Threads::new(count).map_err(|e| Error::Other(format!("{count} threads: {e}")))
}

/// A parsed file that the decoder can run, with memory for its layers.
pub(crate) struct Model<'m> {
    pub(crate) gguf: Gguf<'m>,
    pub(crate) header: Header,
    layers: Vec<Layer<'m>>,
}

impl<'m> Model<'m> {
    /// Reads the header.
    pub(crate) fn read(path: &Path, gguf: Gguf<'m>) -> Result<Self, Error> {
        let header = Header::read(&gguf).map_err(|e| refused(path, &gguf, e))?;
        let layers = memory::layers(&gguf, &header);
        Ok(Self { gguf, header, layers })
    }

    /// Finds and checks the weights.
    pub(crate) fn weights(&mut self, path: &Path) -> Result<Weights<'_, 'm>, Error> {
        Weights::load(&self.gguf, &mut self.layers).map_err(|e| refused(path, &self.gguf, e))
    }

    /// The memory for the layers.
    pub(crate) fn layers(&mut self) -> &mut [Layer<'m>] {
        &mut self.layers
    }

    /// Whether the embedding table is also the output matrix.
    pub(crate) fn is_tied(&self) -> bool {
        !self.gguf.tensors().any(|t| t.name().starts_with("output.weight"))
    }
}

/// A model error, with what the file has where the error does not say.
pub(crate) fn refused(path: &Path, gguf: &Gguf<'_>, error: ModelError) -> Error {
    match error {
        ModelError::Architecture => {
            let found = gguf.get("general.architecture").and_then(|v| v.as_str()).unwrap_or("?");
            let expected = Architecture::NAMES;
            let what = format!("general.architecture: expected {expected}, found {found:?}");
            Error::file(path, what)
        }
        ModelError::Memory { what: "layers", expected, actual } => {
            let what = format!("block_count: {expected} layers, but only {actual} tensors");
            Error::file(path, what)
        }
        error => Error::file(path, error),
    }
}

/// Whether a file holds a perceptron rather than a decoder.
pub(crate) fn is_perceptron(gguf: &Gguf<'_>) -> bool {
    gguf.get("general.architecture").and_then(|v| v.as_str()) == Some("mlp")
}

/// Whether a file holds an encoder rather than a decoder.
pub(crate) fn is_encoder(gguf: &Gguf<'_>) -> bool {
    gguf.get("general.architecture").and_then(|v| v.as_str()) == Some("bert")
}

/// The perceptron of a file.
pub(crate) fn perceptron<'m>(path: &Path, gguf: &Gguf<'m>) -> Result<Mlp<'m>, Error> {
    Mlp::load(gguf).map_err(|e| match e {
        ModelError::Value { key: "general.architecture", .. } => {
            let found = gguf.get("general.architecture").and_then(|v| v.as_str()).unwrap_or("?");
            Error::file(path, format!("general.architecture: expected \"mlp\", found {found:?}"))
        }
        error => Error::file(path, error),
    })
}

/// The vocabulary of a model, which has to have as many tokens as the model.
pub(crate) fn read_text<'a>(
    path: &Path,
    gguf: &Gguf<'a>,
    header: &Header,
    index: &'a mut [u32],
) -> Result<Text<'a>, Error> {
    let text = Text::new(gguf, index).map_err(|e| Error::file(path, e))?;
    let (expected, found) = (header.vocabulary, text.tokenizer().vocabulary_len());
    if expected != found {
        let what = format!("the vocabulary: expected {expected} tokens, found {found}");
        return Err(Error::file(path, what));
    }
    Ok(text)
}

/// Every lane that the weights can be read at, lowest first.
pub(crate) fn lanes(weights: &Weights<'_, '_>) -> Vec<PrecisionLane> {
    PrecisionLane::ALL.into_iter().filter(|&lane| weights.check_lane(lane).is_ok()).collect()
}

/// The lanes asked for, or the highest one.
pub(crate) fn choose_lanes(
    path: &Path,
    weights: &Weights<'_, '_>,
    asked: Option<Lanes<'static>>,
) -> Result<Lanes<'static>, Error> {
    let lanes = lanes(weights);
    match asked {
        Some(Lanes::All(lane)) if !lanes.contains(&lane) => Err(Error::Usage(format!(
            "{}: lane {lane} is not stored; the file has {}",
            path.display(),
            lane_names(&lanes)
        ))),
        Some(asked) => Ok(asked),
        None => lanes
            .last()
            .map(|&lane| lane.into())
            .ok_or_else(|| Error::file(path, "no lane is stored for every tensor")),
    }
}

/// Names of the quantised types that products expand block by block, in the order they come; empty
/// for a model of floats and digit planes alone.
pub(crate) fn block_types(weights: &Weights<'_, '_>) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (_, linear) in weights.linears() {
        let kind = match linear {
            Linear::Blocks { kind, .. } => Some(*kind),
            Linear::Stored { matrix, .. } => matrix.block_type(),
            _ => None,
        };
        if let Some(kind) = kind
            && kind != TensorType::F32
            && !names.contains(&kind.name())
        {
            names.push(kind.name());
        }
    }
    names
}

/// Weights of all linear layers, and the bytes of reading each once at a lane, the shared matrix of
/// a model that is tied counted once.
pub(crate) fn stored(
    weights: &Weights<'_, '_>,
    tied: bool,
    lane: PrecisionLane,
) -> Result<(usize, usize), ModelError> {
    let (mut count, mut bytes) = (0, 0);
    for (name, linear) in weights.linears() {
        if tied && name.layer.is_none() && name.part == "output" {
            continue;
        }
        count += linear.rows() * linear.cols();
        bytes += linear.bytes(lane).map_err(|_| ModelError::Lane { name, lane })?;
    }
    Ok((count, bytes))
}
