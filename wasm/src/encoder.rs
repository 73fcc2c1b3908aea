//! An encoder: its file, the weights and words found in it, and vectors of texts.

use crate::argument::{lane, utf8};
use crate::bytes::Bytes;
use crate::failure::Failure;
use crate::file::{Memory, check_vocabulary, metadata, refused};
use js_sys::{Float32Array, Map, Uint8Array, Uint32Array};
use self_cell::self_cell;
use trilane_core::gguf::Gguf;
use trilane_core::kernel::{Baseline, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::wordpiece::WordPiece;
use trilane_core::model::{
    Digest, EncoderHeader, EncoderLayer, EncoderWeights, VERIFY_TOKENS, verify_encoder,
};
use trilane_std::memory::{encoder_arena, filled};
use wasm_bindgen::prelude::wasm_bindgen;

/// What was found in a file.
struct Found<'m> {
    gguf: Gguf<'m>,
    weights: EncoderWeights<'m, 'm>,
    /// A model without a vocabulary still computes its digests.
    words: Result<WordPiece<'m>, Failure>,
}

self_cell!(
    struct Loaded {
        owner: Memory,
        #[covariant]
        dependent: Found,
    }
);

impl<'m> Found<'m> {
    fn read(memory: &'m Memory) -> Result<Self, Failure> {
        let gguf = Gguf::parse(memory.bytes.as_slice())?;
        let header = EncoderHeader::read(&gguf)?;
        let layers = memory.layers(&gguf, header.layers, EncoderLayer::EMPTY)?;
        let weights = EncoderWeights::load(&gguf, layers).map_err(refused)?;
        let words = Self::read_words(memory, &gguf, &header);
        Ok(Self { gguf, weights, words })
    }

    /// The vocabulary, which has to have as many tokens as the model.
    fn read_words(
        memory: &'m Memory,
        gguf: &Gguf<'m>,
        header: &EncoderHeader,
    ) -> Result<WordPiece<'m>, Failure> {
        let words = WordPiece::read(gguf, memory.index(gguf)?)?;
        check_vocabulary(header.vocabulary, words.vocabulary_len())?;
        Ok(words)
    }

    /// The tokens of a text, as many as there is room for.
    fn encode(&self, text: &str, room: usize) -> Result<Vec<u32>, Failure> {
        let words = self.words.clone()?;
        // A byte gives one token at most; the begin and end token come on top.
        let most = room.min(text.len().saturating_add(2)).max(2);
        let mut tokens = filled("tokens of a text", 0, most)?;
        let encoded = words.encode(text, &mut tokens)?;
        tokens.truncate(encoded.len);
        Ok(tokens)
    }
}

type Running<'a, 'm> = trilane_core::model::Encoder<'a, 'm, Baseline>;

/// A loaded encoder.
#[wasm_bindgen]
pub struct Encoder {
    loaded: Loaded,
}

#[wasm_bindgen]
impl Encoder {
    /// Reads and checks the whole file.
    ///
    /// # Errors
    /// `gguf`, `model`, `memory`.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: Bytes) -> Result<Self, Failure> {
        Ok(Self { loaded: Loaded::try_new(Memory::new(bytes), |memory| Found::read(memory))? })
    }

    fn found(&self) -> &Found<'_> {
        self.loaded.borrow_dependent()
    }

    /// Bytes of the file, weights in matrices, tokens in the vocabulary and of the longest text,
    /// layers, values of a vector, hidden neurons, heads and values of a head.
    #[must_use]
    pub fn sizes(&self) -> Vec<f64> {
        let Found { gguf, weights, .. } = self.found();
        let matrices = weights.linears();
        let matrices = matrices.map(|(_, linear)| linear.rows() as f64 * linear.cols() as f64);
        let header = weights.header();
        let counts = [
            header.vocabulary,
            header.context,
            header.layers,
            header.dim,
            header.hidden,
            header.attention.heads,
            header.attention.head_dim,
        ];
        let counts = counts.into_iter().map(|count| count as f64);
        [gguf.bytes().len() as f64, matrices.sum()].into_iter().chain(counts).collect()
    }

    /// Bytes of weights that a token reads at a lane: every matrix once, a row of each table, and
    /// norms and biases left out; `undefined` when the model cannot be read at it.
    #[wasm_bindgen(js_name = bytesPerToken)]
    #[must_use]
    pub fn bytes_per_token(&self, lane: u8) -> Option<f64> {
        let (lane, weights) = (self::lane(lane).ok()?, &self.found().weights);
        weights.check_lane(lane).ok()?;
        let mut bytes = 0;
        for (name, linear) in weights.linears() {
            let is_table = name.layer.is_none();
            let read = if is_table { PrecisionLane::Float32 } else { lane };
            let all = linear.bytes(linear.lane(read)).ok()?;
            bytes += if is_table { all / linear.rows().max(1) } else { all };
        }
        Some(bytes as f64)
    }

    /// The file's metadata, arrays left out.
    #[must_use]
    pub fn metadata(&self) -> Map {
        metadata(&self.found().gguf)
    }

    /// The tokens of a text in UTF-8, all of them.
    ///
    /// # Errors
    /// `text`, `memory`.
    pub fn tokenize(&self, text: &Uint8Array) -> Result<Uint32Array, Failure> {
        let tokens = self.found().encode(&utf8(text)?, usize::MAX)?;
        Ok(Uint32Array::from(&tokens[..]))
    }

    /// The vector of a text in UTF-8, which is cut where it is longer than the longest.
    ///
    /// # Errors
    /// `text`, `lane`, `memory`, `value`.
    pub fn embed(&self, text: &Uint8Array, lane: u8) -> Result<Float32Array, Failure> {
        let (lane, found) = (self::lane(lane)?, self.found());
        found.weights.check_lane(lane)?;
        let tokens = found.encode(&utf8(text)?, found.weights.header().context)?;
        let mut arena = encoder_arena(found.weights.header(), tokens.len())?;
        let mut encoder = Running::new(found.weights, Baseline, tokens.len(), &mut arena)?;
        Ok(encoder.embed(&Serial, &tokens, lane).map(Float32Array::from)?)
    }

    /// The digests of the fixed run at a lane: each layer, the vector, all of them.
    ///
    /// # Errors
    /// `lane`, `memory`, `value`.
    pub fn digests(&self, lane: u8) -> Result<Vec<u64>, Failure> {
        let (lane, weights) = (self::lane(lane)?, self.found().weights);
        let outputs = weights.header().layers.saturating_add(1);
        let mut digests = filled("layer digests", Digest::default(), outputs)?;
        let mut arena = encoder_arena(weights.header(), VERIFY_TOKENS)?;
        let mut encoder = Running::new(weights, Baseline, VERIFY_TOKENS, &mut arena)?;
        let all = verify_encoder(&mut encoder, &Serial, lane, &mut digests)?;
        Ok(digests.iter().chain([&all]).map(|digest| digest.value()).collect())
    }
}
