//! How far the cosines of predictions can be relied on.

/// How much of what was known a new cosine leaves.
const DECAY: f64 = 0.9;

/// The cosines between predictions and the gradients that followed, the older ones fading by 0.9.
///
/// Every gradient counts the same, however long it is: the first ones of a training are the longest and
/// those that lines fit best, and would else vouch for predictions long after. A prediction of zero,
/// which tells nothing, counts as a cosine of 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reliance {
    /// `Σw`.
    w: f64,
    /// `Σw²`.
    ww: f64,
    /// `Σwc`.
    wc: f64,
    /// `Σwc²`.
    wcc: f64,
}

impl Reliance {
    /// The sums after one more cosine.
    pub(super) fn followed_by(&self, cosine: f64) -> Self {
        Self {
            w: DECAY * self.w + 1.0,
            ww: DECAY * DECAY * self.ww + 1.0,
            wc: DECAY * self.wc + cosine,
            wcc: DECAY * self.wcc + cosine * cosine,
        }
    }

    /// The mean less its standard error, within −1..=1; −1 before the second cosine:
    ///
    /// ```text
    /// c̄ = Σwc/Σw,  s² = (Σwc²/Σw − c̄²)·n/(n − 1),  n = (Σw)²/Σw²
    /// c̄ − √(s²/n)
    /// ```
    pub(super) fn bound(&self) -> f64 {
        let freedom = self.w * self.w - self.ww;
        if freedom <= 0.0 {
            return -1.0;
        }
        let mean = self.wc / self.w;
        let spread = (self.wcc / self.w - mean * mean).max(0.0);
        // s²/n = spread/(n − 1)
        (mean - libm::sqrt(spread * self.ww / freedom)).clamp(-1.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the sums over the list, every weight its own power.
    #[test]
    fn the_bound_is_that_of_the_list() {
        let cosines = [0.9, 0.7, 0.2, 0.4, -0.1, 0.3];
        let mut reliance = Reliance::default();
        assert_eq!(reliance.bound(), -1.0);
        for (i, cosine) in cosines.into_iter().enumerate() {
            reliance = reliance.followed_by(cosine);
            let weight = |k: usize| libm::pow(0.9, (i - k) as f64);
            let total = |f: &dyn Fn(usize) -> f64| (0..=i).map(f).sum::<f64>();
            let (w, ww) = (total(&weight), total(&|k| weight(k) * weight(k)));
            let mean = total(&|k| weight(k) * cosines[k]) / w;
            let square = |k: usize| (cosines[k] - mean) * (cosines[k] - mean);
            let n = w * w / ww;
            let variance = total(&|k| weight(k) * square(k)) / w * n / (n - 1.0);
            let expected = if i == 0 { -1.0 } else { mean - libm::sqrt(variance / n) };
            assert!((reliance.bound() - expected).abs() < 1e-12, "{i}: {reliance:?} {expected}");
        }
        let steady = (0..4).fold(Reliance::default(), |r, _| r.followed_by(0.5));
        assert!((steady.bound() - 0.5).abs() < 1e-6, "without spread it is the mean");
        let lowest = [-0.5, -1.0, -1.0].iter().fold(Reliance::default(), |r, c| r.followed_by(*c));
        assert_eq!(lowest.bound(), -1.0);
    }
}
