//! Digit planes.
