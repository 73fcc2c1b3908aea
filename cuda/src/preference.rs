//! Which device a caller wants, and which is faster.

use crate::device::Device;
use crate::error::CudaError;
use std::str::FromStr;
use std::time::Instant;
use trilane_core::kernel::Pool;
use trilane_core::lane::Lanes;
use trilane_std::generation::{GenerationError, LanguageModel};

/// Where to compute. The results are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DevicePreference {
    /// Where it takes less time, as [`seconds_per_token`] measures it; on the processor where there
    /// is no device.
    Auto,
    /// On the processor.
    #[default]
    Cpu,
    /// On the CUDA device of that number.
    Cuda(usize),
}

impl DevicePreference {
    /// The device, where one is wanted: for [`Auto`](Self::Auto) the first, if there is one.
    ///
    /// # Errors
    /// Those of [`Device::open`], but for `Auto` not that there is no driver or no device.
    pub fn open(self) -> Result<Option<Device>, CudaError> {
        match self {
            Self::Cpu => Ok(None),
            Self::Cuda(ordinal) => Device::open(ordinal).map(Some),
            Self::Auto => match Device::open(0) {
                Ok(device) => Ok(Some(device)),
                Err(CudaError::NoDriver | CudaError::NoDevice) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

/// `auto`, `cpu`, `cuda`, or `cuda:` and a number.
///
/// ```
/// use trilane_cuda::DevicePreference;
/// assert_eq!("cuda:1".parse(), Ok(DevicePreference::Cuda(1)));
/// assert!("gpu".parse::<DevicePreference>().is_err());
/// ```
impl FromStr for DevicePreference {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let expected = || String::from("expected auto, cpu, cuda, or cuda: and a number");
        match name.split_once(':') {
            None if name == "auto" => Ok(Self::Auto),
            None if name == "cpu" => Ok(Self::Cpu),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", ordinal)) => ordinal.parse().map(Self::Cuda).map_err(|_| expected()),
            _ => Err(expected()),
        }
    }
}

/// Steps that are not counted: a device compiles its kernels in the first, and records in it.
const WARM_UP: usize = 2;
/// Steps of which the shortest counts.
const STEPS: usize = 3;

/// Seconds that a model takes for a token at the beginning of a text: the least of three, after two
/// others. Whatever the model held is forgotten, and so is what was measured with.
///
/// # Errors
/// Those of the model; a model with room for less than five tokens is full.
pub fn seconds_per_token(
    model: &mut dyn LanguageModel,
    pool: &dyn Pool,
    lanes: Lanes<'_>,
) -> Result<f64, GenerationError> {
    model.truncate(0);
    let mut least = f64::INFINITY;
    for step in 0..WARM_UP + STEPS {
        let start = Instant::now();
        model.next_logits(pool, 0, lanes)?;
        if step >= WARM_UP {
            least = least.min(start.elapsed().as_secs_f64());
        }
    }
    model.truncate(0);
    Ok(least)
}
