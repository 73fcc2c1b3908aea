// Sketches of gradients: signed sums in buckets, and what they say of each value.
#include "pi.cuh"

// Which bucket a value goes to, and with which sign, drawn in trilane-core's `sign_hash`: the place
// in its chunk of `width` values plus the turn of the chunk; a word of signs for 64 values.
struct SignHash {
    u32 *turns;
    u64 *signs;
    int n;
    int width;

    // Words of signs of a chunk.
    __device__ int blocks() const { return (width + 63) / 64; }

    __device__ int bucket(int chunk, int place) const {
        const i64 bucket = i64(turns[chunk]) + place;
        return int(bucket < width ? bucket : bucket - width);
    }

    // x, or −x.
    __device__ float turned_over(float x, int chunk, int place) const {
        const u64 word = signs[i64(chunk) * blocks() + place / 64];
        return __uint_as_float(__float_as_uint(x) ^ u32(word >> place % 64 & 1) << 31);
    }
};

// The turns of all chunks and of one more, and the signs of all blocks.
__global__ void sign_hash(u64 key, SignHash to, int turns, i64 signs) {
    const i64 threads = i64(gridDim.x) * blockDim.x;
    for (i64 i = i64(blockIdx.x) * blockDim.x + threadIdx.x; i < max(i64(turns), signs);
         i += threads) {
        if (i < turns) to.turns[i] = u32((chaos(key + 2 * i) >> 32) * u64(to.width) >> 32);
        if (i < signs) to.signs[i] = chaos(key + 2 * i + 1);
    }
}

// buckets[h(i)] = Σ ±x[i]: a thread goes through the values of its bucket, one of every chunk, in
// their order, while its neighbours read the values beside.
__global__ void sketch(SignHash hash, const float *x, float *buckets) {
    const int width = hash.width;
    for (int b = blockIdx.x * blockDim.x + threadIdx.x; b < width; b += gridDim.x * blockDim.x) {
        float sum = 0.0f;
        int chunk = 0;
#pragma unroll 4
        for (i64 begin = 0; begin < hash.n; begin += width, chunk += 1) {
            const int turn = int(hash.turns[chunk]), place = b < turn ? b - turn + width : b - turn;
            if (begin + place < hash.n) sum += hash.turned_over(x[begin + place], chunk, place);
        }
        buckets[b] = sum;
    }
}

// x[i] += factor · ±b[h(i)], divided by the load of the bucket if `projection`.
__global__ void unsketch(SignHash hash, const float *buckets, float factor, int projection,
                         float *x) {
    const int n = hash.n, width = hash.width, full = n / width, rest = n % width;
    const int last = int(hash.turns[full]);
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const int chunk = i / width, place = i % width, bucket = hash.bucket(chunk, place);
        const float value = hash.turned_over(buckets[bucket], chunk, place);
        // One value of every full chunk, and one of the rest for the buckets from its turn on.
        const int behind = bucket < last ? bucket - last + width : bucket - last;
        const int load = projection ? full + (behind < rest) : 1;
        x[i] += factor * (value / float(load));
    }
}

// Most rows of a count sketch.
constexpr int MOST_ROWS = 5;

// The middle one.
__device__ inline float median(float a, float b, float c) {
    return fmaxf(fminf(a, b), fminf(fmaxf(a, b), c));
}

// keys[i] = the leading 16 bits of |x̂[i]|, x̂ the median of what `rows` sketches say of a value; the
// hash of the next row lies `turns` and `signs` behind.
__global__ void estimate(SignHash hash, int rows, i64 turns, i64 signs, const float *buckets,
                         u16 *keys) {
    const int n = hash.n, width = hash.width;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const int chunk = i / width, place = i % width;
        float v[MOST_ROWS] = {};
#pragma unroll
        for (int r = 0; r < MOST_ROWS; r += 1) {
            if (r < rows) {
                const SignHash row = {hash.turns + r * turns, hash.signs + r * signs, n, width};
                const float bucket = buckets[i64(r) * width + row.bucket(chunk, place)];
                v[r] = row.turned_over(bucket, chunk, place);
            }
        }
        float x = v[0];
        if (rows == 3) x = median(v[0], v[1], v[2]);
        if (rows == 5) {
            // The extremes of four lie on either side of the middle of five.
            const float low = fmaxf(fminf(v[0], v[1]), fminf(v[3], v[4]));
            const float high = fminf(fmaxf(v[0], v[1]), fmaxf(v[3], v[4]));
            x = median(low, high, v[2]);
        }
        keys[i] = u16((__float_as_uint(x) & 0x7FFFFFFFu) >> 16);
    }
}

// message[k] = x[candidates[k]].
__global__ void gather(const float *x, const u32 *candidates, int count, float *message) {
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < count; k += gridDim.x * blockDim.x) {
        message[k] = x[candidates[k]];
    }
}

// x[candidates[k]] += factor · message[k]; no candidate is there twice.
__global__ void scatter_add(const float *message, const u32 *candidates, int count, float factor,
                            float *x) {
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < count; k += gridDim.x * blockDim.x) {
        x[candidates[k]] += factor * message[k];
    }
}
