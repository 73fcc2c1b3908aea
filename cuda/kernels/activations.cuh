// Vectors of int8 with a power-of-two multiplier for each unit of 64, in block order.
#pragma once
#include "device.cuh"

// Units that a vector takes, padded to whole blocks of four.
__device__ inline int padded_units(int n) { return (n + 255) / 256 * 4; }

struct Activations {
    i8 *q;
    u32 *multipliers;
    i16 *sums;
    float *step;

    // Those of one vector of a batch.
    __device__ Activations of(int vector, int n) const {
        const i64 units = i64(vector) * padded_units(n);
        return {q + 64 * units, multipliers + units, sums + 2 * units, step + vector};
    }
};
