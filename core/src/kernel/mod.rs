//! Kernels: one scalar specification, one file per instruction set.
