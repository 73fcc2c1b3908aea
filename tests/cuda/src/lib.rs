//! A device that is emulated on the host: the kernels compiled as C++, their threads run in turn.
//!
//! What runs here is the text of the kernels and all of the host's side of them. What is not seen
//! here is the device's compiler, its scheduling and its speed.

#![allow(unsafe_code, reason = "memory of an emulated device is memory of the host")]

mod packed;
mod random;
mod sparse;

pub use packed::Packed;
pub use random::{bits, float, random};
pub use sparse::sparse_block;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use trilane_cuda::driver::{Driven, Driver, RawGraph, RawStream, Shape};
use trilane_cuda::kernels::Source;
use trilane_cuda::{CudaError, Device, DeviceInfo, DevicePreference};

unsafe extern "C" {
    fn emulated_kernel(
        source: *const c_char,
        lowered: *const c_char,
        name: *mut *const c_char,
        sizes: *mut *const usize,
        count: *mut usize,
    ) -> c_int;
    #[allow(clippy::too_many_arguments, reason = "a launch has them")]
    fn emulated_launch(
        source: *const c_char,
        name: *const c_char,
        blocks: *const u32,
        threads: u32,
        arguments: *const *const c_void,
        sizes: *const usize,
        count: usize,
        descending: c_int,
        why: *mut c_char,
        room: usize,
    );
}

/// The order in which the threads of a block run between two barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The first thread first.
    Ascending,
    /// The last thread first: other results show that a barrier is missing.
    Descending,
}

/// Bytes around every piece of memory that must stay as they are.
const GUARD: usize = 64;
/// What they hold, and what memory holds before it is set.
const UNSET: u8 = 0xA5;

/// What is queued, as it is recorded.
#[derive(Clone, Debug)]
enum Recorded {
    Launch(Launch),
    Copy { to: u64, from: u64, bytes: usize },
    Fill { to: u64, value: u8, bytes: usize },
}

#[derive(Clone, Debug)]
struct Launch {
    source: &'static Source,
    kernel: String,
    shape: Shape,
    arguments: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    /// Address of each piece of memory, and its bytes.
    memory: BTreeMap<u64, usize>,
    recording: Option<Vec<Recorded>>,
    graphs: Vec<Vec<Recorded>>,
}

/// The device to test: an emulated one, or the CUDA device that `TRILANE_DEVICE` names.
///
/// # Panics
/// When there is no such device.
#[allow(clippy::expect_used, reason = "what stands in for it would prove nothing")]
pub fn device(order: Order) -> Device {
    let Ok(name) = std::env::var("TRILANE_DEVICE") else { return Emulator::device(order) };
    let wanted: DevicePreference = name.parse().expect("TRILANE_DEVICE");
    Device::preferred(wanted).expect("TRILANE_DEVICE").expect("TRILANE_DEVICE names a device")
}

/// The emulated device.
#[derive(Debug)]
pub struct Emulator {
    info: DeviceInfo,
    order: Order,
    state: Mutex<State>,
}

impl Emulator {
    /// A device whose threads run in that order.
    pub fn device(order: Order) -> Device {
        Device::with_driver(Self::new(order))
    }

