// Training: values that are refused, sums of gradients in trits, sketches of gradients.
#include "device.cuh"

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

// π − 3 in 128 bits: its digits as in trilane-core's `pi`.
constexpr u64 PI_HIGH = 0x243F6A8885A308D3u, PI_LOW = 0x13198A2E03707344u;

// frac(π·(start + i)) as a multiple of 2⁻²⁴ in [0, 1). The sum has 65 bits: what carries multiplies
// the low half of π into the bits that are asked for.
__device__ inline float weyl(u64 start, u64 i) {
    const u64 n = start + i;
    const u64 term = __umul64hi(PI_LOW, n) + PI_HIGH * n + (n < i ? PI_LOW : 0);
    return float(u32(term >> 40)) / 16777216.0f;
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

// The 64 bits of an index: `PiChaos` of trilane-core, the finaliser of SplitMix64.
__device__ inline u64 chaos(u64 index) {
    u64 z = PI_HIGH + (index + 1) * (PI_LOW | 1);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

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
