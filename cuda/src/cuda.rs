//! NVIDIA's driver, loaded at run time.

#![allow(unsafe_code, reason = "calls of the driver")]

mod cache;
mod compile;

use crate::driver::{DeviceInfo, Driven, Driver, RawGraph, RawStream, Shape};
use crate::error::CudaError;
use crate::kernels::Source;
pub use compile::{Ptx, compile};
use cudarc::driver::DriverError;
use cudarc::driver::result::{self, ctx, device, event, graph, module, primary_ctx, stream};
use cudarc::driver::sys;
use std::collections::BTreeMap;
use std::ffi::{CString, c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A CUDA device.
#[derive(Debug)]
pub struct Cuda {
    device: sys::CUdevice,
    context: sys::CUcontext,
    info: DeviceInfo,
    modules: Mutex<BTreeMap<&'static str, Module>>,
}

// SAFETY: a context may be used by every thread that makes it current, which every call does.
unsafe impl Send for Cuda {}
// SAFETY: as above.
unsafe impl Sync for Cuda {}

/// A source that has been loaded.
#[derive(Debug)]
struct Module {
    handle: sys::CUmodule,
    functions: BTreeMap<String, sys::CUfunction>,
}

/// Says what was being done when a call failed.
fn failed(call: &'static str) -> impl Fn(DriverError) -> CudaError {
    move |error| {
        let text = |found: Result<&std::ffi::CStr, DriverError>| {
            found.map_or_else(|_| String::from("?"), |text| text.to_string_lossy().into_owned())
        };
        let message = format!("{}: {}", text(error.error_name()), text(error.error_string()));
        CudaError::Driver { call, code: error.0 as u32, message }
    }
}

/// Whether the driver's library can be loaded; calling it without panics.
fn is_present() -> bool {
    // SAFETY: the driver's initialisers do nothing that this process relies on.
    unsafe { sys::is_culib_present() }
}

impl Cuda {
    /// How many devices there are; never none.
    ///
    /// # Errors
    /// [`CudaError::NoDriver`], [`CudaError::NoDevice`].
    pub fn devices() -> Result<usize, CudaError> {
        if !is_present() {
            return Err(CudaError::NoDriver);
        }
        let no_device = |error: DriverError| match error.0 {
            sys::CUresult::CUDA_ERROR_NO_DEVICE => CudaError::NoDevice,
            _ => failed("looking for devices")(error),
        };
        result::init().map_err(no_device)?;
        match device::get_count().map_err(no_device)? {
            0 => Err(CudaError::NoDevice),
            count => Ok(usize::try_from(count).unwrap_or(0)),
        }
    }

    /// The device of a number.
    ///
    /// # Errors
    /// As [`devices`](Self::devices), and [`CudaError::Ordinal`].
    pub fn open(ordinal: usize) -> Result<Self, CudaError> {
        let devices = Self::devices()?;
        let number = c_int::try_from(ordinal).ok().filter(|_| ordinal < devices);
        let number = number.ok_or(CudaError::Ordinal { ordinal, devices })?;
        let device = device::get(number).map_err(failed("opening a device"))?;
        let info = info(device).map_err(failed("asking what a device is"))?;
        // SAFETY: the device exists; the context is released when this value is dropped.
        let context = unsafe { primary_ctx::retain(device) };
        let context = context.map_err(failed("making a context"))?;
        Ok(Self { device, context, info, modules: Mutex::default() })
    }

    /// Makes the device the thread's own; every other call needs it.
    fn enter(&self) -> Result<(), CudaError> {
        // SAFETY: the context lives as long as `self`.
        unsafe { ctx::set_current(self.context) }.map_err(failed("entering a context"))
    }

    /// The modules, with that source among them.
    fn loaded(
        &self,
        source: &'static Source,
    ) -> Result<MutexGuard<'_, BTreeMap<&'static str, Module>>, CudaError> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if !modules.contains_key(source.name) {
            self.enter()?;
            let ptx = cache::compiled(source, self.info.capability)?;
            modules.insert(source.name, load(source, &ptx)?);
        }
        Ok(modules)
    }
}