    /// The driver of such a device.
    pub fn new(order: Order) -> Self {
        let info = DeviceInfo {
            name: "emulated".into(),
            capability: (9, 0),
            memory: 1 << 32,
            multiprocessors: 2,
            l2_bytes: 1 << 20,
            memory_clock: (0, 0),
        };
        Self { info, order, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what was queued, or records it.
    fn queue(&self, queued: Recorded) -> Driven {
        if let Some(recording) = &mut self.state().recording {
            recording.push(queued);
            return Ok(());
        }
        self.run(&queued)
    }

    fn run(&self, queued: &Recorded) -> Driven {
        match *queued {
            Recorded::Launch(ref launch) => return self.run_kernel(launch),
            // SAFETY: both pieces of memory are there, by the caller's promise when it was queued.
            Recorded::Copy { to, from, bytes } => unsafe {
                std::ptr::copy(from as usize as *const u8, to as usize as *mut u8, bytes);
            },
            // SAFETY: as above.
            Recorded::Fill { to, value, bytes } => unsafe {
                (to as usize as *mut u8).write_bytes(value, bytes);
            },
        }
        Ok(())
    }

    /// Runs a kernel, and checks that it has written to no memory that is not there.
    fn run_kernel(&self, launch: &Launch) -> Driven {
        let failed = |reason: String| CudaError::Kernel { name: launch.kernel.clone(), reason };
        let text = |text: &str| CString::new(text).map_err(|e| failed(e.to_string()));
        let (source, name) = (text(launch.source.name)?, text(&launch.kernel)?);
        let arguments: Vec<*const c_void> =
            launch.arguments.iter().map(|argument| argument.as_ptr().cast()).collect();
        let sizes: Vec<usize> = launch.arguments.iter().map(Vec::len).collect();
        let mut why = [0; 256];
        // SAFETY: the kernel's arguments are as long as it takes them, which is checked there.
        unsafe {
            emulated_launch(
                source.as_ptr(),
                name.as_ptr(),
                launch.shape.blocks.as_ptr(),
                launch.shape.threads,
                arguments.as_ptr(),
                sizes.as_ptr(),
                sizes.len(),
                c_int::from(self.order == Order::Descending),
                why.as_mut_ptr(),
                why.len(),
            );
        }
        // SAFETY: the text ends with a zero.
        let why = unsafe { CStr::from_ptr(why.as_ptr()) };
        if !why.is_empty() {
            return Err(failed(why.to_string_lossy().into_owned()));
        }
        for (&address, &bytes) in &self.state().memory {
            // SAFETY: guards lie around every piece of memory.
            let kept = unsafe { guards(address, bytes) };
            if !kept {
                return Err(failed(format!("wrote beside a buffer of {bytes} bytes")));
            }
        }
        Ok(())
    }
}

/// The kernel of a source that is called `lowered` in its PTX, and the sizes of its arguments.
pub fn kernel(source: &str, lowered: &CStr) -> Option<(&'static str, &'static [usize])> {
    let source = CString::new(source).ok()?;
    let (mut name, mut sizes, mut count) = (std::ptr::null(), std::ptr::null(), 0);
    // SAFETY: the texts end with zeros; what is found is static.
    unsafe {
        let (source, lowered) = (source.as_ptr(), lowered.as_ptr());
        let found = emulated_kernel(source, lowered, &raw mut name, &raw mut sizes, &raw mut count);
        if found == 0 {
            return None;
        }
        Some((CStr::from_ptr(name).to_str().ok()?, std::slice::from_raw_parts(sizes, count)))
    }
}

fn layout(bytes: usize) -> Layout {
    let size = (bytes + 2 * GUARD).next_multiple_of(256);
    Layout::from_size_align(size, 256).unwrap_or(Layout::new::<u8>())
}

/// Whether the bytes around a piece of memory are as they were.
///
/// # Safety
/// The memory is there.
unsafe fn guards(address: u64, bytes: usize) -> bool {
    let start = address as usize - GUARD;
    // SAFETY: the caller's promise.
    let (before, after) = unsafe {
        let before = std::slice::from_raw_parts(start as *const u8, GUARD);
        (before, std::slice::from_raw_parts((start + GUARD + bytes) as *const u8, GUARD))
    };
    before.iter().chain(after).all(|&byte| byte == UNSET)
}

// SAFETY: memory is the host's, and everything is done at once.
#[allow(clippy::undocumented_unsafe_blocks, reason = "under the promises of the trait")]
unsafe impl Driver for Emulator {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&self, bytes: usize) -> Driven<u64> {
        if bytes > self.info.memory {
            return Err(CudaError::Memory { bytes, free: self.info.memory });
        }
        let layout = layout(bytes);
        let address = unsafe {
            let start = alloc_zeroed(layout);
            start.write_bytes(UNSET, layout.size());
            start as u64 + GUARD as u64
        };
        self.state().memory.insert(address, bytes);
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        if let Some(bytes) = self.state().memory.remove(&address) {
            unsafe { dealloc((address as usize - GUARD) as *mut u8, layout(bytes)) }
        }
    }

    fn allocate_pinned(&self, bytes: usize) -> Driven<*mut u8> {
        Ok(self.allocate(bytes)? as usize as *mut u8)
    }

    unsafe fn free_pinned(&self, memory: *mut u8) {
        unsafe { self.free(memory as u64) }
    }

    unsafe fn upload(&self, _: RawStream, to: u64, from: *const u8, bytes: usize) -> Driven {
        unsafe { std::ptr::copy(from, to as usize as *mut u8, bytes) };
        Ok(())
    }

    unsafe fn download(&self, _: RawStream, from: u64, to: *mut u8, bytes: usize) -> Driven {
        unsafe { std::ptr::copy(from as usize as *const u8, to, bytes) };
        Ok(())
    }

    unsafe fn copy(&self, _: RawStream, to: u64, from: u64, bytes: usize) -> Driven {
        self.queue(Recorded::Copy { to, from, bytes })
    }

    unsafe fn fill(&self, _: RawStream, to: u64, value: u8, bytes: usize) -> Driven {
        self.queue(Recorded::Fill { to, value, bytes })
    }

    fn prepare(&self, _: &'static Source) -> Driven {
        Ok(())
    }

    unsafe fn launch(
        &self,
        _: RawStream,
        source: &'static Source,
        kernel: &str,
        shape: Shape,
        arguments: &[&[u8]],
    ) -> Driven {
        let arguments = arguments.iter().map(|argument| argument.to_vec()).collect();
        let kernel = kernel.into();
        self.queue(Recorded::Launch(Launch { source, kernel, shape, arguments }))
    }

    fn create_stream(&self) -> Driven<RawStream> {
        Ok(0)
    }

    unsafe fn destroy_stream(&self, _: RawStream) {}

    unsafe fn synchronize(&self, _: RawStream) -> Driven {
        Ok(())
    }

    unsafe fn begin_recording(&self, _: RawStream) -> Driven {
        self.state().recording = Some(Vec::new());
        Ok(())
    }

    unsafe fn end_recording(&self, _: RawStream) -> Driven<RawGraph> {
        let mut state = self.state();
        let recorded = state.recording.take().unwrap_or_default();
        state.graphs.push(recorded);
        Ok(state.graphs.len() - 1)
    }

    unsafe fn replay(&self, _: RawStream, graph: RawGraph) -> Driven {
        let recorded = self.state().graphs.get(graph).cloned().unwrap_or_default();
        recorded.iter().try_for_each(|queued| self.run(queued))
    }

    unsafe fn destroy_graph(&self, graph: RawGraph) {
        if let Some(graph) = self.state().graphs.get_mut(graph) {
            graph.clear();
        }
    }

    unsafe fn timed(&self, _: RawStream, work: &mut dyn FnMut() -> Driven) -> Driven<f64> {
        let start = std::time::Instant::now();
        work()?;
        Ok(start.elapsed().as_secs_f64())
    }
}
