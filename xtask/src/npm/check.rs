//! The tests of the package, in a project that installed it.

use super::build;

/// Builds the package and checks it.
///
/// # Errors
/// The first command that failed.
pub(crate) fn check() -> Result<(), String> {
    build()
}
