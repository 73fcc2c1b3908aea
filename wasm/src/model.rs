//! A model: its file, the weights found in it, and what can be asked about them.

use crate::argument::{lane, utf8};
use crate::bytes::Bytes;
use crate::failure::Failure;
use crate::file::{Memory, check_vocabulary, metadata, refused};
use crate::sequence::Sequence;
use js_sys::{Map, Uint8Array, Uint32Array};
use self_cell::self_cell;
use std::rc::Rc;
use trilane_core::gguf::Gguf;
use trilane_core::kernel::{Baseline, Serial};
use trilane_core::model::{Digest, Header, Layer, ModelError, VERIFY_TOKENS, Weights, verify};
use trilane_std::layer_errors::layer_errors;
use trilane_std::memory::{OutOfMemory, filled};
use trilane_std::text::Text;
use wasm_bindgen::prelude::wasm_bindgen;

/// What was found in a file.
pub(crate) struct Found<'m> {
    gguf: Gguf<'m>,
    pub(crate) weights: Weights<'m, 'm>,
    /// A model without a vocabulary still computes.
    text: Result<Text<'m>, Failure>,
}

self_cell!(
    /// A file and what was found in it.
    pub(crate) struct Loaded {
        owner: Memory,
        #[covariant]
        dependent: Found,
    }
);

impl<'m> Found<'m> {
    fn read(memory: &'m Memory) -> Result<Self, Failure> {
        let gguf = Gguf::parse(memory.bytes.as_slice())?;
        let header = Header::read(&gguf).map_err(|error| unread(&gguf, error))?;
        let layers = memory.layers(&gguf, header.layers, Layer::EMPTY)?;
        let weights = Weights::load(&gguf, layers).map_err(refused)?;
        let text = Self::read_text(memory, &gguf, &header);
        Ok(Self { gguf, weights, text })
    }

    /// The vocabulary, which has to have as many tokens as the model.
    fn read_text(
        memory: &'m Memory,
        gguf: &Gguf<'m>,
        header: &Header,
    ) -> Result<Text<'m>, Failure> {
        let text = Text::new(gguf, memory.index(gguf)?)?;
        check_vocabulary(header.vocabulary, text.tokenizer().vocabulary_len())?;
        Ok(text)
    }

    pub(crate) fn text(&self) -> Result<Text<'m>, Failure> {
        self.text.clone()
    }
}

/// A model error, with the architecture of the file where it is about that.
fn unread(gguf: &Gguf<'_>, error: ModelError) -> Failure {
    if error != ModelError::Architecture {
        return refused(error);
    }
    let found = gguf.get("general.architecture").and_then(|v| v.as_str()).unwrap_or("?");
    // A hostile name can be as long as the file.
    let found: String = found.chars().take(64).collect();
    let message = format!("general.architecture: expected \"llama\" or \"bert\", found {found:?}");
    Failure::new("model", message)
}

/// A loaded model.
#[wasm_bindgen]
pub struct Model {
    loaded: Rc<Loaded>,
}

