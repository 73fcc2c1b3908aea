//! Digits of π against known ones, near and far.

use trilane_core::pi::hex_digits;

/// The first 256 hexadecimal digits of π's fraction, as they are known from the initial values of
/// Blowfish (Schneier 1993).
const FIRST: &str = "243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E6C89\
                     452821E638D01377BE5466CF34E90C6CC0AC29B7C97C50DD3F84D5B5B5470917\
                     9216D5D98979FB1BD1310BA698DFB5AC2FFD72DBD01ADFB7B8E1AFED6A267E96\
                     BA7C9045F12C7F9924A19947B3916CF70801F2E2858EFC16636920D871574E69";

#[test]
fn the_first_digits_are_those_known_from_blowfish() {
    let mut checked = 0;
    for position in 0..=FIRST.len() - 16 {
        let expected = u64::from_str_radix(&FIRST[position..position + 16], 16).unwrap();
        assert_eq!(hex_digits(position as u64), Ok(expected), "position {position}");
        checked += 1;
    }
    println!("digits of pi: {checked} positions from 0 on agree, 16 digits each");
}

/// Digits published by Bailey, Borwein and Plouffe (1997), who count the first digit after the point
/// as position 1.
#[test]
fn digits_far_out_are_the_published_ones() {
    let mut known = vec![(1_000_000, 0x26_C65E_52CB_4593)];
    if super::full() {
        known.push((10_000_000, 0x17_AF58_63EF_ED8D));
    }
    for (position, expected) in known {
        let start = std::time::Instant::now();
        let digits = hex_digits(position - 1).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        println!("digits of pi: from the {position}th on {digits:016X}, in {seconds:.2} s");
        assert_eq!(digits >> 8, expected, "{position}: {digits:016X}");
    }
}

/// `⌊2³²ⁿ·(π − 3)⌋` as n words, the highest first, by another formula (Machin 1706): π/4 =
/// 4·arctan(1/5) − arctan(1/239).
fn machin(n: usize) -> Vec<u32> {
    // A word for the integer part, and two that absorb what the divisions cut off.
    let mut pi = vec![0u32; n + 3];
    for (factor, x, plus) in [(16, 5, true), (4, 239, false)] {
        let mut power = vec![0u32; n + 3];
        power[0] = factor;
        divide(&mut power, x);
        for (i, odd) in (1..).step_by(2).enumerate() {
            let mut term = power.clone();
            divide(&mut term, odd);
            if term.iter().all(|&word| word == 0) {
                break;
            }
            accumulate(&mut pi, &term, (i % 2 == 0) == plus);
            divide(&mut power, x * x);
        }
    }
    assert_eq!(pi[0], 3);
    pi[1..=n].to_vec()
}

fn divide(words: &mut [u32], divisor: u32) {
    let mut remainder = 0;
    for word in words {
        let value = remainder << 32 | u64::from(*word);
        *word = (value / u64::from(divisor)) as u32;
        remainder = value % u64::from(divisor);
    }
}

fn accumulate(sum: &mut [u32], term: &[u32], plus: bool) {
    let mut carry = 0;
    for (sum, &term) in sum.iter_mut().zip(term).rev() {
        let term = if plus { i64::from(term) } else { -i64::from(term) };
        let value = i64::from(*sum) + term + carry;
        *sum = value as u32;
        carry = value >> 32;
    }
}

#[test]
fn digits_are_those_of_another_formula() {
    let words = machin(if super::full() { 2_500 } else { 500 });
    for (i, pair) in words.chunks_exact(2).enumerate() {
        let expected = u64::from(pair[0]) << 32 | u64::from(pair[1]);
        assert_eq!(hex_digits(16 * i as u64), Ok(expected), "position {}", 16 * i);
    }
    println!("digits of pi: the first {} agree with Machin's formula", words.len() * 8);
}

#[test]
fn neighbouring_positions_overlap() {
    for position in [1_000, 65_535, 65_536, 99_990] {
        let (a, b) = (hex_digits(position).unwrap(), hex_digits(position + 4).unwrap());
        assert_eq!(a << 16, b & !0xFFFF, "position {position}");
    }
}
