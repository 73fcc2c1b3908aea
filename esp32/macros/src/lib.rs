//! `include_model!`: reads a model while the firmware is compiled, so that a bad file is a compile
//! error and the memory a model needs is a constant.

use proc_macro::{TokenStream, TokenTree};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use trilane_core::gguf::Gguf;
use trilane_core::model::{Header, Mlp, MlpHeader, ModelError, Weights};
use trilane_std::mapped::MappedFile;
use trilane_std::memory;

/// A model in flash: `include_model!("shakespeare.gguf")` is a `trilane_esp32::Model`, and of a
/// perceptron's file a `trilane_esp32::Perceptron`.
///
/// The path is relative to the source file that it stands in. The file is parsed and its weights
/// are checked here, as `Engine::init` or `Classifier::init` will do again on the device.
#[proc_macro]
pub fn include_model(input: TokenStream) -> TokenStream {
    let expansion = path(input).and_then(|path| model(&path));
    let text = expansion.unwrap_or_else(|message| format!("::core::compile_error!({message:?})"));
    text.parse().unwrap_or_default()
}

/// The file that the only token, a string, names.
fn path(input: TokenStream) -> Result<PathBuf, String> {
    let expected = || "expected one string: include_model!(\"model.gguf\")".to_owned();
    let mut tokens = input.into_iter();
    let (Some(TokenTree::Literal(literal)), None) = (tokens.next(), tokens.next()) else {
        return Err(expected());
    };
    let text = literal.to_string();
    let name = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let name = name.filter(|name| !name.contains('\\')).ok_or_else(expected)?;
    let source = literal.span().local_file().ok_or("the source file is not known")?;
    let source = source.canonicalize().map_err(|e| format!("{}: {e}", source.display()))?;
    Ok(source.with_file_name(name))
}

fn model(path: &Path) -> Result<String, String> {
    let refused = |error: &dyn Display| format!("{}: {error}", path.display());
    let file = MappedFile::open(path).map_err(|e| e.to_string())?;
    let gguf = file.gguf().map_err(|e| e.to_string())?;
    let architecture = gguf.get("general.architecture").and_then(|value| value.as_str());
    let value = match architecture {
        Some("llama") => decoder(&gguf).map_err(|e| refused(&e))?,
        Some("mlp") => perceptron(&gguf).map_err(|e| refused(&e))?,
        found => {
            let found = found.unwrap_or("nothing");
            let expected = "general.architecture: expected \"llama\" or \"mlp\"";
            return Err(refused(&format_args!("{expected}, found {found:?}")));
        }
    };
    Ok(format!(
        "{{
            static BYTES: &::trilane_esp32::Flash<[u8]> =
                &::trilane_esp32::Flash(*::core::include_bytes!({path:?}));
            {value}
        }}"
    ))
}

/// A decoder of the bytes, once it has been checked.
fn decoder(gguf: &Gguf<'_>) -> Result<String, ModelError> {
    let header = Header::read(gguf)?;
    Weights::load(gguf, &mut memory::layers(gguf, &header))?;
    let Header { architecture, vocabulary, dim, hidden, layers, rope_dim, context, .. } = header;
    let [heads, kv_heads, head_dim] =
        [header.attention.heads, header.attention.kv_heads, header.attention.head_dim];
    let sparse_rank = header.sparse_rank;
    let (rope_base, norm_eps, activation) = (header.rope_base, header.norm_eps, header.activation);
    Ok(format!(
        "::trilane_esp32::Model::new(&BYTES.0, ::trilane_esp32::core::model::Header {{
            architecture: ::trilane_esp32::core::model::Architecture::{architecture:?},
            vocabulary: {vocabulary},
            dim: {dim},
            hidden: {hidden},
            activation: ::trilane_esp32::core::nn::Activation::{activation:?},
            layers: {layers},
            attention: ::trilane_esp32::core::nn::Attention {{
                heads: {heads}, kv_heads: {kv_heads}, head_dim: {head_dim},
            }},
            rope_dim: {rope_dim},
            rope_base: {rope_base:?},
            norm_eps: {norm_eps:?},
            context: {context},
            sparse_rank: {sparse_rank:?},
        }})"
    ))
}

/// A perceptron of the bytes, once it has been checked.
fn perceptron(gguf: &Gguf<'_>) -> Result<String, ModelError> {
    let model = Mlp::load(gguf)?;
    let MlpHeader { layers, features, hidden, classes } = model.header();
    Ok(format!(
        "::trilane_esp32::Perceptron::new(&BYTES.0, ::trilane_esp32::core::model::MlpHeader {{
            layers: {layers}, features: {features}, hidden: {hidden}, classes: {classes},
        }})"
    ))
}
