//! Which fault explains a signal that is farther off than rounding can be.

/// What is wrong with a quantised signal: the simplest explanation that fits every value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum DriftFault {
    /// The same value for every original, though those differ by more than a step; or codes that miss
    /// in no simple way, as with a bit that does not switch.
    StuckAt,
    /// Every value is this many steps too high.
    Offset(f32),
    /// Every value is this many times too large.
    Scale(f32),
    /// Values beyond these bounds, in steps, are cut off.
    Saturation {
        /// The least value that comes through.
        least: f32,
        /// The greatest value that comes through.
        greatest: f32,
    },
}

/// What is known of pairs (v, w) in steps: the original and the quantised value. Each explanation is a
/// set of parameters that shrinks pair by pair; a set that is empty is ruled out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    /// Half a step and the tolerance.
    bound: f32,
    /// Pairs farther apart than the bound.
    pub(super) outside: usize,
    original: Interval,
    quantised: Interval,
    /// `w − v` over all pairs.
    error: Interval,
    /// The factors k for which `|k·w − v|` is within the bound for all pairs.
    inverse_gain: Interval,
    /// The `w` of pairs whose original is beyond the bound above it, and below it.
    cut_above: Interval,
    cut_below: Interval,
}

/// `least..=greatest`; empty where the one is above the other.
#[derive(Clone, Copy, Debug)]
struct Interval {
    least: f32,
    greatest: f32,
}

impl Interval {
    const EMPTY: Self = Self { least: f32::INFINITY, greatest: f32::NEG_INFINITY };

    fn add(&mut self, v: f32) {
        self.least = self.least.min(v);
        self.greatest = self.greatest.max(v);
    }

    const fn is_empty(&self) -> bool {
        self.least > self.greatest
    }

    const fn width(&self) -> f32 {
        self.greatest - self.least
    }

    const fn middle(&self) -> f32 {
        (self.least + self.greatest) / 2.0
    }
}

impl Evidence {
    pub(super) const fn new(bound: f32) -> Self {
        Self {
            bound,
            outside: 0,
            original: Interval::EMPTY,
            quantised: Interval::EMPTY,
            error: Interval::EMPTY,
            inverse_gain: Interval { least: 0.0, greatest: f32::INFINITY },
            cut_above: Interval::EMPTY,
            cut_below: Interval::EMPTY,
        }
    }

    pub(super) fn add(&mut self, v: f32, w: f32) {
        let error = w - v;
        self.original.add(v);
        self.quantised.add(w);
        self.error.add(error);
        // |k·w − v| ≤ bound bounds k by (v ± bound)/w; with w = 0 it holds for every k or for none.
        let (a, b) = ((v - self.bound) / w, (v + self.bound) / w);
        if w != 0.0 {
            self.inverse_gain.least = self.inverse_gain.least.max(a.min(b));
            self.inverse_gain.greatest = self.inverse_gain.greatest.min(a.max(b));
        } else if v.abs() > self.bound {
            self.inverse_gain.greatest = f32::NEG_INFINITY;
        }
        if error < -self.bound {
            self.outside += 1;
            self.cut_above.add(w);
        } else if error > self.bound {
            self.outside += 1;
            self.cut_below.add(w);
        }
    }

    /// The first explanation that fits, from the most special to the least.
    pub(super) fn fault(&self) -> Option<DriftFault> {
        let twice = 2.0 * self.bound;
        if self.outside == 0 {
            return None;
        }
        let noise = twice - 1.0;
        if self.quantised.width() <= noise && self.original.width() > twice + noise {
            return Some(DriftFault::StuckAt);
        }
        if self.error.width() <= twice {
            return Some(DriftFault::Offset(self.error.middle()));
        }
        if !self.inverse_gain.is_empty() && self.inverse_gain.least > 0.0 {
            return Some(DriftFault::Scale(1.0 / self.inverse_gain.middle()));
        }
        // What is cut off comes out as the greatest value of all or as the least, but for noise and for
        // dither, which spreads a code over a step.
        let above =
            self.cut_above.is_empty() || self.cut_above.least >= self.quantised.greatest - twice;
        let below =
            self.cut_below.is_empty() || self.cut_below.greatest <= self.quantised.least + twice;
        if above && below {
            return Some(DriftFault::Saturation {
                least: self.quantised.least,
                greatest: self.quantised.greatest,
            });
        }
        Some(DriftFault::StuckAt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(w: impl Fn(f32) -> f32) -> Option<DriftFault> {
        let mut evidence = Evidence::new(0.5);
        for i in -140..=140 {
            let v = i as f32 / 20.0 + 0.01;
            evidence.add(v, w(v));
        }
        evidence.fault()
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        let round = libm::rintf;
        assert_eq!(fault(round), None);
        assert_eq!(fault(|_| 2.0), Some(DriftFault::StuckAt));
        assert_eq!(fault(|v| (round(v) as i32 | 1) as f32), Some(DriftFault::StuckAt));
        let cut = DriftFault::Saturation { least: -5.0, greatest: 4.0 };
        assert_eq!(fault(|v| round(v).clamp(-5.0, 4.0)), Some(cut));
        match fault(|v| round(v) + 0.75) {
            Some(DriftFault::Offset(steps)) => assert!((steps - 0.75).abs() < 0.1, "{steps}"),
            other => panic!("{other:?}"),
        }
        for gain in [0.8, 1.25] {
            match fault(|v| gain * round(v)) {
                Some(DriftFault::Scale(found)) => assert!((found - gain).abs() < 0.05, "{found}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
