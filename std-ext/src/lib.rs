//! What trilane needs an operating system for.
