// The functions of trilane-core's `math`, operation by operation: the same bits.
#pragma once
#include "device.cuh"

constexpr float MAGIC = 12582912.0f;

__device__ inline float bits(u32 pattern) { return __uint_as_float(pattern); }

__device__ inline float power_of_two(int n) { return bits(u32(n + 127) << 23); }

// eˣ as (a, b) with eˣ = a·b; x in −120..=90 or NaN.
__device__ inline float2 unscaled(float x) {
    const float shifted = x * bits(0x3fb8aa3bu) + MAGIC;
    const float n = shifted - MAGIC;
    const float high = x - n * 0.69314575f;
    const float step = n * 1.4286068e-6f;
    const float r = high - step;
    const float r_low = (high - r) - step;
    const float q5 = bits(0x394f8441u), q4 = bits(0x3ab6c6a8u), q3 = bits(0x3c088939u);
    const float q2 = bits(0x3d2aaa47u), q1 = bits(0x3e2aaaaau), q0 = 0.5f;
    const float q = q0 + r * (q1 + r * (q2 + r * (q3 + r * (q4 + r * q5))));
    const float rest = r * r * q + r_low;
    const float s = 1.0f + r;
    const float lost = (1.0f - s) + r;
    const float p = s + (lost + rest);
    const int power = int(__float_as_uint(shifted) - __float_as_uint(MAGIC));
    const int half = power >> 1;
    return make_float2(p * power_of_two(half), power_of_two(power - half));
}

__device__ inline float limit(float x) {
    x = x < -120.0f ? -120.0f : x;
    return x > 90.0f ? 90.0f : x;
}

__device__ inline float exponential(float x) {
    const float2 e = unscaled(limit(x));
    return e.x * e.y;
}

// x·σ(u).
__device__ inline float times_sigmoid(float x, float u) {
    const bool negative = u < 0.0f;
    const float2 e = unscaled(limit(negative ? u : -u));
    const float denominator = 1.0f + e.x * e.y;
    const float a = negative ? e.x : 1.0f;
    const float b = negative ? e.y : 1.0f;
    return x * a / denominator * b;
}

__device__ inline float silu(float x) {
    x = x < -120.0f ? -120.0f : x;
    return times_sigmoid(x, x);
}

// The tanh form.
__device__ inline float gelu(float x) {
    x = x < -12.0f ? -12.0f : x;
    return times_sigmoid(x, x * (1.5957692f + 0.071354814f * (x * x)));
}

// Φ(−t) as (a, b) with Φ(−t) = a·b.
__device__ inline float2 lower_tail(float t) {
    const float q = (t - 3.0f) / (t + 3.0f);
    const float p10 = bits(0x3845fd1eu), p9 = bits(0x3765bd6cu), p8 = bits(0xb9f6012fu);
    const float p7 = bits(0xb9b3165bu), p6 = bits(0x3b43fa49u), p5 = bits(0x3a977151u);
    const float p4 = bits(0xbcba2cc5u), p3 = bits(0x3d38fe87u), p2 = bits(0xbc869d33u);
    const float p1 = bits(0xbdc5afd5u), p0 = bits(0x3ef8dc4eu);
    const float high = p6 + q * (p7 + q * (p8 + q * (p9 + q * p10)));
    const float p = p0 + q * (p1 + q * (p2 + q * (p3 + q * (p4 + q * (p5 + q * high)))));
    const float h = bits(__float_as_uint(t) & 0xfffff000u);
    const float l = t - h;
    const float square = 0.5f * (h * h);
    const float correction = 0.5f * (l * (t + h));
    const float exponent = square + correction;
    const float low = (square - exponent) + correction;
    const float2 e = unscaled(-exponent);
    return make_float2((e.x - e.x * low) * (p / (1.0f + t)), e.y);
}

// The exact form.
__device__ inline float gelu_erf(float x) {
    const bool negative = x < 0.0f;
    x = x < -15.0f ? -15.0f : x;
    const float t = fabsf(x) > 15.0f ? 15.0f : fabsf(x);
    const float2 tail = lower_tail(t);
    const float upper = 1.0f - tail.x * tail.y;
    const float a = negative ? tail.x : upper;
    const float b = negative ? tail.y : 1.0f;
    return x * a * b;
}

// Numbers of the functions of a feed-forward block, as in `kernels.rs`.
constexpr int IDENTITY = 0, RELU = 1, RELU2 = 2, GELU = 3, GELU_ERF = 4, SILU = 5;

template <int ACTIVATION>
__device__ inline float activation(float x) {
    if constexpr (ACTIVATION == IDENTITY) return x;
    if constexpr (ACTIVATION == RELU) return x > 0.0f ? x : 0.0f;
    if constexpr (ACTIVATION == RELU2) return x > 0.0f ? x * x : 0.0f;
    if constexpr (ACTIVATION == GELU) return gelu(x);
    if constexpr (ACTIVATION == GELU_ERF) return gelu_erf(x);
    return silu(x);
}
