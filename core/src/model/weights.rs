//! Finding and checking the weight tensors of a decoder.

use super::mixer::{Mixer, Mixers};
use super::planes::{Listed, as_floats, digits, find, parts};
#[cfg(feature = "stored")]
use super::planes::{extent, stored_digits};
use super::sparse::{Sparse, parts::DOWN};
use super::{Header, ModelError, TensorName};
use crate::gguf::blocks::Stored;
use crate::gguf::{Gguf, Tensor, TensorType};
use crate::kernel::Backend;
use crate::lane::PrecisionLane;
use crate::nn::{Linear, LinearError};
#[cfg(feature = "stored")]
use crate::nn::{RowSource, StoredMatrix, StoredParts};

/// The weights of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'m> {
    pub(super) attn_norm: &'m [f32],
    pub(super) mixer: Mixer<'m>,
    pub(super) ffn_norm: &'m [f32],
    pub(super) ffn_gate: Linear<'m>,
    pub(super) ffn_up: Linear<'m>,
    /// dim × hidden, or hidden × dim where the block is stored by neuron.
    pub(super) ffn_down: Linear<'m>,
    /// What a block stored by neuron has besides.
    pub(super) sparse: Option<Sparse<'m>>,
}

pub(super) const NOTHING: Linear<'static> =
    Linear::Blocks { kind: TensorType::F32, rows: 0, cols: 0, data: &[] };

impl<'m> Layer<'m> {
    /// A place for a layer's weights.
    pub const EMPTY: Self = Self {
        attn_norm: &[],
        mixer: Mixer::EMPTY,
        ffn_norm: &[],
        ffn_gate: NOTHING,
        ffn_up: NOTHING,
        ffn_down: NOTHING,
        sparse: None,
    };

    /// Gain of the norm before the attention or the convolution.
    pub fn attn_norm(&self) -> &'m [f32] {
        self.attn_norm
    }

    /// Gain of the norm before the feed-forward block.
    pub fn ffn_norm(&self) -> &'m [f32] {
        self.ffn_norm
    }

    /// The most linear layers that there are.
    const LINEARS: usize = Mixer::LINEARS + 3;

    /// A linear layer with its name, or `None` for a number that stands for none.
    #[inline(never)]
    fn linear(&self, index: usize) -> Option<(&'static str, &Linear<'m>)> {
        let down = if self.sparse.is_some() { DOWN } else { "ffn_down" };
        match index.checked_sub(Mixer::LINEARS) {
            None => self.mixer.linear(index),
            Some(0) => Some(("ffn_gate", &self.ffn_gate)),
            Some(1) => Some(("ffn_up", &self.ffn_up)),
            Some(2) => Some((down, &self.ffn_down)),
            _ => None,
        }
    }
}

/// The weights of a decoder, borrowed from a file and checked.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, 'm> {
    pub(super) header: Header,
    pub(super) token_embd: Linear<'m>,
    pub(super) output: Linear<'m>,
    pub(super) output_norm: &'m [f32],
    pub(super) layers: &'a [Layer<'m>],
}

impl<'a, 'm> Weights<'a, 'm> {
    /// Finds and checks every tensor; `layers` is memory for as many layers as the header says.
    ///
    /// # Errors
    /// [`ModelError`] with the tensor's name, what was expected and what was found.
    pub fn load(file: &Gguf<'m>, layers: &'a mut [Layer<'m>]) -> Result<Self, ModelError> {
        Self::load_from(&Place::memory(*file), layers)
    }

    /// As [`load`](Self::load), of a file whose tensors stay there, see
    /// [`Gguf::parse_beginning`]: `source` has the vectors, and reads the matrices when they are
    /// computed on. Checks everything but the contents of matrices, which are checked whenever they
    /// are read.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`ModelError::NotResident`] for a vector that `source` does not
    /// have.
    #[cfg(feature = "stored")]
    pub fn load_stored(
        file: &Gguf<'m>,
        source: &'m dyn RowSource,
        layers: &'a mut [Layer<'m>],
    ) -> Result<Self, ModelError> {
        Self::load_from(&Place { file: *file, source: Some(source) }, layers)
    }

