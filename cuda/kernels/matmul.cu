// Products of matrices in digit planes with many vectors, on the integer tensor cores.
#include "digits.cuh"
#include "tensor.cuh"

// Vectors and rows of a block of threads; a warp takes 16 rows and all the vectors.
constexpr int VECTORS = 64, WARPS = 4, ROWS = 16 * WARPS, TILES = VECTORS / 8;

// Bytes of a vector's block of activations in shared memory: padded, so that the threads of a warp
// find what they multiply in different banks.
constexpr int STRIDE = 256 + 16;

// The activations of all vectors for one block of four units.
struct Shared {
    uint4 q[VECTORS * STRIDE / 16];
    u32 multipliers[4][VECTORS];
    // Σ q over both halves of a unit, side by side.
    short2 sums[4][VECTORS];
};

// What a thread needs of two rows, 8 apart, for one unit: their codes at each position, and the
// scales of both halves.
template <int LANE, int GROUP>
struct TwoRows {
    u32 codes[4][2];
    int scales[2][2];

    __device__ TwoRows(const Planes &w, const i64 (&rows)[2], int unit, int units, int word) {
        for (int r = 0; r < 2; r += 1) {
            const i64 at = rows[r] * units + unit;
            u32 digits[3] = {};
            for (int tier = 0; tier < 3; tier += 1) {
                if (reads<LANE>(tier)) {
                    const u8 *from = w.digits[tier] + 16 * at + 4 * word;
                    digits[tier] = __ldg(reinterpret_cast<const u32 *>(from));
                }
            }
            for (int p = 0; p < 4; p += 1) {
                u32 bits = 0;
                if (LANE & FIRST) bits = high_bits(w, rows[r], unit, units, p) >> (4 * word) & 0xFu;
                codes[p][r] = codes_of<LANE>(digits[0], digits[1], digits[2], bits, p);
            }
            for (int half = 0; half < 2; half += 1) {
                scales[r][half] = 1;
                if (GROUP == 32) scales[r][half] = __ldg(w.group_scales + 2 * at + half);
                if (GROUP == 64) scales[r][half] = __ldg(w.group_scales + at);
            }
        }
    }
};

// Copies a block of four units of every vector; past the last vector, of that one.
__device__ inline void load(Shared &to, const Activations &x, int first, int vectors, int cols,
                            int block) {
    for (int i = threadIdx.x; i < VECTORS * 16; i += blockDim.x) {
        const int v = i / 16, part = i % 16;
        const Activations from = x.of(min(first + v, vectors - 1), cols);
        const i8 *q = from.q + 256 * block + 16 * part;
        to.q[v * (STRIDE / 16) + part] = *reinterpret_cast<const uint4 *>(q);
    }
    for (int i = threadIdx.x; i < VECTORS * 4; i += blockDim.x) {
        const int v = i / 4, s = i % 4;
        const Activations from = x.of(min(first + v, vectors - 1), cols);
        to.multipliers[s][v] = from.multipliers[4 * block + s];
        to.sums[s][v] = *reinterpret_cast<const short2 *>(from.sums + 2 * (4 * block + s));
    }
}

// y_v = W x_v for each of `vectors` vectors.
template <int LANE, int GROUP>
__global__ void __launch_bounds__(32 * WARPS)
    lane_matmul(Planes w, int vectors, Activations x, float *y) {
    __shared__ Shared shared;
    const int units = w.units(), first = blockIdx.y * VECTORS;
    const int group = threadIdx.x % 32 / 4, word = threadIdx.x % 4;
    const i64 row = i64(blockIdx.x) * ROWS + 16 * (threadIdx.x / 32) + group;
    // In place of a row past the end, the last: every thread takes part in the products.
    const i64 rows[2] = {min(row, i64(w.rows - 1)), min(row + 8, i64(w.rows - 1))};
    i64 sums[TILES][4] = {};
    for (int block = 0; 4 * block < units; block += 1) {
        __syncthreads();
        load(shared, x, first, vectors, w.cols, block);
        __syncthreads();
        for (int s = 0; s < 4 && 4 * block + s < units; s += 1) {
            const TwoRows<LANE, GROUP> a(w, rows, 4 * block + s, units, word);
#pragma unroll
            for (int tile = 0; tile < TILES; tile += 1) {
                int dots[2][4] = {};
                const u32 *q = reinterpret_cast<const u32 *>(
                    shared.q + (8 * tile + group) * (STRIDE / 16));
#pragma unroll
                for (int half = 0; half < 2; half += 1) {
                    const int p = 2 * half;
                    const u32 codes[4] = {a.codes[p][0], a.codes[p][1], a.codes[p + 1][0],
                                          a.codes[p + 1][1]};
                    const u32 b[2] = {q[16 * p + 4 * s + word], q[16 * p + 16 + 4 * s + word]};
                    multiply_tile(dots[half], codes, b);
                }
#pragma unroll
                for (int i = 0; i < 4; i += 1) {
                    const int v = 8 * tile + 2 * word + i % 2;
                    const short2 halves = shared.sums[s][v];
                    const int low = STEP<LANE> * dots[0][i] - w.zero * halves.x;
                    const int high = STEP<LANE> * dots[1][i] - w.zero * halves.y;
                    const int sum = a.scales[i / 2][0] * low + a.scales[i / 2][1] * high;
                    sums[tile][i] += i64(sum) * shared.multipliers[s][v];
                }
            }
        }
    }
#pragma unroll
    for (int tile = 0; tile < TILES; tile += 1) {
#pragma unroll
        for (int i = 0; i < 4; i += 1) {
            const i64 r = row + 8 * (i / 2);
            const int v = first + 8 * tile + 2 * word + i % 2;
            if (r < w.rows && v < vectors) {
                const float scale = w.row_scales[r] * x.step[v];
                y[i64(v) * w.rows + r] = float(sums[tile][i]) * scale;
            }
        }
    }
}
