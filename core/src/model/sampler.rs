//! Choosing the next token from logits.
//!
//! A [`Sampler`] is a chain, in the order that llama.cpp users know:
//!
//! ```text
//! repetition penalty → top-k → top-p → min-p → temperature → draw
//! ```
//!
//! Everything is Ordered: candidates are sorted by (logit descending, token ascending) and weighed by
//! [`math::exp`](crate::math::exp); weights are then counted in units of 2⁻³², so sums and the draw
//! are integers. So logits with the same bits give the same tokens on every platform.

use core::cmp::Ordering;
use core::fmt;

use crate::math::exp;

/// How a token is chosen. Validated by [`Sampler::new`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplerConfig {
    /// Divides the logits; 0 takes the greatest logit and draws nothing. Finite, ≥ 0.
    pub temperature: f32,
    /// Keeps the k candidates with the greatest logits; 0 keeps all.
    pub top_k: usize,
    /// Keeps the fewest candidates whose probabilities reach this sum; 1 keeps all. 0..=1.
    pub top_p: f32,
    /// Keeps candidates of at least this share of the greatest probability; 0 keeps all. 0..=1.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of recent tokens; 1 changes nothing.
    /// Finite, > 0.
    pub repetition_penalty: f32,
    /// How many of the most recent tokens the penalty looks at; 0 turns it off.
    pub repetition_window: usize,
    /// Start of the random sequence.
    pub seed: u64,
}

impl Default for SamplerConfig {
    /// The defaults of llama.cpp: temperature 0.8, top-k 40, top-p 0.95, min-p 0.05, no penalty
    /// over a window of 64; seed 0.
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repetition_penalty: 1.0,
            repetition_window: 64,
            seed: 0,
        }
    }
}

/// What is wrong with a configuration or with the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SamplerError {
    /// The temperature is negative or not finite.
    Temperature(f32),
    /// Top-p is not in 0..=1.
    TopP(f32),
    /// Min-p is not in 0..=1.
    MinP(f32),
    /// The repetition penalty is not positive and finite.
    RepetitionPenalty(f32),
    /// There are no logits to choose from.
    Empty,
    /// More logits than tokens can be numbered with u32.
    TooMany {
        /// How many logits were given.
        count: usize,
    },
    /// A logit is NaN or +∞.
    Logit {
        /// The token it belongs to.
        token: usize,
    },
    /// All logits are −∞.
    Impossible,
    /// A recent token is outside the vocabulary.
    RecentToken {
        /// The token.
        token: u32,
        /// The number of logits.
        count: usize,
    },
    /// The scratch is shorter than the logits.
    Scratch {
        /// The length it must have.
        expected: usize,
        /// The length it has.
        actual: usize,
    },
}

impl fmt::Display for SamplerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Temperature(v) => write!(f, "temperature {v} is not finite and at least 0"),
            Self::TopP(v) => write!(f, "top-p {v} is not between 0 and 1"),
            Self::MinP(v) => write!(f, "min-p {v} is not between 0 and 1"),
            Self::RepetitionPenalty(v) => {
                write!(f, "repetition penalty {v} is not finite and above 0")
            }
            Self::Empty => write!(f, "there are no logits"),
            Self::TooMany { count } => write!(f, "{count} logits are too many for 32-bit tokens"),
            Self::Logit { token } => write!(f, "the logit of token {token} is NaN or +∞"),
            Self::Impossible => write!(f, "all logits are −∞"),
            Self::RecentToken { token, count } => {
                write!(f, "recent token {token} is outside the vocabulary of {count}")
            }
            Self::Scratch { expected, actual } => {
                write!(f, "scratch holds {actual} candidates, {expected} are needed")
            }
        }
    }
}

impl core::error::Error for SamplerError {}

/// A token that may still be drawn. Scratch of [`Sampler::sample`]; start from the default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Candidate {
    token: u32,
    logit: f32,
    /// Probability up to a common factor.
    weight: f32,
}

impl Candidate {
    /// Greater logits first, then lower tokens.
    fn order(&self, other: &Self) -> Ordering {
        other.logit.total_cmp(&self.logit).then(self.token.cmp(&other.token))
    }
}

/// Chooses tokens by a [`SamplerConfig`] and a counter.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampler {
    config: SamplerConfig,
    draws: u64,
}

