//! Check, warm up, time.

use super::entry::{Bound, Entry, Report, Times};
use super::peak::peak;
use super::plan::{Letters, Plan, Size};
use super::subject::{Subject, error};
use crate::{Device, KernelError, Precision, Result, Storage};

/// Calls before the first that counts.
const WARM_UP: usize = 3;
/// Calls of a fast rung that are timed at least, and at most.
const RUNS: (usize, usize) = (20, 100);
/// Time for a rung's calls, as long as the least number of them allows.
const TIME_MS: f64 = 300.0;
/// A naive rung may take long; it is timed at least this often.
const NAIVE_RUNS: usize = 3;

/// A plan under way.
pub(super) struct Bench<'a> {
    pub device: &'a Device,
    pub letters: Letters,
    pub report: Report,
    plan: &'a Plan,
    done: &'a mut dyn FnMut(&str),
}

/// What is known of a kernel and a shape before it runs.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub kernel: &'static str,
    pub variant: String,
    pub precision: Precision,
    pub shape: Vec<(&'static str, usize)>,
    /// Naive first.
    pub rungs: Vec<&'static str>,
    pub bytes: usize,
    pub flops: usize,
    pub bound: Bound,
    /// Beside inputs and parameters, of each rung or of all.
    pub memory_bytes: Vec<usize>,
    /// Whether the naive rung is timed too, or only asked for the answer.
    pub naive_timed: bool,
    /// Of the other rungs' answers; see [`error`].
    pub tolerance: f64,
}

impl Case {
    pub fn of<A: Storage>(kernel: &'static str, shape: &[(&'static str, usize)]) -> Self {
        Self {
            kernel,
            variant: String::new(),
            precision: A::PRECISION,
            shape: shape.to_vec(),
            rungs: vec!["naive", "fast"],
            bytes: 0,
            flops: 0,
            bound: Bound::Memory,
            memory_bytes: vec![0],
            naive_timed: true,
            tolerance: match A::PRECISION {
                Precision::F32 => 1e-4,
                Precision::Bf16 => 3e-2,
            },
        }
    }
}

impl<'a> Bench<'a> {
    pub fn new(device: &'a Device, plan: &'a Plan, done: &'a mut dyn FnMut(&str)) -> Result<Self> {
        let report = Report {
            device: device.name().to_owned(),
            host: device.is_host(),
            compute_capability: device.compute_capability(),
            multiprocessors: device.multiprocessors(),
            memory_bytes: device.memory()?.total_bytes,
            copy_bytes_per_s: f64::NAN,
            peak: peak(device.name()),
            entries: Vec::new(),
            refused: Vec::new(),
            failed: Vec::new(),
        };
        Ok(Self { device, letters: plan.size.letters(), report, plan, done })
    }

    pub fn wants(&self, kernel: &str) -> bool {
        self.plan.wants(kernel)
    }

    pub fn size(&self) -> Size {
        self.plan.size
    }

    /// Bytes in buffers now. What is allocated after a first look and before a second is what a
    /// kernel needs beside its inputs.
    pub fn held_bytes(&self) -> Result<usize> {
        Ok(self.device.memory()?.used_bytes)
    }

    /// Checks and times the rungs of a case; those that fail the check are not timed.
    pub fn measure(&mut self, case: Case, subject: &mut dyn Subject) -> Result<()> {
        let errors = self.check(&case, subject)?;
        for (rung, error) in errors.into_iter().enumerate() {
            if let Some(error) = error
                && (rung > 0 || case.naive_timed)
            {
                self.time(&case, rung, error, subject)?;
            }
        }
        Ok(())
    }

