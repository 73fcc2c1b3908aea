// The largest of many keys of 16 bits, in the order of their indices: a radix select, eight bits at a
// time. See trilane-core's `select`.
#include "device.cuh"

// What is known of the smallest key that is taken.
struct Selection {
    // Its leading digits.
    u32 key;
    // How many that begin so are to be taken.
    u32 wanted;
    // Of them, those whose index is below `start`, and the others.
    u32 before;
    u32 after;
};

constexpr int DIGITS = 256;

// counts[d] = the keys that begin with the digits known so far and then d.
__global__ void select_count(const u16 *keys, int n, int shift, const Selection *selection,
                             u32 *counts) {
    __shared__ u32 mine[DIGITS];
    for (int d = threadIdx.x; d < DIGITS; d += blockDim.x) mine[d] = 0;
    __syncthreads();
    const u32 known = selection->key;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const u32 digits = u32(keys[i]) >> shift;
        if (digits >> 8 == known) atomicAdd(&mine[digits & 0xFF], 1u);
    }
    __syncthreads();
    for (int d = threadIdx.x; d < DIGITS; d += blockDim.x) {
        if (mine[d] > 0) atomicAdd(counts + d, mine[d]);
    }
}

// The next digit: the greatest that as many keys as are wanted reach. The counts become zero.
__global__ void select_digit(u32 *counts, Selection *selection) {
    __shared__ u32 all[DIGITS];
    for (int d = threadIdx.x; d < DIGITS; d += blockDim.x) {
        all[d] = counts[d];
        counts[d] = 0;
    }
    __syncthreads();
    if (threadIdx.x > 0) return;
    u32 wanted = selection->wanted, digit = DIGITS - 1;
    while (digit > 0 && all[digit] < wanted) {
        wanted -= all[digit];
        digit -= 1;
    }
    selection->key = selection->key << 8 | digit;
    selection->wanted = wanted;
}

// Keys that a warp goes through in their order.
constexpr int TILE = 2048;

// Kinds of keys: greater than the smallest that is taken, equal with an index below `start`, equal
// with another.
constexpr int KINDS = 3;

struct Kinds {
    bool is[KINDS];

    __device__ Kinds(const u16 *keys, int i, int n, u32 key, int start) {
        const bool there = i < n, equal = there && keys[i] == key;
        is[0] = there && keys[i] > key;
        is[1] = equal && i < start;
        is[2] = equal && i >= start;
    }
};

// tallies[tile][kind].
__global__ void select_tally(const u16 *keys, int n, int start, const Selection *selection,
                             u32 *tallies) {
    const int lane = threadIdx.x % 32;
    const i64 tile = i64(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
    const i64 begin = tile * TILE, end = min(begin + TILE, i64(n));
    if (begin >= n) return;
    u32 tally[KINDS] = {};
    for (i64 i = begin; i < end; i += 32) {
        const Kinds kinds(keys, int(i) + lane, n, selection->key, start);
        for (int k = 0; k < KINDS; k += 1) {
            tally[k] += u32(__popc(__ballot_sync(WARP, kinds.is[k])));
        }
    }
    if (lane < KINDS) tallies[KINDS * tile + lane] = tally[lane];
}

constexpr int OFFSETS_THREADS = 256;

// Tallies become those of all tiles before; and of equal keys those are taken that follow `start`,
// then those before. One block, a thread for a run of tiles.
__global__ void select_offsets(u32 *tallies, int tiles, Selection *selection) {
    __shared__ u32 runs[OFFSETS_THREADS][KINDS];
    const int thread = threadIdx.x, run = (tiles + OFFSETS_THREADS - 1) / OFFSETS_THREADS;
    const int begin = min(thread * run, tiles), end = min(begin + run, tiles);
    u32 sum[KINDS] = {};
    for (int tile = begin; tile < end; tile += 1) {
        for (int k = 0; k < KINDS; k += 1) sum[k] += tallies[KINDS * tile + k];
    }
    for (int k = 0; k < KINDS; k += 1) runs[thread][k] = sum[k];
    __syncthreads();
    if (thread < KINDS) {
        u32 total = 0;
        for (int t = 0; t < OFFSETS_THREADS; t += 1) {
            const u32 own = runs[t][thread];
            runs[t][thread] = total;
            total += own;
        }
        if (thread == KINDS - 1) {
            selection->after = min(selection->wanted, total);
            selection->before = selection->wanted - selection->after;
        }
    }
    __syncthreads();
    for (int k = 0; k < KINDS; k += 1) sum[k] = runs[thread][k];
    for (int tile = begin; tile < end; tile += 1) {
        for (int k = 0; k < KINDS; k += 1) {
            const u32 own = tallies[KINDS * tile + k];
            tallies[KINDS * tile + k] = sum[k];
            sum[k] += own;
        }
    }
}

// Writes the indices of the keys that are taken, ascending: each to the place of as many as are taken
// before it.
__global__ void select_take(const u16 *keys, int n, int start, const Selection *selection,
                            const u32 *tallies, u32 *indices) {
    const int lane = threadIdx.x % 32;
    const i64 tile = i64(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
    const i64 begin = tile * TILE, end = min(begin + TILE, i64(n));
    if (begin >= n) return;
    const u32 below = (1u << lane) - 1, limits[KINDS] = {~0u, selection->before, selection->after};
    u32 seen[KINDS];
    for (int k = 0; k < KINDS; k += 1) seen[k] = tallies[KINDS * tile + k];
    for (i64 i = begin; i < end; i += 32) {
        const Kinds kinds(keys, int(i) + lane, n, selection->key, start);
        u32 place = 0;
        bool taken = false;
        for (int k = 0; k < KINDS; k += 1) {
            const u32 votes = __ballot_sync(WARP, kinds.is[k]);
            const u32 earlier = seen[k] + u32(__popc(votes & below));
            place += min(earlier, limits[k]);
            taken |= kinds.is[k] && earlier < limits[k];
            seen[k] += u32(__popc(votes));
        }
        if (taken) indices[place] = u32(i) + lane;
    }
}
