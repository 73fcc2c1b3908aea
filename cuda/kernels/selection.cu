// Which neurons are computed: those with the largest scores. A block of threads for each vector.
#include "neurons.cuh"
#include "ranking.cuh"

// What the lists hold: list i the `largest[i]` largest that are in no list before, all from `least`
// on, or those above λ · factors[i] for the smallest λ whose neurons read at most `budget` bytes.
constexpr int LARGEST = 0, LEAST = 1, BYTES = 2;
struct Choice {
    int by;
    int lists;
    int largest[LISTS];
    float least;
    // Of a neuron of each list.
    u32 bytes[LISTS];
    float factors[LISTS];
    u64 budget;
};

// Magnitudes are in the order of their bits.
struct Magnitudes {
    const float *scores;
    __device__ u32 operator()(int i) const { return __float_as_uint(scores[i]); }
};

// Bytes that the neurons above λ · factors read. Fewer than 2²¹ neurons are counted.
__device__ inline u64 bytes_read(const Magnitudes &keys, int n, const Choice &choice, float lambda) {
    __shared__ u64 counted;
    u32 limits[LISTS];
    for (int l = 0; l < LISTS; l += 1) limits[l] = __float_as_uint(lambda * choice.factors[l]);
    __syncthreads();
    if (threadIdx.x == 0) counted = 0;
    __syncthreads();
    i64 own = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const u32 key = keys(i);
        for (int l = 0; l < LISTS; l += 1) own += i64(key > limits[l]) << (21 * l);
    }
    own = team_sum(own, 32);
    if (threadIdx.x % 32 == 0) atomicAdd(&counted, u64(own));
    __syncthreads();
    u64 bytes = 0, before = 0;
    for (int l = 0; l < LISTS; l += 1) {
        const u64 count = counted >> (21 * l) & ((1u << 21) - 1);
        bytes += (count - before) * choice.bytes[l];
        before = count;
    }
    return bytes;
}

// The smallest λ, by bisection over the bits of a float.
__device__ inline float affordable(const Magnitudes &keys, int n, const Choice &choice) {
    if (bytes_read(keys, n, choice, 0.0f) <= choice.budget) return 0.0f;
    u32 low = 0, high = 0x7F7FFFFFu >> 1;
    while (high - low > 1) {
        const u32 middle = (low + high) / 2;
        if (bytes_read(keys, n, choice, __uint_as_float(middle)) <= choice.budget) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return __uint_as_float(high);
}

// rows = the chosen neurons, list after list, each ascending; counts = how many in each.
__global__ void __launch_bounds__(1024)
    select_neurons(const float *scores, int n, Choice choice, u32 *rows, int *counts) {
    const int vector = blockIdx.x;
    const Magnitudes keys{scores + i64(vector) * n};
    rows += i64(vector) * n;
    counts += LISTS * vector;
    const float lambda = choice.by == BYTES ? affordable(keys, n, choice) : 0.0f;
    int length = 0;
    Limit before = {0xFFFFFFFFu, 0};
    for (int list = 0; list < LISTS; list += 1) {
        const int first = length;
        if (list < choice.lists) {
            Limit limit = {__float_as_uint(lambda * choice.factors[list]), 0};
            if (choice.by == LARGEST) limit = largest(keys, n, choice.largest[list]);
            if (choice.by == LEAST) {
                const u32 least = __float_as_uint(choice.least);
                limit.bits = least > 0 ? least - 1 : 0;
            }
            Within here(limit), earlier(before);
            for (int tile = 0; tile < n; tile += blockDim.x) {
                const int i = tile + threadIdx.x;
                const bool there = i < n;
                const u32 key = there ? keys(i) : 0;
                // Both count their equal ones.
                const bool within = here.take(there, key), taken = earlier.take(there, key);
                const bool chosen = within && !taken;
                const int2 among = rank(chosen);
                if (chosen) rows[length + among.x] = u32(i);
                length += among.y;
            }
            before = limit;
        }
        if (threadIdx.x == 0) counts[list] = length - first;
    }
}
