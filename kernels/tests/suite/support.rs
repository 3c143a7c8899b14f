//! What the tests share: the devices to run on, numbers, and comparisons.

use fortifai_kernels::{Buffer, Device, Launch, Result, Schedule, Storage, View};
use fortifai_stream::Stream;

/// The shim in every schedule, and the first GPU where there is one. A missing C++ compiler or GPU
/// is said once; `REQUIRE_CUDA_HOST=1` and `REQUIRE_CUDA=1` turn it into a failure.
pub fn devices() -> Vec<Device> {
    let mut devices = Vec::new();
    for &schedule in schedules() {
        match Device::host(schedule) {
            Ok(device) => devices.push(device),
            Err(reason) => skip("REQUIRE_CUDA_HOST", &reason),
        }
    }
    match Device::cuda(0) {
        Ok(device) => devices.push(device),
        Err(reason) => skip("REQUIRE_CUDA", &reason),
    }
    devices
}

/// Orders of threads. Under a sanitizer one will do: what is read and written is the same in all, as
/// the tests show without one.
fn schedules() -> &'static [Schedule] {
    match sanitized() {
        true => &[Schedule::Random(1)],
        false => &[Schedule::Forward, Schedule::Reverse, Schedule::Random(1)],
    }
}

/// Whether the shim is compiled with sanitizers.
pub fn sanitized() -> bool {
    let flags = std::env::var("FORTIFAI_HOST_CXXFLAGS").unwrap_or_default();
    flags.contains("-fsanitize")
}

fn skip(variable: &str, reason: &dyn std::fmt::Display) {
    let asked = std::env::var(variable).is_ok_and(|value| value == "1");
    assert!(!asked, "{variable}=1 but: {reason}");
    eprintln!("SKIPPED kernels on a device: {reason}");
}

/// Standard normal numbers, rounded to the storage.
pub fn normals<A: Storage>(seed: u64, len: usize) -> Vec<A> {
    let mut stream = Stream::new(seed, "kernels", 0, 0);
    (0..len).map(|_| A::of(stream.normal() as f32)).collect()
}

/// Exactly, as `f64`.
pub fn wide<A: Storage>(values: &[A]) -> Vec<f64> {
    values.iter().map(|value| f64::from(value.wide())).collect()
}

/// On a device.
pub fn upload<A: fortifai_kernels::Element>(device: &Device, values: &[A]) -> Buffer<A> {
    Buffer::of(device, values).expect("memory")
}

/// A buffer of NaN, for outputs.
pub fn blank<A: Storage>(device: &Device, len: usize) -> Buffer<A> {
    upload(device, &vec![A::of(f32::NAN); len])
}

/// Launches of the tests' own kernels.
pub trait Start {
    /// As [`Launch::run`].
    fn start(self) -> Result<()>;
}
impl Start for Launch<'_> {
    fn start(self) -> Result<()> {
        // SAFETY: the kernels under tests/cu stay within the buffers that the tests hand them; what
        // they do to shared memory on purpose stays within the shim's bands around it.
        unsafe { self.run() }
    }
}

/// From a device.
pub fn download<A: fortifai_kernels::Element>(device: &Device, view: View<A>) -> Vec<A> {
    view.download(device).expect("download")
}

/// Fails unless every `|ours − truth|` is at most `tolerance` times the largest `|truth|`, or 1.
pub fn assert_close(ours: &[f64], truth: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), truth.len(), "{what}: lengths");
    let largest = truth.iter().fold(1.0f64, |most, x| most.max(x.abs()));
    for (index, (ours, truth)) in ours.iter().zip(truth).enumerate() {
        let error = (ours - truth).abs() / largest;
        assert!(error <= tolerance, "{what}: entry {index} is {ours}, should be {truth}");
    }
}

/// Numbers between guards that nothing may write to.
pub struct Guarded<T: fortifai_kernels::Element> {
    buffer: Buffer<T>,
    pad: usize,
    guard: T,
}

