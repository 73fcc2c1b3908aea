// Training: values that are refused, sums of gradients in trits, lines through gradients.
#include "pi.cuh"

constexpr u32 INFINITE = 0x7F800000u;

// Notes the greatest magnitude of x, or of x + y where there is a y, as bits, and the first index
// that is not finite. Magnitudes are in the order of their bits, NaN above all.
__global__ void check(const float *x, const float *y, int n, u32 *greatest, u32 *first) {
    u32 most = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const u32 magnitude = __float_as_uint(y ? x[i] + y[i] : x[i]) & 0x7FFFFFFFu;
        if (magnitude >= INFINITE) atomicMin(first, u32(i));
        most = max(most, magnitude);
    }
    most = warp_max(most);
    if (threadIdx.x % 32 == 0) atomicMax(greatest, most);
}

// Parameters that share a scale, trits of a word, and words of a group: its scale and its trits. See
// trilane-core's `TernaryGradientAccumulator`.
constexpr int GROUP = 128, TRITS = 16, GROUP_WORDS = 1 + GROUP / TRITS;

// The value of a code: −scale, 0 or scale.
__device__ inline float value_of(u32 code, float scale) {
    return code == 0 ? -scale : code == 2 ? scale : 0.0f;
}

// A sum of nothing: scales of 0 and codes of zero.
__global__ void accumulator_clear(u32 *words, int count) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        words[i] = i % GROUP_WORDS == 0 ? 0 : 0x55555555u;
    }
}

// v = s·t + g; s' = max |v|; t' = sign(v) where u·s' < |v|, else 0. A warp takes a group, a thread
// values that are 32 apart. u comes from the index of a value alone, or is ½.
__global__ void accumulate(u32 *words, const float *gradient, int n, u64 start, int stochastic) {
    const int lane = threadIdx.x % 32;
    const i64 group = i64(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
    const i64 begin = group * GROUP;
    if (begin >= n) return;
    words += group * GROUP_WORDS;
    gradient += begin;
    const int size = int(min(n - begin, i64(GROUP)));
    const float old = __uint_as_float(words[0]);
    float v[GROUP / 32];
    u32 most = 0;
#pragma unroll
    for (int k = 0; k < GROUP / 32; k += 1) {
        const int i = 32 * k + lane;
        v[k] = 0.0f;
        if (i < size) {
            v[k] = value_of(words[1 + i / TRITS] >> (2 * (i % TRITS)) & 3, old) + gradient[i];
        }
        most = max(most, __float_as_uint(v[k]) & 0x7FFFFFFFu);
    }
    // Every thread has read the words once the greatest is known.
    most = warp_max(most);
    const float scale = __uint_as_float(most);
#pragma unroll
    for (int k = 0; k < GROUP / 32; k += 1) {
        const int i = 32 * k + lane;
        u32 code = 1;
        if (i < size) {
            const float draw = stochastic ? weyl(start, u64(begin + i)) : 0.5f;
            if (draw * scale < fabsf(v[k])) code = v[k] > 0.0f ? 2 : 0;
        }
        u32 word = code << (2 * (lane % TRITS));
        for (int apart = TRITS / 2; apart > 0; apart >>= 1) {
            word |= __shfl_xor_sync(WARP, word, apart);
        }
        if (lane % TRITS == 0 && i < size) words[1 + i / TRITS] = word;
    }
    if (lane == 0) words[0] = most;
}

// mean = s·t / count.
__global__ void accumulated(const u32 *words, int n, float count, float *mean) {
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const u32 *group = words + i64(i / GROUP) * GROUP_WORDS;
        const u32 code = group[1 + i % GROUP / TRITS] >> (2 * (i % TRITS)) & 3;
        mean[i] = value_of(code, __uint_as_float(group[0])) / count;
    }
}

// Elements of a tensor whose sums are taken together.
struct Chunk {
    int begin;
    int len;
    int tensor;
};

// The sums of each parameter, see trilane-core's `TensorLines`. Residuals where they are kept.
struct Predictor {
    float *sums;
    float *drifts;
    float *residuals;
    const Chunk *chunks;
    // Of a tensor, those of its sums and of its drifts.
    const float2 *coefficients;
    int count;
    int padding;
};

struct Update {
    float decay;
    float shift;
    float rate;
    float take;
    float added;
};

// Sums over a chunk: ‖g‖², ‖s‖², s·d, ‖d‖², p·g, ‖p‖², ‖r‖².
constexpr int CHUNK_SUMS = 7;

// Takes in a gradient, sixteen threads for each chunk: they are the lanes of its sums.
__global__ void predictor_record(Predictor to, Update by, const float *gradient, float *sums) {
    const int lane = threadIdx.x % LANES;
    const i64 mine = i64(blockIdx.x) * (blockDim.x / LANES) + threadIdx.x / LANES;
    // Both halves of a warp go on together.
    const bool there = mine < to.count;
    const Chunk chunk = there ? to.chunks[mine] : Chunk{0, 0, 0};
    const float2 coefficients = to.coefficients[chunk.tensor];
    float total[CHUNK_SUMS] = {};
#pragma unroll 4
    for (int i = chunk.begin + lane; i < chunk.begin + chunk.len; i += LANES) {
        const float g = gradient[i], s = to.sums[i], d = to.drifts[i];
        float p = coefficients.x * s + coefficients.y * d;
        if (to.residuals) {
            const float r = to.residuals[i];
            const float next = (1.0f - by.rate) * r + by.take * (g - p);
            p += by.added * r;
            to.residuals[i] = next;
            total[6] += next * next;
        }
        const float drift = by.decay * d - by.shift * s, sum = by.decay * s + g;
        to.drifts[i] = drift;
        to.sums[i] = sum;
        total[0] += g * g;
        total[1] += sum * sum;
        total[2] += sum * drift;
        total[3] += drift * drift;
        total[4] += p * g;
        total[5] += p * p;
    }
    for (int k = 0; k < CHUNK_SUMS; k += 1) {
        const float sum = add_lanes(total[k]);
        if (there && lane == 0) sums[mine * CHUNK_SUMS + k] = sum;
    }
}

// The gradient that the lines give, and `scale` times the residual where it is used. A warp takes a
// chunk.
__global__ void predictor_predict(Predictor from, int residual_used, float scale, float *gradient) {
    const i64 mine = i64(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
    if (mine >= from.count) return;
    const Chunk chunk = from.chunks[mine];
    const float2 coefficients = from.coefficients[chunk.tensor];
    for (int i = chunk.begin + threadIdx.x % 32; i < chunk.begin + chunk.len; i += 32) {
        float g = coefficients.x * from.sums[i] + coefficients.y * from.drifts[i];
        if (residual_used) g += scale * from.residuals[i];
        gradient[i] = g;
    }
}
