//! Neural network blocks.
