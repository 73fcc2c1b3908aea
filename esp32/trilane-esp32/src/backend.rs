//! The kernels that a processor without vector instructions runs.

use trilane_core::kernel::Lut;

/// Tiers of nested tensors that are compiled in.
const TIERS: usize = if cfg!(feature = "lanes") { 3 } else { 1 };

/// Table lookup at the lanes of these tiers.
pub(crate) type Tables = Lut<TIERS>;

/// Its only value.
pub(crate) const BACKEND: Tables = Lut::<TIERS>;