    /// The error of every rung that this device can run and that passes.
    pub fn check(&mut self, case: &Case, subject: &mut dyn Subject) -> Result<Vec<Option<f64>>> {
        (self.done)(case.kernel);
        let mut answer = |rung: usize| {
            subject.reset(self.device)?;
            subject.run(self.device, rung)?;
            let samples = subject.outputs().into_iter().map(|output| output.sample(self.device));
            samples.collect::<Result<Vec<_>>>()
        };
        let truth = answer(0)?;
        let mut errors = vec![Some(0.0)];
        for (rung, name) in case.rungs.iter().enumerate().skip(1) {
            let ours = match answer(rung) {
                Err(KernelError::Unsupported(reason)) => {
                    let refusal = format!("{} {name}: {reason}", case.kernel);
                    if !self.report.refused.contains(&refusal) {
                        self.report.refused.push(refusal);
                    }
                    errors.push(None);
                    continue;
                }
                other => other?,
            };
            let error = error(&ours, &truth);
            let Case { kernel, variant, precision, shape, tolerance, .. } = case;
            if error > *tolerance {
                self.report.failed.push(format!(
                    "{kernel} {variant} {name} {precision:?} {shape:?} differs from the naive rung by \
                     {error:.1e} of the largest number, where {tolerance:.1e} is allowed; it has not \
                     been timed"
                ));
                errors.push(None);
                continue;
            }
            errors.push(Some(error));
        }
        Ok(errors)
    }

    /// Times one rung.
    pub fn time(
        &mut self,
        case: &Case,
        rung: usize,
        error: f64,
        subject: &mut dyn Subject,
    ) -> Result<()> {
        let device = self.device;
        let first = device.timed(WARM_UP, true, || subject.run(device, rung))?;
        let fits = (TIME_MS / Times::of(first).median_ms) as usize;
        let runs = match (self.plan.size, rung) {
            (Size::Tiny, _) => 3,
            (_, 0) if case.rungs[0] == "naive" => fits.clamp(NAIVE_RUNS, RUNS.0),
            _ => fits.clamp(RUNS.0, RUNS.1),
        };
        let times = Times::of(device.timed(runs, true, || subject.run(device, rung))?);
        let memory_bytes = case.memory_bytes.get(rung).or(case.memory_bytes.last());
        self.report.entries.push(Entry {
            kernel: case.kernel,
            variant: case.variant.clone(),
            rung: case.rungs[rung],
            precision: case.precision,
            shape: case.shape.clone(),
            times,
            bytes: case.bytes as u64,
            flops: case.flops as u64,
            bound: case.bound,
            memory_bytes: memory_bytes.copied().unwrap_or(0),
            error,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::subject::Output;
    use crate::{Buffer, Schedule};

    /// Its second rung writes another number than the first.
    struct Wrong(Buffer<f32>);

    impl Subject for Wrong {
        fn run(&mut self, device: &Device, rung: usize) -> Result<()> {
            self.0.view_mut().upload(device, &[1.0 + rung as f32])
        }

        fn outputs(&mut self) -> Vec<Output<'_>> {
            vec![Output::Single(self.0.view_mut())]
        }
    }

    #[test]
    fn a_wrong_answer_is_named_and_not_timed() {
        let device = match Device::host(Schedule::Forward) {
            Ok(device) => device,
            Err(reason) => return eprintln!("SKIPPED the check of benches: {reason}"),
        };
        let plan = Plan { kernels: Vec::new(), precisions: Vec::new(), size: Size::Tiny };
        let mut done = |_: &str| {};
        let mut bench = Bench::new(&device, &plan, &mut done).expect("a bench");
        let mut subject = Wrong(Buffer::zeros(&device, 1).expect("memory"));
        let case = Case::of::<f32>("wrong", &[("n", 1)]);
        bench.measure(case, &mut subject).expect("a measurement");
        let Report { entries, failed, .. } = &bench.report;
        assert!(failed.len() == 1 && failed[0].contains("wrong"), "{failed:?}");
        assert!(failed[0].contains("1.0e0 of the largest number"), "{failed:?}");
        assert!(entries.len() == 1 && entries[0].rung == "naive", "{entries:?}");
    }
}
