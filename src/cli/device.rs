//! `--device` and `--precision`: which tier a command runs on.

use crate::cpu::Cpu;
use crate::cuda::Cuda;
use crate::tier::Tier;
use crate::verify::faults::{Faulty, Narrow, Plant};
use crate::{Error, Result};
use fortifai_kernels::{Device, ProbeError, Schedule, probe};
use half::bf16;
use std::str::FromStr;

/// Where to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The CPU tier.
    #[default]
    Cpu,
    /// A CUDA device by its number.
    Cuda(usize),
    /// The CUDA kernels on the CPU.
    CudaHost,
    /// The first CUDA device, or the CPU where there is none.
    Auto,
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = text.strip_prefix("cuda:").and_then(|number| number.parse().ok());
        match (text, number) {
            ("cpu", _) => Ok(Self::Cpu),
            ("auto", _) => Ok(Self::Auto),
            ("cuda", _) => Ok(Self::Cuda(0)),
            ("cuda-host", _) => Ok(Self::CudaHost),
            (_, Some(number)) => Ok(Self::Cuda(number)),
            _ => Err("a device is cpu, cuda, cuda:N, cuda-host or auto".into()),
        }
    }
}

/// How a device stores weights and activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// Single precision
    #[default]
    F32,
    /// bfloat16, with arithmetic, gradients and the optimiser in single precision
    Bf16,
}

/// The options.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct OnDevice {
    /// cpu, cuda, cuda:N, auto (a CUDA device if there is one), or cuda-host (the CUDA kernels run
    /// on the CPU, slowly, for tests)
    #[arg(long, value_name = "DEVICE", default_value = "cpu", help_heading = "Machine")]
    pub device: DeviceName,
    /// How weights and activations are stored; on the CPU bf16 is the slow reference of what a CUDA
    /// device does
    #[arg(long, value_enum, default_value_t, help_heading = "Machine")]
    pub precision: Precision,
}

/// Work that any tier can do.
pub trait Work {
    /// What it leaves.
    type Output;

    /// Does it.
    ///
    /// # Errors
    /// Those of the work.
    fn run<T: Tier<Number = f32>>(self, tier: &T) -> Result<Self::Output>;
}

impl OnDevice {
    /// The device that is meant: `auto` is the first CUDA device, or the CPU where there is none.
    ///
    /// # Errors
    /// If there is a driver that does not answer.
    pub fn meant(self) -> Result<Self> {
        let device = match self.device {
            DeviceName::Auto => match probe() {
                Ok(_) => DeviceName::Cuda(0),
                Err(ProbeError::NoDriver | ProbeError::NoDevice) => DeviceName::Cpu,
                Err(other) => return Err(Error::environment(other.to_string())),
            },
            other => other,
        };
        Ok(Self { device, ..self })
    }

    /// The device of the kernels; none where the CPU tier is meant.
    ///
    /// # Errors
    /// If there is no such device.
    pub fn open(self) -> Result<Option<Device>> {
        Ok(match self.meant()?.device {
            DeviceName::Cpu | DeviceName::Auto => None,
            DeviceName::Cuda(number) => Some(Device::cuda(number)?),
            DeviceName::CudaHost => Some(Device::host(Schedule::default())?),
        })
    }

    /// Does the work on the device asked for.
    ///
    /// # Errors
    /// If there is no such device, or those of the work.
    pub fn run<W: Work>(self, work: W) -> Result<W::Output> {
        match (self.open()?, self.precision) {
            (None, Precision::F32) => work.run(&Cpu::<f32>::new()),
            (None, Precision::Bf16) => work.run(&Faulty::<f32>::new(Plant::Narrow(Narrow::Stored))),
            (Some(device), Precision::F32) => work.run(&Cuda::<f32>::new(device)?),
            (Some(device), Precision::Bf16) => work.run(&Cuda::<bf16>::new(device)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_meant() {
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(DeviceName::Cuda(3)));
        assert_eq!("cuda-host".parse(), Ok(DeviceName::CudaHost));
        assert_eq!("auto".parse(), Ok(DeviceName::Auto));
        for bad in ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", ""] {
            assert!(bad.parse::<DeviceName>().is_err(), "{bad}");
        }
    }
}
