// Products with matrices in the block types of GGUF, and their rows.
#include "blocks.cuh"

struct Blocks {
    const u8 *data;
    int rows;
    int cols;
    // Of the whole tensor, for types that have one.
    float scale;

    template <class Type>
    __device__ const u8 *row(int r) const {
        return data + i64(r) * (cols / Type::WEIGHTS) * Type::BYTES;
    }
};

// y = W x in the order of sixteen lanes, half a warp for each row.
template <class Type>
__global__ void block_matvec(Blocks w, const float *x, float *y) {
    const int vector = blockIdx.y, lane = threadIdx.x % LANES;
    x += i64(vector) * w.cols;
    const int first = (blockIdx.x * blockDim.x + threadIdx.x) / 32 * 2;
    // Both halves of a warp go on together.
    if (first >= w.rows) return;
    const int mine = first + threadIdx.x / LANES % 2;
    const u8 *weights = w.row<Type>(min(mine, w.rows - 1));
    float sum = 0.0f;
    if constexpr (Type::WEIGHTS == 1) {
#pragma unroll 8
        for (int i = lane; i < w.cols; i += LANES) sum += Type::weight(weights, i) * x[i];
    } else {
        // Loads of the next blocks do not wait for the sum.
#pragma unroll(256 / Type::WEIGHTS)
        for (int i = 0; i < w.cols; i += Type::WEIGHTS, weights += Type::BYTES) {
#pragma unroll
            for (int r = 0; r < Type::WEIGHTS / LANES; r += 1) {
                sum += weight<Type>({weights, r, w.scale}, lane) * x[i + LANES * r + lane];
            }
        }
    }
    sum = add_lanes(sum);
    if (lane == 0 && mine < w.rows) y[i64(vector) * w.rows + mine] = sum;
}

// x = row tokens[vector]; zeros for a token that is not in the table.
template <class Type>
__global__ void block_row(Blocks w, const u32 *tokens, float *x) {
    const int vector = blockIdx.y;
    const u32 row = tokens[vector];
    const bool inside = row < u32(w.rows);
    const u8 *weights = w.row<Type>(inside ? row : 0);
    x += i64(vector) * w.cols;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < w.cols; i += gridDim.x * blockDim.x) {
        float value;
        if constexpr (Type::WEIGHTS == 1) {
            value = Type::weight(weights, i);
        } else {
            const u8 *block = weights + i64(i / Type::WEIGHTS) * Type::BYTES;
            value = weight<Type>({block, i % Type::WEIGHTS / LANES, w.scale}, i % LANES);
        }
        x[i] = inside ? value : 0.0f;
    }
}
