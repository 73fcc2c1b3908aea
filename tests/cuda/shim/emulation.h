// Enough of CUDA C++ to compile kernels for the host and run them there. Blocks run one after
// another; the threads of a block are contexts that hand over where threads wait for each other.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#define EMULATED
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
// One block runs at a time, in one thread of the host.
#define __shared__ static thread_local

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(4) short2 {
    short x, y;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(16) ulonglong2 {
    unsigned long long x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

extern thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

// Waits for all threads of the block, or of the warp.
void __syncthreads();
void __syncwarp(unsigned mask = 0xFFFFFFFFu);

// Puts a value where the threads of the warp see it, and gives that of another thread.
uint64_t emulation_exchange(uint64_t value, unsigned from);
unsigned emulation_ballot(bool vote);
// What another thread of the warp put there last.
uint64_t emulation_told(unsigned by);
void emulation_fail(const char *why);

using std::max;
using std::min;
inline unsigned max(unsigned a, int b) { return max(a, unsigned(b)); }
inline unsigned min(unsigned a, int b) { return min(a, unsigned(b)); }

template <class T> T emulation_from(T value, unsigned lane) {
    static_assert(sizeof(T) <= 8);
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    bits = emulation_exchange(bits, lane);
    std::memcpy(&value, &bits, sizeof(T));
    return value;
}
inline unsigned emulation_lane() { return threadIdx.x % 32; }
template <class T> T __shfl_sync(unsigned, T v, int lane, int width = 32) {
    const unsigned self = emulation_lane();
    return emulation_from(v, self / width * width + unsigned(lane) % width);
}
template <class T> T __shfl_xor_sync(unsigned, T v, int apart, int width = 32) {
    const unsigned self = emulation_lane(), to = self ^ unsigned(apart);
    return emulation_from(v, to / width == self / width ? to : self);
}
template <class T> T __shfl_down_sync(unsigned, T v, unsigned by, int width = 32) {
    const unsigned self = emulation_lane(), to = self + by;
    return emulation_from(v, to / width == self / width ? to : self);
}
template <class T> T __shfl_up_sync(unsigned, T v, unsigned by, int width = 32) {
    const unsigned self = emulation_lane();
    return emulation_from(v, self % width >= by ? self - by : self);
}
inline unsigned __ballot_sync(unsigned, int vote) { return emulation_ballot(vote != 0); }
inline int __any_sync(unsigned, int vote) { return emulation_ballot(vote != 0) != 0; }
inline int __all_sync(unsigned mask, int vote) { return emulation_ballot(vote != 0) == mask; }

inline unsigned __float_as_uint(float v) {
    unsigned bits;
    std::memcpy(&bits, &v, 4);
    return bits;
}
inline float __uint_as_float(unsigned bits) {
    float v;
    std::memcpy(&v, &bits, 4);
    return v;
}
inline int __float_as_int(float v) { return int(__float_as_uint(v)); }
inline float __int_as_float(int bits) { return __uint_as_float(unsigned(bits)); }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)(a) * b >> 64);
}
inline int __clz(int v) { return v ? __builtin_clz(unsigned(v)) : 32; }
inline int __ffs(int v) { return __builtin_ffs(v); }

inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 32; i += 8) c += int8_t(a >> i) * int8_t(b >> i);
    return c;
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
    for (int i = 0; i < 32; i += 8) c += uint8_t(a >> i) * uint8_t(b >> i);
    return c;
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    const uint64_t bytes = uint64_t(b) << 32 | a;
    unsigned out = 0;
    for (int i = 0; i < 4; i += 1) {
        out |= unsigned(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xFF) << (8 * i);
    }
    return out;
}
template <class T> T __ldg(const T *from) {
    if (reinterpret_cast<uintptr_t>(from) % sizeof(T) != 0) emulation_fail("a load that is not aligned");
    return *from;
}

template <class T> T atomicAdd(T *to, T value) {
    T old = *to;
    *to = old + value;
    return old;
}
template <class T> T atomicMax(T *to, T value) {
    T old = *to;
    *to = std::max(old, value);
    return old;
}
template <class T> T atomicMin(T *to, T value) {
    T old = *to;
    *to = std::min(old, value);
    return old;
}
template <class T> T atomicOr(T *to, T value) {
    T old = *to;
    *to = old | value;
    return old;
}
template <class T> T atomicCAS(T *to, T expected, T value) {
    T old = *to;
    if (old == expected) *to = value;
    return old;
}
template <class T> T atomicExch(T *to, T value) { return std::exchange(*to, value); }

// The product of tiles that the tensor cores compute, see tensor.cuh.
inline void multiply_tile(int (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    struct Held {
        const unsigned *a, *b;
    };
    const Held mine = {a, b};
    const unsigned group = emulation_lane() / 4, word = emulation_lane() % 4;
    emulation_exchange(reinterpret_cast<uint64_t>(&mine), emulation_lane());
    for (unsigned i = 0; i < 4; i += 1) {
        const unsigned column = 2 * word + i % 2;
        for (unsigned t = 0; t < 4; t += 1) {
            const auto *row = reinterpret_cast<const Held *>(emulation_told(4 * group + t));
            const auto *col = reinterpret_cast<const Held *>(emulation_told(4 * column + t));
            c[i] = __dp4a(int(row->a[i / 2]), int(col->b[0]), c[i]);
            c[i] = __dp4a(int(row->a[i / 2 + 2]), int(col->b[1]), c[i]);
        }
    }
    // What others read stays until they have.
    __syncwarp();
}

// A kernel that can be called with the addresses of its arguments.
struct EmulatedKernel {
    const char *name;
    // The compiler's text for it, which ends in the name with its template's arguments as numbers.
    const char *pretty;
    void (*call)(const void *kernel, const void *const *arguments);
    const void *kernel;
    const size_t *sizes;
    size_t count;
};

template <class... A> struct EmulatedCall {
    static constexpr size_t SIZES[sizeof...(A) + 1] = {sizeof(A)..., 0};
    template <size_t... I>
    static void go(void (*kernel)(A...), const void *const *arguments, std::index_sequence<I...>) {
        kernel(*static_cast<const std::remove_cv_t<A> *>(arguments[I])...);
    }
    static void call(const void *kernel, const void *const *arguments) {
        go(reinterpret_cast<void (*)(A...)>(const_cast<void *>(kernel)), arguments,
           std::index_sequence_for<A...>());
    }
};
template <auto KERNEL> constexpr const char *emulated_pretty() { return __PRETTY_FUNCTION__; }
template <class... A>
EmulatedKernel emulated_as(const char *name, const char *pretty, void (*kernel)(A...)) {
    return {name, pretty, &EmulatedCall<A...>::call, reinterpret_cast<const void *>(kernel),
            EmulatedCall<A...>::SIZES, sizeof...(A)};
}
template <auto KERNEL> EmulatedKernel emulated(const char *name) {
    return emulated_as(name, emulated_pretty<KERNEL>(), KERNEL);
}
