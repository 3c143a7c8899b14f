//! Hand-written CUDA kernels, their launchers, and a device that runs the same kernels on the CPU.
//!
//! The driver and the compiler of kernels are loaded at run time, so the crate builds and answers on
//! machines without a GPU.
//!
//! ```
//! match fortifai_kernels::probe() {
//!     Ok(devices) => println!("{} device(s)", devices.len()),
//!     Err(reason) => println!("{reason}"),
//! }
//! ```

pub mod adamw;
pub mod attention;
pub mod bench;
pub mod classifier;
pub mod column_sum;
pub mod compile;
pub mod decode;
mod device;
pub mod embedding;
mod error;
pub mod gelu;
mod launch;
pub mod layernorm;
pub mod matmul;
mod memory;
pub mod norm;
mod pieces;
mod probe;
pub mod rows;
mod rung;
pub mod sampling;
pub mod sources;

pub use device::{Device, Memory, Record, Schedule};
pub use error::{KernelError, Result};
pub use launch::{Launch, Scalar, TensorMap};
pub use memory::{Buffer, Element, Precision, Storage, View, ViewMut};
pub use probe::{DeviceInfo, ProbeError, probe};
pub use rung::Rung;
