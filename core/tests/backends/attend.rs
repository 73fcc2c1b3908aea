//! `attend`: one attention head over cached tokens.

use crate::{bits, floats};
use trilane_core::kernel::{Backend, Level, Scalar};

/// Where a head lies among the cached tokens.
struct Head {
    dim: usize,
    tokens: usize,
    stride: usize,
}

/// Scores and output of a head, with a guard after each.
fn attend(b: impl Backend, head: &Head, [q, keys, values]: [&[f32]; 3]) -> (Vec<u32>, Vec<u32>) {
    let mut scores = vec![5.0; head.tokens + 1];
    let mut y = vec![5.0; head.dim + 1];
    let (s, out) = (&mut scores[..head.tokens], &mut y[..head.dim]);
    b.attend(q, keys, values, head.stride, 0.125, s, out);
    assert_eq!((scores[head.tokens], y[head.dim]), (5.0, 5.0), "a guard was written");
    (bits(&scores), bits(&y))
}

fn check(level: Level, head: &Head, kind: &str) {
    let cached = head.tokens * head.stride;
    let q = floats::values(kind, head.dim, 1);
    let keys = floats::values(kind, cached, 2);
    let values = floats::values("plain", cached, 3);
    let inputs = [&q[..], &keys, &values];
    let expected = attend(Scalar, head, inputs);
    assert_eq!(attend(level, head, inputs), expected, "{kind}, {} of {}", head.dim, head.tokens);
}

fn every_head_size(level: Level) {
    for dim in (1..=67).chain([80, 96, 127, 128, 129, 256]) {
        for kind in floats::KINDS {
            check(level, &Head { dim, tokens: 9, stride: dim }, kind);
            check(level, &Head { dim, tokens: 5, stride: 3 * dim + 1 }, kind);
        }
    }
}

fn every_number_of_tokens(level: Level) {
    for tokens in (0..=67).chain([255, 256, 257, 1000]) {
        check(level, &Head { dim: 16, tokens, stride: 32 }, "plain");
        check(level, &Head { dim: 7, tokens, stride: 7 }, "wide");
    }
}

/// The last token's key and value may end before a whole stride.
fn a_cache_that_ends_with_the_last_head(level: Level) {
    let head = Head { dim: 12, tokens: 20, stride: 48 };
    let end = 19 * head.stride + head.dim;
    let q = floats::values("plain", head.dim, 1);
    let (keys, values) = (floats::values("plain", end, 2), floats::values("plain", end, 3));
    let inputs = [&q[..], &keys, &values];
    assert_eq!(attend(level, &head, inputs), attend(Scalar, &head, inputs));
}

every_backend!(every_head_size, every_number_of_tokens, a_cache_that_ends_with_the_last_head);
