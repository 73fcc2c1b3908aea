// Feed-forward blocks of chosen neurons: products with their rows, and sums of rows.
#include "digits.cuh"
#include "math.cuh"
#include "neurons.cuh"

// y = the products of listed rows with the vector: the sums of what LANE reads, and those that are
// known of what is below. `sums` keeps the integers, by neuron.
template <int LANE, int GROUP>
__global__ void neuron_products(Planes w, int team, Activations x, List list, const i64 *known,
                                i64 *sums, float *y) {
    const int vector = blockIdx.y, count = list.count(vector);
    const int thread = blockIdx.x * blockDim.x + threadIdx.x;
    // A warp goes on together.
    if (thread / 32 * 32 / team * TOGETHER >= count) return;
    const int first = thread / team * TOGETHER;
    const i64 start = list.start(vector);
    x = x.of(vector, w.cols);
    // In place of a row past the end, the last: every thread takes part in what follows.
    i64 rows[TOGETHER], totals[TOGETHER] = {};
    for (int r = 0; r < TOGETHER; r += 1) rows[r] = list.row(start, min(first + r, count - 1));
    add_units<LANE, GROUP>(w, team, x, rows, totals);
#pragma unroll
    for (int r = 0; r < TOGETHER; r += 1) {
        i64 sum = team_sum(totals[r], team);
        if (threadIdx.x % team != 0 || first + r >= count) continue;
        const i64 neuron = i64(vector) * list.neurons + rows[r];
        if (known) sum += known[neuron];
        if (sums) sums[neuron] = sum;
        y[start + first + r] = float(sum) * (w.row_scales[rows[r]] * *x.step);
    }
}

// The same where all of the sums is known.
__global__ void known_products(const float *row_scales, const float *step, List list,
                               const i64 *known, float *y) {
    const int vector = blockIdx.y, count = list.count(vector);
    const i64 start = list.start(vector);
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        const u32 row = list.row(start, i);
        const i64 sum = known[i64(vector) * list.neurons + row];
        y[start + i] = float(sum) * (row_scales[row] * step[vector]);
    }
}

// scores = |act(g + bias) · up · importance|, g in `scores`; what is not there is left out.
template <int ACTIVATION>
__global__ void neuron_scores(float *scores, const float *bias, const float *up,
                              const float *importance, int n, int nan_is_zero) {
    const i64 start = i64(blockIdx.y) * n;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float g = scores[start + i];
        if (bias) g += bias[i];
        float score = activation<ACTIVATION>(g);
        if (up) score *= up[start + i];
        if (importance) score *= importance[i];
        scores[start + i] = nan_is_zero && score != score ? 0.0f : fabsf(score);
    }
}

// h = act(gate + bias) · up · the scale of the neuron's row of the second matrix.
template <int ACTIVATION>
__global__ void neuron_values(List list, const float *gate, const float *bias, const float *up,
                              const float *row_scales, float *h) {
    const int vector = blockIdx.y, count = list.count(vector);
    const i64 start = list.start(vector);
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        const u32 row = list.row(start, i);
        float value = gate[start + i];
        if (bias) value += bias[row];
        value = activation<ACTIVATION>(value);
        if (up) value *= up[start + i];
        h[start + i] = value * row_scales[row];
    }
}

constexpr float LARGEST = 32767.0f;
constexpr u64 LARGEST_SUM = 1 << 24;
constexpr u32 SMALLEST = (127 - 100) << 23;

