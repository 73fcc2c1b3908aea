// Norms, gates, and activations as block floating point. One block of threads for each vector.
#include "activations.cuh"
#include "math.cuh"

// Σx/n, or Σx²/n, by a warp in the order of sixteen lanes.
template <bool SQUARES>
__device__ inline float mean(const float *x, int n) {
    float sum = 0.0f;
#pragma unroll 8
    for (int i = threadIdx.x % LANES; i < n; i += LANES) sum += SQUARES ? x[i] * x[i] : x[i];
    return add_lanes(sum) / float(n);
}

// 1/√(mean + eps). Notes in `status` where the mean is not finite.
__device__ inline float root_of(float mean, float eps, int *status, int layer) {
    if (!is_finite(mean)) diverged(status, layer);
    return 1.0f / sqrtf(mean + eps);
}

// x += delta, where there is one; y = x · r · gain, r = 1/√(Σx²/n + eps). Notes in `status` where
// the mean square is not finite.
__global__ void rms_norm(float *x, const float *delta, const float *gain, int n, float eps,
                         float *y, int *status, int layer) {
    __shared__ float root;
    const int vector = blockIdx.x, thread = threadIdx.x, threads = blockDim.x;
    x += i64(vector) * n;
    y += i64(vector) * n;
    if (delta) {
        delta += i64(vector) * n;
        for (int i = thread; i < n; i += threads) x[i] += delta[i];
        __syncthreads();
    }
    if (thread < 32) {
        const float square = mean<true>(x, n);
        if (thread == 0) root = root_of(square, eps, status + vector, layer);
    }
    __syncthreads();
    const float r = root;
    for (int i = thread; i < n; i += threads) y[i] = x[i] * r * gain[i];
}

// y = (x − m) · r · gain + bias, m = Σx/n, r = 1/√(v + eps), v = Σ(x − m)²/n. Notes in `status` where
// the variance is not finite.
__global__ void layer_norm(const float *x, const float *gain, const float *bias, int n, float eps,
                           float *y, int *status, int layer) {
    __shared__ float shift, root;
    const int vector = blockIdx.x, thread = threadIdx.x, threads = blockDim.x;
    x += i64(vector) * n;
    y += i64(vector) * n;
    if (thread < 32) {
        const float first = mean<false>(x, n);
        if (thread == 0) shift = first;
    }
    __syncthreads();
    for (int i = thread; i < n; i += threads) y[i] = x[i] - shift;
    __syncthreads();
    if (thread < 32) {
        const float variance = mean<true>(y, n);
        if (thread == 0) root = root_of(variance, eps, status + vector, layer);
    }
    __syncthreads();
    const float r = root;
    for (int i = thread; i < n; i += threads) y[i] = y[i] * r * gain[i] + bias[i];
}

// x += delta.
__global__ void add(float *x, const float *delta, int n) {
    const i64 start = i64(blockIdx.y) * n;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        x[start + i] += delta[start + i];
    }
}

// gate = act(gate) · up.
template <int ACTIVATION>
__global__ void gate(float *gate, const float *up, int n) {
    const i64 start = i64(blockIdx.y) * n;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        gate[start + i] = activation<ACTIVATION>(gate[start + i]) * up[start + i];
    }
}

// Whether all values are finite.
__global__ void check_finite(const float *x, int n, int *status, int layer) {
    const int vector = blockIdx.y;
    x += i64(vector) * n;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        if (!is_finite(x[i])) diverged(status + vector, layer);
    }
}

constexpr int QUANTIZE_THREADS = 256;
constexpr u32 SMALLEST = (127 - 100) << 23;

// q = round(x · 2^e / s), see `ActivationsBuf::quantize` of trilane-core. A warp takes a unit.
__global__ void quantize(const float *x, int n, Activations to, int *status, int layer) {
    __shared__ u32 greatest, largest;
    const int vector = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int warps = blockDim.x / 32, units = padded_units(n);
    x += i64(vector) * n;
    to = to.of(vector, n);
    if (threadIdx.x == 0) greatest = largest = 0;
    __syncthreads();
    u32 most = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        most = max(most, __float_as_uint(x[i]) & 0x7FFFFFFFu);
    }
    most = warp_max(most);
    if (lane == 0) atomicMax(&greatest, most);
    __syncthreads();
    const bool bad = greatest >= 0x7F800000u, zero = bad || greatest < SMALLEST;
    const float top = __uint_as_float(greatest);
    if (threadIdx.x == 0 && bad) diverged(status + vector, layer);
    // Exponents first; they stay in the multipliers until the largest is known.
    for (int u = warp; u < units; u += warps) {
        const int i = 64 * u + lane;
        const float a = i < n ? fabsf(x[i]) : 0.0f, b = i + 32 < n ? fabsf(x[i + 32]) : 0.0f;
        float unit = __uint_as_float(warp_max(max(__float_as_uint(a), __float_as_uint(b))));
        u32 exponent = 0;
        while (!zero && exponent < 15 && unit > 0.0f && unit * 2.0f <= top) {
            unit *= 2.0f;
            exponent += 1;
        }
        if (lane == 0) {
            to.multipliers[u] = exponent;
            if (exponent > 0) atomicMax(&largest, exponent);
        }
    }
    __syncthreads();
    const float inverse = 127.0f / top;
    for (int u = warp; u < units; u += warps) {
        const u32 exponent = to.multipliers[u];
        const float factor = inverse * float(1u << exponent);
        int sums[2];
        for (int half = 0; half < 2; half += 1) {
            const int within = 32 * half + lane, i = 64 * u + within;
            int q = 0;
            if (i < n && !zero) q = i8(__float_as_uint(x[i] * factor + MAGIC));
            to.q[256 * (u / 4) + 64 * (within / 16) + 16 * (u % 4) + within % 16] = i8(q);
            sums[half] = team_sum(q, 32);
        }
        // All lanes have read the exponent.
        __syncwarp();
        if (lane == 0) {
            to.sums[2 * u] = i16(sums[0]);
            to.sums[2 * u + 1] = i16(sums[1]);
            to.multipliers[u] = 64 * u < n && !zero ? 1u << (largest - exponent) : 1u;
        }
    }
    if (threadIdx.x == 0) *to.step = zero ? 0.0f : (top / 127.0f) / float(1u << largest);
}
