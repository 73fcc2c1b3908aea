// Numbers of π that draws come from, as in trilane-core's `pi`.
#pragma once
#include "device.cuh"

// π − 3 in 128 bits.
constexpr u64 PI_HIGH = 0x243F6A8885A308D3u, PI_LOW = 0x13198A2E03707344u;

// frac(π·(start + i)) as a multiple of 2⁻²⁴ in [0, 1). The sum has 65 bits: what carries multiplies
// the low half of π into the bits that are asked for.
__device__ inline float weyl(u64 start, u64 i) {
    const u64 n = start + i;
    const u64 term = __umul64hi(PI_LOW, n) + PI_HIGH * n + (n < i ? PI_LOW : 0);
    return float(u32(term >> 40)) / 16777216.0f;
}

// The 64 bits of an index: `PiChaos`, the finaliser of SplitMix64.
__device__ inline u64 chaos(u64 index) {
    u64 z = PI_HIGH + (index + 1) * (PI_LOW | 1);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}
