// Matrices in digit planes; the layout is drawn in trilane-core's `digits`.
#pragma once
#include "activations.cuh"

// What is read of a nested weight: the high bit and the first digit, the second, the third.
// Ternary weights are one digit plane of another layout.
constexpr int TERNARY = 0, FIRST = 1, SECOND = 2, THIRD = 4;
constexpr int BIT3 = FIRST, BIT5 = FIRST | SECOND, BIT7 = FIRST | SECOND | THIRD;

struct Planes {
    const u8 *high;
    const u8 *digits[3];
    const u8 *group_scales;
    const float *row_scales;
    int rows;
    int cols;
    // What is taken off the steps of a code.
    int zero;

    __device__ int units() const { return (cols + 63) / 64; }
};

// Half steps that a code counts.
template <int LANE>
constexpr int STEP = LANE == TERNARY ? 1 : 2;

// Four bits as bit 6 of four bytes.
__device__ inline u32 spread(u32 nibble) { return (nibble * 0x08102040u) & 0x40404040u; }

// The codes of weights 16p + 4k … 16p + 4k + 3 of a unit, from word k of each of its digits, those
// that are not read zero, and their four high bits.
template <int LANE>
__device__ inline u32 codes_of(u32 d0, u32 d1, u32 d2, u32 high, int p) {
    if (LANE == TERNARY) return d0 >> (2 * p) & 0x03030303u;
    // The masks of position p; positions 2 and 3 are 0 and 1 with the nibbles swapped.
    u32 code;
    switch (p) {
    case 0: code = (d0 & 0x30303030u) | (d1 & 0x0C0C0C0Cu) | (d2 & 0x03030303u); break;
    case 1: code = (d0 & 0xC0C0C0C0u) | (d1 & 0x30303030u) | (d2 & 0x0C0C0C0Cu); break;
    case 2: code = (d0 & 0x03030303u) | (d1 & 0xC0C0C0C0u) | (d2 & 0x30303030u); break;
    default: code = (d0 & 0x0C0C0C0Cu) | (d1 & 0x03030303u) | (d2 & 0xC0C0C0C0u); break;
    }
    if (p >= 2) code = (code >> 4 & 0x0F0F0F0Fu) | (code & 0x0F0F0F0Fu) << 4;
    if (p % 2 == 1) code = code >> 2 & 0x3F3F3F3Fu;
    return LANE & FIRST ? code | spread(high) : code;
}

// Whether a lane reads a tier.
template <int LANE>
__device__ constexpr bool reads(int tier) {
    return LANE == TERNARY ? tier == 0 : LANE >> tier & 1;
}

// The 16 high bits at position p of a unit.
__device__ inline u32 high_bits(const Planes &w, i64 row, int unit, int units, int p) {
    const int s = unit % 4, block = unit - s, n = min(units - block, 4);
    const u8 *mask = w.high + 8 * (row * units + block) + 2 * s;
    return __ldg(reinterpret_cast<const u16 *>(mask + 2 * p * n));
}

// The 64 codes of a unit, the digits that are not read zero: word k of position p holds the codes
// of weights 16p + 4k … 16p + 4k + 3.
template <int LANE>
struct Unit {
    uint4 digits[3];
    u32 high[4];

    __device__ Unit(const Planes &w, i64 row, int unit, int units) {
        const i64 at = 16 * (row * units + unit);
        for (int tier = 0; tier < 3; tier += 1) {
            if (reads<LANE>(tier)) {
                digits[tier] = __ldg(reinterpret_cast<const uint4 *>(w.digits[tier] + at));
            } else {
                digits[tier] = make_uint4(0, 0, 0, 0);
            }
        }
        if (LANE & FIRST) {
            for (int p = 0; p < 4; p += 1) high[p] = high_bits(w, row, unit, units, p);
        }
    }

    __device__ static u32 word(const uint4 &v, int k) {
        return k == 0 ? v.x : k == 1 ? v.y : k == 2 ? v.z : v.w;
    }

    __device__ u32 codes(int p, int k) const {
        const u32 bits = LANE & FIRST ? high[p] >> (4 * k) & 0xFu : 0;
        return codes_of<LANE>(word(digits[0], k), word(digits[1], k), word(digits[2], k), bits, p);
    }
};

// Σ group_scale · value(code) · q over a unit of a row. Fits 32 bits: at most 64 · 255 · 127 · 382.
template <int LANE, int GROUP>
__device__ inline int unit_sum(const Planes &w, const Unit<LANE> &unit, i64 row, int u, int units,
                               const uint4 (&q)[4], const i16 *sums) {
    int dots[2] = {0, 0};
#pragma unroll
    for (int p = 0; p < 4; p += 1) {
#pragma unroll
        for (int k = 0; k < 4; k += 1) {
            // Codes are at most 127.
            const int x = int(Unit<LANE>::word(q[p], k));
            dots[p / 2] = __dp4a(int(unit.codes(p, k)), x, dots[p / 2]);
        }
    }
    const short2 halves = *reinterpret_cast<const short2 *>(sums + 2 * u);
    const int low = STEP<LANE> * dots[0] - w.zero * halves.x;
    const int high = STEP<LANE> * dots[1] - w.zero * halves.y;
    const i64 at = row * units + u;
    if (GROUP == 32) {
        const u16 scales = __ldg(reinterpret_cast<const u16 *>(w.group_scales + 2 * at));
        return int(scales & 0xFF) * low + int(scales >> 8) * high;
    }
    if (GROUP == 64) return int(__ldg(w.group_scales + at)) * (low + high);
    return low + high;
}

// Rows that a team of threads takes together: they share the loads of the activations.
constexpr int TOGETHER = 4;

// Adds to each sum Σ multiplier · (sum of a unit) over the units of a thread, which are `team` apart.
template <int LANE, int GROUP>
__device__ inline void add_units(const Planes &w, int team, const Activations &x,
                                 const i64 (&rows)[TOGETHER], i64 (&sums)[TOGETHER]) {
    const int units = w.units();
    for (int u = threadIdx.x % team; u < units; u += team) {
        uint4 q[4];
#pragma unroll
        for (int p = 0; p < 4; p += 1) {
            const i8 *at = x.q + 256 * (u / 4) + 64 * p + 16 * (u % 4);
            q[p] = *reinterpret_cast<const uint4 *>(at);
        }
        const i64 multiplier = x.multipliers[u];
#pragma unroll
        for (int r = 0; r < TOGETHER; r += 1) {
            const Unit<LANE> unit(w, rows[r], u, units);
            sums[r] += multiplier * unit_sum<LANE, GROUP>(w, unit, rows[r], u, units, q, x.sums);
        }
    }
}
