// Neurons of feed-forward blocks that were chosen, for each vector of a batch.
#pragma once
#include "device.cuh"

// Lists of neurons by the lane that they are computed at.
constexpr int LISTS = 3;

// One of the lists. They lie one after the other, for each vector in room for all neurons.
struct List {
    // None where there is one list, of all neurons in their order.
    const u32 *rows;
    // Of each list.
    const int *counts;
    int neurons;
    int number;

    __device__ int count(int vector) const {
        return rows ? counts[LISTS * vector + number] : neurons;
    }
    // Where what belongs to the list starts.
    __device__ i64 start(int vector) const {
        i64 at = i64(vector) * neurons;
        for (int list = 0; rows && list < number; list += 1) at += counts[LISTS * vector + list];
        return at;
    }
    __device__ u32 row(i64 start, int i) const { return rows ? rows[start + i] : u32(i); }
};
