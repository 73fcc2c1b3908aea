//! A lane for each layer, and lanes that a policy chooses.

use crate::file::{File, LAYERS};
use crate::planes::{Digits, digit_file};
use crate::{PROMPT, levels, with_decoder, with_weights};
use trilane::core::digits::Group;
use trilane::core::error::ShapeError;
use trilane::core::kernel::{Backend, Isa, Scalar, Serial};
use trilane::core::lane::PrecisionLane::{self, Bit3, Bit5, Bit7};
use trilane::core::lane::{GraduationConfig, Lanes, LayerTelemetry};
use trilane::core::model::{
    AutoError, AutoLanes, AutoLayer, AutoMemory, Decoder, Line, ModelError, TensorName,
};

fn model() -> File {
    digit_file(3, Digits::Nested(3), Group::G32)
}

/// Logits of the prompt's tokens at the lanes that `lanes` gives for each.
fn logits<'l>(file: &File, lanes: impl Fn(usize) -> Lanes<'l>) -> Vec<Vec<u32>> {
    with_decoder(file, Scalar, PROMPT.len(), |decoder| {
        let token = |(i, &token)| {
            let logits = decoder.forward(&Serial, token, lanes(i)).unwrap();
            logits.iter().map(|v| v.to_bits()).collect()
        };
        PROMPT.iter().enumerate().map(token).collect()
    })
}

#[test]
fn one_lane_in_every_layer_is_that_lane() {
    let file = model();
    for lane in PrecisionLane::NESTED {
        let each = [lane; LAYERS + 1];
        assert_eq!(logits(&file, |_| Lanes::Each(&each)), logits(&file, |_| lane.into()));
    }
}

#[test]
fn every_layer_has_its_own_lane_and_the_cache_stays() {
    let file = model();
    let low = logits(&file, |_| Bit3.into());
    for layer in 0..=LAYERS {
        let mut each = [Bit3; LAYERS + 1];
        each[layer] = Bit7;
        assert_ne!(logits(&file, |_| Lanes::Each(&each))[0], low[0], "layer {layer}");
    }
    // The first token's keys and values are those of its own lane.
    let switched = logits(&file, |i| if i == 0 { Bit7.into() } else { Bit3.into() });
    assert_eq!(switched[0], logits(&file, |_| Bit7.into())[0]);
    assert_ne!(switched[1], low[1]);
}

#[test]
fn lanes_that_do_not_fit_change_nothing() {
    let file = model();
    with_decoder(&file, Scalar, 2, |decoder| {
        let refused = |decoder: &mut Decoder<'_, '_, _>, lanes: Lanes<'_>| {
            decoder.forward(&Serial, 1, lanes).map(|_| ()).unwrap_err()
        };
        let length = ShapeError::Length { expected: LAYERS + 1, actual: LAYERS };
        assert_eq!(refused(decoder, Lanes::Each(&[Bit5; LAYERS])), length.into());
        let lanes = [Bit5, PrecisionLane::Float32, Bit5];
        let name = TensorName { layer: None, part: "token_embd" };
        let lane = ModelError::Lane { name, lane: PrecisionLane::Float32 };
        assert_eq!(refused(decoder, Lanes::Each(&lanes)), lane);
        assert_eq!(refused(decoder, Lanes::Auto), ModelError::NoPolicy);
        assert_eq!(decoder.position(), 0);
    });
}

