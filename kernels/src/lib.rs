//! Device probe and, later, launchers of the CUDA kernels.
//!
//! The driver library is loaded at run time, so the crate builds and answers on machines without a
//! GPU.
//!
//! ```
//! match fortifai_kernels::probe() {
//!     Ok(devices) => println!("{} device(s)", devices.len()),
//!     Err(reason) => println!("{reason}"),
//! }
//! ```

mod probe;

pub use probe::{DeviceInfo, ProbeError, probe};
