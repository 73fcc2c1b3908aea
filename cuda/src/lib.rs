//! trilane's kernels on NVIDIA GPUs, with the bits of every other platform.
//!
//! Nothing of CUDA is needed to build this crate: the driver is loaded when a [`Device`] is opened,
//! and the kernels are compiled by NVRTC when they are first used, and kept.
//!
//! Every kernel gives the bits of its specification, `trilane_core`'s scalar backend: integers are
//! exact in any order, and floats are added in the order that defines them, never fused.
//!
//! ```
//! use trilane_cuda::{CudaError, Device};
//! match Device::open(0) {
//!     Ok(device) => println!("{}", device.info().name),
//!     Err(CudaError::NoDriver) => println!("no driver here"),
//!     Err(error) => println!("{error}"),
//! }
//! ```

pub mod activations;
mod attention;
mod blocks;
mod buffer;
mod cuda;
mod decoder;
mod device;
pub mod driver;
mod error;
mod generation;
pub mod hyper;
pub mod kernels;
mod matrix;
mod pinned;
mod preference;
pub mod sampler;
pub mod sparse;
mod stream;
pub mod train;

pub use attention::{Attention, LayerCache};
pub use buffer::Buffer;
pub use cuda::{Cuda, Ptx, compile};
pub use decoder::{Decoder, Observer};
pub use device::Device;
pub use driver::DeviceInfo;
pub use error::CudaError;
pub use generation::generate_batch;
pub use matrix::Matrix;
pub use pinned::Pinned;
pub use preference::seconds_per_token;
pub use stream::{Graph, Stream};
pub use trilane_std::device::DevicePreference;

/// The example of the guide is a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cuda.md")]
pub struct Guide;
