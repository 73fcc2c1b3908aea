//! Whole models, from the bytes of their files.

use crate::Memory;
use trilane_core::gguf::Gguf;
use trilane_core::kernel::{Backend, Serial};
use trilane_core::lane::{GraduationConfig, Lanes, LayerTelemetry, PrecisionLane};
use trilane_core::model::tokenizer::index_len;
use trilane_core::model::wordpiece::WordPiece;
use trilane_core::model::{
    AutoError, AutoLanes, AutoLayer, AutoMemory, Decoder, Digest, Encoder, EncoderLayer,
    EncoderWeights, Layer, Mlp, ModelError, VERIFY_TOKENS, Weights, verify, verify_encoder,
};

/// Lines of the arena that the largest model takes.
pub(crate) const LINES: usize = 1024;

/// Layers of the largest model.
const LAYERS: usize = 8;

/// What `trilane verify` computes, at one lane.
pub(crate) fn decoder(
    backend: impl Backend,
    file: &[u8],
    lane: PrecisionLane,
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let file = parsed(file)?;
    let mut layers = [Layer::EMPTY; LAYERS];
    let weights = Weights::load(&file, &mut layers)?;
    let mut decoder = Decoder::new(weights, backend, VERIFY_TOKENS, &mut memory.lines)?;
    verify(&mut decoder, &Serial, lane, &mut [Digest::default(); LAYERS + 1])
}

/// What `trilane verify --lane auto` computes, and what was read for it.
pub(crate) fn graduation(
    backend: impl Backend,
    file: &[u8],
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let file = parsed(file)?;
    let mut layers = [Layer::EMPTY; LAYERS];
    let weights = Weights::load(&file, &mut layers)?;
    let len = (weights.header().layers + 1).min(LAYERS);
    let mut layers = [AutoLayer::default(); LAYERS];
    let mut lanes = [PrecisionLane::Bit3; LAYERS];
    let mut telemetry = [LayerTelemetry::default(); LAYERS];
    let memory_of_policy = AutoMemory {
        layers: layers.get_mut(..len).unwrap_or_default(),
        lanes: lanes.get_mut(..len).unwrap_or_default(),
        telemetry: telemetry.get_mut(..len).unwrap_or_default(),
    };
    let auto = AutoLanes::new(&weights, backend, GraduationConfig::default(), memory_of_policy)
        .map_err(|e| match e {
            AutoError::Model(e) => e,
            _ => ModelError::NoPolicy,
        })?;
    let decoder = Decoder::new(weights, backend, VERIFY_TOKENS, &mut memory.lines)?;
    let mut decoder = decoder.with_auto(auto);
    let mut digest =
        verify(&mut decoder, &Serial, Lanes::Auto, &mut [Digest::default(); LAYERS + 1])?;
    for layer in decoder.auto().map_or(&[][..], |auto| auto.telemetry().layers()) {
        digest.integers(&layer.tokens.map(|tokens| tokens as i64));
    }
    Ok(digest)
}

/// What `trilane verify` computes for a classifier.
pub(crate) fn perceptron(
    backend: impl Backend,
    file: &[u8],
    memory: &mut Memory,
) -> Result<Digest, ModelError> {
    let mlp = Mlp::load(&parsed(file)?)?;
    mlp.verify(backend, &mut [Digest::default(); LAYERS], &mut memory.lines)
}

/// `tests/fixtures/tiny-bert`, converted to Bit7 with groups of 32.
static ENCODER: &Aligned<[u8]> = &Aligned(*include_bytes!("../encoder.gguf"));

/// Bytes at an address that is a multiple of 64.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

/// Layers and tokens of that encoder.
const ENCODER_LAYERS: usize = 2;
const ENCODER_TOKENS: usize = 40;

/// What `trilane verify` computes for an encoder, at each of its lanes, and the tokens and the
/// embedding of a text.
pub(crate) fn encoder(backend: impl Backend, memory: &mut Memory) -> Result<Digest, ModelError> {
    let file = parsed(&ENCODER.0)?;
    let mut layers = [EncoderLayer::EMPTY; ENCODER_LAYERS];
    let weights = EncoderWeights::load(&file, &mut layers)?;
    let mut index = [0; index_len(ENCODER_TOKENS)];
    let mut tokens = [0; VERIFY_TOKENS];
    let key = "tokenizer.ggml.tokens";
    let len = WordPiece::read(&file, &mut index)
        .and_then(|words| words.encode("The unable cat, naïve: CAFÉ 한 中!", &mut tokens))
        .map_err(|_| ModelError::Value { key, expected: "a vocabulary" })?
        .len;
    let tokens = tokens.get(..len).unwrap_or(&[]);
    let mut digest = Digest::default();
    tokens.iter().for_each(|token| digest.bytes(&token.to_le_bytes()));
    let mut encoder = Encoder::new(weights, backend, VERIFY_TOKENS, &mut memory.lines)?;
    for lane in PrecisionLane::NESTED {
        let layers = &mut [Digest::default(); ENCODER_LAYERS + 1];
        let all = verify_encoder(&mut encoder, &Serial, lane, layers)?;
        digest.bytes(&all.value().to_le_bytes());
        digest.floats(encoder.embed(&Serial, tokens, lane)?);
    }
    Ok(digest)
}

/// A file that does not parse is one without an architecture.
fn parsed(file: &[u8]) -> Result<Gguf<'_>, ModelError> {
    Gguf::parse(file).map_err(|_| ModelError::Architecture)
}
