// Which neurons are computed: those with the largest scores. A block of threads for each vector.
#include "neurons.cuh"
#include "ranking.cuh"

// What the lists hold: list i the `largest[i]` largest that are in no list before, or if that is
// negative all from `least` on.
struct Choice {
    int lists;
    int largest[LISTS];
    float least;
};

// Magnitudes are in the order of their bits.
struct Magnitudes {
    const float *scores;
    __device__ u32 operator()(int i) const { return __float_as_uint(scores[i]); }
};

// rows = the chosen neurons, list after list, each ascending; counts = how many in each.
__global__ void select_neurons(const float *scores, int n, Choice choice, u32 *rows, int *counts) {
    const int vector = blockIdx.x;
    const Magnitudes keys{scores + i64(vector) * n};
    rows += i64(vector) * n;
    counts += LISTS * vector;
    int length = 0;
    Limit before = {0xFFFFFFFFu, 0};
    for (int list = 0; list < LISTS; list += 1) {
        const int first = length;
        if (list < choice.lists) {
            const u32 least = __float_as_uint(choice.least);
            const Limit limit = choice.largest[list] < 0
                                    ? Limit{least > 0 ? least - 1 : 0, 0}
                                    : largest(keys, n, choice.largest[list]);
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
