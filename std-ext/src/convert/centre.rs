//! What the first and the last token of every text bring to an encoder's matrices.

use super::ConvertError;
use super::source::{Source, SourceTensor};
use crate::gguf_writer::WriteError;
use crate::memory;
use std::borrow::Cow;
use trilane_core::gguf::{Gguf, TensorType, Value};
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::wordpiece::WordPiece;
use trilane_core::model::{
    Encoder, EncoderHeader, EncoderLayer, EncoderWeights, TensorName, encoder_parts, keys,
};

/// Adds to an encoder the inputs and outputs that each of its matrices has in a text without words:
/// begin and end token, weights as they come. Other models, and encoders that would not be loaded
/// either, are left as they are.
pub(super) fn centred(mut source: Source<'_>) -> Result<Source<'_>, ConvertError> {
    if !source.tensors.iter().any(|tensor| tensor.name == "token_embd_norm.bias") {
        return Ok(source);
    }
    let mut words = whole(&source)?;
    let bytes: &[u8] = bytemuck::cast_slice_mut(&mut words);
    let Some(ends) = Gguf::parse(bytes).ok().and_then(|gguf| run(&gguf)) else {
        return Ok(source);
    };
    source.writer.add(keys::CENTRED, Value::Bool(true))?;
    source.tensors.extend(ends);
    Ok(source)
}

/// The model as a file, in memory of words, as floats in it have to lie.
fn whole(source: &Source<'_>) -> Result<Vec<u32>, WriteError> {
    let mut writer = source.writer.clone();
    for t in &source.tensors {
        writer.declare(&t.name, t.kind, &t.dims, t.data.len() as u64)?;
    }
    let mut header = Vec::new();
    writer.clone().begin(&mut header)?;
    let padded =
        |t: &SourceTensor<'_>| t.data.len().next_multiple_of(super::source::ALIGNMENT as usize);
    let len = header.len() + source.tensors.iter().map(padded).sum::<usize>();
    let mut words = vec![0; len.div_ceil(size_of::<u32>())];
    let mut data = writer.begin(bytemuck::cast_slice_mut::<u32, u8>(&mut words))?;
    for t in &source.tensors {
        data.write_tensor(&t.name, &t.data)?;
    }
    data.finish()?;
    Ok(words)
}

/// The tensors to add, or `None` for a model that cannot be run.
fn run(gguf: &Gguf<'_>) -> Option<Vec<SourceTensor<'static>>> {
    let header = EncoderHeader::read(gguf).ok()?;
    let mut layers = vec![EncoderLayer::EMPTY; header.layers.min(gguf.tensors().len())];
    let weights = EncoderWeights::load(gguf, &mut layers).ok()?;
    let mut index = crate::text::index(gguf);
    let mut tokens = [0; 2];
    let encoded = WordPiece::read(gguf, &mut index).ok()?.encode("", &mut tokens).ok()?;
    let tokens = tokens.get(..encoded.len).filter(|tokens| tokens.len() == 2)?;
    let mut arena = memory::encoder_arena(&header, tokens.len()).ok()?;
    let mut encoder = Encoder::new(weights, Scalar, tokens.len(), &mut arena).ok()?;
    let mut added = Vec::new();
    let mut record = |name: TensorName, x: &[f32], y: &[f32]| {
        for (suffix, values) in [(encoder_parts::CENTRES, x), (encoder_parts::PRODUCTS, y)] {
            // The matrices of attention share the input of the first of them.
            if suffix == encoder_parts::CENTRES && matches!(name.part, "attn_k" | "attn_v") {
                continue;
            }
            let weight = name.to_string();
            let tensor = weight.strip_suffix(".weight").unwrap_or(&weight);
            added.push(SourceTensor {
                name: format!("{tensor}{suffix}"),
                kind: TensorType::F32,
                dims: vec![values.len() as u64],
                data: Cow::Owned(bytemuck::cast_slice(values).to_vec()),
            });
        }
    };
    encoder.embed_recorded(&Serial, tokens, PrecisionLane::Float32, &mut record).ok()?;
    Some(added)
}
