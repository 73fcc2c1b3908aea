//! Compiling kernels with NVRTC, which is loaded at run time.

#![allow(unsafe_code, reason = "calls of the compiler")]

use crate::error::CudaError;
use crate::kernels::{HEADERS, Source};
use cudarc::nvrtc::{result, sys};
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

/// A compiled source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ptx {
    /// The PTX.
    pub text: String,
    /// Every kernel's name, and the name that it has in the PTX.
    pub names: Vec<(String, String)>,
}

/// Floats are rounded after every operation, as everywhere else.
const OPTIONS: [&str; 5] =
    ["--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true", "--std=c++17"];

/// The options for a compute capability.
pub(super) fn options(capability: (u32, u32)) -> Vec<String> {
    let (major, minor) = capability;
    let mut options = vec![format!("--gpu-architecture=compute_{major}{minor}")];
    options.extend(OPTIONS.map(String::from));
    options
}

/// The compiler's version.
///
/// # Errors
/// [`CudaError::NoCompiler`] when it is not on this machine.
pub(super) fn version() -> Result<(i32, i32), CudaError> {
    // SAFETY: the library's initialisers do nothing that this process relies on.
    if !unsafe { sys::is_culib_present() } {
        return Err(CudaError::NoCompiler);
    }
    let (mut major, mut minor) = (0, 0);
    // SAFETY: both places can be written to.
    let found = unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    found.result().map_err(|_| CudaError::NoCompiler)?;
    Ok((major, minor))
}

/// Compiles every kernel of a source for a compute capability (major, minor). Needs no device.
///
/// # Errors
/// [`CudaError::NoCompiler`] when NVRTC is not on this machine, [`CudaError::Compile`] with what it
/// said.
pub fn compile(source: &'static Source, capability: (u32, u32)) -> Result<Ptx, CudaError> {
    version()?;
    let program = Program::new(source)?;
    program.compile(&options(capability))
}

/// Text for C.
fn c_string(source: &'static Source, text: &str) -> Result<CString, CudaError> {
    let log = || format!("a zero byte in \"{text}\"");
    CString::new(text).map_err(|_| CudaError::Compile { source: source.name, log: log() })
}

struct Program {
    handle: sys::nvrtcProgram,
    source: &'static Source,
    /// The kernels' names, which the program refers to.
    names: Vec<CString>,
}

impl Program {
    fn new(source: &'static Source) -> Result<Self, CudaError> {
        let text = c_string(source, source.text)?;
        let name = c_string(source, source.name)?;
        let headers = HEADERS
            .iter()
            .map(|(name, text)| Ok((c_string(source, name)?, c_string(source, text)?)));
        let headers = headers.collect::<Result<Vec<_>, CudaError>>()?;
        let included: Vec<*const c_char> = headers.iter().map(|(name, _)| name.as_ptr()).collect();
        let texts: Vec<*const c_char> = headers.iter().map(|(_, text)| text.as_ptr()).collect();
        let mut handle = ptr::null_mut();
        // SAFETY: every text ends with a zero; the compiler copies them.
        let made = unsafe {
            let count = c_int::try_from(headers.len()).unwrap_or(0);
            let (texts, included) = (texts.as_ptr(), included.as_ptr());
            let (text, name) = (text.as_ptr(), name.as_ptr());
            sys::nvrtcCreateProgram(&raw mut handle, text, name, count, texts, included)
        };
        let log = |error| format!("no program: {error:?}");
        made.result().map_err(|e| CudaError::Compile { source: source.name, log: log(e) })?;
        let mut program = Self { handle, source, names: Vec::new() };
        for kernel in source.kernels {
            let name = c_string(source, kernel)?;
            // SAFETY: the program is alive, and the name as long as it.
            let added = unsafe { sys::nvrtcAddNameExpression(handle, name.as_ptr()) };
            added.result().map_err(|e| program.error(format!("{kernel}: {e:?}")))?;
            program.names.push(name);
        }
        Ok(program)
    }

    fn error(&self, log: String) -> CudaError {
        CudaError::Compile { source: self.source.name, log }
    }

    fn compile(&self, options: &[String]) -> Result<Ptx, CudaError> {
        let options =
            options.iter().map(|o| c_string(self.source, o)).collect::<Result<Vec<_>, _>>()?;
        let pointers: Vec<*const c_char> = options.iter().map(|o| o.as_ptr()).collect();
        // SAFETY: the program and the options are alive.
        let compiled = unsafe {
            let count = c_int::try_from(pointers.len()).unwrap_or(0);
            sys::nvrtcCompileProgram(self.handle, count, pointers.as_ptr())
        };
        if compiled.result().is_err() {
            // SAFETY: the program is alive.
            let log = unsafe { result::get_program_log(self.handle) };
            return Err(self.error(log.map_or_else(|e| format!("{e:?}"), |log| text(&log))));
        }
        // SAFETY: the program has been compiled.
        let ptx = unsafe { result::get_ptx(self.handle) };
        let ptx = ptx.map_err(|e| self.error(format!("no PTX: {e:?}")))?;
        let names = self.source.kernels.iter().zip(&self.names).map(|(kernel, name)| {
            let mut lowered = ptr::null();
            // SAFETY: the program has been compiled with that name; the text lives as long as it.
            let lowered = unsafe {
                let found = sys::nvrtcGetLoweredName(self.handle, name.as_ptr(), &raw mut lowered);
                found.result().map(|()| CStr::from_ptr(lowered))
            };
            let lowered = lowered.map_err(|e| self.error(format!("{kernel}: {e:?}")))?;
            Ok(((*kernel).to_owned(), lowered.to_string_lossy().into_owned()))
        });
        Ok(Ptx { text: text(&ptx), names: names.collect::<Result<_, CudaError>>()? })
    }
}

/// Text up to its zero.
fn text(characters: &[c_char]) -> String {
    let bytes: Vec<u8> = characters.iter().map(|c| *c as u8).take_while(|&b| b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: the program is not used again. A failure leaves nothing to be done.
        let _ = unsafe { result::destroy_program(self.handle) };
    }
}
