//! Who takes part.

use super::PowerLaw;
use crate::Error;
use candle_core::{Device, Tensor};
use ndarray::{Array1, Array2};
use ruvector_sparse_inference as ruvector;
use ruvector_sparse_inference::predictor::Predictor as _;
use trilane_core::nn::{Activation, SparsityConfig};
use trilane_std::sparse::{Evaluation, FfnWeights, Method, SparseInferenceEngine};

/// Samples that trilane is calibrated with.
const SAMPLES: usize = 1000;

/// A layer, loaded in the form its library keeps it.
pub trait Ffn {
    /// Library and method.
    fn name(&self) -> String;

    /// The answer to an input, the prediction included where there is one.
    ///
    /// # Errors
    ///
    /// Whatever the library reports.
    fn infer(&self, x: &[f32]) -> Result<Vec<f32>, Error>;

    /// The neurons that it computes for an input; `None` for all.
    ///
    /// # Errors
    ///
    /// Whatever the library reports.
    fn chosen(&self, _x: &[f32]) -> Result<Option<Vec<usize>>, Error> {
        Ok(None)
    }

    /// The largest accepted relative error against the sum over the neurons it computes.
    fn tolerance(&self) -> f64 {
        1e-5
    }

    /// Share of the neurons that are computed and share of the active ones among them, where the
    /// library itself measures it.
    fn evaluation(&self) -> Option<Evaluation> {
        None
    }
}

/// Everyone, loaded with `layer`, of whose neurons `active` (a share) are active. The first is the
/// dense layer in floats, the second the published engine.
///
/// # Errors
///
/// When a library refuses the layer.
pub fn all(layer: &PowerLaw, active: f64) -> Result<Vec<Box<dyn Ffn>>, Error> {
    let mut all: Vec<Box<dyn Ffn>> = vec![
        Box::new(Dense::new(layer)?),
        Box::new(Published::new(layer, Some(active))?),
        Box::new(Published::new(layer, None)?),
    ];
    let mut engine = Trilane::engine(layer)?;
    let calibration = engine.calibrate(&layer.inputs(SAMPLES, 7))?;
    let fresh = layer.inputs(100, 8);
    eprintln!("calibrated: {calibration:?}");
    engine.set_config(SparsityConfig::with_target_sparsity(0.8)?);
    for (Evaluation { method, .. }, _) in &calibration.methods {
        eprintln!("a fifth of the neurons: {:?}", engine.evaluate(*method, &fresh)?);
    }
    engine.set_config(SparsityConfig::with_threshold(0.0)?);
    let engine = std::rc::Rc::new(std::cell::RefCell::new(engine));
    for (Evaluation { method, .. }, _) in calibration.methods {
        let evaluation = engine.borrow().evaluate(method, &fresh)?;
        let chosen = method == calibration.method;
        all.push(Box::new(Trilane { engine: engine.clone(), method, evaluation, chosen }));
    }
    Ok(all)
}

/// candle's f32 layer: `relu(x·W1ᵀ + b1)·W2ᵀ`.
struct Dense {
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
}

impl Dense {
    fn new(layer: &PowerLaw) -> Result<Self, Error> {
        let [inputs, hidden, outputs] = layer.shape;
        let tensor =
            |values: &[f32], shape: (usize, usize)| Tensor::from_slice(values, shape, &Device::Cpu);
        Ok(Self {
            w1: tensor(&layer.w1, (hidden, inputs))?,
            b1: tensor(&layer.b1, (1, hidden))?,
            w2: tensor(&layer.w2, (outputs, hidden))?,
        })
    }
}

impl Ffn for Dense {
    fn name(&self) -> String {
        "candle, dense f32".into()
    }

    fn infer(&self, x: &[f32]) -> Result<Vec<f32>, Error> {
        let x = Tensor::from_slice(x, (1, x.len()), &Device::Cpu)?;
        let h = (x.matmul(&self.w1.t()?)? + &self.b1)?.relu()?;
        Ok(h.matmul(&self.w2.t()?)?.flatten_all()?.to_vec1()?)
    }
}

