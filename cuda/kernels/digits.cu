// Products with matrices in digit planes, and their rows as floats.
#include "digits.cuh"

// y = W x for each vector of a batch. A team of `team` threads takes TOGETHER rows.
template <int LANE, int GROUP>
__global__ void lane_matvec(Planes w, int team, Activations x, float *y) {
    const int vector = blockIdx.y;
    const i64 first = i64(blockIdx.x * blockDim.x + threadIdx.x) / team * TOGETHER;
    x = x.of(vector, w.cols);
    // In place of a row past the end, the last: every thread takes part in what follows.
    i64 rows[TOGETHER], sums[TOGETHER] = {};
    for (int r = 0; r < TOGETHER; r += 1) rows[r] = min(first + r, i64(w.rows - 1));
    add_units<LANE, GROUP>(w, team, x, rows, sums);
#pragma unroll
    for (int r = 0; r < TOGETHER; r += 1) {
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
