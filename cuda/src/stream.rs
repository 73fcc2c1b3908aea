//! Queues of work, and recordings of what was queued.

#![allow(unsafe_code, reason = "handles of the driver")]

use crate::device::Device;
use crate::driver::{RawGraph, RawStream, Shape};
use crate::error::CudaError;
use crate::kernels::Source;

/// A queue of work for a device: what is queued runs in order, while the host goes on.
///
/// Buffers that queued work uses may be dropped: their memory is given back when the work is done.
/// A buffer that two queues use is the caller's to order.
#[derive(Debug)]
pub struct Stream {
    device: Device,
    raw: RawStream,
    borrowed: bool,
}

impl Stream {
    pub(crate) fn new(device: Device) -> Result<Self, CudaError> {
        let raw = device.driver().create_stream()?;
        Ok(Self { device, raw, borrowed: false })
    }

    /// A queue that belongs to the caller: a `CUstream` as an address.
    ///
    /// # Safety
    /// It is a queue of the same device and outlives this value.
    #[must_use]
    pub unsafe fn borrowed(device: &Device, raw: RawStream) -> Self {
        Self { device: device.clone(), raw, borrowed: true }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The `CUstream`, as an address.
    pub fn raw(&self) -> RawStream {
        self.raw
    }

    /// Waits until all that was queued is done.
    ///
    /// # Errors
    /// [`CudaError::Driver`]: also of anything that was queued before.
    pub fn synchronize(&self) -> Result<(), CudaError> {
        // SAFETY: the queue is alive.
        unsafe { self.device.driver().synchronize(self.raw) }
    }

    /// Records what `work` queues, without doing it.
    ///
    /// Everything that it queues is replayed with the same addresses and numbers: what changes from
    /// one replay to the next has to lie in the device's memory.
    ///
    /// # Errors
    /// Those of `work`, and [`CudaError::Driver`].
    pub fn record(&self, work: impl FnOnce() -> Result<(), CudaError>) -> Result<Graph, CudaError> {
        let driver = self.device.driver();
        // SAFETY: the queue is alive; the recording is ended whatever becomes of the work.
        let (worked, recorded) = unsafe {
            driver.begin_recording(self.raw)?;
            (work(), driver.end_recording(self.raw))
        };
        let graph = Graph { device: self.device.clone(), raw: recorded? };
        worked.map(|()| graph)
    }

    /// Runs `work` and gives the seconds that the device took for what it queued.
    ///
    /// # Errors
    /// Those of `work`, and [`CudaError::Driver`].
    pub fn timed(&self, mut work: impl FnMut() -> Result<(), CudaError>) -> Result<f64, CudaError> {
        // SAFETY: the queue is alive.
        unsafe { self.device.driver().timed(self.raw, &mut work) }
    }

    /// Queues a kernel.
    ///
    /// # Safety
    /// The kernel takes these arguments; addresses among them belong to the device and have room
    /// for what the kernel reads and writes.
    pub(crate) unsafe fn launch(
        &self,
        source: &'static Source,
        kernel: &str,
        shape: Shape,
        arguments: &[&[u8]],
    ) -> Result<(), CudaError> {
        if shape.blocks.contains(&0) {
            return Ok(());
        }
        // SAFETY: the caller's promise; the queue is alive.
        unsafe { self.device.driver().launch(self.raw, source, kernel, shape, arguments) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.borrowed {
            // SAFETY: the queue was made by this driver and is not used again.
            unsafe { self.device.driver().destroy_stream(self.raw) }
        }
    }
}

/// Launches that were recorded, to be queued as one: a CUDA graph.
#[derive(Debug)]
pub struct Graph {
    device: Device,
    raw: RawGraph,
}

impl Graph {
    /// Queues all that was recorded.
    ///
    /// # Safety
    /// The buffers that were used in the recording are still there.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub unsafe fn replay(&self, stream: &Stream) -> Result<(), CudaError> {
        // SAFETY: the recording is alive, and the caller's promise.
        unsafe { self.device.driver().replay(stream.raw, self.raw) }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: the recording was made by this driver and is not used again.
        unsafe { self.device.driver().destroy_graph(self.raw) }
    }
}

/// Queues a kernel with the arguments behind the shape, as their bytes.
macro_rules! launch {
    ($stream:expr, $source:expr, $kernel:expr, $shape:expr; $($argument:expr),* $(,)?) => {
        $stream.launch($source, $kernel, $shape, &[$(bytemuck::bytes_of(&$argument)),*])
    };
}
pub(crate) use launch;
