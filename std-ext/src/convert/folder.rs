//! Models as Hugging Face's libraries save them: a folder of `config.json`, weights in safetensors,
//! and the vocabulary in `tokenizer.json`, `vocab.txt` or `tokenizer.model`.

mod bert;
mod config;
mod error;
mod llama;
mod sentence_piece;
mod tensors;
mod word_piece;

pub use error::FolderError;

use super::source::Source;
use super::{ConvertError, ConvertOptions, TensorReport};
use crate::mapped::MappedFile;
use config::Config;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tensors::Tensors;

/// A folder whose weights are mapped into memory.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    config: Config,
    files: Vec<MappedFile>,
}

impl Folder {
    /// Opens `config.json` and the weights: `model.safetensors`, or the files that
    /// `model.safetensors.index.json` names.
    ///
    /// # Errors
    /// [`FolderError`] with the path.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let config = Config::read(&path.join("config.json"))?;
        let index = path.join("model.safetensors.index.json");
        let names = if index.is_file() {
            let index = Config::read(&index)?;
            let map = index.object("weight_map")?;
            let names: Option<BTreeSet<&str>> = map.values().map(|name| name.as_str()).collect();
            let names = names.ok_or_else(|| index.wrong("weight_map", "names of files"))?;
            names.into_iter().map(String::from).collect()
        } else {
            vec!["model.safetensors".to_owned()]
        };
        let open = |name: &String| Ok(MappedFile::open(&path.join(name))?);
        let files = names.iter().map(open).collect::<Result<_, FolderError>>()?;
        Ok(Self { path: path.into(), config, files })
    }

    /// The most tensors that are converted: those of all files.
    pub fn tensors(&self) -> usize {
        Tensors::new(&self.files).map_or(0, |tensors| tensors.len())
    }

    /// The model as GGUF has it.
    fn source(&self) -> Result<Source<'_>, ConvertError> {
        let tensors = Tensors::new(&self.files).map_err(ConvertError::Folder)?;
        match self.config.text("model_type").map_err(ConvertError::Folder)? {
            "bert" => bert::source(&self.path, &self.config, &tensors),
            "llama" => llama::source(&self.path, &self.config, &tensors),
            _ => {
                let wrong = self.config.wrong("model_type", "\"bert\" or \"llama\"");
                Err(ConvertError::Folder(wrong))
            }
        }
    }
}

/// Converts a folder's model and writes the result to `out`, which appears complete or not at all.
///
/// Vectors become F32; matrices become digit planes, or stay as they are for the lane `Float32`.
/// The embedding tables of an encoder are read at the highest lane stored unless `keep` says
/// otherwise, since a token reads one row of them whatever the lane, and the encoder is centred (see
/// [`Encoder`](trilane_core::model::Encoder)). `progress` is called after
/// each tensor with its report.
///
/// # Errors
/// [`ConvertError`], naming the file, the key or the tensor, what was expected and what was found.
pub fn convert_folder(
    folder: &Folder,
    out: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(&TensorReport),
) -> Result<Vec<TensorReport>, ConvertError> {
    super::write(folder.source()?, out, options, progress)
}
