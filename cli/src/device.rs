//! Computing on a GPU: the argument, and decoders there.

use crate::error::Error;
use crate::verify::LaneDigest;
use clap::Args;
use std::path::Path;
use trilane::core::lane::Lanes;
use trilane::core::model::{VERIFY_TOKENS, Weights};
use trilane::cuda::{CudaError, Decoder, Device, DevicePreference};

/// Where to compute.
#[derive(Args, Debug)]
pub(crate) struct DeviceArgs {
    /// Where to compute: cpu; cuda or cuda:N, an NVIDIA GPU; auto, the faster of the two, which is
    /// measured first. Results do not depend on it
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: DevicePreference,
}

impl DeviceArgs {
    /// The device, where one is wanted.
    pub(crate) fn open(&self) -> Result<Option<Device>, Error> {
        Device::preferred(self.device).map_err(|e| refused(&e))
    }

    /// Whether the processor is not an answer.
    pub(crate) fn is_forced(&self) -> bool {
        matches!(self.device, DevicePreference::Cuda(_))
    }
}

/// A device that cannot do what was asked.
pub(crate) fn refused(error: &CudaError) -> Error {
    Error::Device(error.to_string())
}

/// A decoder on a device, with room for one sequence.
pub(crate) fn decoder(
    path: &Path,
    device: &Device,
    weights: &Weights<'_, '_>,
    capacity: usize,
) -> Result<Decoder, Error> {
    Decoder::new(device, weights, capacity, 1)
        .map_err(|e| Error::Device(format!("{}: {e}", path.display())))
}

/// The fixed run on a device at each of some lanes.
pub(crate) fn digests(
    path: &Path,
    device: &Device,
    weights: &Weights<'_, '_>,
    lanes: &[Lanes<'static>],
) -> Result<Vec<LaneDigest>, Error> {
    let mut decoder = decoder(path, device, weights, VERIFY_TOKENS)?;
    let lanes = lanes.iter().map(|&lanes| {
        let Lanes::All(lane) = lanes else {
            let what = "a device computes at one lane; --lane auto is for the processor";
            return Err(Error::Usage(what.into()));
        };
        let (all, layers) = decoder.verify(lane).map_err(|e| refused(&e))?;
        Ok(LaneDigest { lanes, layers, all })
    });
    lanes.collect()
}
