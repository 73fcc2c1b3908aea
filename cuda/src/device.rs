//! Finding a device.

use crate::driver::{DeviceInfo, Driver};
use crate::error::CudaError;
use crate::stream::Stream;
use crate::{Cuda, kernels};
use std::sync::Arc;
use trilane_std::device::DevicePreference;

/// A device that kernels run on. Clones are the same device.
#[derive(Clone, Debug)]
pub struct Device {
    driver: Arc<dyn Driver>,
}

impl Device {
    /// The CUDA device of a number, counted from 0.
    ///
    /// # Errors
    /// [`CudaError::NoDriver`], [`CudaError::NoDevice`] or [`CudaError::Ordinal`] when there is no
    /// such device.
    pub fn open(ordinal: usize) -> Result<Self, CudaError> {
        Ok(Self::with_driver(Cuda::open(ordinal)?))
    }

    /// The device that is preferred, where that is one: for [`DevicePreference::Auto`] the first, if
    /// there is one. Which is faster, it or the processor, [`seconds_per_token`] measures.
    ///
    /// [`seconds_per_token`]: crate::seconds_per_token
    ///
    /// # Errors
    /// Those of [`open`](Self::open), but for `Auto` not that there is no driver or no device.
    pub fn preferred(preference: DevicePreference) -> Result<Option<Self>, CudaError> {
        match preference {
            DevicePreference::Cpu => Ok(None),
            DevicePreference::Cuda(ordinal) => Self::open(ordinal).map(Some),
            DevicePreference::Auto => match Self::open(0) {
                Ok(device) => Ok(Some(device)),
                Err(CudaError::NoDriver | CudaError::NoDevice) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// A device that the caller's driver runs.
    pub fn with_driver(driver: impl Driver + 'static) -> Self {
        Self { driver: Arc::new(driver) }
    }

    /// The CUDA devices of this machine, in the order of their numbers.
    ///
    /// # Errors
    /// [`CudaError::NoDriver`], [`CudaError::NoDevice`].
    pub fn list() -> Result<Vec<DeviceInfo>, CudaError> {
        (0..Cuda::devices()?).map(|ordinal| Ok(Self::open(ordinal)?.info().clone())).collect()
    }

    /// What the device is.
    pub fn info(&self) -> &DeviceInfo {
        self.driver.info()
    }

    /// A new queue.
    ///
    /// # Errors
    /// [`CudaError::Driver`].
    pub fn stream(&self) -> Result<Stream, CudaError> {
        Stream::new(self.clone())
    }

    /// Compiles every kernel now, rather than when it is first used.
    ///
    /// # Errors
    /// [`CudaError::NoCompiler`], [`CudaError::Compile`].
    pub fn compile(&self) -> Result<(), CudaError> {
        kernels::SOURCES.iter().try_for_each(|source| self.driver.prepare(source))
    }

    pub(crate) fn driver(&self) -> &dyn Driver {
        &*self.driver
    }
}
