//! The functions of `libcuda.so` that trilane calls, over the emulated device.
//!
//! With a copy of this library as `libcuda.so`, the code that talks to NVIDIA's driver runs where there
//! is none: opening a device, compiling kernels with the real NVRTC and keeping them, loading, queues,
//! recordings, events. What a name, an order or a size would do to the real driver is not known here.

#![allow(unsafe_code, reason = "a C interface")]
#![allow(non_snake_case, reason = "the names of the interface")]
#![allow(missing_docs, reason = "NVIDIA's documentation says what each function does")]
#![allow(clippy::missing_safety_doc, reason = "as above")]
#![allow(clippy::undocumented_unsafe_blocks, reason = "arguments are what the driver asks for")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;
use trilane_cuda::driver::{Driver, Shape};
use trilane_cuda::kernels::{SOURCES, Source};
use trilane_cuda_tests::{Emulator, Order, kernel};

const SUCCESS: c_int = 0;
const INVALID_VALUE: c_int = 1;
const OUT_OF_MEMORY: c_int = 2;
const NOT_FOUND: c_int = 500;

static DEVICE: LazyLock<Emulator> = LazyLock::new(|| Emulator::new(Order::Ascending));

/// The result of a call as a number.
fn answer<T, E>(result: Result<T, E>, to: *mut T, code: c_int) -> c_int {
    match result {
        Ok(value) => {
            // SAFETY: the caller's place for it.
            unsafe { to.write(value) };
            SUCCESS
        }
        Err(_) => code,
    }
}

fn done<E: std::fmt::Display>(result: Result<(), E>) -> c_int {
    result.map_or_else(
        |error| {
            eprintln!("emulated driver: {error}");
            INVALID_VALUE
        },
        |()| SUCCESS,
    )
}

