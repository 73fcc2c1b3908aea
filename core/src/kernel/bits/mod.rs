//! Bit planes of hypervectors: counts and sums of signs.
//!
//! Population counts are what such counts spend their time on, so few are left: full adders first
//! add bits of one weight to bits of twice that weight (Harley and Seal; Muła, Kurz and Lemire
//! 2018). A sum of signs counts upwards only: a sign `s` adds `1 + s`, the bits `plus` and
//! `not minus`, to a counter that is bit-sliced, one plane for each weight:
//!
//! ```text
//! counters   [weight 1: words][weight 2: words][weight 4: words] …
//! ```
//!
//! The bodies are a macro over a dozen register operations, which each instruction set defines.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads take pointers")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector loads take pointers")]
pub(super) mod avx512;
#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code, reason = "vector loads take pointers")]
pub(super) mod neon;
pub(super) mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[allow(unsafe_code, reason = "vector loads take pointers")]
pub(super) mod simd128;

/// The kernels over a register `V` of `WORDS` words. Expects beside it `zero`; `read` and `write` of
/// that many words, `read_some` and `write_some` of fewer, zeros for the others; `and`, `or`, `xor`,
/// `not`, `full_add`; and by 64-bit lanes `count_ones`, `plus`, `double` and `total`.
#[allow(unused_macros, reason = "not every architecture has vector kernels")]
macro_rules! kernels {
    ($features:literal) => {
        use crate::hyper::TritPlanes;

        /// What is counted: signs that agree, and those that do not disagree.
        const SIGNS: u8 = 0;
        /// Positions where the vectors differ.
        const DIFFERENCES: u8 = 1;
        /// Positions of the first vector that are not zero.
        const NONZEROS: u8 = 2;

        /// Words that are counted together.
        const TOGETHER: usize = 4 * WORDS;

        #[target_feature(enable = $features)]
        pub(in crate::kernel) fn trit_dot(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> i64 {
            let (count, words) = count::<SIGNS>(a, b);
            // Each bit adds 1 to the product of its signs.
            count as i64 - 64 * words as i64
        }

        #[target_feature(enable = $features)]
        pub(in crate::kernel) fn trit_distance(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> u64 {
            count::<DIFFERENCES>(a, b).0
        }

        #[target_feature(enable = $features)]
        pub(in crate::kernel) fn trit_nonzeros(a: &TritPlanes<'_>) -> u64 {
            count::<NONZEROS>(a, a).0
        }

        /// Ones of both streams of bits, and the words that were read: some past the end.
        #[target_feature(enable = $features)]
        #[inline]
        fn count<const WHAT: u8>(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> (u64, usize) {
            let (ap, ap_rest) = a.plus().as_chunks::<TOGETHER>();
            let (am, am_rest) = a.minus().as_chunks::<TOGETHER>();
            let (bp, bp_rest) = b.plus().as_chunks::<TOGETHER>();
            let (bm, bm_rest) = b.minus().as_chunks::<TOGETHER>();
            let mut adder = Adder { ones: zero(), twos: zero(), fours: zero() };
            let mut eights = zero();
            for (((ap, am), bp), bm) in ap.iter().zip(am).zip(bp).zip(bm) {
                let mut pairs = [[zero(); 2]; 4];
                for (k, pair) in pairs.iter_mut().enumerate() {
                    *pair = streams::<WHAT>(part(ap, k), part(am, k), part(bp, k), part(bm, k));
                }
                eights = plus(eights, count_ones(adder.add(pairs)));
            }
            let mut pairs = [[zero(); 2]; 4];
            for (k, pair) in pairs.iter_mut().enumerate() {
                let at = k * WORDS;
                let a = (load(ap_rest, at), load(am_rest, at));
                *pair = streams::<WHAT>(a.0, a.1, load(bp_rest, at), load(bm_rest, at));
            }
            eights = plus(eights, count_ones(adder.add(pairs)));
            let sum = plus(double(eights), count_ones(adder.fours));
            let sum = plus(double(sum), count_ones(adder.twos));
            let sum = plus(double(sum), count_ones(adder.ones));
            (total(sum), TOGETHER * (ap.len() + 1))
        }

        /// The two streams, from the planes of both vectors.
        #[target_feature(enable = $features)]
        #[inline]
        fn streams<const WHAT: u8>(ap: V, am: V, bp: V, bm: V) -> [V; 2] {
            match WHAT {
                SIGNS => [or(and(ap, bp), and(am, bm)), not(or(and(ap, bm), and(am, bp)))],
                DIFFERENCES => [or(xor(ap, bp), xor(am, bm)), zero()],
                _ => [ap, am],
            }
        }

        /// Register `k` of words that are counted together.
        #[target_feature(enable = $features)]
        #[inline]
        fn part(words: &[u64; TOGETHER], k: usize) -> V {
            words.as_chunks().0.get(k).map_or(zero(), |words| read(words))
        }

        /// The words from `at` on; zeros past the end.
        #[target_feature(enable = $features)]
        #[inline]
        fn load(words: &[u64], at: usize) -> V {
            let words = words.get(at..).unwrap_or(&[]);
            match words.first_chunk() {
                Some(words) => read(words),
                None => read_some(words),
            }
        }

        /// Replaces the words from `at` on, those that there are.
        #[target_feature(enable = $features)]
        #[inline]
        fn store(words: &mut [u64], at: usize, v: V) {
            let words = words.get_mut(at..).unwrap_or(&mut []);
            match words.first_chunk_mut() {
                Some(words) => write(words, v),
                None => write_some(words, v),
            }
        }

        /// Sums of bits: a plane of each weight.
        struct Adder {
            ones: V,
            twos: V,
            fours: V,
        }

        impl Adder {
            /// Adds four pairs of bits; returns what carries into the eights.
            #[target_feature(enable = $features)]
            #[inline]
            fn add(&mut self, [a, b, c, d]: [[V; 2]; 4]) -> V {
                let (ones, a) = full_add(self.ones, a[0], a[1]);
                let (ones, b) = full_add(ones, b[0], b[1]);
                let (ones, c) = full_add(ones, c[0], c[1]);
                let (ones, d) = full_add(ones, d[0], d[1]);
                let (twos, a) = full_add(self.twos, a, b);
                let (twos, c) = full_add(twos, c, d);
                let (fours, eights) = full_add(self.fours, a, c);
                *self = Self { ones, twos, fours };
                eights
            }
        }

        #[target_feature(enable = $features)]
        pub(in crate::kernel) fn trit_sums(
            vectors: &[TritPlanes<'_>],
            first: usize,
            counters: &mut [u64],
        ) {
            let words = vectors.first().map_or(1, |v| v.plus().len());
            let skipped = first * words;
            let counters = counters.get_mut(skipped..).unwrap_or(&mut []);
            let (low, high) = counters.split_at_mut(counters.len().min(3 * words));
            for four in vectors.chunks(4) {
                for at in (0..words).step_by(WORDS) {
                    let mut pairs = [[zero(); 2]; 4];
                    for (pair, v) in pairs.iter_mut().zip(four) {
                        *pair = [load(v.plus(), at), not(load(v.minus(), at))];
                    }
                    let mut sums = [zero(); 3];
                    for (sum, plane) in sums.iter_mut().zip(low.chunks_exact(words)) {
                        *sum = load(plane, at);
                    }
                    let mut adder = Adder { ones: sums[0], twos: sums[1], fours: sums[2] };
                    let mut carry = adder.add(pairs);
                    sums = [adder.ones, adder.twos, adder.fours];
                    for (sum, plane) in sums.into_iter().zip(low.chunks_exact_mut(words)) {
                        store(plane, at, sum);
                    }
                    for plane in high.chunks_exact_mut(words) {
                        let bits = load(plane, at);
                        store(plane, at, xor(bits, carry));
                        carry = and(bits, carry);
                    }
                }
            }
        }
    };
}
#[allow(unused_imports, reason = "not every architecture has vector kernels")]
use kernels;
