// What every kernel shares: short names of integers, and sums in the order that defines them.
#pragma once

using i8 = signed char;
using u8 = unsigned char;
using i16 = short;
using u16 = unsigned short;
using u32 = unsigned int;
using i64 = long long;
using u64 = unsigned long long;

constexpr u32 WARP = 0xFFFFFFFFu;

// Lanes of an ordered sum: element i belongs to lane i mod 16.
constexpr int LANES = 16;

// The tree over 16 lanes, held by neighbouring threads: 8 apart, then 4, 2 and 1. Every thread of
// the 16 gets the sum. All threads of the warp take part, each half with lanes of its own.
__device__ inline float add_lanes(float lane) {
    for (int apart = 8; apart > 0; apart >>= 1) {
        lane += __shfl_xor_sync(WARP, lane, apart);
    }
    return lane;
}

// The greatest value of a warp, of which every thread has one.
__device__ inline u32 warp_max(u32 value) {
    for (int apart = 16; apart > 0; apart >>= 1) {
        value = max(value, __shfl_xor_sync(WARP, value, apart));
    }
    return value;
}

// The sum over a team of neighbouring threads, whose size is a power of two up to 32.
__device__ inline i64 team_sum(i64 value, int team) {
    for (int apart = team / 2; apart > 0; apart >>= 1) {
        value += __shfl_xor_sync(WARP, value, apart);
    }
    return value;
}

__device__ inline int team_sum(int value, int team) {
    for (int apart = team / 2; apart > 0; apart >>= 1) {
        value += __shfl_xor_sync(WARP, value, apart);
    }
    return value;
}

__device__ inline bool is_finite(float v) { return (__float_as_uint(v) & 0x7FFFFFFFu) < 0x7F800000u; }

// Notes that a sequence has diverged in a layer, unless it has before.
__device__ inline void diverged(int *status, int layer) { atomicCAS(status, -1, layer); }

// A number whose order is that of the floats, NaN aside, and back.
__device__ inline u32 ordered(float v) {
    const u32 bits = __float_as_uint(v);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ inline float unordered(u32 v) { return __uint_as_float(v >> 31 ? v & 0x7FFFFFFFu : ~v); }
