//! The last checks in the order of time.

use heapless::HistoryBuf;

/// Checks that are remembered.
const WINDOW: usize = 32;

/// Checks below which a slope means nothing.
const FEWEST: usize = 8;

/// A window of the ratios of the last [`WINDOW`] checks.
#[derive(Clone, Debug, Default)]
pub(super) struct Trend {
    ratios: HistoryBuf<f32, WINDOW>,
}

impl Trend {
    pub(super) fn add(&mut self, ratio: f32) {
        self.ratios.write(ratio);
    }

    pub(super) fn clear(&mut self) {
        self.ratios = HistoryBuf::new();
    }

    /// The slope of the least-squares line through the ratios, per check, oldest first; `None` before
    /// the eighth. Ordered: sums in f32, in order.
    pub(super) fn slope(&self) -> Option<f32> {
        let n = self.ratios.len();
        if n < FEWEST {
            return None;
        }
        let middle = (n as f32 - 1.0) / 2.0;
        let (mut product, mut square) = (0.0f32, 0.0f32);
        for (i, ratio) in self.ratios.oldest_ordered().enumerate() {
            let t = i as f32 - middle;
            product += t * ratio;
            square += t * t;
        }
        Some(product / square)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_follows_time_also_after_the_window_has_wrapped() {
        let mut trend = Trend::default();
        for i in 0..100 {
            trend.add(1.0 + 0.25 * i as f32);
            match trend.slope() {
                None => assert!(i < 7),
                Some(slope) => assert!((slope - 0.25).abs() < 1e-5, "{slope} after {i}"),
            }
        }
        (0..WINDOW).for_each(|i| trend.add(-0.5 * i as f32));
        assert!(trend.slope().is_some_and(|slope| (slope + 0.5).abs() < 1e-5));
        trend.clear();
        assert_eq!(trend.slope(), None);
    }
}
