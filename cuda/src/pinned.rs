//! Memory of the host that a device reads and writes itself.

#![allow(unsafe_code, reason = "memory of the driver")]

use crate::device::Device;
use crate::error::CudaError;
use bytemuck::Pod;
use std::ops::{Deref, DerefMut};
use std::slice;

/// `len` values in memory of the host that stays where it is ("pinned"): copies to and from it run
/// at the full rate of the bus, without a copy on the way.
///
/// A copy *to* the device that was queued from it goes on after the call has returned: what is
/// written here before [`Stream::synchronize`](crate::Stream::synchronize) may arrive there.
#[derive(Debug)]
pub struct Pinned<T> {
    device: Device,
    memory: *mut T,
    len: usize,
}

// SAFETY: the memory belongs to this value alone.
unsafe impl<T: Send> Send for Pinned<T> {}
// SAFETY: shared references only read it.
unsafe impl<T: Sync> Sync for Pinned<T> {}

impl<T: Pod> Pinned<T> {
    /// Room for `len` values, all of whose bytes are zero.
    ///
    /// # Errors
    /// [`CudaError::Memory`] when the system does not pin as much.
    pub fn zeros(device: &Device, len: usize) -> Result<Self, CudaError> {
        let bytes = len.saturating_mul(size_of::<T>());
        let memory = device.driver().allocate_pinned(bytes.max(1))?;
        // SAFETY: there are as many bytes.
        unsafe { memory.write_bytes(0, bytes) };
        // Pinned memory begins at a page.
        Ok(Self { device: device.clone(), memory: memory.cast(), len })
    }
}

impl<T: Pod> Deref for Pinned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: there are that many values, of a type that any bytes make.
        unsafe { slice::from_raw_parts(self.memory, self.len) }
    }
}

impl<T: Pod> DerefMut for Pinned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.memory, self.len) }
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        // SAFETY: the memory is this driver's. Downloads have been waited for.
        unsafe { self.device.driver().free_pinned(self.memory.cast()) }
    }
}
