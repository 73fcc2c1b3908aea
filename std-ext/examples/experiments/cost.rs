//! The time of a prediction.

use crate::Result;
use std::time::Instant;
use trilane_core::train::predict::{DeterministicPredictor, PredictorConfig, TensorMoments};

/// Prints the least time of taking in and of predicting a gradient of so many parameters, on one thread.
pub(crate) fn table(parameters: usize, rounds: u64) -> Result<()> {
    for residual_rate in [0.0, 0.1] {
        let config = PredictorConfig { residual_rate, ..Default::default() };
        let mut tensors = [TensorMoments::new(parameters)];
        let mut state = vec![0.0; DeterministicPredictor::state_len(parameters, &config)];
        let mut predictor = DeterministicPredictor::new(&mut tensors, &mut state, config)?;
        let gradient: Vec<f32> = (0..parameters).map(|i| (i % 1000) as f32 * 1e-3).collect();
        let mut predicted = vec![0.0; parameters];
        let (mut record, mut predict) = (f64::INFINITY, f64::INFINITY);
        for step in 0..rounds {
            let start = Instant::now();
            predictor.record(step, &gradient)?;
            record = record.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            predictor.predict(step + 1, &mut predicted)?;
            predict = predict.min(start.elapsed().as_secs_f64());
        }
        println!(
            "{parameters} parameters, {} bytes of state each, residual rate {residual_rate}: \
             {:.2} ms to take in a gradient, {:.2} ms to predict one",
            4 * state.len() / parameters,
            1e3 * record,
            1e3 * predict
        );
    }
    Ok(())
}
