//! Which CUDA devices this machine has.

use cudarc::driver::{DriverError, result, sys};

/// A CUDA device as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its number, as in `cuda:0`.
    pub ordinal: usize,
    /// Its marketing name.
    pub name: String,
    /// Major and minor compute capability, for example `(9, 0)`.
    pub compute_capability: (u32, u32),
    /// Number of streaming multiprocessors.
    pub multiprocessors: u32,
    /// Size of its memory.
    pub memory_bytes: u64,
}

/// Why no device can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The driver library cannot be loaded.
    #[error(
        "No CUDA device can be used: the NVIDIA driver library (libcuda) is not installed on this \
         machine; run with --device cpu."
    )]
    NoDriver,
    /// The driver works and finds nothing.
    #[error(
        "No CUDA device can be used: the NVIDIA driver finds none on this machine; run with \
         --device cpu."
    )]
    NoDevice,
    /// The driver refuses to answer.
    #[error(
        "No CUDA device can be used: the NVIDIA driver answers {code} to {request}; repair the \
         driver or run with --device cpu."
    )]
    Driver {
        /// What it was asked.
        request: &'static str,
        /// Its error code.
        code: String,
    },
}

/// Every CUDA device of this machine, at least one, in the driver's order. Creates no context and
/// allocates nothing on a device.
///
/// # Errors
/// If the driver library is absent, finds no device, or fails.
pub fn probe() -> Result<Vec<DeviceInfo>, ProbeError> {
    // Every call below panics where the library is absent, so ask for it first.
    // SAFETY: the function only opens and closes the library by its system name; the initialisers
    // it runs are those of the NVIDIA driver, which may run in any process and thread.
    if !unsafe { sys::is_culib_present() } {
        return Err(ProbeError::NoDriver);
    }
    match result::init() {
        Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => return Err(ProbeError::NoDevice),
        other => other.map_err(refused("cuInit"))?,
    }
    let count = result::device::get_count().map_err(refused("cuDeviceGetCount"))?;
    if count == 0 {
        return Err(ProbeError::NoDevice);
    }
    (0..count).map(describe).collect()
}

fn describe(ordinal: i32) -> Result<DeviceInfo, ProbeError> {
    use sys::CUdevice_attribute as Attribute;

    let device = result::device::get(ordinal).map_err(refused("cuDeviceGet"))?;
    let name = result::device::get_name(device).map_err(refused("cuDeviceGetName"))?;
    // SAFETY: `device` was returned by `device::get` after a successful `init`.
    let memory = unsafe { result::device::total_mem(device) };
    let memory = memory.map_err(refused("cuDeviceTotalMem"))?;
    let attribute = |which: Attribute| {
        // SAFETY: as above.
        let value = unsafe { result::device::get_attribute(device, which) };
        value.map(|value| value as u32).map_err(refused("cuDeviceGetAttribute"))
    };
    Ok(DeviceInfo {
        ordinal: ordinal as usize,
        name,
        compute_capability: (
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        ),
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        memory_bytes: memory as u64,
    })
}

/// The code's own name: asking the driver for a sentence could fail a second time.
fn refused(request: &'static str) -> impl Fn(DriverError) -> ProbeError {
    move |error| ProbeError::Driver { request, code: format!("{:?}", error.0) }
}

#[cfg(test)]
mod tests {
    use super::{ProbeError, probe};

    #[test]
    fn the_probe_answers_with_or_without_a_device() {
        match probe() {
            Ok(devices) => {
                assert!(!devices.is_empty());
                for (index, device) in devices.iter().enumerate() {
                    assert_eq!(device.ordinal, index);
                    assert!(!device.name.is_empty() && device.memory_bytes > 0, "{device:?}");
                    assert!(device.compute_capability.0 > 0, "{device:?}");
                }
            }
            Err(reason) => {
                let asked = std::env::var("REQUIRE_CUDA").is_ok_and(|value| value == "1");
                assert!(!asked, "REQUIRE_CUDA=1 but: {reason}");
                eprintln!("SKIPPED the description of devices: {reason}");
            }
        }
    }

    #[test]
    fn every_reason_is_one_sentence_that_says_what_to_do() {
        let driver = ProbeError::Driver { request: "cuInit", code: "CODE".to_owned() };
        for reason in [ProbeError::NoDriver, ProbeError::NoDevice, driver] {
            let text = reason.to_string();
            assert!(text.starts_with("No CUDA device can be used: "), "{text}");
            assert!(text.ends_with("--device cpu."), "{text}");
            assert!(!text.contains('\n') && !text.contains("  "), "{text}");
        }
    }
}
