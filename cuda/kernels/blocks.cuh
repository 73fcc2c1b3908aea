// The block types of GGUF; the layouts are drawn in trilane-core's `gguf::blocks`.
//
// Whatever the type, 16 consecutive weights share their factors: a weight is
//
//     scale · (code − ZERO) − least
//
// with a rounding for each operation. Where there is no least weight, +0 is taken off, which
// changes nothing and costs nothing.
#pragma once
#include "device.cuh"

// Sixteen consecutive weights of a block, one for each lane. No block is aligned to more than two
// bytes: codes are read byte by byte, neighbouring bytes by neighbouring lanes. Runs whose codes
// share bytes read them once, since a kernel takes all runs of a block in a loop that is unrolled.
struct Run {
    const u8 *block;
    int number;
    // Of the whole tensor.
    float tensor_scale;

    __device__ u32 byte(int at) const { return __ldg(block + at); }
    __device__ u32 two_bytes(int at) const {
        return __ldg(reinterpret_cast<const u16 *>(block + at));
    }
    // The byte of a lane where two runs are 32 bytes.
    __device__ u32 byte_of_pair(int at, int lane) const {
        return byte(at + 16 * (number % 2) + lane);
    }
    __device__ float half(int at) const;
};

// A half as a float, without rounding; see `expand_f16` of trilane-core.
__device__ inline float widened(u32 half) {
    const u32 magnitude = half & 0x7FFFu, sign = (half & 0x8000u) << 16;
    const u32 bias = magnitude >= 31u << 10 ? 224u << 23 : 112u << 23;
    const u32 small = __float_as_uint(float(magnitude) * (1.0f / (1 << 24)));
    return __uint_as_float(sign | (magnitude < 1u << 10 ? small : (magnitude << 13) + bias));
}

__device__ inline float Run::half(int at) const { return widened(two_bytes(at)); }

struct Factors {
    float scale;
    float least = 0.0f;
};

struct Q4_0 {
    static constexpr int WEIGHTS = 32, BYTES = 18, ZERO = 8;
    __device__ static Factors factors(const Run &run) { return {run.half(0)}; }
    __device__ static u32 code(const Run &run, int lane) {
        return run.byte(2 + lane) >> (4 * run.number) & 15;
    }
};

struct Q4_1 {
    static constexpr int WEIGHTS = 32, BYTES = 20, ZERO = 0;
    __device__ static Factors factors(const Run &run) { return {run.half(0), -run.half(2)}; }
    __device__ static u32 code(const Run &run, int lane) {
        return run.byte(4 + lane) >> (4 * run.number) & 15;
    }
};

// Five bits: the fifth ones lie at `high`, the others at `low`.
__device__ inline u32 five_bits(const Run &run, int high, int low, int lane) {
    const u32 fifth = run.two_bytes(high + 2 * run.number) >> lane & 1;
    return (run.byte(low + lane) >> (4 * run.number) & 15) | fifth << 4;
}

struct Q5_0 {
    static constexpr int WEIGHTS = 32, BYTES = 22, ZERO = 16;
    __device__ static Factors factors(const Run &run) { return {run.half(0)}; }
    __device__ static u32 code(const Run &run, int lane) { return five_bits(run, 2, 6, lane); }
};

struct Q5_1 {
    static constexpr int WEIGHTS = 32, BYTES = 24, ZERO = 0;
    __device__ static Factors factors(const Run &run) { return {run.half(0), -run.half(2)}; }
    __device__ static u32 code(const Run &run, int lane) { return five_bits(run, 4, 8, lane); }
};

struct Q8_0 {
    static constexpr int WEIGHTS = 32, BYTES = 34, ZERO = 128;
    __device__ static Factors factors(const Run &run) { return {run.half(0)}; }
    __device__ static u32 code(const Run &run, int lane) {
        return run.byte(2 + 16 * run.number + lane) ^ 0x80;
    }
};

struct Q2_K {
    static constexpr int WEIGHTS = 256, BYTES = 84, ZERO = 0;
    __device__ static Factors factors(const Run &run) {
        const u32 both = run.byte(run.number);
        return {run.half(80) * float(both & 15), run.half(82) * float(both >> 4)};
    }
    __device__ static u32 code(const Run &run, int lane) {
        const int h = run.number / 8, p = run.number % 8 / 2;
        return run.byte_of_pair(16 + 32 * h, lane) >> (2 * p) & 3;
    }
};

struct Q3_K {
    static constexpr int WEIGHTS = 256, BYTES = 110, ZERO = 4;
    __device__ static Factors factors(const Run &run) {
        const int g = run.number;
        const u32 low = run.byte(96 + g % 8) >> (g / 8 * 4) & 15;
        const u32 high = run.byte(104 + g % 4) >> (g / 4 * 2) & 3;
        return {run.half(108) * float(int(low | high << 4) - 32)};
    }
    __device__ static u32 code(const Run &run, int lane) {
        const int h = run.number / 8, p = run.number % 8 / 2;
        const u32 low = run.byte_of_pair(32 + 32 * h, lane) >> (2 * p) & 3;
        return low | (run.byte_of_pair(0, lane) >> (4 * h + p) & 1) << 2;
    }
};

