//! Where to compute.

use std::str::FromStr;

/// Where to compute. The results are the same bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DevicePreference {
    /// What there is; of several the faster, where that is measured.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The NVIDIA GPU of that number (the crate `trilane-cuda`).
    Cuda(usize),
}

/// `auto`, `cpu`, `cuda`, or `cuda:` and a number.
///
/// ```
/// use trilane_std::device::DevicePreference;
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
