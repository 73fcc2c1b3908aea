//! A decoder of the llama family on a device, with a batch of sequences.

mod step;
mod weights;

use crate::activations::{Activations, Status};
use crate::attention::{Attention, LayerCache};
use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{CudaError, counted, same_len};
use crate::pinned::Pinned;
use crate::sparse::SparseBuffers;
use crate::stream::{Graph, Stream};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Digest, FeedForwardMode, Header, VERIFY_TOKENS, Weights, verify_token};
use weights::DeviceWeights;

/// Called after each layer with its index and the output of every sequence, and after the last one
/// with the number of layers and the logits.
pub type Observer<'o> = &'o mut dyn FnMut(usize, &[f32]);

/// A decoder at work on a device: weights, and the states of some sequences.
///
/// It computes what [`trilane_core::model::Decoder`] computes, to the bit, for each sequence by
/// itself.
#[derive(Debug)]
pub struct Decoder {
    header: Header,
    capacity: usize,
    /// Tokens of each sequence that are in the cache.
    positions: Vec<usize>,
    logits: Pinned<f32>,
    /// What was recorded for each lane, in the order of [`PrecisionLane::ALL`]. Before the buffers
    /// and the queue, so that it goes first.
    graphs: [Option<Graph>; 5],
    weights: DeviceWeights,
    state: State,
    stream: Stream,
}

/// What a step computes in.
#[derive(Debug)]
struct State {
    attention: Attention,
    caches: Vec<LayerCache>,
    integers: Activations,
    status: Status,
    tokens: Buffer<u32>,
    x: Buffer<f32>,
    normed: Buffer<f32>,
    /// What a block adds to `x`.
    delta: Buffer<f32>,
    query: Buffer<f32>,
    key: Buffer<f32>,
    value: Buffer<f32>,
    attended: Buffer<f32>,
    gate: Buffer<f32>,
    up: Buffer<f32>,
    /// For blocks stored by neuron.
    sparse: Option<SparseBuffers>,
    logits: Buffer<f32>,
}

impl State {
    fn new(
        stream: &Stream,
        header: &Header,
        capacity: usize,
        sequences: usize,
        sparse: Option<SparseBuffers>,
    ) -> Result<Self, CudaError> {
        let floats = |len: usize| Buffer::zeros(stream, sequences * len);
        let (shape, base) = (header.attention, header.rope_base);
        let attention = Attention::new(stream, shape, header.rope_dim, base, capacity, sequences)?;
        let caches = (0..header.layers).map(|_| attention.cache(stream));
        Ok(Self {
            caches: caches.collect::<Result<_, _>>()?,
            attention,
            integers: Activations::new(stream, sequences, header.longest_input())?,
            status: Status::new(stream, sequences)?,
            tokens: Buffer::zeros(stream, sequences)?,
            x: floats(header.dim)?,
            normed: floats(header.dim)?,
            delta: floats(header.dim)?,
            query: floats(header.query_len())?,
            key: floats(header.kv_len())?,
            value: floats(header.kv_len())?,
            attended: floats(header.query_len())?,
            gate: floats(header.hidden)?,
            up: floats(header.hidden)?,
            sparse,
            logits: floats(header.vocabulary)?,
        })
    }
}

impl Decoder {
    /// Uploads the weights and makes room for so many sequences of up to `capacity` tokens.
    ///
    /// # Errors
    /// [`CudaError::Unsupported`] for weights or layers that no kernel computes,
    /// [`CudaError::Memory`], [`CudaError::Size`].
    pub fn new(
        device: &Device,
        weights: &Weights<'_, '_>,
        capacity: usize,
        sequences: usize,
    ) -> Result<Self, CudaError> {
        let stream = device.stream()?;
        let header = *weights.header();
        if capacity == 0 || sequences == 0 {
            return Err(CudaError::CacheFull { capacity: 0 });
        }
        counted("values of a layer", sequences.saturating_mul(header.longest_input()))?;
        counted("logits", sequences.saturating_mul(header.vocabulary))?;
        let weights = DeviceWeights::upload(&stream, weights)?;
        let sparse = weights.sparse_buffers(&stream, sequences)?;
        Ok(Self {
            weights,
            state: State::new(&stream, &header, capacity, sequences, sparse)?,
            positions: vec![0; sequences],
            logits: Pinned::zeros(device, sequences * header.vocabulary)?,
            graphs: [const { None }; 5],
            header,
            capacity,
            stream,
        })
    }

    /// The model's numbers.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The queue that it works in.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Sequences.
    pub fn sequences(&self) -> usize {
        self.positions.len()
    }

    /// Tokens that each sequence has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Tokens of each sequence that are in the cache.
    pub fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// Forgets the tokens of a sequence from `len` on.
    pub fn truncate(&mut self, sequence: usize, len: usize) {
        if let Some(position) = self.positions.get_mut(sequence) {
            *position = len.min(*position);
        }
    }

