//! Tensor types and their block sizes.

use core::fmt;

/// Writes the enum and everything that follows from one row per type.
macro_rules! tensor_types {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $len:literal in $bytes:literal;)+) => {
        /// How a tensor's weights are stored. The discriminant is the number in the file.
        ///
        /// Weights come in blocks of [`block_len`](Self::block_len) along a row, each block taking
        /// [`block_bytes`](Self::block_bytes). Two numbers have a second meaning in some fork:
        /// 39 (`MXFP4`, elsewhere TL2) and 42 (`Q2_0`, elsewhere groups of 128). The other
        /// meanings have other sizes, so a file that uses them fails the check that each tensor
        /// begins where the one before it ends.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        #[allow(non_camel_case_types, reason = "the format's own names")]
        pub enum TensorType {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl TensorType {
            /// Every type there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The type with this number, if there is one.
            pub const fn from_u32(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// The format's own name, such as `Q4_0`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// Weights in a block.
            pub const fn block_len(self) -> usize {
                match self {
                    $(Self::$name => $len,)+
                }
            }

            /// Bytes in a block.
            pub const fn block_bytes(self) -> usize {
                match self {
                    $(Self::$name => $bytes,)+
                }
            }
        }
    };
}

tensor_types! {
    /// IEEE single precision.
    F32 = 0, 1 in 4;
    /// IEEE half precision.
    F16 = 1, 1 in 2;
    /// 4-bit codes and a scale.
    Q4_0 = 2, 32 in 18;
    /// 4-bit codes, a scale and a minimum.
    Q4_1 = 3, 32 in 20;
    /// 5-bit codes and a scale.
    Q5_0 = 6, 32 in 22;
    /// 5-bit codes, a scale and a minimum.
    Q5_1 = 7, 32 in 24;
    /// 8-bit codes and a scale.
    Q8_0 = 8, 32 in 34;
    /// 8-bit codes, a half-precision scale and sum. An intermediate of the other engine, not a
    /// storage type; the Python package still sizes it with two singles.
    Q8_1 = 9, 32 in 36;
    /// 2-bit codes in a super-block.
    Q2_K = 10, 256 in 84;
    /// 3-bit codes in a super-block.
    Q3_K = 11, 256 in 110;
    /// 4-bit codes in a super-block.
    Q4_K = 12, 256 in 144;
    /// 5-bit codes in a super-block.
    Q5_K = 13, 256 in 176;
    /// 6-bit codes in a super-block.
    Q6_K = 14, 256 in 210;
    /// 8-bit codes in a super-block.
    Q8_K = 15, 256 in 292;
    /// Codebook, 2.06 bits a weight.
    IQ2_XXS = 16, 256 in 66;
    /// Codebook, 2.31 bits a weight.
    IQ2_XS = 17, 256 in 74;
    /// Codebook, 3.06 bits a weight.
    IQ3_XXS = 18, 256 in 98;
    /// Codebook, 1.56 bits a weight.
    IQ1_S = 19, 256 in 50;
    /// 4-bit non-linear codes and a scale.
    IQ4_NL = 20, 32 in 18;
    /// Codebook, 3.44 bits a weight.
    IQ3_S = 21, 256 in 110;
    /// Codebook, 2.56 bits a weight.
    IQ2_S = 22, 256 in 82;
    /// 4-bit non-linear codes in a super-block.
    IQ4_XS = 23, 256 in 136;
    /// Signed bytes.
    I8 = 24, 1 in 1;
    /// Signed 16-bit integers.
    I16 = 25, 1 in 2;
    /// Signed 32-bit integers.
    I32 = 26, 1 in 4;
    /// Signed 64-bit integers.
    I64 = 27, 1 in 8;
    /// IEEE double precision.
    F64 = 28, 1 in 8;
    /// Codebook, 1.75 bits a weight.
    IQ1_M = 29, 256 in 56;
    /// The upper half of an IEEE single.
    BF16 = 30, 1 in 2;
    /// Trits, five to a byte.
    TQ1_0 = 34, 256 in 54;
    /// Trits, four to a byte.
    TQ2_0 = 35, 256 in 66;
    /// Trits of the BitNet fork, four to a byte in groups of 128, as in the published files (see
    /// [`blocks::i2_s`](super::blocks::i2_s)): the tensor's one f32 scale and padding follow its
    /// last block, see [`trailer_bytes`](Self::trailer_bytes).
    I2_S = 36, 128 in 32;
    /// 4-bit floats with a shared exponent.
    MXFP4 = 39, 32 in 17;
    /// 4-bit floats with 8-bit float scales.
    NVFP4 = 40, 64 in 36;
    /// Signs and a scale.
    Q1_0 = 41, 128 in 18;
    /// 2-bit codes and a scale.
    Q2_0 = 42, 64 in 18;
}

impl TensorType {
    /// Bytes after the last block of a tensor: 32 for [`I2_S`](Self::I2_S), whose scale for the
    /// whole tensor stands there, otherwise 0.
    pub const fn trailer_bytes(self) -> usize {
        match self {
            Self::I2_S => 32,
            _ => 0,
        }
    }

    /// Whether `number` was once given out but must not be read today: withdrawn layouts (4, 5,
    /// 31 to 33, 37), and 38, which was withdrawn and then reused by a fork.
    pub const fn is_removed(number: u32) -> bool {
        matches!(number, 4 | 5 | 31..=33 | 37 | 38)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_types_correspond() {
        for &kind in TensorType::ALL {
            assert_eq!(TensorType::from_u32(kind as u32), Some(kind));
            assert!(!TensorType::is_removed(kind as u32), "{kind}");
        }
        let known = (0..=u32::from(u16::MAX)).filter(|&n| TensorType::from_u32(n).is_some());
        assert_eq!(known.count(), TensorType::ALL.len());
        let removed = [4, 5, 31, 32, 33, 37, 38];
        assert!((0..100).all(|n| TensorType::is_removed(n) == removed.contains(&n)));
    }

    #[test]
    fn names_are_those_of_the_format() {
        assert_eq!(TensorType::IQ2_XXS.name(), "IQ2_XXS");
        assert_eq!(std::format!("{}", TensorType::Q4_K), "Q4_K");
    }
}
