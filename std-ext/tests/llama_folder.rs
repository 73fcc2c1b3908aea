//! From a Hugging Face folder of a llama to logits, against the model's own formulae in double
//! precision, and everything that is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use trilane_core::digits::Group;
use trilane_core::kernel::{Scalar, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::{Decoder, Header, Weights};
use trilane_std::convert::folder::{Folder, FolderError, convert_folder};
use trilane_std::convert::{ConvertError, ConvertOptions};
use trilane_std::mapped::MappedFile;
use trilane_std::{memory, text};

const VOCABULARY: usize = 270;
const DIM: usize = 24;
const HIDDEN: usize = 40;
const LAYERS: usize = 2;
const EPS: f64 = 1e-5;

/// What differs from model to model.
#[derive(Clone, Copy)]
struct Shape {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    theta: f64,
    tied: bool,
}

/// A random model: shape and values of every tensor, rows of queries and keys as its library
/// has them.
struct Model {
    shape: Shape,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Model {
    fn new(shape: Shape) -> Self {
        let (query, kv) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let mut tensors = BTreeMap::new();
        let mut state = 1u32;
        let mut add = |name: String, dims: &[usize]| {
            let next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let unit = (state >> 8) as f32 / 16_777_216.0 - 0.5;
                if dims.len() == 1 { 1.0 + unit } else { unit }
            };
            let values = (0..dims.iter().product()).map(next).collect();
            tensors.insert(format!("{name}.weight"), (dims.to_vec(), values));
        };
        add("model.embed_tokens".into(), &[VOCABULARY, DIM]);
        for layer in 0..LAYERS {
            let mut part = |name: &str, dims: &[usize]| {
                add(format!("model.layers.{layer}.{name}"), dims);
            };
            part("input_layernorm", &[DIM]);
            part("post_attention_layernorm", &[DIM]);
            part("self_attn.q_proj", &[query, DIM]);
            part("self_attn.k_proj", &[kv, DIM]);
            part("self_attn.v_proj", &[kv, DIM]);
            part("self_attn.o_proj", &[DIM, query]);
            part("mlp.gate_proj", &[HIDDEN, DIM]);
            part("mlp.up_proj", &[HIDDEN, DIM]);
            part("mlp.down_proj", &[DIM, HIDDEN]);
        }
        add("model.norm".into(), &[DIM]);
        if !shape.tied {
            add("lm_head".into(), &[VOCABULARY, DIM]);
        }
        Self { shape, tensors }
    }

    fn values(&self, name: &str) -> &[f32] {
        &self.tensors[&format!("{name}.weight")].1
    }

    /// The product with a matrix.
    fn project(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let dot = |w: &[f32]| w.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum();
        self.values(name).chunks(x.len()).map(dot).collect()
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let scale = 1.0 / (mean + EPS).sqrt();
        x.iter().zip(self.values(name)).map(|(x, &w)| x * scale * f64::from(w)).collect()
    }

    /// Rotates value i of a head with value d/2 + i.
    fn rotate(&self, x: &mut [f64], position: usize) {
        let d = self.shape.head_dim;
        for head in x.chunks_mut(d) {
            for i in 0..d / 2 {
                let frequency = self.shape.theta.powf(-2.0 * i as f64 / d as f64);
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                let (a, b) = (head[i], head[d / 2 + i]);
                head[i] = a * cos - b * sin;
                head[d / 2 + i] = b * cos + a * sin;
            }
        }
    }

    /// The logits after the last of the tokens.
    fn logits(&self, tokens: &[u32]) -> Vec<f64> {
        let Shape { heads, kv_heads, head_dim: d, tied, .. } = self.shape;
        let embedding = |&t: &u32| {
            let row = &self.values("model.embed_tokens")[t as usize * DIM..][..DIM];
            row.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>()
        };
        let mut stream: Vec<Vec<f64>> = tokens.iter().map(embedding).collect();
        for layer in 0..LAYERS {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for (position, x) in stream.iter_mut().enumerate() {
                let normed = self.norm(&name("input_layernorm"), x);
                let mut query = self.project(&name("self_attn.q_proj"), &normed);
                let mut key = self.project(&name("self_attn.k_proj"), &normed);
                self.rotate(&mut query, position);
                self.rotate(&mut key, position);
                keys.push(key);
                values.push(self.project(&name("self_attn.v_proj"), &normed));
                let mut attended = vec![0.0; heads * d];
                for head in 0..heads {
                    let shared = head / (heads / kv_heads) * d;
                    let score = |key: &Vec<f64>| -> f64 {
                        let pairs = query[head * d..][..d].iter().zip(&key[shared..][..d]);
                        (pairs.map(|(q, k)| q * k).sum::<f64>() / (d as f64).sqrt()).exp()
                    };
                    let scores: Vec<f64> = keys.iter().map(score).collect();
                    let sum: f64 = scores.iter().sum();
                    for (score, value) in scores.iter().zip(&values) {
                        let to = attended[head * d..][..d].iter_mut();
                        to.zip(&value[shared..][..d]).for_each(|(y, v)| *y += score / sum * v);
                    }
                }
                let delta = self.project(&name("self_attn.o_proj"), &attended);
                x.iter_mut().zip(delta).for_each(|(x, d)| *x += d);
                let normed = self.norm(&name("post_attention_layernorm"), x);
                let gate = self.project(&name("mlp.gate_proj"), &normed);
                let up = self.project(&name("mlp.up_proj"), &normed);
                let pairs = gate.iter().zip(up);
                let hidden: Vec<f64> = pairs.map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
                let delta = self.project(&name("mlp.down_proj"), &hidden);
                x.iter_mut().zip(delta).for_each(|(x, d)| *x += d);
            }
        }
        let last = self.norm("model.norm", stream.last().unwrap());
        self.project(if tied { "model.embed_tokens" } else { "lm_head" }, &last)
    }

    fn config(&self) -> Value {
        let Shape { heads, kv_heads, head_dim, theta, tied } = self.shape;
        json!({
            "model_type": "llama", "hidden_act": "silu", "hidden_size": DIM,
            "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS,
            "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": head_dim,
            "vocab_size": VOCABULARY, "max_position_embeddings": 64, "rms_norm_eps": EPS,
            "rope_theta": theta, "rope_scaling": null, "tie_word_embeddings": tied,
            "attention_bias": false, "mlp_bias": false, "bos_token_id": 1, "eos_token_id": [2, 3],
        })
    }
}

/// A folder of a test's own, removed at its end.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Special tokens, bytes, letters, and two merges.
fn tokenizer() -> Value {
    let mut pieces: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).into();
    pieces.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    pieces.extend(["▁", "a", "b", "c", "ab", "▁ab"].map(String::from));
    let vocab: BTreeMap<&String, usize> = pieces.iter().zip(0..).collect();
    let merges = ["a b", "▁ ab"];
    json!({ "model": { "type": "BPE", "byte_fallback": true, "vocab": vocab, "merges": merges } })
}

impl Temporary {
    /// The model in a folder: in one file, or in one for each of `shards` parts.
    fn with(name: &str, model: &Model, shards: usize) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("llama-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.write("config.json", &model.config());
        folder.write("tokenizer.json", &tokenizer());
        let bytes =
            |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let data: Vec<(&String, &Vec<usize>, Vec<u8>)> =
            model.tensors.iter().map(|(name, (dims, v))| (name, dims, bytes(v))).collect();
        let mut map = BTreeMap::new();
        for shard in 0..shards {
            let file = match shards {
                1 => "model.safetensors".to_owned(),
                _ => format!("model-{}-of-{shards}.safetensors", shard + 1),
            };
            let part = data.iter().skip(shard).step_by(shards);
            let views: Vec<(&String, TensorView<'_>)> = part
                .map(|(name, dims, bytes)| {
                    map.insert((*name).clone(), file.clone());
                    (*name, TensorView::new(Dtype::F32, (*dims).clone(), bytes).unwrap())
                })
                .collect();
            serialize_to_file(views, None, &folder.0.join(file)).unwrap();
        }
        if shards > 1 {
            folder.write("model.safetensors.index.json", &json!({ "weight_map": map }));
        }
        folder
    }

    fn write(&self, file: &str, value: &Value) {
        fs::write(self.0.join(file), value.to_string()).unwrap();
    }

    fn convert(&self) -> Result<PathBuf, ConvertError> {
        let out = self.0.join("out.gguf");
        let lane = PrecisionLane::Float32;
        let options = ConvertOptions { lane, group: Group::G32, keep: vec![] };
        let folder = Folder::open(&self.0).map_err(ConvertError::Folder)?;
        convert_folder(&folder, &out, &options, &mut |_| {}).map(|_| out)
    }

    /// Why the folder is refused; nothing is left behind.
    fn refused(&self) -> FolderError {
        let error = self.convert().unwrap_err();
        assert!(!self.0.join("out.gguf").exists());
        match error {
            ConvertError::Folder(error) => error,
            other => panic!("{other}"),
        }
    }
}

const GROUPED: Shape = Shape { heads: 6, kv_heads: 2, head_dim: 4, theta: 1e4, tied: false };

#[test]
fn logits_are_those_of_the_formulae() {
    for (name, shape, shards) in [
        ("grouped", GROUPED, 3),
        ("one-key", Shape { heads: 2, kv_heads: 1, head_dim: 12, theta: 500.0, tied: true }, 1),
        ("every-key", Shape { kv_heads: 6, ..GROUPED }, 1),
    ] {
        let model = Model::new(shape);
        let folder = Temporary::with(name, &model, shards);
        let file = MappedFile::open(&folder.convert().unwrap()).unwrap();
        let gguf = file.gguf().unwrap();
        let mut layers = memory::layers(&gguf, &Header::read(&gguf).unwrap());
        let weights = Weights::load(&gguf, &mut layers).unwrap();
        let mut arena = memory::arena(weights.header(), 8).unwrap();
        let mut decoder = Decoder::new(weights, Scalar, 8, &mut arena).unwrap();
        let tokens = [1, 264, 262, 7, 269];
        for (i, &token) in tokens.iter().enumerate() {
            let logits = decoder.forward(&Serial, token, PrecisionLane::Float32).unwrap();
            let expected = model.logits(&tokens[..=i]);
            assert_eq!(logits.len(), expected.len());
            let largest = expected.iter().fold(0.0f64, |max, y| max.max(y.abs()));
            for (&y, e) in logits.iter().zip(&expected) {
                assert!((f64::from(y) - e).abs() < 1e-5 * largest, "{name} {i}: {y}, {e}");
            }
        }
        let mut index = text::index(&gguf);
        let text = text::Text::new(&gguf, &mut index).unwrap();
        // Merges in their order, and a letter outside of the vocabulary as its bytes.
        assert_eq!(text.encode("abcé").unwrap(), [1, 264, 262, 3 + 0xc3, 3 + 0xa9], "{name}");
    }
}

/// The newest configurations have the base of the positions in an object of its own.
#[test]
fn rope_parameters_are_read() {
    let model = Model::new(Shape { theta: 77.0, ..GROUPED });
    let folder = Temporary::with("parameters", &model, 1);
    let base = |folder: &Temporary| {
        let file = MappedFile::open(&folder.convert().unwrap()).unwrap();
        file.gguf().unwrap().get("llama.rope.freq_base").unwrap().as_f32()
    };
    assert_eq!(base(&folder), Some(77.0));
    let mut config = model.config();
    config["rope_theta"] = Value::Null;
    config["rope_parameters"] = json!({ "rope_type": "default", "rope_theta": 77.0 });
    config["rope_scaling"] = json!({ "rope_type": "default" });
    folder.write("config.json", &config);
    assert_eq!(base(&folder), Some(77.0));
}

#[test]
fn wrong_configurations_are_refused() {
    let model = Model::new(GROUPED);
    let folder = Temporary::with("config", &model, 1);
    for (key, value) in [
        ("model_type", json!("gpt2")),
        ("hidden_act", json!("gelu")),
        ("attention_bias", json!(true)),
        ("num_key_value_heads", json!(4)),
        ("head_dim", json!(5)),
        ("head_dim", Value::Null),
        ("rope_scaling", json!({ "type": "linear", "factor": 2.0 })),
        ("rope_scaling", json!({ "rope_type": "llama3", "factor": 8.0 })),
        ("rope_parameters", json!({ "rope_type": "yarn", "rope_theta": 1e4 })),
        ("rope_theta", json!("large")),
        ("vocab_size", json!(0)),
    ] {
        let mut config = model.config();
        // Heads that do not divide the model's width have to say how wide they are.
        if key == "head_dim" && value.is_null() {
            config["num_attention_heads"] = json!(5);
            config["num_key_value_heads"] = json!(5);
        }
        config[key] = value.clone();
        folder.write("config.json", &config);
        let error = folder.refused();
        let FolderError::Value { path, key: of, .. } = &error else { panic!("{key}: {error}") };
        assert_eq!(path.file_name().unwrap(), "config.json");
        assert!(of.starts_with(key) || value.is_null(), "{key}: {error}");
    }
    let mut config = model.config();
    config.as_object_mut().unwrap().remove("hidden_size");
    folder.write("config.json", &config);
    assert!(
        matches!(folder.refused(), FolderError::MissingKey { key, .. } if key == "hidden_size")
    );
}

#[test]
fn wrong_vocabularies_are_refused() {
    let folder = Temporary::with("vocabulary", &Model::new(GROUPED), 1);
    for (pointer, value) in [
        ("/model/type", json!("Unigram")),
        ("/model/byte_fallback", json!(false)),
        ("/model/merges", json!([1])),
        ("/model/vocab", json!({ "a": 7 })),
    ] {
        let mut wrong = tokenizer();
        *wrong.pointer_mut(pointer).unwrap() = value;
        folder.write("tokenizer.json", &wrong);
        let error = folder.refused();
        let FolderError::Value { path, key, .. } = &error else { panic!("{pointer}: {error}") };
        assert_eq!(path.file_name().unwrap(), "tokenizer.json");
        assert_eq!(format!("/{}", key.replace('.', "/")), pointer);
    }
    fs::remove_file(folder.0.join("tokenizer.json")).unwrap();
    let error = folder.refused();
    assert!(matches!(&error, FolderError::Io { path, .. } if path.ends_with("tokenizer.json")));
}

#[test]
fn wrong_weights_are_refused() {
    let mut model = Model::new(GROUPED);
    let folder = Temporary::with("shards", &model, 3);
    fs::remove_file(folder.0.join("model-2-of-3.safetensors")).unwrap();
    let error = folder.refused();
    let FolderError::Io { path, .. } = &error else { panic!("{error}") };
    assert!(path.ends_with("model-2-of-3.safetensors"));
    fs::write(path, b"no tensors").unwrap();
    let error = folder.refused();
    assert!(
        matches!(&error, FolderError::Format { path, .. } if path.ends_with("model-2-of-3.safetensors"))
    );

    let name = "model.layers.1.self_attn.k_proj.weight";
    model.tensors.get_mut(name).unwrap().0 = vec![DIM, 8];
    let folder = Temporary::with("shape", &model, 1);
    match folder.refused() {
        FolderError::TensorShape { name: of, expected, found } => {
            assert_eq!((&*of, &*expected, &*found), (name, &[8, DIM][..], &[DIM, 8][..]));
        }
        error => panic!("{error}"),
    }
    model.tensors.remove(name);
    let folder = Temporary::with("missing", &model, 1);
    assert!(matches!(folder.refused(), FolderError::MissingTensor { name: of } if of == name));
    fs::remove_file(folder.0.join("model.safetensors")).unwrap();
    assert!(matches!(folder.refused(), FolderError::Io { .. }));
}
