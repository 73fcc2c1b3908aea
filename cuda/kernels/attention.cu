// Rotary embedding, the key-value cache and attention, for each sequence of a batch.
#include "math.cuh"

// The shape of the attention blocks, and where the sequences stand.
struct Attention {
    int heads;
    int kv_heads;
    int head_dim;
    int capacity;
    // Tokens of each sequence that are in the cache already.
    const int *positions;

    __device__ int width() const { return kv_heads * head_dim; }

    // Keys of a sequence in a cache of one layer; values are as many floats further on.
    __device__ i64 keys(int sequence) const { return i64(2) * sequence * capacity * width(); }
    __device__ i64 values(int sequence) const { return keys(sequence) + i64(capacity) * width(); }
};

// Rotates queries in place, and keys on their way into the cache; values follow as they are. The
// pairs of neighbours are rotated by the angle whose cosines and sines `table` has for every
// position, cosines first.
__global__ void rotate(Attention shape, int rope_dim, const float *table, float *q,
                       const float *k, const float *v, float *cache) {
    const int sequence = blockIdx.y, position = shape.positions[sequence];
    const int query = shape.heads * shape.head_dim, width = shape.width();
    if (position >= shape.capacity) return;
    const float *cosines = table + i64(position) * rope_dim, *sines = cosines + rope_dim / 2;
    q += i64(sequence) * query;
    k += i64(sequence) * width;
    v += i64(sequence) * width;
    float *keys = cache + shape.keys(sequence) + i64(position) * width;
    float *values = cache + shape.values(sequence) + i64(position) * width;
    const int thread = blockIdx.x * blockDim.x + threadIdx.x, threads = gridDim.x * blockDim.x;
    const int dim = shape.head_dim, pairs = (dim + 1) / 2;
    for (int p = thread; p < (shape.heads + shape.kv_heads) * pairs; p += threads) {
        const int head = p / pairs, at = p % pairs, i = head * dim + 2 * at;
        const bool is_query = head < shape.heads;
        const float *from = is_query ? q + i : k + (i - query);
        float *to = is_query ? q + i : keys + (i - query);
        const float a = from[0];
        if (2 * at < rope_dim) {
            const float b = from[1];
            to[0] = a * cosines[at] - b * sines[at];
            to[1] = a * sines[at] + b * cosines[at];
        } else {
            to[0] = a;
            if (2 * at + 1 < dim) to[1] = from[1];
        }
    }
    for (int i = thread; i < width; i += threads) values[i] = v[i];
}

// scores = scale · K q, half a warp for each token.
__global__ void attention_scores(Attention shape, float scale, const float *q, const float *cache,
                                 float *scores) {
    const int head = blockIdx.x, sequence = blockIdx.z, dim = shape.head_dim;
    const int tokens = min(shape.positions[sequence] + 1, shape.capacity);
    q += (i64(sequence) * shape.heads + head) * dim;
    cache += shape.keys(sequence) + head * shape.kv_heads / shape.heads * dim;
    scores += (i64(sequence) * shape.heads + head) * shape.capacity;
    const int halves = blockDim.x / LANES, lane = threadIdx.x % LANES;
    // Both halves of a warp go on together.
    const int first = 2 * (threadIdx.x / 32), half = threadIdx.x / LANES % 2;
    for (int t = blockIdx.y * halves + first; t < tokens; t += gridDim.y * halves) {
        const int token = min(t + half, tokens - 1);
        const float *key = cache + i64(token) * shape.width();
        float sum = 0.0f;
        for (int i = lane; i < dim; i += LANES) sum += q[i] * key[i];
        sum = add_lanes(sum);
        if (lane == 0) scores[token] = sum * scale;
    }
}

// scores = softmax(scores), a block of threads for each head.
__global__ void attention_softmax(Attention shape, float *scores) {
    __shared__ u32 greatest;
    __shared__ float total;
    const int head = blockIdx.x, sequence = blockIdx.y;
    const int tokens = min(shape.positions[sequence] + 1, shape.capacity);
    scores += (i64(sequence) * shape.heads + head) * shape.capacity;
    if (threadIdx.x == 0) greatest = 0;
    __syncthreads();
    u32 most = 0;
    for (int t = threadIdx.x; t < tokens; t += blockDim.x) most = max(most, ordered(scores[t]));
    most = warp_max(most);
    if (threadIdx.x % 32 == 0) atomicMax(&greatest, most);
    __syncthreads();
    const float top = unordered(greatest);
    for (int t = threadIdx.x; t < tokens; t += blockDim.x) scores[t] = exponential(scores[t] - top);
    __syncthreads();
    if (threadIdx.x < 32) {
        float sum = 0.0f;
#pragma unroll 8
        for (int t = threadIdx.x % LANES; t < tokens; t += LANES) sum += scores[t];
        sum = add_lanes(sum);
        if (threadIdx.x == 0) total = sum;
    }
    __syncthreads();
    const float sum = total;
    for (int t = threadIdx.x; t < tokens; t += blockDim.x) scores[t] /= sum;
}

// y = Vᵀ scores, tokens in order, a thread for each value of a head.
__global__ void attention_values(Attention shape, const float *scores, const float *cache,
                                 float *y) {
    const int head = blockIdx.x, sequence = blockIdx.z, dim = shape.head_dim;
    const int tokens = min(shape.positions[sequence] + 1, shape.capacity);
    const int i = blockIdx.y * blockDim.x + threadIdx.x;
    if (i >= dim) return;
    scores += (i64(sequence) * shape.heads + head) * shape.capacity;
    cache += shape.values(sequence) + head * shape.kv_heads / shape.heads * dim + i;
    float sum = 0.0f;
#pragma unroll 8
    for (int t = 0; t < tokens; t += 1) sum += scores[t] * cache[i64(t) * shape.width()];
    y[(i64(sequence) * shape.heads + head) * dim + i] = sum;
}