/// Logits and lanes of the prompt, twice over, as the policy decides.
fn auto(file: &File, backend: impl Backend, budget: f32) -> Vec<(Vec<u32>, Vec<PrecisionLane>)> {
    with_weights(file, |weights| {
        let weights = weights.unwrap();
        let tokens = PROMPT.iter().cycle().take(4 * PROMPT.len());
        let capacity = tokens.clone().count();
        let mut arena = vec![Line::ZERO; weights.header().arena_lines(capacity).unwrap()];
        let mut layers = [AutoLayer::default(); LAYERS + 1];
        let mut lanes = [Bit7; LAYERS + 1];
        let mut telemetry = [LayerTelemetry::default(); LAYERS + 1];
        let memory =
            AutoMemory { layers: &mut layers, lanes: &mut lanes, telemetry: &mut telemetry };
        let config = GraduationConfig { escalation_budget: budget, ..Default::default() };
        let auto = AutoLanes::new(&weights, backend, config, memory).unwrap();
        let (low, high) = auto.range();
        let decoder = Decoder::new(weights, backend, capacity, &mut arena).unwrap();
        let mut decoder = decoder.with_auto(auto);
        let mut steps = Vec::new();
        for (i, &token) in tokens.enumerate() {
            let logits = decoder.forward(&Serial, token, Lanes::Auto).unwrap();
            let logits: Vec<u32> = logits.iter().map(|v| v.to_bits()).collect();
            let auto = decoder.auto().unwrap();
            // The budget holds after every token.
            let limit = low as f64 + f64::from(budget) * (high - low) as f64;
            let telemetry = auto.telemetry();
            assert_eq!(telemetry.tokens(), i as u64 + 1);
            assert!(telemetry.bits() as f64 <= 8.0 * limit * telemetry.tokens() as f64);
            let bytes = |(l, &lane)| weights.layer_bytes(l, lane).unwrap();
            let read: usize = auto.lanes().iter().enumerate().map(bytes).sum();
            assert!((low..=high).contains(&(read as u64)));
            steps.push((logits, auto.lanes().to_vec()));
        }
        // A token that is refused leaves no trace, and an empty decoder begins anew.
        decoder.forward(&Serial, u32::MAX, Lanes::Auto).unwrap_err();
        decoder.truncate(0);
        for (&token, (expected, lanes)) in PROMPT.iter().zip(&steps) {
            let logits = decoder.forward(&Serial, token, Lanes::Auto).unwrap();
            assert!(logits.iter().map(|v| v.to_bits()).eq(expected.iter().copied()));
            assert_eq!(decoder.auto().unwrap().lanes(), lanes);
        }
        steps
    })
}

#[test]
fn a_policy_keeps_its_budget_and_gives_the_same_bits_everywhere() {
    let file = model();
    for budget in [0.0, 0.1, 0.35, 0.5, 0.7, 1.0] {
        let expected = auto(&file, Scalar, budget);
        for level in Isa::ALL.into_iter().filter_map(levels::level) {
            assert_eq!(auto(&file, level, budget), expected, "{budget} on {level}");
        }
        let all = |lane| expected.iter().all(|(_, lanes)| lanes.iter().all(|&l| l == lane));
        assert_eq!(all(Bit3), budget == 0.0);
        assert_eq!(all(Bit7), budget == 1.0);
        // The first layers come first.
        let (_, lanes) = expected.last().unwrap();
        assert!(lanes[0] >= lanes[LAYERS - 1]);
    }
}

#[test]
fn a_policy_needs_nested_lanes_and_memory_for_every_layer() {
    let refused = |file: &File, len: usize| {
        with_weights(file, |weights| {
            let mut layers = vec![AutoLayer::default(); len];
            let mut lanes = vec![Bit7; len];
            let mut telemetry = vec![LayerTelemetry::default(); len];
            let memory =
                AutoMemory { layers: &mut layers, lanes: &mut lanes, telemetry: &mut telemetry };
            AutoLanes::new(&weights.unwrap(), Scalar, GraduationConfig::default(), memory).err()
        })
    };
    let (expected, actual) = (LAYERS + 1, LAYERS);
    let memory = ModelError::Memory { what: "layers' lanes", expected, actual };
    assert_eq!(refused(&model(), LAYERS), Some(AutoError::Model(memory)));
    let ternary = digit_file(3, Digits::Ternary, Group::G32);
    let lane = refused(&ternary, LAYERS + 1);
    assert!(matches!(lane, Some(AutoError::Model(ModelError::Lane { .. }))), "{lane:?}");
}
