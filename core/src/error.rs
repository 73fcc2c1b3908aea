//! Errors shared by several operation families.