    fn load_from(place: &Place<'m>, layers: &'a mut [Layer<'m>]) -> Result<Self, ModelError> {
        let file = &place.file;
        let header = Header::read(file)?;
        let actual = layers.len();
        let expected = header.layers;
        let Some(layers) = layers.get_mut(..expected) else {
            return Err(ModelError::Memory { what: "layers", expected, actual });
        };
        let listed = Listed::read(file)?;
        let linear = |name, rows, cols| linear(place, listed.as_ref(), name, rows, cols);
        let floats = |name, len| floats(place, name, len);
        let (dim, hidden) = (header.dim, header.hidden);
        let mut mixers = Mixers::new(place, listed.as_ref(), header)?;
        for (i, layer) in layers.iter_mut().enumerate() {
            let name = |part| TensorName { layer: Some(i), part };
            *layer = Layer {
                attn_norm: floats(name("attn_norm"), dim)?,
                mixer: mixers.load(i)?,
                ffn_norm: floats(name("ffn_norm"), dim)?,
                ffn_gate: linear(name("ffn_gate"), hidden, dim)?,
                ffn_up: linear(name("ffn_up"), hidden, dim)?,
                ffn_down: match header.sparse_rank {
                    Some(_) => linear(name(DOWN), hidden, dim)?,
                    None => linear(name("ffn_down"), dim, hidden)?,
                },
                sparse: match header.sparse_rank {
                    Some(rank) => Some(Sparse::load(place, listed.as_ref(), i, &header, rank)?),
                    None => None,
                },
            };
            layer.check_planes(i)?;
        }
        let name = |part| TensorName { layer: None, part };
        let token_embd = linear(name("token_embd"), header.vocabulary, dim)?;
        let output = name("output");
        let has = |suffix| find(file, output, suffix).is_some();
        let is_listed = listed.as_ref().is_some_and(|listed| listed.entry(output).is_some());
        let output = if is_listed || has("") || has(parts::ROW_SCALES) {
            linear(output, header.vocabulary, dim)?
        } else {
            // Without an output matrix the embedding serves for both.
            token_embd
        };
        let output_norm = floats(name(header.architecture.output_norm()), dim)?;
        Ok(Self { header, token_embd, output, output_norm, layers })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The layers.
    pub fn layers(&self) -> &'a [Layer<'m>] {
        self.layers
    }

    /// Gain of the norm before the output.
    pub fn output_norm(&self) -> &'m [f32] {
        self.output_norm
    }

    /// Every linear layer with its name; the embedding table first, the output last.
    pub fn linears(&self) -> impl Iterator<Item = (TensorName, &Linear<'m>)> + Clone {
        let outside = |part, linear| (TensorName { layer: None, part }, linear);
        let inside = (0..self.layers.len() * Layer::LINEARS).filter_map(move |i| {
            let (layer, index) = (i / Layer::LINEARS, i % Layer::LINEARS);
            let (part, linear) = self.layers.get(layer)?.linear(index)?;
            Some((TensorName { layer: Some(layer), part }, linear))
        });
        core::iter::once(outside("token_embd", &self.token_embd))
            .chain(inside)
            .chain(core::iter::once(outside("output", &self.output)))
    }

    /// Checks that the model can be read at a lane: that some tensor is, and for
    /// [`PrecisionLane::Float32`] that every tensor is. Tensors that are not stored at that lane,
    /// or kept above it, are read at the nearest lane that they have.
    ///
    /// # Errors
    /// [`ModelError::Lane`] with a tensor that is not.
    pub fn check_lane(&self, lane: PrecisionLane) -> Result<(), ModelError> {
        check_lane(self.linears(), lane)
    }

    /// [`check_lane`](Self::check_lane), and that the backend computes every lane that is read then.
    ///
    /// # Errors
    /// As [`check_lane`](Self::check_lane), and [`ModelError::Backend`] with a tensor whose lane is
    /// not compiled in.
    pub fn check_computable(
        &self,
        backend: impl Backend,
        lane: PrecisionLane,
    ) -> Result<(), ModelError> {
        check_computable(self.linears(), backend, lane)
    }

    /// Bytes of weights that one token reads at a lane: every linear layer once, of the embedding
    /// table one row, the norms and the taps of short convolutions.
    ///
    /// # Errors
    /// [`ModelError::Lane`] when a tensor is not stored at that lane.
    pub fn bytes_per_token(&self, lane: PrecisionLane) -> Result<usize, ModelError> {
        self.check_lane(lane)?;
        (0..=self.header.layers).map(|layer| self.layer_bytes(layer, lane)).sum()
    }

    /// Bytes of weights that one token reads of a layer at a lane; the number of layers stands for
    /// what lies outside of them: the output matrix, a row of the embedding table and a norm.
    ///
    /// # Errors
    /// [`ModelError::Lane`] when a tensor is not stored at that lane.
    pub fn layer_bytes(&self, layer: usize, lane: PrecisionLane) -> Result<usize, ModelError> {
        let inside = (layer < self.header.layers).then_some(layer);
        let norms = if inside.is_some() { 2 } else { 1 };
        let others = self.layers.get(layer).map_or(0, |layer| layer.mixer.floats());
        let mut bytes = (norms * self.header.dim + others) * size_of::<f32>();
        for (name, linear) in self.linears().filter(|(name, _)| name.layer == inside) {
            let all = linear.bytes(lane).map_err(|_| ModelError::Lane { name, lane })?;
            let embedding = name.layer.is_none() && name.part == "token_embd";
            bytes += if embedding { all / linear.rows().max(1) } else { all };
        }
        Ok(bytes)
    }
}

/// See [`Weights::check_lane`].
pub(super) fn check_lane<'l, 'm: 'l>(
    linears: impl Iterator<Item = (TensorName, &'l Linear<'m>)> + Clone,
    lane: PrecisionLane,
) -> Result<(), ModelError> {
    let mut others = linears.clone().filter(|(_, linear)| linear.lane(lane) != lane);
    let Some((name, _)) = others.next() else { return Ok(()) };
    let none = others.count() + 1 == linears.count();
    if none || lane == PrecisionLane::Float32 {
        Err(ModelError::Lane { name, lane })
    } else {
        Ok(())
    }
}

