// Products with matrices in digit planes, and their rows as floats.
#include "digits.cuh"

// Rows that a team takes together: they share the loads of the activations.
constexpr int ROWS = 4;

// y = W x for each vector of a batch. A team of `team` threads takes ROWS rows; its threads take
// units, `team` apart.
template <int LANE, int GROUP>
__global__ void lane_matvec(Planes w, int team, Activations x, float *y) {
    const int units = w.units(), vector = blockIdx.y;
    const i64 first = i64(blockIdx.x * blockDim.x + threadIdx.x) / team * ROWS;
    x = x.of(vector, w.cols);
    i64 sums[ROWS] = {};
    for (int u = threadIdx.x % team; u < units; u += team) {
        uint4 q[4];
#pragma unroll
        for (int p = 0; p < 4; p += 1) {
            const i8 *at = x.q + 256 * (u / 4) + 64 * p + 16 * (u % 4);
            q[p] = *reinterpret_cast<const uint4 *>(at);
        }
        const i64 multiplier = x.multipliers[u];
#pragma unroll
        for (int r = 0; r < ROWS; r += 1) {
            // In place of a row past the end, the last: every thread takes part in what follows.
            const i64 row = min(first + r, i64(w.rows - 1));
            const Unit<LANE> unit(w, row, u, units);
            sums[r] += multiplier * unit_sum<LANE, GROUP>(w, unit, row, u, units, q, x.sums);
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r += 1) {
        const i64 sum = team_sum(sums[r], team), row = first + r;
        if (threadIdx.x % team == 0 && row < w.rows) {
            y[i64(vector) * w.rows + row] = float(sum) * (w.row_scales[row] * *x.step);
        }
    }
}

// x = row tokens[vector] of the matrix: scale · (group scale · value). A token that is not in the
// table gives zeros.
template <int LANE, int GROUP>
__global__ void lane_row(Planes w, const u32 *tokens, float *x) {
    const int units = w.units(), vector = blockIdx.y;
    const u32 row = tokens[vector];
    for (int u = blockIdx.x * blockDim.x + threadIdx.x; u < units; u += gridDim.x * blockDim.x) {
        const bool inside = row < u32(w.rows);
        const Unit<LANE> unit(w, inside ? row : 0, u, units);
        for (int i = 0; i < 64 && 64 * u + i < w.cols; i += 1) {
            const int code = unit.codes(i / 16, i % 16 / 4) >> (8 * (i % 4)) & 0xFF;
            const int value = STEP<LANE> * code - w.zero;
            const i64 at = i64(row) * units + u;
            int scale = 1;
            if (GROUP == 32 && inside) scale = w.group_scales[2 * at + i / 32];
            if (GROUP == 64 && inside) scale = w.group_scales[at];
            const float weight = inside ? w.row_scales[row] * float(value * scale) : 0.0f;
            x[i64(vector) * w.cols + 64 * u + i] = weight;
        }
    }
}
