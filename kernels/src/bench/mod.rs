//! Benches: every kernel's time, what it moves and computes, and how near that is to the device's
//! limits.
//!
//! Before a rung is timed its answer is compared with the naive rung's. Each call meets a cold
//! second-level cache; on a GPU times lie between two events on the stream. Bytes and operations are
//! counted from the shapes, as the formula needs them, not as a rung happens to move them.
//!
//! | file | what |
//! |---|---|
//! | `plan` | what is asked for, and the sizes |
//! | `measure` | check, warm-up, times |
//! | `entry` | what comes out |
//! | `subject` | buffers and launches of one kernel, as the others see them |
//! | `numbers` | inputs |
//! | `peak` | what devices can do by their data sheets |
//! | the operators' names | one operator each |

mod adamw;
mod attention;
mod classifier;
mod column_sum;
mod copy;
mod decode;
mod embedding;
mod entry;
mod gelu;
mod layernorm;
mod matmul;
mod measure;
mod norm;
mod numbers;
mod peak;
mod plan;
mod rows;
mod sampling;
mod subject;

pub use entry::{Bound, Entry, Report, Times};
pub use peak::{Peak, peak};
pub use plan::{KERNELS, Plan, Size};

use crate::{Device, Precision, Result, Storage};
use half::bf16;
use measure::Bench;

/// Measures what the plan names. `done` hears of each kernel first.
///
/// # Errors
/// If the device fails or has no room.
///
/// ```
/// # use fortifai_kernels::{Device, Precision, Schedule, bench};
/// if let Ok(device) = Device::host(Schedule::Forward) {
///     let plan = bench::Plan {
///         kernels: vec!["gelu".into()],
///         precisions: vec![Precision::F32],
///         size: bench::Size::Tiny,
///     };
///     let report = bench::run(&device, &plan, |_| {})?;
///     assert!(report.entries.iter().any(|entry| entry.kernel == "gelu_forward"));
/// }
/// # Ok::<(), fortifai_kernels::KernelError>(())
/// ```
pub fn run(device: &Device, plan: &Plan, mut done: impl FnMut(&str)) -> Result<Report> {
    let mut bench = Bench::new(device, plan, &mut done)?;
    // Without a copy there is no bandwidth to take a share of.
    copy::run(&mut bench)?;
    for &precision in &plan.precisions {
        match precision {
            Precision::F32 => operators::<f32>(&mut bench)?,
            Precision::Bf16 => operators::<bf16>(&mut bench)?,
        }
    }
    if plan.precisions.contains(&Precision::F32) {
        adamw::run(&mut bench)?;
        norm::run(&mut bench)?;
        sampling::run(&mut bench)?;
    }
    Ok(bench.report)
}

/// The operators that exist for both storages.
fn operators<A: Storage>(bench: &mut Bench) -> Result<()> {
    embedding::run::<A>(bench)?;
    layernorm::run::<A>(bench)?;
    gelu::run::<A>(bench)?;
    matmul::run::<A>(bench)?;
    column_sum::run::<A>(bench)?;
    attention::run::<A>(bench)?;
    classifier::run::<A>(bench)?;
    rows::run::<A>(bench)?;
    decode::run::<A>(bench)
}
