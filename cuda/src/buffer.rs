//! Memory of a device.

#![allow(unsafe_code, reason = "addresses of a device")]

use crate::device::Device;
use crate::error::{CudaError, same_len};
use crate::stream::Stream;
use bytemuck::Pod;
use std::marker::PhantomData;

/// `len` values in the memory of a device. Nothing is copied unless a method here is called.
#[derive(Debug)]
pub struct Buffer<T> {
    device: Device,
    address: u64,
    len: usize,
    values: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// Room for `len` values, all of whose bytes are zero.
    ///
    /// # Errors
    /// [`CudaError::Memory`] when the device has not as much.
    pub fn zeros(stream: &Stream, len: usize) -> Result<Self, CudaError> {
        let mut buffer = Self::room(stream.device(), len)?;
        buffer.clear(stream)?;
        Ok(buffer)
    }

    /// A copy of values of the host.
    ///
    /// # Errors
    /// [`CudaError::Memory`], [`CudaError::Driver`].
    pub fn from_host(stream: &Stream, values: &[T]) -> Result<Self, CudaError> {
        let mut buffer = Self::room(stream.device(), values.len())?;
        buffer.upload(stream, values)?;
        Ok(buffer)
    }

    /// Memory whose contents are not set yet.
    fn room(device: &Device, len: usize) -> Result<Self, CudaError> {
        let bytes = len.saturating_mul(size_of::<T>());
        // A device has no empty memory.
        let address = device.driver().allocate(bytes.max(1))?;
        Ok(Self { device: device.clone(), address, len, values: PhantomData })
    }

    /// Values in the buffer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it lies in the device's memory, for kernels of the caller's own.
    pub fn address(&self) -> u64 {
        self.address
    }

    fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }

    /// Sets all bytes to zero.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn clear(&mut self, stream: &Stream) -> Result<(), CudaError> {
        // SAFETY: the buffer has that many bytes.
        unsafe { self.device.driver().fill(stream.raw(), self.address, 0, self.bytes()) }
    }

    /// Copies values of the host into the buffer.
    ///
    /// # Errors
    /// [`CudaError::Shape`] unless there are as many, [`CudaError::Driver`].
    pub fn upload(&mut self, stream: &Stream, values: &[T]) -> Result<(), CudaError> {
        same_len(self.len, values.len())?;
        let driver = self.device.driver();
        // SAFETY: both sides have that many bytes; the driver is done with the host's when it
        // returns.
        unsafe { driver.upload(stream.raw(), self.address, values.as_ptr().cast(), self.bytes()) }
    }

    /// Copies another buffer of the device into this one.
    ///
    /// # Errors
    /// [`CudaError::Shape`] unless it has as many values, [`CudaError::Driver`].
    pub fn copy_from(&mut self, stream: &Stream, from: &Self) -> Result<(), CudaError> {
        same_len(self.len, from.len)?;
        let driver = self.device.driver();
        // SAFETY: both buffers have that many bytes.
        unsafe { driver.copy(stream.raw(), self.address, from.address, self.bytes()) }
    }

    /// Waits for the queue and copies the buffer to the host.
    ///
    /// # Errors
    /// [`CudaError::Shape`] unless there is room for exactly as many, [`CudaError::Driver`].
    pub fn download(&self, stream: &Stream, values: &mut [T]) -> Result<(), CudaError> {
        same_len(self.len, values.len())?;
        let (driver, to) = (self.device.driver(), values.as_mut_ptr().cast());
        // SAFETY: both sides have that many bytes, of a type that any bytes make; the copy is
        // waited for before the host goes on.
        unsafe {
            driver.download(stream.raw(), self.address, to, self.bytes())?;
            driver.synchronize(stream.raw())
        }
    }

    /// The values, in memory of the host.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn to_vec(&self, stream: &Stream) -> Result<Vec<T>, CudaError> {
        let mut values = vec![T::zeroed(); self.len];
        self.download(stream, &mut values)?;
        Ok(values)
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: the memory is this driver's, which waits for the work that uses it.
        unsafe { self.device.driver().free(self.address) }
    }
}