    /// Runs the feed-forward blocks in another mode from now on, where they are stored by neuron; at
    /// first they are dense. `weights` are those that the decoder was made from.
    ///
    /// # Errors
    /// [`CudaError::Unsupported`] for a mode that the file does not provide for (see
    /// [`Weights::check_feed_forward`]), [`CudaError::Memory`].
    pub fn set_feed_forward(
        &mut self,
        weights: &Weights<'_, '_>,
        mode: FeedForwardMode,
    ) -> Result<(), CudaError> {
        self.weights.set_feed_forward(&self.stream, weights, mode)?;
        // What was recorded is the mode before.
        self.graphs = [const { None }; 5];
        Ok(())
    }

    /// Takes a token of each sequence, or none, and gives the logits of the next, sequence by
    /// sequence; those of a sequence without a token mean nothing.
    ///
    /// The first step at a lane compiles what it needs; the second records its launches, which
    /// later ones replay.
    ///
    /// # Errors
    /// [`CudaError::Shape`] unless there is an entry for each sequence, [`CudaError::Token`],
    /// [`CudaError::CacheFull`], [`CudaError::Diverged`] when a value is not finite. After an error
    /// the sequences are as before the call.
    pub fn forward(
        &mut self,
        tokens: &[Option<u32>],
        lane: PrecisionLane,
    ) -> Result<&mut [f32], CudaError> {
        self.begin(tokens)?;
        self.weights.check_lane(lane)?;
        self.run(lane)?;
        self.finish(tokens)?;
        Ok(&mut self.logits)
    }

    /// [`forward`](Self::forward), showing every layer's output on the way; nothing is recorded or
    /// replayed.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_observed(
        &mut self,
        tokens: &[Option<u32>],
        lane: PrecisionLane,
        observe: Observer<'_>,
    ) -> Result<&mut [f32], CudaError> {
        self.begin(tokens)?;
        self.weights.check_lane(lane)?;
        step::step(
            &self.stream,
            &self.header,
            &self.weights,
            &mut self.state,
            lane,
            Some(observe),
        )?;
        self.finish(tokens)?;
        observe(self.header.layers, &self.logits);
        Ok(&mut self.logits)
    }

    /// The fixed run of [`trilane_core::model::verify`] in the first sequence: a digest of every
    /// layer and of the logits, and that of all of them.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn verify(&mut self, lane: PrecisionLane) -> Result<(Digest, Vec<Digest>), CudaError> {
        let mut digests = vec![Digest::default(); self.header.layers + 1];
        let sequences = self.sequences();
        self.truncate(0, 0);
        let mut tokens = vec![None; sequences];
        for i in 0..VERIFY_TOKENS.min(self.capacity) {
            let token = verify_token(i, self.header.vocabulary);
            tokens.iter_mut().take(1).for_each(|first| *first = Some(token));
            self.forward_observed(&tokens, lane, &mut |layer, output| {
                let first = output.get(..output.len() / sequences).unwrap_or_default();
                digests.iter_mut().skip(layer).take(1).for_each(|digest| digest.floats(first));
            })?;
        }
        self.truncate(0, 0);
        let mut all = Digest::default();
        digests.iter().for_each(|digest| all.bytes(&digest.value().to_le_bytes()));
        Ok((all, digests))
    }

    /// Checks the tokens and puts them and the positions where the kernels find them.
    fn begin(&mut self, tokens: &[Option<u32>]) -> Result<(), CudaError> {
        let vocabulary = self.header.vocabulary;
        same_len(self.positions.len(), tokens.len())?;
        for (token, &position) in tokens.iter().zip(&self.positions) {
            let Some(token) = *token else { continue };
            if usize::try_from(token).is_ok_and(|token| token >= vocabulary) {
                return Err(CudaError::Token { token, vocabulary });
            }
            if position >= self.capacity {
                return Err(CudaError::CacheFull { capacity: self.capacity });
            }
        }
        // A token that is in no vocabulary stands for none.
        let ids: Vec<u32> = tokens.iter().map(|token| token.unwrap_or(u32::MAX)).collect();
        let positions = self.positions.iter().map(|&p| counted("tokens", p));
        let positions = positions.collect::<Result<Vec<i32>, _>>()?;
        self.state.tokens.upload(&self.stream, &ids)?;
        self.state.attention.set_positions(&self.stream, &positions)
    }

    /// A step: the first at a lane as it is, the second recorded, the others replayed.
    #[allow(unsafe_code, reason = "see the safety comment")]
    fn run(&mut self, lane: PrecisionLane) -> Result<(), CudaError> {
        let Self { stream, header, weights, state, graphs, .. } = self;
        let Some(graph) = graphs.get_mut(lane as usize) else { return Ok(()) };
        if graph.is_none() {
            step::step(stream, header, weights, state, lane, None)?;
            // Every kernel has been compiled now, so that recording queues launches only.
            *graph =
                Some(stream.record(|| step::step(stream, header, weights, state, lane, None))?);
            return Ok(());
        }
        match graph {
            // SAFETY: the buffers are those of `self`.
            Some(graph) => unsafe { graph.replay(stream) },
            None => Ok(()),
        }
    }

    /// Waits for the step, and counts the tokens if nothing diverged.
    fn finish(&mut self, tokens: &[Option<u32>]) -> Result<(), CudaError> {
        self.state.status.take(&self.stream)?;
        self.state.logits.download(&self.stream, &mut self.logits)?;
        for (position, token) in self.positions.iter_mut().zip(tokens) {
            *position += usize::from(token.is_some());
        }
        Ok(())
    }
}