impl<T: fortifai_kernels::Element + PartialEq> Guarded<T> {
    /// `values` behind and before `pad` guards; an odd `pad` takes the alignment away.
    pub fn of(device: &Device, values: &[T], pad: usize, guard: T) -> Self {
        let mut all = vec![guard; values.len() + 2 * pad];
        all[pad..pad + values.len()].copy_from_slice(values);
        Self { buffer: upload(device, &all), pad, guard }
    }

    /// The numbers, to be written.
    pub fn view_mut(&mut self) -> fortifai_kernels::ViewMut<'_, T> {
        let end = self.buffer.len() - self.pad;
        self.buffer.slice_mut(self.pad..end)
    }

    /// The numbers, after a look at the guards.
    pub fn read(&self, device: &Device) -> Vec<T> {
        let all = download(device, self.buffer.view());
        let end = all.len() - self.pad;
        for (index, value) in all.iter().enumerate() {
            let inside = (self.pad..end).contains(&index);
            assert!(
                inside || *value == self.guard,
                "a write to {index} beyond {}..{end}",
                self.pad
            );
        }
        all[self.pad..end].to_vec()
    }
}

/// What `run` gives on every machine: once on the shim, once on the GPU. Fails unless two runs have
/// the same bits, and so have the shim's schedules.
pub fn same_bits(devices: &[Device], run: impl Fn(&Device) -> Vec<Vec<f64>>) -> Vec<Vec<Vec<f64>>> {
    let mut machines: Vec<(bool, Vec<Vec<f64>>)> = Vec::new();
    for device in devices {
        let (first, second) = (run(device), run(device));
        assert!(bits(&first) == bits(&second), "two runs on {} differ", device.name());
        match machines.iter().find(|(host, _)| *host == device.is_host()) {
            Some((_, seen)) => assert!(bits(seen) == bits(&first), "the schedules differ"),
            None => machines.push((device.is_host(), first)),
        }
    }
    machines.into_iter().map(|(_, result)| result).collect()
}

fn bits(result: &[Vec<f64>]) -> Vec<Vec<u64>> {
    result.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
}

/// The worst errors over many cases, ours beside those of the textbook in the same precision.
#[derive(Default)]
pub struct Budget {
    cases: usize,
    ours: f64,
    textbook: f64,
    largest: f64,
}

impl Budget {
    /// One more case.
    pub fn add(&mut self, ours: &[f64], textbook: &[f64], truth: &[f64]) {
        assert!(ours.len() == truth.len() && textbook.len() == truth.len(), "lengths");
        let worst = |values: &[f64]| {
            let errors = values.iter().zip(truth).map(|(value, truth)| (value - truth).abs());
            errors.fold(0.0, |most: f64, e| if e > most || e.is_nan() { e } else { most })
        };
        let ours = worst(ours);
        self.ours = if ours > self.ours || ours.is_nan() { ours } else { self.ours };
        self.textbook = self.textbook.max(worst(textbook));
        self.largest = truth.iter().fold(self.largest, |most, x| most.max(x.abs()));
        self.cases += 1;
    }

    /// Fails unless at least 32 cases show no error above twice the textbook's and one unit in the
    /// last place of the largest value as stored in `A`.
    pub fn assert_no_worse<A: Storage>(&self, what: &str) {
        let fraction_bits = if size_of::<A>() == 2 { 7.0 } else { 23.0 };
        let ulp = (self.largest.log2().floor() - fraction_bits).exp2();
        let Self { cases, ours, textbook, largest } = self;
        println!("{what}: {cases} cases, {ours:.3e}, textbook {textbook:.3e}, of {largest:.3e}");
        assert!(*cases >= 32, "{what}: {cases} cases");
        assert!(*ours <= 2.0 * textbook + ulp, "{what}: {ours} against the textbook's {textbook}");
    }
}