/// See [`Weights::check_computable`].
pub(super) fn check_computable<'l, 'm: 'l>(
    mut linears: impl Iterator<Item = (TensorName, &'l Linear<'m>)> + Clone,
    backend: impl Backend,
    lane: PrecisionLane,
) -> Result<(), ModelError> {
    check_lane(linears.clone(), lane)?;
    match linears.find(|(_, linear)| !backend.computes(linear.lane(lane))) {
        Some((name, linear)) => Err(ModelError::Backend { name, lane: linear.lane(lane) }),
        None => Ok(()),
    }
}

/// A file, and what has the bytes of its tensors.
#[derive(Clone, Copy)]
pub(super) struct Place<'m> {
    pub(super) file: Gguf<'m>,
    /// `None` where the file itself does.
    #[cfg(feature = "stored")]
    pub(super) source: Option<&'m dyn RowSource>,
}

impl<'m> Place<'m> {
    /// A file in memory.
    pub(super) fn memory(file: Gguf<'m>) -> Self {
        Self {
            file,
            #[cfg(feature = "stored")]
            source: None,
        }
    }

    /// The bytes of a tensor that has to be in memory.
    fn data(&self, name: TensorName, tensor: &Tensor<'m>) -> Result<&'m [u8], ModelError> {
        #[cfg(feature = "stored")]
        if let Some(source) = self.source {
            return source.resident(extent(tensor)).ok_or(ModelError::NotResident { name });
        }
        let _ = name;
        Ok(tensor.data())
    }
}

/// The tensor's bytes as floats, which it must hold `len` of.
pub(super) fn floats<'m>(
    place: &Place<'m>,
    name: TensorName,
    len: usize,
) -> Result<&'m [f32], ModelError> {
    let tensor = find(&place.file, name, "").ok_or(ModelError::MissingTensor { name })?;
    if tensor.elements() != len {
        let found = (tensor.rows(), tensor.cols());
        return Err(ModelError::TensorShape { name, expected: (1, len), found });
    }
    if tensor.kind() != TensorType::F32 {
        let error = LinearError::Unsupported { kind: tensor.kind() };
        return Err(ModelError::Tensor { name, error });
    }
    let values = as_floats(place.data(name, &tensor)?, name)?;
    if values.iter().all(|v| v.is_finite()) {
        Ok(values)
    } else {
        Err(ModelError::NotFinite { name })
    }
}

/// The floats of a tensor, which has to have so many rows and columns.
#[cfg(feature = "lfm2")]
pub(super) fn table<'m>(
    place: &Place<'m>,
    name: TensorName,
    rows: usize,
    cols: usize,
) -> Result<&'m [f32], ModelError> {
    let tensor = find(&place.file, name, "").ok_or(ModelError::MissingTensor { name })?;
    let (found, expected) = ((tensor.rows(), tensor.cols()), (rows, cols));
    if found != expected {
        return Err(ModelError::TensorShape { name, expected, found });
    }
    floats(place, name, rows * cols)
}

/// A matrix: from digit planes when the metadata lists it, else from the tensor of that name.
pub(super) fn linear<'m>(
    place: &Place<'m>,
    listed: Option<&Listed<'_>>,
    name: TensorName,
    rows: usize,
    cols: usize,
) -> Result<Linear<'m>, ModelError> {
    let file = &place.file;
    if let Some(entry) = listed.and_then(|listed| listed.entry(name)) {
        #[cfg(feature = "stored")]
        if let Some(source) = place.source {
            return stored_digits(file, source, name, entry?, rows, cols);
        }
        return digits(file, name, entry?, rows, cols);
    }
    let tensor = find(file, name, "").ok_or(ModelError::MissingTensor { name })?;
    if (tensor.rows(), tensor.cols()) != (rows, cols) {
        let found = (tensor.rows(), tensor.cols());
        return Err(ModelError::TensorShape { name, expected: (rows, cols), found });
    }
    #[cfg(feature = "stored")]
    if let Some(source) = place.source {
        let parts = StoredParts::Blocks { kind: tensor.kind(), data: extent(&tensor) };
        let matrix = StoredMatrix::new(rows, cols, parts);
        let matrix = matrix.map_err(|error| ModelError::Tensor { name, error })?;
        return Ok(Linear::Stored { matrix, source });
    }
    let linear = Linear::blocks(tensor.kind(), rows, cols, tensor.data())
        .map_err(|error| ModelError::Tensor { name, error })?;
    if !Stored::new(tensor.kind(), tensor.data()).is_ok_and(|stored| stored.is_finite()) {
        return Err(ModelError::NotFinite { name });
    }
    if tensor.kind() == TensorType::F32 {
        as_floats(tensor.data(), name)?;
    }
    Ok(linear)
}