#[wasm_bindgen]
impl Model {
    /// Reads and checks the whole file.
    ///
    /// # Errors
    /// `gguf`, `model`, `memory`.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: Bytes) -> Result<Self, Failure> {
        Ok(Self {
            loaded: Rc::new(Loaded::try_new(Memory::new(bytes), |memory| Found::read(memory))?),
        })
    }

    fn found(&self) -> &Found<'_> {
        self.loaded.borrow_dependent()
    }

    fn header(&self) -> &Header {
        self.found().weights.header()
    }

    /// Bytes of the file.
    #[wasm_bindgen(getter)]
    pub fn bytes(&self) -> usize {
        self.found().gguf.bytes().len()
    }

    /// Tokens in the vocabulary.
    #[wasm_bindgen(getter)]
    pub fn vocabulary(&self) -> usize {
        self.header().vocabulary
    }

    /// Values in the residual stream.
    #[wasm_bindgen(getter)]
    pub fn dim(&self) -> usize {
        self.header().dim
    }

    /// Hidden neurons of a feed-forward block.
    #[wasm_bindgen(getter)]
    pub fn hidden(&self) -> usize {
        self.header().hidden
    }

    /// Layers.
    #[wasm_bindgen(getter)]
    pub fn layers(&self) -> usize {
        self.header().layers
    }

    /// Query heads.
    #[wasm_bindgen(getter)]
    pub fn heads(&self) -> usize {
        self.header().attention.heads
    }

    /// Key and value heads.
    #[wasm_bindgen(getter, js_name = kvHeads)]
    pub fn kv_heads(&self) -> usize {
        self.header().attention.kv_heads
    }

    /// Values of a head.
    #[wasm_bindgen(getter, js_name = headDim)]
    pub fn head_dim(&self) -> usize {
        self.header().attention.head_dim
    }

    /// The longest context, in tokens.
    #[wasm_bindgen(getter)]
    pub fn context(&self) -> usize {
        self.header().context
    }

    /// Weights in matrices, one that serves as embedding and output counted once.
    #[wasm_bindgen(getter)]
    pub fn weights(&self) -> f64 {
        let found = self.found();
        let tied = !found.gguf.tensors().any(|t| t.name().starts_with("output.weight"));
        let matrices = found.weights.linears();
        let counted =
            matrices.filter(|(name, _)| !(tied && name.layer.is_none() && name.part == "output"));
        counted.map(|(_, linear)| linear.rows() as f64 * linear.cols() as f64).sum()
    }

    /// Bytes of weights that a token reads at a lane; `undefined` when the model cannot be read at
    /// it.
    #[wasm_bindgen(js_name = bytesPerToken)]
    pub fn bytes_per_token(&self, lane: u8) -> Option<f64> {
        let lane = self::lane(lane).ok()?;
        self.found().weights.bytes_per_token(lane).ok().map(|bytes| bytes as f64)
    }

    /// The file's metadata, arrays left out.
    pub fn metadata(&self) -> Map {
        metadata(&self.found().gguf)
    }

    /// The tokens of a text in UTF-8.
    ///
    /// # Errors
    /// `text`, `memory`.
    pub fn tokenize(&self, text: &Uint8Array) -> Result<Uint32Array, Failure> {
        let tokens = self.found().text()?.encode(&utf8(text)?)?;
        Ok(Uint32Array::from(&tokens[..]))
    }

    /// The text of tokens that begin one.
    ///
    /// # Errors
    /// `text` for a token outside the vocabulary, `memory`.
    pub fn detokenize(&self, tokens: &Uint32Array) -> Result<String, Failure> {
        let mut stream = self.found().text()?.stream(true)?;
        let mut text = String::new();
        for i in 0..tokens.length() {
            let piece = stream.push(tokens.get_index(i))?;
            let bytes = text.len().saturating_add(piece.len());
            let error = OutOfMemory { what: "the text", bytes };
            text.try_reserve(piece.len()).map_err(|_| error)?;
            text.push_str(piece);
        }
        text.push_str(stream.finish());
        Ok(text)
    }

    /// The digests of the fixed run at a lane: each layer, the logits, all of them.
    ///
    /// # Errors
    /// `lane`, `memory`, `value`.
    pub fn digests(&self, lane: u8) -> Result<Vec<u64>, Failure> {
        let lane = self::lane(lane)?;
        let mut sequence = Sequence::of(&self.loaded, VERIFY_TOKENS)?;
        let mut digests =
            filled("layer digests", Digest::default(), self.header().layers.saturating_add(1))?;
        let all = sequence.with_decoder(|decoder| verify(decoder, &Serial, lane, &mut digests))?;
        Ok(digests.iter().chain([&all]).map(|digest| digest.value()).collect())
    }

    /// For every lane, lowest first, the relative error of each layer and of the logits.
    ///
    /// # Errors
    /// `token`, `memory`, `value`.
    #[wasm_bindgen(js_name = layerErrors)]
    pub fn layer_errors(&self, tokens: &Uint32Array) -> Result<Vec<f64>, Failure> {
        let mut list = filled("tokens", 0, tokens.length() as usize)?;
        tokens.copy_to(&mut list);
        let errors = layer_errors(self.found().weights, Baseline, &Serial, &list)?;
        Ok(errors.into_iter().flat_map(|lane| lane.relative).collect())
    }

    pub(crate) fn loaded(&self) -> &Rc<Loaded> {
        &self.loaded
    }
}