/// ruvector-sparse-inference: what its `SparseInferenceEngine::infer` does, with the weights of the
/// layer, which the engine itself cannot be given.
///
/// Its predictor stays as random as the engine's does (rank 128, the engine's; `calibrate` discards
/// what it computes). Without a predictor it is given the neurons that are truly active, for free.
struct Published {
    ffn: ruvector::SparseFfn,
    predictor: Option<ruvector::LowRankPredictor>,
    layer: PowerLaw,
}

impl Published {
    fn new(layer: &PowerLaw, active: Option<f64>) -> Result<Self, Error> {
        let [inputs, hidden, outputs] = layer.shape;
        let w1 = Array2::from_shape_vec((hidden, inputs), layer.w1.clone())?;
        // It transposes the second matrix, keeps the order of memory, and panics unless a neuron's
        // weights are contiguous then: so they have to be now.
        let by_neuron: Vec<f32> =
            (0..hidden).flat_map(|i| layer.w2.iter().skip(i).step_by(hidden).copied()).collect();
        let w2 = Array2::from_shape_vec((hidden, outputs), by_neuron)?.reversed_axes();
        let (b1, b2) = (Array1::from(layer.b1.clone()), Array1::zeros(outputs));
        let relu = ruvector::ActivationType::Relu;
        let predictor = |active: f64| {
            let config = ruvector::SparsityConfig::with_top_k((active * hidden as f64) as usize);
            ruvector::LowRankPredictor::new(inputs, hidden, 128, config)
        };
        Ok(Self {
            ffn: ruvector::SparseFfn::from_weights(w1, w2, b1, b2, relu)?,
            predictor: active.map(predictor).transpose()?,
            layer: layer.clone(),
        })
    }
}

impl Ffn for Published {
    fn name(&self) -> String {
        let predictor = if self.predictor.is_some() { "its predictor" } else { "told which" };
        format!("ruvector, {predictor}")
    }

    fn infer(&self, x: &[f32]) -> Result<Vec<f32>, Error> {
        let chosen = match &self.predictor {
            Some(predictor) => predictor.predict(x)?,
            None => TOLD.with_borrow(Clone::clone),
        };
        Ok(self.ffn.forward_sparse(x, &chosen)?)
    }

    fn chosen(&self, x: &[f32]) -> Result<Option<Vec<usize>>, Error> {
        Ok(Some(match &self.predictor {
            Some(predictor) => predictor.predict(x)?,
            None => {
                let hidden = self.layer.hidden(x);
                let active: Vec<usize> = (0..hidden.len()).filter(|&i| hidden[i] > 0.0).collect();
                TOLD.set(active.clone());
                active
            }
        }))
    }
}

thread_local! {
    /// The active neurons of the input at hand, found outside the measured time.
    static TOLD: std::cell::RefCell<Vec<usize>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// The engine of this project, with one of its methods.
struct Trilane {
    engine: std::rc::Rc<std::cell::RefCell<SparseInferenceEngine>>,
    method: Method,
    evaluation: Evaluation,
    /// Whether the engine has chosen this method as the fastest.
    chosen: bool,
}

impl Trilane {
    fn engine(layer: &PowerLaw) -> Result<SparseInferenceEngine, Error> {
        let weights = FfnWeights {
            shape: layer.shape,
            w1: &layer.w1,
            b1: &layer.b1,
            activation: Activation::Relu,
            w2: &layer.w2,
            b2: &vec![0.0; layer.shape[2]],
        };
        let config = SparsityConfig::with_threshold(0.0)?;
        Ok(SparseInferenceEngine::from_weights(&weights, config)?)
    }
}

impl Ffn for Trilane {
    fn name(&self) -> String {
        format!("trilane Bit7, {}{}", self.method, if self.chosen { " (chosen)" } else { "" })
    }

    fn infer(&self, x: &[f32]) -> Result<Vec<f32>, Error> {
        self.engine.borrow_mut().set_method(self.method);
        Ok(self.engine.borrow().infer(x)?)
    }

    /// Seven bits a weight and eight an activation, and neurons that are missed.
    fn tolerance(&self) -> f64 {
        0.03
    }

    fn evaluation(&self) -> Option<Evaluation> {
        Some(self.evaluation)
    }
}
