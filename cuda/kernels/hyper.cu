// Hypervectors of trits on two planes of bits: products, shifts, sums, and the nearest of many.
#include "device.cuh"

// Vectors of one dimension, one after the other in both planes, each of a whole number of pairs of
// words. No bit is set in both planes, or past the dimension.
struct Hypervectors {
    u64 *plus;
    u64 *minus;
    int vectors;
    int pairs;
    int dim;
    int padding;

    __device__ int words() const { return 2 * pairs; }
};

// Sixty-four trits.
struct Trits {
    u64 plus;
    u64 minus;
};

// A pair of words of both planes; a thread reads 16 bytes at a time.
__device__ inline void load(const Hypervectors &v, i64 pair, Trits (&t)[2]) {
    const ulonglong2 plus = __ldg(reinterpret_cast<const ulonglong2 *>(v.plus) + pair);
    const ulonglong2 minus = __ldg(reinterpret_cast<const ulonglong2 *>(v.minus) + pair);
    t[0] = {plus.x, minus.x};
    t[1] = {plus.y, minus.y};
}

constexpr int PRODUCT = 0, SUM_MOD3 = 1;

// a·b, or (a + b) mod 3 in {−1, 0, +1}, position by position. Zeros give zeros, so that nothing
// appears past the dimension.
template <int OPERATION>
__device__ inline Trits combined(Trits a, Trits b) {
    if constexpr (OPERATION == PRODUCT) {
        return {(a.plus & b.plus) | (a.minus & b.minus), (a.plus & b.minus) | (a.minus & b.plus)};
    }
    const u64 no_a = ~(a.plus | a.minus), no_b = ~(b.plus | b.minus);
    return {(a.plus & no_b) | (no_a & b.plus) | (a.minus & b.minus),
            (a.minus & no_b) | (no_a & b.minus) | (a.plus & b.plus)};
}

template <int OPERATION>
__global__ void combine(Hypervectors a, Hypervectors b, Hypervectors out) {
    const i64 pairs = i64(out.vectors) * out.pairs, threads = i64(gridDim.x) * blockDim.x;
    for (i64 at = i64(blockIdx.x) * blockDim.x + threadIdx.x; at < pairs; at += threads) {
        Trits s[2], t[2];
        load(a, at, s);
        load(b, at, t);
        const Trits x = combined<OPERATION>(s[0], t[0]), y = combined<OPERATION>(s[1], t[1]);
        reinterpret_cast<ulonglong2 *>(out.plus)[at] = {x.plus, y.plus};
        reinterpret_cast<ulonglong2 *>(out.minus)[at] = {x.minus, y.minus};
    }
}

// The 64 bits of a plane from a position on; zeros past its end.
__device__ inline u64 window(const u64 *plane, int words, int at) {
    const int word = at / 64, shift = at % 64;
    const u64 low = plane[word] >> shift;
    return shift && word + 1 < words ? low | plane[word + 1] << (64 - shift) : low;
}

// The 64 bits from a position on, going on from the beginning after `dim` of them.
__device__ inline u64 turned(const u64 *plane, int words, int dim, int at) {
    const u64 bits = window(plane, words, at);
    return dim - at < 64 ? bits | window(plane, words, 0) << (dim - at) : bits;
}