#[unsafe(no_mangle)]
pub extern "C" fn cuInit(_: c_uint) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> c_int {
    answer(Ok::<_, ()>(1), count, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> c_int {
    answer(if ordinal == 0 { Ok(0) } else { Err(()) }, device, 101)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, len: c_int, _: c_int) -> c_int {
    let text = c"emulated through the driver's interface".to_bytes_with_nul();
    if usize::try_from(len).is_ok_and(|len| text.len() <= len) {
        // SAFETY: there is room.
        unsafe { name.copy_from_nonoverlapping(text.as_ptr().cast(), text.len()) };
        return SUCCESS;
    }
    INVALID_VALUE
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, _: c_int) -> c_int {
    answer(Ok::<_, ()>(DEVICE.info().memory), bytes, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, which: c_int, _: c_int) -> c_int {
    let info = DEVICE.info();
    let found = match which {
        16 => info.multiprocessors,
        38 => info.l2_bytes as u32,
        75 => info.capability.0,
        76 => info.capability.1,
        _ => 0,
    };
    answer(Ok::<_, ()>(found as c_int), value, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut usize, _: c_int) -> c_int {
    answer(Ok::<_, ()>(1), context, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuDevicePrimaryCtxRelease_v2(_: c_int) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn cuCtxSetCurrent(_: usize) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> c_int {
    answer(DEVICE.allocate(bytes), address, OUT_OF_MEMORY)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFree_v2(address: u64) -> c_int {
    unsafe { DEVICE.free(address) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemHostAlloc(to: *mut *mut u8, bytes: usize, _: c_uint) -> c_int {
    answer(DEVICE.allocate_pinned(bytes), to, OUT_OF_MEMORY)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFreeHost(memory: *mut u8) -> c_int {
    unsafe { DEVICE.free_pinned(memory) };
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> c_int {
    let memory = DEVICE.info().memory;
    answer(Ok::<_, ()>(memory), free, INVALID_VALUE);
    answer(Ok::<_, ()>(memory), total, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoDAsync_v2(
    to: u64,
    from: *const u8,
    bytes: usize,
    stream: usize,
) -> c_int {
    done(unsafe { DEVICE.upload(stream, to, from, bytes) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoHAsync_v2(
    to: *mut u8,
    from: u64,
    bytes: usize,
    stream: usize,
) -> c_int {
    done(unsafe { DEVICE.download(stream, from, to, bytes) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoDAsync_v2(
    to: u64,
    from: u64,
    bytes: usize,
    stream: usize,
) -> c_int {
    done(unsafe { DEVICE.copy(stream, to, from, bytes) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemsetD8Async(to: u64, value: u8, bytes: usize, stream: usize) -> c_int {
    done(unsafe { DEVICE.fill(stream, to, value, bytes) })
}

/// A source, found by the entries of its PTX.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadData(
    module: *mut &'static Source,
    image: *const c_char,
) -> c_int {
    let text = unsafe { CStr::from_ptr(image) }.to_string_lossy();
    let entries: Vec<_> = text
        .split(".entry ")
        .skip(1)
        .filter_map(|rest| std::ffi::CString::new(rest.split('(').next()?).ok())
        .collect();
    let has_all =
        |source: &Source| entries.iter().all(|entry| kernel(source.name, entry).is_some());
    let found = SOURCES.iter().copied().find(|source| !entries.is_empty() && has_all(source));
    answer(found.ok_or(()), module, 218)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuModuleUnload(_: &'static Source) -> c_int {
    SUCCESS
}

/// A kernel of a source.
pub struct Function {
    source: &'static Source,
    name: &'static str,
    sizes: &'static [usize],
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetFunction(
    function: *mut *const Function,
    source: &'static Source,
    lowered: *const c_char,
) -> c_int {
    let found = kernel(source.name, unsafe { CStr::from_ptr(lowered) });
    let found = found.map(|(name, sizes)| {
        // It stays, as a module of the driver would until it is unloaded.
        std::ptr::from_ref(&*Box::leak(Box::new(Function { source, name, sizes })))
    });
    answer(found.ok_or(()), function, NOT_FOUND)
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "the driver's")]
pub unsafe extern "C" fn cuLaunchKernel(
    function: &Function,
    x: c_uint,
    y: c_uint,
    z: c_uint,
    threads: c_uint,
    threads_y: c_uint,
    threads_z: c_uint,
    shared: c_uint,
    stream: usize,
    arguments: *const *const u8,
    extra: *const c_void,
) -> c_int {
    if (threads_y, threads_z, shared) != (1, 1, 0) || !extra.is_null() {
        return INVALID_VALUE;
    }
    let arguments: Vec<&[u8]> = (function.sizes.iter().enumerate())
        .map(|(i, &size)| unsafe { std::slice::from_raw_parts(*arguments.add(i), size) })
        .collect();
    let shape = Shape { blocks: [x, y, z], threads };
    done(unsafe { DEVICE.launch(stream, function.source, function.name, shape, &arguments) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreate(stream: *mut usize, _: c_uint) -> c_int {
    answer(Ok::<_, ()>(1), stream, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamDestroy_v2(_: usize) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn cuStreamSynchronize(_: usize) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamBeginCapture_v2(stream: usize, _: c_int) -> c_int {
    done(unsafe { DEVICE.begin_recording(stream) })
}

/// Handles are counted from 1: no handle is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamEndCapture(stream: usize, graph: *mut usize) -> c_int {
    answer(unsafe { DEVICE.end_recording(stream) }.map(|graph| graph + 1), graph, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphInstantiateWithFlags(
    runnable: *mut usize,
    graph: usize,
    _: u64,
) -> c_int {
    answer(Ok::<_, ()>(graph), runnable, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphLaunch(graph: usize, stream: usize) -> c_int {
    done(unsafe { DEVICE.replay(stream, graph - 1) })
}

#[unsafe(no_mangle)]
pub extern "C" fn cuGraphDestroy(_: usize) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphExecDestroy(graph: usize) -> c_int {
    unsafe { DEVICE.destroy_graph(graph - 1) };
    SUCCESS
}

/// When an event was recorded.
pub type Event = Mutex<Option<Instant>>;

fn moment(event: &Event) -> Option<Instant> {
    *event.lock().unwrap_or_else(PoisonError::into_inner)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventCreate(event: *mut *mut Event, _: c_uint) -> c_int {
    answer(Ok::<_, ()>(Box::into_raw(Box::new(Mutex::new(None)))), event, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventRecord(event: &Event, _: usize) -> c_int {
    *event.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn cuEventSynchronize(_: &Event) -> c_int {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventElapsedTime(to: *mut f32, start: &Event, end: &Event) -> c_int {
    let times = moment(start).zip(moment(end));
    answer(times.map(|(a, b)| (b - a).as_secs_f32() * 1e3).ok_or(()), to, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventDestroy_v2(event: *mut Event) -> c_int {
    drop(unsafe { Box::from_raw(event) });
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorName(_: c_int, text: *mut *const c_char) -> c_int {
    answer(Ok::<_, ()>(c"EMULATED".as_ptr()), text, INVALID_VALUE)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorString(_: c_int, text: *mut *const c_char) -> c_int {
    answer(Ok::<_, ()>(c"the emulated driver refused".as_ptr()), text, INVALID_VALUE)
}