impl Sampler {
    /// A sampler at the start of its random sequence.
    ///
    /// # Errors
    /// `Temperature`, `TopP`, `MinP` or `RepetitionPenalty` for the first value out of its range.
    pub fn new(config: SamplerConfig) -> Result<Self, SamplerError> {
        let finite_from = |v: f32, least: f32| v.is_finite() && v >= least;
        if !finite_from(config.temperature, 0.0) {
            return Err(SamplerError::Temperature(config.temperature));
        }
        if !(0.0..=1.0).contains(&config.top_p) {
            return Err(SamplerError::TopP(config.top_p));
        }
        if !(0.0..=1.0).contains(&config.min_p) {
            return Err(SamplerError::MinP(config.min_p));
        }
        if !finite_from(config.repetition_penalty, f32::MIN_POSITIVE) {
            return Err(SamplerError::RepetitionPenalty(config.repetition_penalty));
        }
        Ok(Self { config, draws: 0 })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &SamplerConfig {
        &self.config
    }

    /// How many random numbers were drawn; with the seed this is the whole state.
    #[must_use]
    pub fn draws(&self) -> u64 {
        self.draws
    }

    /// Continues at the given place of the random sequence.
    pub fn seek(&mut self, draws: u64) {
        self.draws = draws;
    }

    /// The next token. Ordered.
    ///
    /// `logits[t]` belongs to token t; finite or −∞, and changed by the repetition penalty.
    /// `recent` are the tokens so far, oldest first. `scratch` needs as many candidates as there
    /// are logits, none when the temperature is 0; its content does not matter.
    ///
    /// 1. Penalty: each distinct token of the window, once: ℓ/penalty if ℓ > 0, else ℓ·penalty.
    /// 2. With temperature 0, the greatest logit wins, the lowest token on ties.
    /// 3. Top-k: the k first candidates by (ℓ descending, token ascending).
    /// 4. Top-p: with p ∝ exp(ℓ − ℓ₀), the shortest prefix of sum ≥ top_p, at least one.
    /// 5. Min-p: those with exp(ℓ − ℓ₀) ≥ min_p.
    /// 6. Temperature: p ∝ exp((ℓ − ℓ₀)/T), and one draw u from 0, 2⁻⁶⁴, …, 1 − 2⁻⁶⁴ takes the
    ///    first candidate whose running sum is above u times the total, rounded down.
    ///
    /// ℓ₀ is the greatest logit; each exponential is cut to a multiple of 2⁻³² before summing.
    ///
    /// Time: O(n) for greedy, else O(n + k·log k), and O(n·log n) without top-k.
    ///
    /// # Errors
    /// `Empty`, `TooMany`, `Logit`, `Impossible`, `RecentToken` or `Scratch`. Nothing is drawn, and
    /// logits are unchanged.
    pub fn sample(
        &mut self,
        logits: &mut [f32],
        recent: &[u32],
        scratch: &mut [Candidate],
    ) -> Result<u32, SamplerError> {
        let window = self.check(logits, recent)?;
        let greedy = self.config.temperature == 0.0;
        let actual = scratch.len();
        let candidates = match scratch.get_mut(..logits.len()) {
            _ if greedy => &mut [],
            Some(candidates) => candidates,
            None => {
                return Err(SamplerError::Scratch { expected: logits.len(), actual });
            }
        };
        self.penalise(logits, window);
        if greedy {
            return Ok(arg_max(logits));
        }
        for (token, (candidate, &logit)) in (0u32..).zip(candidates.iter_mut().zip(&*logits)) {
            *candidate = Candidate {
                token,
                // −0 becomes +0, for the total order to see a tie.
                logit: logit + 0.0,
                weight: 0.0,
            };
        }
        let kept = top_k(candidates, self.config.top_k);
        weigh(kept, 1.0);
        let kept = top_p(kept, self.config.top_p);
        let kept = min_p(kept, self.config.min_p);
        weigh(kept, self.config.temperature);
        let random = random(self.config.seed, self.draws);
        self.draws = self.draws.wrapping_add(1);
        Ok(pick(kept, random))
    }

    /// Checks everything but the scratch; returns the part of `recent` that the penalty sees.
    fn check<'r>(&self, logits: &[f32], recent: &'r [u32]) -> Result<&'r [u32], SamplerError> {
        let count = logits.len();
        if count == 0 {
            return Err(SamplerError::Empty);
        }
        if u32::try_from(count).is_err() {
            return Err(SamplerError::TooMany { count });
        }
        if let Some(token) = logits.iter().position(|&l| l.is_nan() || l == f32::INFINITY) {
            return Err(SamplerError::Logit { token });
        }
        if logits.iter().all(|&l| l == f32::NEG_INFINITY) {
            return Err(SamplerError::Impossible);
        }
        let start = recent.len().saturating_sub(self.config.repetition_window);
        let window = recent.get(start..).unwrap_or_default();
        match window.iter().find(|&&t| t as usize >= count) {
            Some(&token) => Err(SamplerError::RecentToken { token, count }),
            None => Ok(window),
        }
    }

    fn penalise(&self, logits: &mut [f32], window: &[u32]) {
        let penalty = self.config.repetition_penalty;
        if penalty == 1.0 {
            return;
        }
        for (i, token) in window.iter().enumerate() {
            let seen = window.get(..i).is_some_and(|before| before.contains(token));
            if let (false, Some(logit)) = (seen, logits.get_mut(*token as usize)) {
                let changed = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
                if logit.is_finite() {
                    *logit = changed.clamp(f32::MIN, f32::MAX);
                }
            }
        }
    }
}

