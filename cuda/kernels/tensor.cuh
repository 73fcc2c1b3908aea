// Integer matrix products of a warp.
#pragma once
#include "device.cuh"

// c += A B for A of 16 × 32 and B of 32 × 8 bytes. With g = thread / 4 and t = thread mod 4, a thread
// holds of A rows g and g + 8, columns 4t… and 16 + 4t…, of B column g, and of c rows g and g + 8,
// columns 2t and 2t + 1.
#ifndef EMULATED
__device__ inline void multiply_tile(int (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif
