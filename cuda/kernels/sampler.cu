// The next token of each sequence from its logits; see `model::sampler` of trilane-core. A block of
// threads for each sequence. Floats are worked on one by one, and weights are summed as integers.
#include "math.cuh"
#include "ranking.cuh"

// Candidates at most, one for each thread of a full block.
constexpr int CANDIDATES = 1024;

struct Sampling {
    float temperature;
    float top_p;
    float min_p;
    int top_k;
};

// Greater logits first, −0 as great as 0.
struct Logits {
    const float *values;
    __device__ u32 operator()(int i) const { return ordered(values[i] + 0.0f); }
};

// No token, where logits are refused.
constexpr u32 NONE = 0xFFFFFFFFu;

// The greatest of what the threads of a block have; every thread gets it.
__device__ inline u64 block_max(u64 value) {
    __shared__ u64 greatest[WARPS];
    for (int apart = 16; apart > 0; apart >>= 1) {
        const u64 other = __shfl_xor_sync(WARP, value, apart);
        value = value > other ? value : other;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) greatest[threadIdx.x / 32] = value;
    __syncthreads();
    for (int w = 0; w < blockDim.x / 32; w += 1) {
        value = value > greatest[w] ? value : greatest[w];
    }
    return value;
}

// The sum of what the threads of a block up to this one have.
__device__ inline u64 running_sum(u64 value) {
    __shared__ u64 sums[WARPS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int by = 1; by < 32; by *= 2) {
        const u64 before = __shfl_up_sync(WARP, value, by);
        if (lane >= by) value += before;
    }
    __syncthreads();
    if (lane == 31) sums[warp] = value;
    __syncthreads();
    for (int w = 0; w < warp; w += 1) value += sums[w];
    return value;
}

// The greatest logit and its token, of equal ones the lowest, as a key; 0 where logits are refused:
// NaN, +∞, or all −∞.
__device__ inline u64 greatest_logit(const Logits &logits, int n) {
    u64 best = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        const float value = logits.values[i];
        const bool bad = value != value || value == bits(0x7F800000u);
        const u64 key = u64(logits(i)) << 32 | u32(~i);
        // Above every other key.
        const u64 mine = bad ? ~0ull : key;
        best = best > mine ? best : mine;
    }
    best = block_max(best);
    return best == ~0ull || u32(best >> 32) <= ordered(bits(0xFF800000u)) ? 0 : best;
}

// tokens = the lowest token of the greatest logit.
__global__ void __launch_bounds__(1024)
    sample_greedy(const float *logits, int n, u32 *tokens, int *status, int layer) {
    const int vector = blockIdx.x;
    const u64 best = greatest_logit({logits + i64(vector) * n}, n);
    if (threadIdx.x != 0) return;
    tokens[vector] = best == 0 ? NONE : ~u32(best);
    if (best == 0) diverged(status + vector, layer);
}

// A weight of 0 to 1 in units of 2⁻³², cut.
__device__ inline u64 units_of(float v) { return u64(v * 4294967296.0f); }

// Number `counter` of the random sequence of `seed`.
__device__ inline u64 random_number(u64 seed, u64 counter) {
    u64 z = seed + (counter + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

// tokens = a token drawn: top-k, top-p, min-p, temperature, draw. `state` has a seed and how many
// numbers were drawn, for each sequence.
__global__ void __launch_bounds__(1024)
    sample_drawn(const float *logits, int n, Sampling how, u64 *state, u32 *tokens, int *status,
                 int layer) {
    // What is ascending is greater logits first, then lower tokens.
    __shared__ u64 candidates[CANDIDATES];
    const int vector = blockIdx.x, thread = threadIdx.x;
    const Logits keys{logits + i64(vector) * n};
    if (greatest_logit(keys, n) == 0) {
        if (thread == 0) {
            tokens[vector] = NONE;
            diverged(status + vector, layer);
        }
        return;
    }
    candidates[thread] = ~0ull;
    const int k = min(how.top_k, n);
    Within within(largest(keys, n, k));
    __syncthreads();
    int length = 0;
    for (int tile = 0; tile < n; tile += blockDim.x) {
        const int i = tile + thread;
        const bool there = i < n;
        const u32 key = there ? keys(i) : 0;
        const bool chosen = within.take(there, key);
        const int2 among = rank(chosen);
        if (chosen) candidates[length + among.x] = u64(~key) << 32 | u32(i);
        length += among.y;
    }
    __syncthreads();
    // A bitonic sort of the smallest power of two that holds them.
    int size = 1;
    while (size < k) size *= 2;
    for (int run = 2; run <= size; run *= 2) {
        for (int apart = run / 2; apart > 0; apart /= 2) {
            const int other = thread ^ apart;
            if (thread < size && other > thread) {
                const u64 a = candidates[thread], b = candidates[other];
                if ((a > b) == ((thread & run) == 0)) {
                    candidates[thread] = b;
                    candidates[other] = a;
                }
            }
            __syncthreads();
        }
    }
    const float greatest = unordered(~u32(candidates[0] >> 32));
    const float below = unordered(~u32(candidates[thread] >> 32)) - greatest;
    int kept = k;
    const float weight = exponential(below);
    if (how.top_p < 1.0f) {
        const u64 sum = running_sum(thread < kept ? units_of(weight) : 0);
        const u64 target = __umul64hi(block_max(sum), units_of(how.top_p) << 32);
        kept = min(kept, rank(thread < kept && sum < target).y + 1);
    }
    kept = rank(thread < kept && weight >= how.min_p).y;
    const float warm = exponential(below / how.temperature);
    const u64 sum = running_sum(thread < kept ? units_of(warm) : 0);
    u64 *drawn = state + 2 * vector;
    const u64 target = __umul64hi(block_max(sum), random_number(drawn[0], drawn[1]));
    // All have read the state.
    const int place = min(rank(thread < kept && sum <= target).y, kept - 1);
    if (thread == 0) {
        tokens[vector] = u32(candidates[place]);
        drawn[1] += 1;
    }
}
