// Products with matrices of floats, and their rows.
#include "device.cuh"

// y = W x in the order of sixteen lanes, half a warp for each row.
__global__ void float_matvec(const float *w, int rows, int cols, const float *x, float *y) {
    const int vector = blockIdx.y, lane = threadIdx.x % LANES;
    x += i64(vector) * cols;
    const int first = (blockIdx.x * blockDim.x + threadIdx.x) / 32 * 2;
    // Both halves of a warp go on together.
    if (first >= rows) return;
    const int mine = first + threadIdx.x / LANES % 2, row = min(mine, rows - 1);
    const float *weights = w + i64(row) * cols;
    float sum = 0.0f;
#pragma unroll 8
    for (int i = lane; i < cols; i += LANES) sum += weights[i] * x[i];
    sum = add_lanes(sum);
    if (lane == 0 && mine < rows) y[i64(vector) * rows + row] = sum;
}

// x = row tokens[vector]; zeros for a token that is not in the table.
__global__ void float_row(const float *w, int rows, int cols, const u32 *tokens, float *x) {
    const int vector = blockIdx.y;
    const u32 row = tokens[vector];
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < cols; i += gridDim.x * blockDim.x) {
        x[i64(vector) * cols + i] = row < u32(rows) ? w[i64(row) * cols + i] : 0.0f;
    }
}
