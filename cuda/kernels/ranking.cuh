// The largest of many keys, of equal ones the first, by the threads of a block together.
#pragma once
#include "device.cuh"

// Warps of a block at most.
constexpr int WARPS = 32;

// Keys above it, and the first few equal to it.
struct Limit {
    u32 bits;
    u32 equal;
};

// The limit that leaves the k largest of n keys above it: a byte of its bits at a time, highest first, by
// counting how many of those that agree so far have each value.
template <class Keys>
__device__ inline Limit largest(const Keys &keys, int n, int k) {
    __shared__ u32 counts[256];
    __shared__ u32 found, wanted;
    if (k <= 0) return {0xFFFFFFFFu, 0};
    if (k >= n) return {0, 0};
    __syncthreads();
    if (threadIdx.x == 0) {
        found = 0;
        wanted = u32(k);
    }
    for (int shift = 24; shift >= 0; shift -= 8) {
        for (int v = threadIdx.x; v < 256; v += blockDim.x) counts[v] = 0;
        __syncthreads();
        const u32 agreed = found;
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            const u32 key = keys(i), other = key ^ agreed;
            if (shift == 24 || other >> (shift + 8) == 0) atomicAdd(&counts[key >> shift & 0xFF], 1u);
        }
        __syncthreads();
        if (threadIdx.x < 32) {
            // Each thread has eight values; above them are those of the threads behind it.
            const int lane = threadIdx.x;
            const u32 rest = wanted;
            u32 own = 0;
            for (int v = 0; v < 8; v += 1) own += counts[8 * lane + v];
            u32 above = own;
            for (int by = 1; by < 32; by *= 2) {
                const u32 next = __shfl_down_sync(WARP, above, by);
                if (lane + by < 32) above += next;
            }
            above -= own;
            // All have read what is wanted.
            __syncwarp();
            for (int v = 8 * lane + 7; v >= 8 * lane; v -= 1) {
                if (above < rest && rest <= above + counts[v]) {
                    found = agreed | u32(v) << shift;
                    wanted = rest - above;
                }
                above += counts[v];
            }
        }
        __syncthreads();
    }
    return {found, wanted};
}

// How many threads of the block before this one say yes, and how many in all.
__device__ inline int2 rank(bool yes) {
    __shared__ int counts[WARPS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const u32 votes = __ballot_sync(WARP, yes);
    if (lane == 0) counts[warp] = __popc(votes);
    __syncthreads();
    int2 found = {__popc(votes & ((1u << lane) - 1)), 0};
    for (int w = 0; w < warps; w += 1) {
        if (w < warp) found.x += counts[w];
        found.y += counts[w];
    }
    __syncthreads();
    return found;
}

// Whether a key is within a limit, keys in order. All threads of the block take part.
struct Within {
    Limit limit;
    // Equal ones that may still follow; zero is below every limit.
    int left;

    __device__ Within(Limit limit) : limit(limit), left(limit.bits == 0 ? 0 : int(limit.equal)) {}

    __device__ bool take(bool there, u32 key) {
        const bool above = there && key > limit.bits;
        if (left <= 0) return above;
        const bool equal = there && key == limit.bits;
        const int2 among = rank(equal);
        const bool chosen = equal && among.x < left;
        left -= among.y;
        return above || chosen;
    }
};
