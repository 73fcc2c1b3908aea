//! Rotary position embedding.

/// The rotation of one position: `cos θ_i` and `sin θ_i` with `θ_i = position · base^(−2i/d)`
/// (Su et al. 2021), `i = 0 … d/2 − 1`.
#[derive(Debug)]
pub struct Rope<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
}

impl<'a> Rope<'a> {
    /// Fills two tables of d/2 entries for a position. Ordered: `libm`'s `powf`, `cosf`, `sinf`.
    /// The shorter table counts.
    pub fn new(position: usize, base: f32, cos: &'a mut [f32], sin: &'a mut [f32]) -> Self {
        let pairs = cos.len().min(sin.len());
        for (i, (cos, sin)) in cos.iter_mut().zip(sin.iter_mut()).enumerate() {
            let angle = position as f32 * libm::powf(base, -(i as f32) / pairs as f32);
            *cos = libm::cosf(angle);
            *sin = libm::sinf(angle);
        }
        Self { cos, sin }
    }

    /// Rotates the first d values of every head of `head_dim` values: the pair (2i, 2i + 1) by θ_i,
    /// `(a, b) → (a·cos − b·sin, a·sin + b·cos)`. Ordered. As llama.
    pub fn rotate(&self, heads: &mut [f32], head_dim: usize) {
        for head in heads.chunks_mut(head_dim.max(1)) {
            for ((pair, &cos), &sin) in head.chunks_exact_mut(2).zip(self.cos).zip(self.sin) {
                if let [a, b] = pair {
                    (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                }
            }
        }
    }

    /// As [`rotate`](Self::rotate), of the pairs (i, i + d/2). As GPT-NeoX.
    pub fn rotate_halves(&self, heads: &mut [f32], head_dim: usize) {
        let half = self.cos.len().min(self.sin.len());
        for head in heads.chunks_mut(head_dim.max(1)) {
            let Some((first, rest)) = head.split_at_mut_checked(half) else { continue };
            for (((a, b), &cos), &sin) in first.iter_mut().zip(rest).zip(self.cos).zip(self.sin) {
                (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_pairs_that_lie_apart() {
        let (mut c, mut s) = ([0.0; 2], [0.0; 2]);
        let rope = Rope::new(7, 10_000.0, &mut c, &mut s);
        let (mut halves, mut pairs) = ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 3.0, 2.0, 4.0, 5.0]);
        rope.rotate_halves(&mut halves, 5);
        rope.rotate(&mut pairs, 5);
        assert_eq!(halves, [pairs[0], pairs[2], pairs[1], pairs[3], 5.0]);
        // Every head, and none that is cut off.
        let mut heads = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 9.0];
        rope.rotate_halves(&mut heads, 4);
        assert_eq!(heads[..4], halves[..4]);
        assert_eq!(heads[4..], [halves[0], halves[1], halves[2], halves[3], 9.0]);
    }

    #[test]
    fn position_zero_changes_nothing_and_lengths_are_kept() {
        let (mut c, mut s) = ([0.0; 2], [0.0; 2]);
        let mut x = [1.0, 2.0, 3.0, 4.0, 5.0];
        Rope::new(0, 10_000.0, &mut c, &mut s).rotate(&mut x, 5);
        assert_eq!(x, [1.0, 2.0, 3.0, 4.0, 5.0]);
        Rope::new(7, 10_000.0, &mut c, &mut s).rotate(&mut x, 5);
        assert!((x[0] * x[0] + x[1] * x[1] - 5.0).abs() < 1e-5);
        let angle = 7.0f64 * 0.01;
        assert!((f64::from(x[2]) - (3.0 * angle.cos() - 4.0 * angle.sin())).abs() < 1e-5);
        assert_eq!(x[4], 5.0);
    }
}