/// What the driver says of a device.
fn info(device: sys::CUdevice) -> Result<DeviceInfo, DriverError> {
    use sys::CUdevice_attribute_enum as Attribute;
    let number = |attribute| {
        // SAFETY: the device comes from the driver.
        let found = unsafe { device::get_attribute(device, attribute) };
        found.map(|value| u32::try_from(value).unwrap_or(0))
    };
    Ok(DeviceInfo {
        name: device::get_name(device)?,
        capability: (
            number(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            number(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        ),
        // SAFETY: as above.
        memory: unsafe { device::total_mem(device) }?,
        multiprocessors: number(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        l2_bytes: number(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)? as usize,
        memory_clock: (
            number(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)?,
            number(Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)?,
        ),
    })
}

/// Loads a compiled source and finds its kernels.
fn load(source: &'static Source, ptx: &Ptx) -> Result<Module, CudaError> {
    let text = CString::new(ptx.text.as_str())
        .map_err(|_| CudaError::Compile { source: source.name, log: "a zero in the PTX".into() })?;
    // SAFETY: the text ends with a zero.
    let handle = unsafe { module::load_data(text.as_ptr().cast()) };
    let handle = handle.map_err(failed("loading kernels"))?;
    let functions = ptx.names.iter().map(|(name, lowered)| {
        let missing = || CudaError::Kernel { name: name.clone(), reason: "bad name".into() };
        let lowered = CString::new(lowered.as_str()).map_err(|_| missing())?;
        // SAFETY: the module has just been loaded.
        let function = unsafe { module::get_function(handle, lowered) };
        Ok((name.clone(), function.map_err(failed("finding a kernel"))?))
    });
    Ok(Module { handle, functions: functions.collect::<Result<_, CudaError>>()? })
}

impl Drop for Cuda {
    fn drop(&mut self) {
        if self.enter().is_err() {
            return;
        }
        let modules = self.modules.get_mut().unwrap_or_else(PoisonError::into_inner);
        for module in modules.values() {
            // SAFETY: no kernel of it is launched any more. A failure leaves nothing to be done.
            let _ = unsafe { module::unload(module.handle) };
        }
        // SAFETY: the context was retained once.
        let _ = unsafe { primary_ctx::release(self.device) };
    }
}

/// The driver's type for a queue.
fn queue(stream: RawStream) -> sys::CUstream {
    stream as sys::CUstream
}

// SAFETY: the operations are the driver's own.
#[allow(clippy::undocumented_unsafe_blocks, reason = "the promises of the trait are the driver's")]
unsafe impl Driver for Cuda {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&self, bytes: usize) -> Driven<u64> {
        self.enter()?;
        unsafe { result::malloc_sync(bytes) }.map_err(|error| match error.0 {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => CudaError::Memory {
                bytes,
                free: result::mem_get_info().map_or(0, |(free, _)| free),
            },
            _ => failed("allocating memory")(error),
        })
    }

    unsafe fn free(&self, address: u64) {
        // It waits for all work before. A failure leaves nothing to be done.
        if self.enter().is_ok() {
            let _ = unsafe { result::free_sync(address) };
        }
    }

    fn allocate_pinned(&self, bytes: usize) -> Driven<*mut u8> {
        self.enter()?;
        let memory = unsafe { result::malloc_host(bytes, 0) };
        memory.map(<*mut c_void>::cast).map_err(failed("allocating pinned memory"))
    }

    unsafe fn free_pinned(&self, memory: *mut u8) {
        if self.enter().is_ok() {
            let _ = unsafe { result::free_host(memory.cast()) };
        }
    }

    unsafe fn upload(&self, stream: RawStream, to: u64, from: *const u8, bytes: usize) -> Driven {
        self.enter()?;
        let from = unsafe { std::slice::from_raw_parts(from, bytes) };
        unsafe { result::memcpy_htod_async(to, from, queue(stream)) }
            .map_err(failed("copying to the device"))
    }

    unsafe fn download(&self, stream: RawStream, from: u64, to: *mut u8, bytes: usize) -> Driven {
        self.enter()?;
        let to = unsafe { std::slice::from_raw_parts_mut(to, bytes) };
        unsafe { result::memcpy_dtoh_async(to, from, queue(stream)) }
            .map_err(failed("copying to the host"))
    }

    unsafe fn copy(&self, stream: RawStream, to: u64, from: u64, bytes: usize) -> Driven {
        self.enter()?;
        unsafe { result::memcpy_dtod_async(to, from, bytes, queue(stream)) }
            .map_err(failed("copying on the device"))
    }

    unsafe fn fill(&self, stream: RawStream, to: u64, value: u8, bytes: usize) -> Driven {
        self.enter()?;
        unsafe { result::memset_d8_async(to, value, bytes, queue(stream)) }
            .map_err(failed("setting memory"))
    }

    fn prepare(&self, source: &'static Source) -> Driven {
        self.loaded(source).map(|_| ())
    }

    unsafe fn launch(
        &self,
        stream: RawStream,
        source: &'static Source,
        kernel: &str,
        shape: Shape,
        arguments: &[&[u8]],
    ) -> Driven {
        self.enter()?;
        let modules = self.loaded(source)?;
        let function = modules.get(source.name).and_then(|module| module.functions.get(kernel));
        let function = *function.ok_or_else(|| CudaError::Kernel {
            name: kernel.into(),
            reason: format!("{} has none of that name", source.name),
        })?;
        // The driver takes the addresses of the arguments and copies what is there.
        let mut addresses: Vec<*mut c_void> =
            arguments.iter().map(|argument| argument.as_ptr().cast_mut().cast()).collect();
        let [x, y, z] = shape.blocks;
        unsafe {
            let threads = (shape.threads, 1, 1);
            result::launch_kernel(function, (x, y, z), threads, 0, queue(stream), &mut addresses)
        }
        .map_err(failed("launching a kernel"))
    }

    fn create_stream(&self) -> Driven<RawStream> {
        self.enter()?;
        let stream = stream::create(stream::StreamKind::NonBlocking);
        stream.map(|stream| stream as RawStream).map_err(failed("making a queue"))
    }

    unsafe fn destroy_stream(&self, stream: RawStream) {
        if self.enter().is_ok() {
            let _ = unsafe { stream::destroy(queue(stream)) };
        }
    }

    unsafe fn synchronize(&self, stream: RawStream) -> Driven {
        self.enter()?;
        unsafe { stream::synchronize(queue(stream)) }.map_err(failed("waiting for the device"))
    }

    unsafe fn begin_recording(&self, stream: RawStream) -> Driven {
        self.enter()?;
        let mode = sys::CUstreamCaptureMode_enum::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        unsafe { stream::begin_capture(queue(stream), mode) }.map_err(failed("recording"))
    }

    unsafe fn end_recording(&self, stream: RawStream) -> Driven<RawGraph> {
        self.enter()?;
        unsafe {
            let recorded = stream::end_capture(queue(stream)).map_err(failed("recording"))?;
            let mut runnable = std::mem::MaybeUninit::uninit();
            let made = sys::cuGraphInstantiateWithFlags(runnable.as_mut_ptr(), recorded, 0);
            let _ = graph::destroy(recorded);
            made.result().map_err(failed("making a graph"))?;
            Ok(runnable.assume_init() as RawGraph)
        }
    }

    unsafe fn replay(&self, stream: RawStream, graph: RawGraph) -> Driven {
        self.enter()?;
        unsafe { graph::launch(graph as sys::CUgraphExec, queue(stream)) }
            .map_err(failed("launching a graph"))
    }

    unsafe fn destroy_graph(&self, graph: RawGraph) {
        if self.enter().is_ok() {
            let _ = unsafe { graph::exec_destroy(graph as sys::CUgraphExec) };
        }
    }

    unsafe fn timed(&self, stream: RawStream, work: &mut dyn FnMut() -> Driven) -> Driven<f64> {
        self.enter()?;
        let flags = sys::CUevent_flags_enum::CU_EVENT_DEFAULT;
        let made = || event::create(flags).map_err(failed("timing"));
        let (start, end) = (made()?, made()?);
        let timed = unsafe {
            (|| {
                event::record(start, queue(stream)).map_err(failed("timing"))?;
                work()?;
                event::record(end, queue(stream)).map_err(failed("timing"))?;
                event::synchronize(end).map_err(failed("timing"))?;
                event::elapsed(start, end).map_err(failed("timing"))
            })()
        };
        let _ = unsafe { event::destroy(start) };
        let _ = unsafe { event::destroy(end) };
        timed.map(|milliseconds| f64::from(milliseconds) / 1000.0)
    }
}