// The factors of 32 weights of Q4_K and Q5_K.
__device__ inline Factors six_bits(const Run &run) {
    const int g = run.number / 2, k = g % 4;
    u32 s = run.byte(4 + k), m = run.byte(8 + k);
    if (g < 4) {
        s &= 63;
        m &= 63;
    } else {
        const u32 low = run.byte(12 + k);
        s = (low & 15) | s >> 6 << 4;
        m = low >> 4 | m >> 6 << 4;
    }
    return {run.half(0) * float(s), run.half(2) * float(m)};
}

struct Q4_K {
    static constexpr int WEIGHTS = 256, BYTES = 144, ZERO = 0;
    __device__ static Factors factors(const Run &run) { return six_bits(run); }
    __device__ static u32 code(const Run &run, int lane) {
        const int c = run.number / 4, half = run.number % 4 / 2;
        return run.byte_of_pair(16 + 32 * c, lane) >> (4 * half) & 15;
    }
};

struct Q5_K {
    static constexpr int WEIGHTS = 256, BYTES = 176, ZERO = 0;
    __device__ static Factors factors(const Run &run) { return six_bits(run); }
    __device__ static u32 code(const Run &run, int lane) {
        const int c = run.number / 4, half = run.number % 4 / 2;
        const u32 low = run.byte_of_pair(48 + 32 * c, lane) >> (4 * half) & 15;
        return low | (run.byte_of_pair(16, lane) >> (2 * c + half) & 1) << 4;
    }
};

struct Q6_K {
    static constexpr int WEIGHTS = 256, BYTES = 210, ZERO = 32;
    __device__ static Factors factors(const Run &run) {
        return {run.half(208) * float(i8(run.byte(192 + run.number)))};
    }
    __device__ static u32 code(const Run &run, int lane) {
        const int h = run.number / 8, n = run.number % 8 / 4, p = run.number % 4 / 2;
        const u32 low = run.byte_of_pair(64 * h + 32 * p, lane) >> (4 * n) & 15;
        return low | (run.byte_of_pair(128 + 32 * h, lane) >> (4 * n + 2 * p) & 3) << 4;
    }
};

struct TQ1_0 {
    static constexpr int WEIGHTS = 256, BYTES = 54, ZERO = 1;
    __device__ static Factors factors(const Run &run) { return {run.half(52)}; }
    __device__ static u32 code(const Run &run, int lane) {
        int trit = run.number / 2;
        u32 byte;
        if (run.number < 10) {
            byte = run.byte_of_pair(0, lane);
        } else if (run.number < 15) {
            trit = run.number - 10;
            byte = run.byte(32 + lane);
        } else {
            trit = lane / 4;
            byte = run.byte(48 + lane % 4);
        }
        // 3 to the power of the trit's number.
        const u32 power = u32(0x511B090301ull >> (8 * trit)) & 0xFF;
        return (byte * power & 0xFF) * 3 >> 8;
    }
};

struct TQ2_0 {
    static constexpr int WEIGHTS = 256, BYTES = 66, ZERO = 1;
    __device__ static Factors factors(const Run &run) { return {run.half(64)}; }
    __device__ static u32 code(const Run &run, int lane) {
        const int h = run.number / 8, p = run.number % 8 / 2;
        return run.byte_of_pair(32 * h, lane) >> (2 * p) & 3;
    }
};

struct I2_S {
    static constexpr int WEIGHTS = 128, BYTES = 32, ZERO = 1;
    __device__ static Factors factors(const Run &run) { return {run.tensor_scale}; }
    __device__ static u32 code(const Run &run, int lane) {
        const u32 code = run.byte_of_pair(0, lane) >> (6 - run.number / 2 * 2) & 3;
        return code == 3 ? ZERO : code;
    }
};

// Floats: blocks of one weight.
struct F32 {
    static constexpr int WEIGHTS = 1, BYTES = 4;
    __device__ static float weight(const u8 *row, int i) {
        return __ldg(reinterpret_cast<const float *>(row) + i);
    }
};

struct F16 {
    static constexpr int WEIGHTS = 1, BYTES = 2;
    __device__ static float weight(const u8 *row, int i) {
        return widened(__ldg(reinterpret_cast<const u16 *>(row) + i));
    }
};

struct BF16 {
    static constexpr int WEIGHTS = 1, BYTES = 2;
    __device__ static float weight(const u8 *row, int i) {
        return __uint_as_float(u32(__ldg(reinterpret_cast<const u16 *>(row) + i)) << 16);
    }
};

// The weight of a lane. The code becomes a float as the last bits of 2²³ + code.
template <class Type>
__device__ inline float weight(const Run &run, int lane) {
    const float code = __uint_as_float(0x4B000000u | Type::code(run, lane));
    const Factors factors = Type::factors(run);
    return factors.scale * (code - (8388608.0f + Type::ZERO)) - factors.least;
}
