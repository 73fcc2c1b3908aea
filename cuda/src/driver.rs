//! What runs kernels: NVIDIA's driver, or an emulation of a device.

#![allow(unsafe_code, reason = "the promises that a device asks for")]

use crate::error::CudaError;
use crate::kernels::Source;
use std::fmt::Debug;

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: (u32, u32),
    /// Bytes of memory.
    pub memory: usize,
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of the second-level cache.
    pub l2_bytes: usize,
    /// Greatest clock of the memory in kHz, and the width of its bus in bits.
    pub memory_clock: (u32, u32),
}

/// Blocks of a launch, and the threads of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks along x, y and z.
    pub blocks: [u32; 3],
    /// Threads of a block; they lie along x.
    pub threads: u32,
}

/// The queue that work of a device waits in, as a driver names it: a `CUstream`.
pub type RawStream = usize;

/// A recorded sequence of launches, as a driver names it: a `CUgraphExec`.
pub type RawGraph = usize;

/// What an operation of a driver has to answer with.
pub type Driven<T = ()> = Result<T, CudaError>;

/// A device that runs kernels: an NVIDIA GPU ([`Cuda`](crate::Cuda)), or what stands in for one in
/// tests. Users meet it only through [`Device`](crate::Device).
///
/// # Safety
/// Addresses come from `allocate` of the same driver and have room for what is written or read;
/// kernels are launched with addresses and sizes that are theirs. Memory that queued work uses, on
/// either side, stays until `synchronize` returns.
#[allow(clippy::missing_safety_doc, reason = "stated once for all above")]
pub unsafe trait Driver: Debug + Send + Sync {
    /// What the device is.
    fn info(&self) -> &DeviceInfo;
    /// Takes memory.
    ///
    /// # Errors
    /// [`CudaError::Memory`] when there is not as much.
    fn allocate(&self, bytes: usize) -> Driven<u64>;
    /// Gives memory back once all work that was queued before is done.
    unsafe fn free(&self, address: u64);
    /// Takes memory of the host that the device reads and writes itself.
    ///
    /// # Errors
    /// [`CudaError::Memory`] when there is not as much.
    fn allocate_pinned(&self, bytes: usize) -> Driven<*mut u8>;
    /// Gives such memory back.
    unsafe fn free_pinned(&self, memory: *mut u8);
    /// Queues a copy to the device. The host's memory may be used again when it returns, unless
    /// it is pinned.
    unsafe fn upload(&self, stream: RawStream, to: u64, from: *const u8, bytes: usize) -> Driven;
    /// Queues a copy to the host.
    unsafe fn download(&self, stream: RawStream, from: u64, to: *mut u8, bytes: usize) -> Driven;
    /// Queues a copy within the device.
    unsafe fn copy(&self, stream: RawStream, to: u64, from: u64, bytes: usize) -> Driven;
    /// Queues setting bytes.
    unsafe fn fill(&self, stream: RawStream, to: u64, value: u8, bytes: usize) -> Driven;
    /// Compiles a source, if it has not been.
    ///
    /// # Errors
    /// [`CudaError::NoCompiler`], [`CudaError::Compile`].
    fn prepare(&self, source: &'static Source) -> Driven;
    /// Queues a kernel; the arguments are the bytes of each.
    unsafe fn launch(
        &self,
        stream: RawStream,
        source: &'static Source,
        kernel: &str,
        shape: Shape,
        arguments: &[&[u8]],
    ) -> Driven;
    /// Makes a queue.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    fn create_stream(&self) -> Driven<RawStream>;
    /// Gives a queue back.
    unsafe fn destroy_stream(&self, stream: RawStream);
    /// Waits until all that was queued is done.
    unsafe fn synchronize(&self, stream: RawStream) -> Driven;
    /// Records what is queued from now on, instead of doing it.
    unsafe fn begin_recording(&self, stream: RawStream) -> Driven;
    /// Ends the recording.
    unsafe fn end_recording(&self, stream: RawStream) -> Driven<RawGraph>;
    /// Queues what was recorded.
    unsafe fn replay(&self, stream: RawStream, graph: RawGraph) -> Driven;
    /// Gives a recording back.
    unsafe fn destroy_graph(&self, graph: RawGraph);
    /// Runs `work` on a queue and gives the time that it took there, in seconds.
    unsafe fn timed(&self, stream: RawStream, work: &mut dyn FnMut() -> Driven) -> Driven<f64>;
}