/// The lowest token of the greatest logit.
fn arg_max(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in (0u32..).zip(logits) {
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best.0
}

/// Sorts the k best to the front and returns them; k = 0 means all.
fn top_k(candidates: &mut [Candidate], k: usize) -> &mut [Candidate] {
    let k = if k == 0 { candidates.len() } else { k.min(candidates.len()) };
    if k < candidates.len() {
        candidates.select_nth_unstable_by(k, Candidate::order);
    }
    let kept = candidates.get_mut(..k).unwrap_or_default();
    kept.sort_unstable_by(Candidate::order);
    kept
}

/// Sets each weight to exp((ℓ − ℓ₀)/T), ℓ₀ the first logit.
fn weigh(sorted: &mut [Candidate], temperature: f32) {
    let Some(&Candidate { logit: greatest, .. }) = sorted.first() else {
        return;
    };
    for candidate in sorted {
        let below = candidate.logit - greatest;
        // 0/T is 0 even for a T so small that the quotient of others overflows to −∞.
        candidate.weight = exp(below / temperature);
    }
}

/// A value in 0..=1 in units of 2⁻³², cut. Sums of fewer than 2³² of them fit u64.
fn units(v: f32) -> u64 {
    (v * 4_294_967_296.0) as u64
}

fn total(sorted: &[Candidate]) -> u64 {
    sorted.iter().map(|c| units(c.weight)).sum()
}

/// `total·fraction / 2^bits`, rounded down.
fn share(total: u64, fraction: u64, bits: u32) -> u64 {
    ((u128::from(total) * u128::from(fraction)) >> bits) as u64
}

fn top_p(sorted: &mut [Candidate], p: f32) -> &mut [Candidate] {
    if p >= 1.0 {
        return sorted;
    }
    let target = share(total(sorted), units(p), 32);
    let mut sum = 0;
    let mut n = 0;
    for candidate in &*sorted {
        sum += units(candidate.weight);
        n += 1;
        if sum >= target {
            break;
        }
    }
    sorted.get_mut(..n).unwrap_or_default()
}

fn min_p(sorted: &mut [Candidate], p: f32) -> &mut [Candidate] {
    let n = sorted.partition_point(|c| c.weight >= p);
    sorted.get_mut(..n).unwrap_or_default()
}

/// The first candidate whose running sum is above random·2⁻⁶⁴ times the total. The first weight is
/// 1, so the total is positive and above every such target.
fn pick(sorted: &[Candidate], random: u64) -> u32 {
    let target = share(total(sorted), random, 64);
    let mut sum = 0;
    let mut token = 0;
    for candidate in sorted {
        token = candidate.token;
        sum += units(candidate.weight);
        if sum > target {
            break;
        }
    }
    token
}

/// Number `counter` of the random sequence of `seed`.
///
/// SplitMix64 (Steele, Lea and Flood 2014) as a function of its counter: the state after
/// counter + 1 steps of the golden gamma, mixed.
fn random(seed: u64, counter: u64) -> u64 {
    let steps = counter.wrapping_add(1);
    let mut z = seed.wrapping_add(steps.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::random;

    /// The published test values of SplitMix64 for the seed 1234567.
    #[test]
    fn random_is_split_mix() {
        let first = [0, 1, 2].map(|counter| random(1_234_567, counter));
        assert_eq!(first, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }
}