// out[(i + by) mod dim] = a[i], by in 0..dim.
__global__ void permute(Hypervectors a, int by, Hypervectors out) {
    const int words = a.words();
    const i64 all = i64(a.vectors) * words, threads = i64(gridDim.x) * blockDim.x;
    for (i64 i = i64(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += threads) {
        const i64 vector = i / words * words, position = i % words * 64;
        Trits t = {0, 0};
        if (position < a.dim) {
            const int behind = int(position) - by, from = behind < 0 ? behind + a.dim : behind;
            const int left = a.dim - int(position);
            const u64 mask = left < 64 ? (u64(1) << left) - 1 : ~u64(0);
            t.plus = turned(a.plus + vector, words, a.dim, from) & mask;
            t.minus = turned(a.minus + vector, words, a.dim, from) & mask;
        }
        out.plus[i] = t.plus;
        out.minus[i] = t.minus;
    }
}

constexpr int DOT = 0, DISTANCE = 1;

// What 64 positions add to Σ a·b, or to the number of positions that differ.
template <int WHAT>
__device__ inline int count(Trits a, Trits b) {
    if constexpr (WHAT == DISTANCE) return __popcll((a.plus ^ b.plus) | (a.minus ^ b.minus));
    const Trits product = combined<PRODUCT>(a, b);
    return __popcll(product.plus) - __popcll(product.minus);
}

// Queries that a warp takes together: the item is read once for all of them.
constexpr int QUERIES = 8;

// counts[query][item], a warp for an item and a few queries.
template <int WHAT>
__global__ void compare(Hypervectors queries, Hypervectors items, int *counts) {
    const int lane = threadIdx.x % 32;
    const i64 item = i64(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
    if (item >= items.vectors) return;
    for (i64 first = i64(blockIdx.y) * QUERIES; first < queries.vectors;
         first += i64(gridDim.y) * QUERIES) {
        int sums[QUERIES] = {};
        for (int pair = lane; pair < items.pairs; pair += 32) {
            Trits b[2];
            load(items, item * items.pairs + pair, b);
#pragma unroll
            for (int q = 0; q < QUERIES; q += 1) {
                if (first + q < queries.vectors) {
                    Trits a[2];
                    load(queries, (first + q) * queries.pairs + pair, a);
                    sums[q] += count<WHAT>(a[0], b[0]) + count<WHAT>(a[1], b[1]);
                }
            }
        }
#pragma unroll
        for (int q = 0; q < QUERIES; q += 1) {
            const int sum = team_sum(sums[q], 32);
            if (lane == 0 && first + q < queries.vectors) {
                counts[(first + q) * items.vectors + item] = sum;
            }
        }
    }
}

// Positions of a vector that are not zero, counted by `threads` threads of which this is one.
__device__ inline int nonzeros_of(const Hypervectors &v, i64 vector, int thread, int threads) {
    int sum = 0;
    for (int pair = thread; pair < v.pairs; pair += threads) {
        Trits t[2];
        load(v, vector * v.pairs + pair, t);
        sum += __popcll(t[0].plus | t[0].minus) + __popcll(t[1].plus | t[1].minus);
    }
    return team_sum(sum, 32);
}

// A warp for each vector.
__global__ void nonzeros(Hypervectors v, u32 *counts) {
    const i64 vector = i64(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
    if (vector >= v.vectors) return;
    const int sum = nonzeros_of(v, vector, threadIdx.x % 32, 32);
    if (threadIdx.x % 32 == 0) counts[vector] = u32(sum);
}

// The sum of three bits of one weight: what carries counts twice.
__device__ inline u64 full_add(u64 &sum, u64 a, u64 b) {
    const u64 half = sum ^ a, carry = (sum & a) | (half & b);
    sum = half ^ b;
    return carry;
}

// Vectors that a warp adds up in counters of so many planes: a sign s counts 1 + s, at most 2.
constexpr int CHUNK = 60, COUNTER = 7;
static_assert(CHUNK % 4 == 0 && 2 * CHUNK < 1 << COUNTER);

// sums[bundle] += Σ v over the `each` vectors of a bundle. A thread counts 64 positions in
// bit-sliced counters, four vectors at a time by full adders; then the warp takes them apart,
// neighbouring threads neighbouring sums.
__global__ void bundle_add(Hypervectors v, int each, u64 *sums) {
    const int words = v.words(), lane = threadIdx.x % 32;
    const i64 tiles = (words + 31) / 32, chunks = (each + CHUNK - 1) / CHUNK;
    const i64 warp = i64(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
    const i64 bundle = warp / (tiles * chunks);
    if (bundle * each >= v.vectors) return;
    const int begin = int(warp % tiles) * 32, word = begin + lane;
    const int first = int(warp / tiles % chunks) * CHUNK, end = min(first + CHUNK, each);
    u64 counter[COUNTER] = {};
    for (int j = first; j < end; j += 4) {
        u64 plus[4], other[4];
#pragma unroll
        for (int k = 0; k < 4; k += 1) {
            const bool there = j + k < end && word < words;
            const i64 at = (bundle * each + j + k) * words + word;
            plus[k] = there ? __ldg(v.plus + at) : 0;
            other[k] = there ? ~__ldg(v.minus + at) : 0;
        }
        u64 twos[4];
#pragma unroll
        for (int k = 0; k < 4; k += 1) twos[k] = full_add(counter[0], plus[k], other[k]);
        const u64 low = full_add(counter[1], twos[0], twos[1]);
        const u64 high = full_add(counter[1], twos[2], twos[3]);
        u64 carry = full_add(counter[2], low, high);
#pragma unroll
        for (int p = 3; p < COUNTER; p += 1) {
            const u64 both = counter[p] & carry;
            counter[p] ^= carry;
            carry = both;
        }
    }
    for (int w = 0; w < 32; w += 1) {
        int counts[2] = {first - end, first - end};
#pragma unroll
        for (int p = 0; p < COUNTER; p += 1) {
            const u64 plane = __shfl_sync(WARP, counter[p], w);
            counts[0] += int(plane >> lane & 1) << p;
            counts[1] += int(plane >> lane >> 32 & 1) << p;
        }
        const i64 trit = i64(begin + w) * 64 + lane;
        for (int half = 0; half < 2; half += 1) {
            if (trit + 32 * half < v.dim) {
                atomicAdd(sums + bundle * v.dim + trit + 32 * half, u64(i64(counts[half])));
            }
        }
    }
}

// Vectors that a warp weighs.
constexpr int WEIGHED = 256;

// sums[bundle] += Σ weight·v, a thread for each position of a few vectors.
__global__ void bundle_add_weighted(Hypervectors v, const int *weights, int each, u64 *sums) {
    const u32 *plus = reinterpret_cast<const u32 *>(v.plus);
    const u32 *minus = reinterpret_cast<const u32 *>(v.minus);
    const int lane = threadIdx.x % 32;
    const i64 tiles = i64(v.pairs) * 4, chunks = (each + WEIGHED - 1) / WEIGHED;
    const i64 warp = i64(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
    const i64 bundle = warp / (tiles * chunks), tile = warp % tiles, trit = 32 * tile + lane;
    if (bundle * each >= v.vectors || trit >= v.dim) return;
    const int first = int(warp / tiles % chunks) * WEIGHED, end = min(first + WEIGHED, each);
    i64 sum = 0;
#pragma unroll 4
    for (int j = first; j < end; j += 1) {
        const i64 vector = bundle * each + j, at = vector * tiles + tile;
        const int trit = int(__ldg(plus + at) >> lane & 1) - int(__ldg(minus + at) >> lane & 1);
        sum += i64(__ldg(weights + vector)) * trit;
    }
    atomicAdd(sums + bundle * v.dim + trit, u64(sum));
}

// The sign of every sum, 0 for 0: a warp writes 32 trits.
__global__ void majority(const i64 *sums, Hypervectors out) {
    const i64 each = i64(out.pairs) * 128, all = out.vectors * each;
    const i64 threads = i64(gridDim.x) * blockDim.x;
    for (i64 i = i64(blockIdx.x) * blockDim.x + threadIdx.x; i < all; i += threads) {
        const i64 trit = i % each, sum = trit < out.dim ? sums[i / each * out.dim + trit] : 0;
        const u32 plus = __ballot_sync(WARP, sum > 0), minus = __ballot_sync(WARP, sum < 0);
        if (threadIdx.x % 32 == 0) {
            reinterpret_cast<u32 *>(out.plus)[i / 32] = plus;
            reinterpret_cast<u32 *>(out.minus)[i / 32] = minus;
        }
    }
}

// An item as it is compared with others for the same query.
struct Candidate {
    int dot;
    u32 nonzeros;
    int item;
};

constexpr int NOBODY = -1;

// Whether dot·|dot|/nonzeros of a is greater than that of b, without rounding: dot² · nonzeros takes
// up to 93 bits.
__device__ inline bool greater(Candidate a, Candidate b) {
    const bool positive = a.dot > 0;
    if (positive != (b.dot > 0) || a.dot == 0 || b.dot == 0) return a.dot > b.dot;
    const u64 of_a = u64(i64(a.dot) * a.dot), of_b = u64(i64(b.dot) * b.dot);
    const u64 n = max(b.nonzeros, 1u), m = max(a.nonzeros, 1u);
    const u64 high_a = __umul64hi(of_a, n), high_b = __umul64hi(of_b, m);
    const u64 low_a = of_a * n, low_b = of_b * m;
    const bool more = high_a != high_b ? high_a > high_b : low_a > low_b;
    const bool same = high_a == high_b && low_a == low_b;
    return !same && more == positive;
}

// Whether a comes before b: the greater cosine, then the lower index, then nobody.
__device__ inline bool before(Candidate a, Candidate b) {
    if (a.item == NOBODY || b.item == NOBODY) return a.item != NOBODY && b.item == NOBODY;
    if (greater(a, b)) return true;
    return !greater(b, a) && a.item < b.item;
}

__device__ inline Candidate first_of_warp(Candidate best) {
    for (int apart = 16; apart > 0; apart >>= 1) {
        const Candidate other = {__shfl_xor_sync(WARP, best.dot, apart),
                                 __shfl_xor_sync(WARP, best.nonzeros, apart),
                                 __shfl_xor_sync(WARP, best.item, apart)};
        if (before(other, best)) best = other;
    }
    return best;
}

// The cosine, 0 where there is nothing to compare.
__device__ inline float quotient(int dot, u32 n, u32 m) {
    if (n == 0 || m == 0) return 0.0f;
    return float(double(dot) / sqrt(double(n) * double(m)));
}

// The `each` nearest items of each query from its dot products, a block of threads for a query. One
// place after the other gets the first of those that come after the place before.
__global__ void nearest(Hypervectors queries, const int *dots, const u32 *nonzeros, int items,
                        int each, u32 *indices, float *cosines) {
    __shared__ Candidate firsts[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const i64 query = blockIdx.x;
    dots += query * items;
    const int size = nonzeros_of(queries, query, lane, 32);
    Candidate last = {0, 1, NOBODY};
    for (int place = 0; place < each; place += 1) {
        Candidate best = {0, 1, NOBODY};
        for (int item = threadIdx.x; item < items; item += blockDim.x) {
            const Candidate candidate = {dots[item], nonzeros[item], item};
            const bool left = place == 0 || before(last, candidate);
            if (left && before(candidate, best)) best = candidate;
        }
        best = first_of_warp(best);
        if (lane == 0) firsts[warp] = best;
        __syncthreads();
        last = firsts[0];
        for (int w = 1; w < warps; w += 1) {
            if (before(firsts[w], last)) last = firsts[w];
        }
        if (threadIdx.x == 0) {
            indices[query * each + place] = u32(last.item);
            cosines[query * each + place] =
                last.item == NOBODY ? 0.0f : quotient(last.dot, last.nonzeros, u32(size));
        }
        // All have read the firsts.
        __syncthreads();
    }
}
