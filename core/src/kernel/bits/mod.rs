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
/// `not`, `signs`, `full_add`, `all_ones`; and by 64-bit lanes `count_ones`, `plus`, `double` and
/// `total`.
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
            let (count, bits) = count::<SIGNS>(a, b);
            // Each bit adds 1 to the product of its signs.
            count as i64 - bits as i64
        }

        #[target_feature(enable = $features)]
        pub(in crate::kernel) fn trit_distance(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> u64 {
            count::<DIFFERENCES>(a, b).0
        }

        #[target_feature(enable = $features)]
        pub(in crate::kernel) fn trit_nonzeros(a: &TritPlanes<'_>) -> u64 {
            count::<NONZEROS>(a, a).0
        }

        #[target_feature(enable = $features)]
        pub(in crate::kernel) fn trit_gram(
            a: &TritPlanes<'_>,
            b: &TritPlanes<'_>,
        ) -> (i64, u64, u64) {
            let (mut product, mut of_a, mut of_b) = (Count::new(), Count::new(), Count::new());
            let mut dense = 0;
            let bits = for_each(a, b, |planes| {
                let mut products = [[zero(); 2]; 4];
                let (mut a, mut b) = ([zero(); 4], [zero(); 4]);
                let mut both = not(zero());
                for (k, [ap, am, bp, bm]) in planes.into_iter().enumerate() {
                    (a[k], b[k]) = (or(ap, am), or(bp, bm));
                    products[k] = signs(ap, bp, and(a[k], b[k]));
                    both = and(both, and(a[k], b[k]));
                }
                product.add(products);
                // Most vectors are dense: what has no zeros is not counted.
                if all_ones(both) {
                    dense += 64 * TOGETHER as u64;
                } else {
                    of_a.add_two([[a[0], a[1]], [a[2], a[3]]]);
                    of_b.add_two([[b[0], b[1]], [b[2], b[3]]]);
                }
            });
            let product = product.total() as i64 - bits as i64;
            (product, dense + of_a.total_of_twos(), dense + of_b.total_of_twos())
        }

        /// Ones of both streams of bits, and the bits of a plane that were read: some past the end.
        #[target_feature(enable = $features)]
        #[inline]
        fn count<const WHAT: u8>(a: &TritPlanes<'_>, b: &TritPlanes<'_>) -> (u64, u64) {
            let mut count = Count::new();
            let bits = for_each(a, b, |planes| {
                let mut pairs = [[zero(); 2]; 4];
                for (pair, [ap, am, bp, bm]) in pairs.iter_mut().zip(planes) {
                    *pair = streams::<WHAT>(ap, am, bp, bm);
                }
                count.add(pairs);
            });
            (count.total(), bits)
        }

        /// The two streams, from the planes of both vectors.
        #[target_feature(enable = $features)]
        #[inline]
        fn streams<const WHAT: u8>(ap: V, am: V, bp: V, bm: V) -> [V; 2] {
            match WHAT {
                SIGNS => signs(ap, bp, and(or(ap, am), or(bp, bm))),
                DIFFERENCES => [or(xor(ap, bp), xor(am, bm)), zero()],
                _ => [ap, am],
            }
        }

        /// Calls a function with four registers of each plane at a time, zeros past the end; returns
        /// how many bits of a plane it got.
        #[target_feature(enable = $features)]
        #[inline]
        fn for_each(a: &TritPlanes<'_>, b: &TritPlanes<'_>, mut f: impl FnMut([[V; 4]; 4])) -> u64 {
            // Cut to one length, so that ends are looked for once.
            let ap = a.plus();
            let len = ap.len();
            let (Some(am), Some(bp), Some(bm)) =
                (a.minus().get(..len), b.plus().get(..len), b.minus().get(..len))
            else {
                return 0;
            };
            let (ap, ap_rest) = ap.as_chunks::<TOGETHER>();
            let (am, am_rest) = am.as_chunks::<TOGETHER>();
            let (bp, bp_rest) = bp.as_chunks::<TOGETHER>();
            let (bm, bm_rest) = bm.as_chunks::<TOGETHER>();
            for (((ap, am), bp), bm) in ap.iter().zip(am).zip(bp).zip(bm) {
                let mut planes = [[zero(); 4]; 4];
                for (k, planes) in planes.iter_mut().enumerate() {
                    *planes = [part(ap, k), part(am, k), part(bp, k), part(bm, k)];
                }
                f(planes);
            }
            let mut planes = [[zero(); 4]; 4];
            for (k, planes) in planes.iter_mut().enumerate() {
                let a = [load(ap_rest, k), load(am_rest, k)];
                *planes = [a[0], a[1], load(bp_rest, k), load(bm_rest, k)];
            }
            f(planes);
            64 * TOGETHER as u64 * (ap.len() as u64 + 1)
        }

        /// A count of ones: what carried out of an adder, by 64-bit lanes, and what is in it.
        struct Count {
            adder: Adder,
            carried: V,
        }

        impl Count {
            #[target_feature(enable = $features)]
            #[inline]
            fn new() -> Self {
                let adder = Adder { ones: zero(), twos: zero(), fours: zero() };
                Self { adder, carried: zero() }
            }

            /// Adds four pairs of bits; eights are carried.
            #[target_feature(enable = $features)]
            #[inline]
            fn add(&mut self, pairs: [[V; 2]; 4]) {
                self.carried = plus(self.carried, count_ones(self.adder.add(pairs)));
            }

            /// Adds two pairs of bits; fours are carried.
            #[target_feature(enable = $features)]
            #[inline]
            fn add_two(&mut self, pairs: [[V; 2]; 2]) {
                self.carried = plus(self.carried, count_ones(self.adder.add_two(pairs)));
            }

            /// The count, where eights were carried.
            #[target_feature(enable = $features)]
            #[inline]
            fn total(self) -> u64 {
                let carried = plus(double(self.carried), count_ones(self.adder.fours));
                Self { carried, ..self }.total_of_twos()
            }

            /// The count, where fours were carried.
            #[target_feature(enable = $features)]
            #[inline]
            fn total_of_twos(self) -> u64 {
                let sum = plus(double(self.carried), count_ones(self.adder.twos));
                total(plus(double(sum), count_ones(self.adder.ones)))
            }
        }

        /// Register `k` of words that are counted together.
        #[target_feature(enable = $features)]
        #[inline]
        fn part(words: &[u64; TOGETHER], k: usize) -> V {
            words.as_chunks().0.get(k).map_or(zero(), |words| read(words))
        }

        /// Register `k` of the words; zeros past the end.
        #[target_feature(enable = $features)]
        #[inline]
        fn load(words: &[u64], k: usize) -> V {
            let (whole, some) = words.as_chunks();
            match whole.get(k) {
                Some(words) => read(words),
                None if k == whole.len() => read_some(some),
                None => zero(),
            }
        }

        /// Replaces register `k` of the words, those that there are.
        #[target_feature(enable = $features)]
        #[inline]
        fn store(words: &mut [u64], k: usize, v: V) {
            let (whole, some) = words.as_chunks_mut();
            let count = whole.len();
            match whole.get_mut(k) {
                Some(words) => write(words, v),
                None if k == count => write_some(some, v),
                None => {}
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
                let (a, b) = (self.add_two([a, b]), self.add_two([c, d]));
                let (fours, eights) = full_add(self.fours, a, b);
                self.fours = fours;
                eights
            }

            /// Adds two pairs of bits; returns what carries into the fours.
            #[target_feature(enable = $features)]
            #[inline]
            fn add_two(&mut self, [a, b]: [[V; 2]; 2]) -> V {
                let (ones, a) = full_add(self.ones, a[0], a[1]);
                let (ones, b) = full_add(ones, b[0], b[1]);
                let (twos, fours) = full_add(self.twos, a, b);
                *self = Self { ones, twos, fours: self.fours };
                fours
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
                for k in 0..words.div_ceil(WORDS) {
                    let mut pairs = [[zero(); 2]; 4];
                    for (pair, v) in pairs.iter_mut().zip(four) {
                        *pair = [load(v.plus(), k), not(load(v.minus(), k))];
                    }
                    let mut sums = [zero(); 3];
                    for (sum, plane) in sums.iter_mut().zip(low.chunks_exact(words)) {
                        *sum = load(plane, k);
                    }
                    let mut adder = Adder { ones: sums[0], twos: sums[1], fours: sums[2] };
                    let mut carry = adder.add(pairs);
                    sums = [adder.ones, adder.twos, adder.fours];
                    for (sum, plane) in sums.into_iter().zip(low.chunks_exact_mut(words)) {
                        store(plane, k, sum);
                    }
                    for plane in high.chunks_exact_mut(words) {
                        let bits = load(plane, k);
                        store(plane, k, xor(bits, carry));
                        carry = and(bits, carry);
                    }
                }
            }
        }
    };
}
#[allow(unused_imports, reason = "not every architecture has vector kernels")]
use kernels;