// h ≈ q · step for the neurons of all lists, see `nn::sparse::combine` of trilane-core; `unit` is
// what the sums are to be multiplied with besides. A block of threads for each vector. Notes in
// `status` where a value is not finite.
__global__ void neuron_integers(List last, const float *h, float unit, int *q, float *step,
                                int *status, int layer) {
    __shared__ u32 greatest;
    __shared__ u64 total;
    const int vector = blockIdx.x;
    const i64 start = i64(vector) * last.neurons;
    const int count = int(last.start(vector) - start) + last.count(vector);
    if (threadIdx.x == 0) {
        greatest = 0;
        total = 0;
    }
    __syncthreads();
    u32 most = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        most = max(most, __float_as_uint(h[start + i]) & 0x7FFFFFFFu);
    }
    most = warp_max(most);
    if (threadIdx.x % 32 == 0) atomicMax(&greatest, most);
    __syncthreads();
    const bool bad = greatest >= 0x7F800000u, zero = bad || greatest < SMALLEST;
    if (threadIdx.x == 0 && bad) diverged(status + vector, layer);
    const float top = __uint_as_float(greatest), inverse = LARGEST / top;
    // The magnitudes in the lower bits, the number of those that are not 0 above: hidden layers
    // have fewer than 2²⁴ neurons.
    i64 sum = 0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        const int rounded = int(__float_as_uint(h[start + i] * inverse + MAGIC)) -
                            int(__float_as_uint(MAGIC));
        const int value = zero ? 0 : rounded;
        q[start + i] = value;
        sum += i64(value != 0) << 40 | i64(value < 0 ? -value : value);
    }
    sum = team_sum(sum, 32);
    if (threadIdx.x % 32 == 0) atomicAdd(&total, u64(sum));
    __syncthreads();
    const u64 some = total >> 40, magnitudes = total & ((1ull << 40) - 1);
    int shift = 0;
    while ((magnitudes >> shift) + some >= LARGEST_SUM && shift < 15) shift += 1;
    if (shift > 0) {
        for (int i = threadIdx.x; i < count; i += blockDim.x) {
            q[start + i] = (q[start + i] + (1 << (shift - 1))) >> shift;
        }
    }
    if (threadIdx.x == 0) step[vector] = zero ? 0.0f : top / LARGEST * float(1u << shift) * unit;
}

// sums += Σ k · value(code) over the rows of a list, k = ⌊q · group scale / 256 + ½⌋, or q without
// group scales, modulo 2³². A thread takes word k of a unit, 16 columns; blocks along y share the
// rows among them.
template <int LANE, int GROUP>
__global__ void combine(Planes w, List list, const int *q, u32 *sums) {
    const int units = w.units(), vector = blockIdx.z;
    const int thread = blockIdx.x * blockDim.x + threadIdx.x, u = thread / 4, k = thread % 4;
    if (u >= units) return;
    const int count = list.count(vector);
    const i64 start = list.start(vector);
    u32 columns[4][4] = {}, factors[2] = {};
    for (int i = blockIdx.y; i < count; i += gridDim.y) {
        const int factor = q[start + i];
        if (factor == 0) continue;
        const i64 row = list.row(start, i), at = row * units + u;
        u32 d[3] = {};
        for (int tier = 0; tier < 3; tier += 1) {
            if (reads<LANE>(tier)) {
                const u8 *word = w.digits[tier] + 16 * at + 4 * k;
                d[tier] = __ldg(reinterpret_cast<const u32 *>(word));
            }
        }
        u32 halves[2];
        for (int half = 0; half < 2; half += 1) {
            int scaled = factor;
            if (GROUP == 32) scaled = (factor * w.group_scales[2 * at + half] + 128) >> 8;
            if (GROUP == 64) scaled = (factor * w.group_scales[at] + 128) >> 8;
            halves[half] = u32(scaled);
            factors[half] += u32(scaled);
        }
#pragma unroll
        for (int p = 0; p < 4; p += 1) {
            u32 high = 0;
            if (LANE & FIRST) high = high_bits(w, row, u, units, p) >> (4 * k) & 0xFu;
            const u32 codes = codes_of<LANE>(d[0], d[1], d[2], high, p);
#pragma unroll
            for (int j = 0; j < 4; j += 1) {
                columns[p][j] += halves[p / 2] * (codes >> (8 * j) & 0xFFu);
            }
        }
    }
    for (int p = 0; p < 4; p += 1) {
        for (int j = 0; j < 4; j += 1) {
            const int c = 64 * u + 16 * p + 4 * k + j;
            const u32 sum = STEP<LANE> * columns[p][j] - u32(w.zero) * factors[p / 2];
            if (c < w.cols) atomicAdd(&sums[i64(vector) * w.cols + c], sum);
        }
    }
}

// y = sums · step + bias.
__global__ void combined(const u32 *sums, const float *step, const float *bias, int n, float *y) {
    const i64 start = i64(blockIdx.y) * n;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float value = float(int(sums[start + i])) * step[blockIdx.y];
        if (bias) value += bias[i];
        y[start + i] = value;
    }
}
