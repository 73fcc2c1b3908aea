//! Texts that go on: streamed, stopped, in turns and several at a time, on a model of this
//! repository.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::ops::ControlFlow;
use trilane_core::gguf::Gguf;
use trilane_core::kernel::{Level, Serial};
use trilane_core::lane::PrecisionLane;
use trilane_core::model::sampler::{SamplerConfig, SamplerError};
use trilane_core::model::{Decoder, Header, Layer, Line, Weights};
use trilane_std::generation::{
    Chat, Completion, End, Generation, GenerationConfig, GenerationError, ModelRunner, Outcome,
    Step, generate_batch,
};
use trilane_std::text::{self, Text};
use trilane_std::{level, memory};

static MODEL: &[u8] = include_bytes!("../../models/shakespeare.gguf");

/// The model in memory, at the address that its floats need.
fn with_model<R>(each: impl FnOnce(Text<'_>, Weights<'_, '_>) -> R) -> R {
    let mut lines = vec![Line::ZERO; MODEL.len().div_ceil(64)];
    bytemuck::cast_slice_mut(&mut lines)[..MODEL.len()].copy_from_slice(MODEL);
    let gguf = Gguf::parse(bytemuck::cast_slice(&lines)).unwrap();
    let mut layers: Vec<Layer<'_>> = memory::layers(&gguf, &Header::read(&gguf).unwrap());
    let weights = Weights::load(&gguf, &mut layers).unwrap();
    let mut index = text::index(&gguf);
    each(Text::new(&gguf, &mut index).unwrap(), weights)
}

/// A runner with room for that many tokens.
fn with_runner<R>(capacity: usize, each: impl FnOnce(ModelRunner<'_, Level>) -> R) -> R {
    with_model(|text, weights| {
        let mut arena = memory::arena(weights.header(), capacity).unwrap();
        let decoder = Decoder::new(weights, level::detect(), capacity, &mut arena).unwrap();
        each(ModelRunner::new(text, decoder))
    })
}

fn config(max_tokens: usize, seed: u64) -> GenerationConfig {
    let sampler = SamplerConfig { seed, ..SamplerConfig::default() };
    GenerationConfig { max_tokens, sampler, ..GenerationConfig::new(PrecisionLane::Bit5) }
}

/// The text after a prompt, and what it came to.
fn all(
    runner: &mut ModelRunner<'_, Level>,
    prompt: &str,
    config: &GenerationConfig,
) -> (String, Outcome) {
    let mut text = String::new();
    let pieces = runner.generate(&Serial, prompt, config).unwrap();
    let outcome = pieces.stream(&mut |piece| {
        text.push_str(piece);
        ControlFlow::Continue(())
    });
    (text, outcome.unwrap())
}

/// The text after a prompt, from an empty cache.
fn scratch(prompt: &str, config: &GenerationConfig) -> (String, Outcome) {
    with_runner(256, |mut runner| all(&mut runner, prompt, config))
}

#[test]
fn steps_pieces_and_calls_give_one_text() {
    let config = config(40, 3);
    let (text, outcome) = scratch("JULIET:\n", &config);
    assert!(text.len() > 40 && outcome.end == Some(End::Limit) && outcome.generated == 40);
    let pieces = with_runner(256, |mut runner| {
        let pieces = runner.generate(&Serial, "JULIET:\n", &config).unwrap();
        pieces.collect::<Result<Vec<_>, _>>().unwrap()
    });
    assert!(pieces.len() > 10 && pieces.iter().all(|piece| !piece.is_empty()));
    assert_eq!(pieces.concat(), text);
    let steps = with_model(|words, weights| {
        let mut arena = memory::arena(weights.header(), 256).unwrap();
        let mut decoder = Decoder::new(weights, level::detect(), 256, &mut arena).unwrap();
        let tokens = words.encode("JULIET:\n").unwrap();
        let mut generation = Generation::new(words, tokens, false, &config).unwrap();
        let mut steps = String::new();
        loop {
            match generation.step(&mut decoder, &Serial).unwrap() {
                Step::Prompt => {}
                Step::Piece(piece) => steps.push_str(piece),
                Step::End(_, rest) => return steps + rest,
            }
        }
    });
    assert_eq!(steps, text);
}

#[test]
fn a_stop_string_ends_the_text_where_it_begins() {
    let free = config(60, 3);
    let (text, _) = scratch("JULIET:\n", &free);
    // Across the pieces' borders, at every place.
    for at in (4..30).filter(|&at| text.is_char_boundary(at) && text.is_char_boundary(at + 4)) {
        let stop = &text[at..at + 4];
        let stopped = GenerationConfig { stop: vec!["\u{1}".into(), stop.into()], ..free.clone() };
        let (found, outcome) = scratch("JULIET:\n", &stopped);
        assert_eq!(found, text[..text.find(stop).unwrap()], "{stop:?}");
        assert_eq!(outcome.end, Some(End::Stop));
        assert!(outcome.generated < 60);
    }
    // A string that never comes changes nothing, whatever it holds back.
    let beginning: String = text.chars().rev().take(3).collect::<Vec<_>>().iter().rev().collect();
    let never = GenerationConfig { stop: vec![beginning + "\u{1}"], ..free };
    let (found, outcome) = scratch("JULIET:\n", &never);
    assert_eq!((found, outcome.end), (text, Some(End::Limit)));
}

#[test]
fn a_stop_token_ends_the_text_and_is_not_shown() {
    let free = config(30, 5);
    let tokens = with_model(|words, weights| {
        let mut arena = memory::arena(weights.header(), 64).unwrap();
        let mut decoder = Decoder::new(weights, level::detect(), 64, &mut arena).unwrap();
        let prompt = words.encode("ROMEO:\n").unwrap();
        let mut generation = Generation::new(words, prompt, false, &free).unwrap();
        while generation.end().is_none() {
            generation.step(&mut decoder, &Serial).unwrap();
        }
        generation.tokens()[generation.prompt_len()..].to_vec()
    });
    let stop = tokens[12];
    let before = tokens.iter().position(|&token| token == stop).unwrap();
    let stopped = GenerationConfig { stop_tokens: vec![stop], ..free };
    let (_, outcome) = scratch("ROMEO:\n", &stopped);
    assert_eq!((outcome.end, outcome.generated), (Some(End::Stop), before));
}

#[test]
fn configurations_out_of_range_have_their_errors() {
    let error = |change: &dyn Fn(&mut GenerationConfig)| {
        let mut config = config(4, 0);
        change(&mut config);
        with_runner(32, |mut runner| runner.generate(&Serial, "a", &config).err().unwrap())
    };
    assert_eq!(
        error(&|c| c.sampler.temperature = -1.0),
        GenerationError::Sampler(SamplerError::Temperature(-1.0))
    );
    let outside = GenerationError::StopToken { token: 512, vocabulary: 512 };
    assert_eq!(error(&|c| c.stop_tokens = vec![511, 512]), outside);
    let empty = GenerationError::EmptyStop { index: 1 };
    assert_eq!(error(&|c| c.stop = vec!["a".into(), String::new()]), empty);
    let long = with_runner(4, |mut runner| {
        runner.generate(&Serial, "one two three", &config(4, 0)).err().unwrap()
    });
    assert!(matches!(long, GenerationError::PromptLength { tokens: 5.., capacity: 4 }), "{long}");
}

/// Every turn is what a new prompt of the whole text gives, for fewer tokens taken.
#[test]
fn turns_take_only_what_the_cache_does_not_hold() {
    let turns = ["JULIET:\n", "\n\nROMEO:\nO, ", "\n\nNURSE:\n", "\n\nJULIET:\nHow "];
    with_runner(256, |runner| {
        let mut chat = Chat::new(runner);
        let (mut taken, mut afresh) = (0, 0);
        for (seed, turn) in (1..).zip(turns) {
            let config = GenerationConfig { stop: vec!["\n\n".into()], ..config(24, seed) };
            let prompt = format!("{}{turn}", chat.transcript());
            let mut text = String::new();
            let outcome = chat.say(&Serial, turn, &config, &mut |piece| {
                text.push_str(piece);
                ControlFlow::Continue(())
            });
            let outcome = outcome.unwrap();
            let (expected, from_scratch) = scratch(&prompt, &config);
            assert_eq!(text, expected);
            assert_eq!(chat.transcript(), format!("{prompt}{text}"));
            assert_eq!(outcome.reused + outcome.forwards, from_scratch.forwards);
            assert_eq!(
                Outcome { reused: 0, forwards: 0, ..outcome },
                Outcome { reused: 0, forwards: 0, ..from_scratch }
            );
            assert_eq!(from_scratch.reused, 0);
            if seed > 1 {
                // All but the end of the text before, whose tokens the next ones may change.
                assert!(outcome.reused + 4 > outcome.prompt - turn.len(), "{outcome:?}");
            }
            taken += outcome.forwards;
            afresh += from_scratch.forwards;
        }
        assert!(2 * taken < afresh, "{taken} of {afresh}");
    });
}

#[test]
fn another_lane_or_another_text_leaves_nothing_behind() {
    with_runner(256, |mut runner| {
        let five = config(16, 2);
        let three = GenerationConfig { lanes: PrecisionLane::Bit3.into(), ..five.clone() };
        let (first, _) = all(&mut runner, "ROMEO:\n", &five);
        // Never stepped: only the lane was asked for.
        drop(runner.generate(&Serial, "ROMEO:\n", &three).unwrap());
        let (text, outcome) = all(&mut runner, "ROMEO:\n", &three);
        assert_eq!((&text, outcome.reused), (&scratch("ROMEO:\n", &three).0, 0));
        let (text, outcome) = all(&mut runner, "ROMEO:\n", &five);
        assert_eq!((&text, outcome.reused), (&first, 0));
        // The same prompt again: all but its last token.
        let (text, outcome) = all(&mut runner, "ROMEO:\n", &five);
        assert_eq!((&text, outcome.reused), (&first, outcome.prompt - 1));
        let (text, outcome) = all(&mut runner, "zounds", &five);
        assert_eq!(text, scratch("zounds", &five).0);
        assert!(outcome.reused < outcome.prompt - 1);
    });
}

#[test]
fn a_turn_broken_off_is_part_of_the_text() {
    with_runner(256, |runner| {
        let mut chat = Chat::new(runner);
        let config = config(30, 9);
        let outcome =
            chat.say(&Serial, "JULIET:\n", &config, &mut |_| ControlFlow::Break(())).unwrap();
        assert_eq!((outcome.end, outcome.generated), (None, 1));
        let prompt = format!("{}!\n", chat.transcript());
        let mut text = String::new();
        let outcome = chat.say(&Serial, "!\n", &config, &mut |piece| {
            text.push_str(piece);
            ControlFlow::Continue(())
        });
        assert!(outcome.unwrap().reused > 0);
        assert_eq!(text, scratch(&prompt, &config).0);
    });
}

#[test]
fn a_full_cache_refuses_the_turn_and_keeps_the_text() {
    with_runner(24, |runner| {
        let mut chat = Chat::new(runner);
        let config = config(100, 9);
        let outcome = chat.say(&Serial, "JULIET:\n", &config, &mut |_| ControlFlow::Continue(()));
        assert_eq!(outcome.unwrap().end, Some(End::Context));
        let before = chat.transcript().to_owned();
        let refused = chat.say(&Serial, "more ", &config, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(refused, Err(GenerationError::PromptLength { capacity: 24, .. })));
        assert_eq!(chat.transcript(), before);
    });
}

#[test]
fn several_texts_at_a_time_are_those_one_by_one() {
    let configs = [config(12, 1), config(30, 2), config(0, 3), config(20, 4)];
    let prompts = ["JULIET:\n", "ROMEO:\nO, ", "x", "JULIET:\n", ""];
    let bad = GenerationConfig { stop: vec![String::new()], ..config(3, 0) };
    let mut requests: Vec<_> = prompts
        .iter()
        .zip(configs.iter().cycle())
        .map(|(&prompt, config)| (prompt, config))
        .collect();
    requests.insert(2, ("b", &bad));
    let expected: Vec<Result<Completion, GenerationError>> = requests
        .iter()
        .map(|&(prompt, config)| {
            config.validate(512)?;
            let (text, outcome) = scratch(prompt, config);
            let (end, prompt, generated) = (outcome.end, outcome.prompt, outcome.generated);
            Ok(Completion { text, end, prompt, generated })
        })
        .collect();
    with_model(|text, weights| {
        let batch = || generate_batch(&text, &weights, level::detect(), &requests);
        assert_eq!(batch(), expected);
        #[cfg(feature = "parallel")]
        for threads in [1, 2, 5] {
            let threads = trilane_std::threads::Threads::new(threads).unwrap();
            assert_eq!(threads.install(batch), expected, "{threads:?}");
        }
    });
}
