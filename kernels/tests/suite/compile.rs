//! Tests of the runtime: compilers, cache, launches, memory, and what they say when they fail.

use crate::support::{Start, devices, download, upload};
use fortifai_kernels::compile::{Nvrtc, figures};
use fortifai_kernels::sources::Source;
use fortifai_kernels::{Buffer, Device, KernelError, Launch, Precision, Result, View, ViewMut};
use std::process::Command;

const SCALE: Source = Source::Other(
    "scale.cu",
    r#"#include "common.cuh"
KERNEL(64, scale)(act* out, const act* x, float factor, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = to_act(factor * to_float(x[i]));
}
EXPORT(scale)
"#,
);

fn scale(device: &Device, out: &mut ViewMut<f32>, x: View<f32>, factor: f32) -> Result<()> {
    let n = x.len();
    let launch = Launch::of::<f32>(device, SCALE, "scale").grid(n.div_ceil(64), 1, 1).block(64);
    launch.write(out).read(x).value(factor).size(n).start()
}

/// The refusal of a launch that `change` has spoilt.
fn refusal(device: &Device, kernel: &'static str, change: fn(Launch) -> Launch) -> String {
    let x = Buffer::<f32>::zeros(device, 64).expect("memory");
    let launch = Launch::of::<f32>(device, SCALE, kernel).block(64).read(x.view()).read(x.view());
    let reason = change(launch).start().expect_err("a spoilt launch");
    assert!(matches!(reason, KernelError::Device { .. }), "{reason:?}");
    reason.to_string()
}

#[test]
fn a_kernel_of_ones_own_runs_on_any_number_of_blocks() {
    for device in devices() {
        for n in [0, 1, 63, 64, 65, 1000] {
            let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let mut out = upload(&device, &vec![f32::NAN; n]);
            let x_there = upload(&device, &x);
            scale(&device, &mut out.view_mut(), x_there.view(), 3.0).expect("a launch");
            let expected: Vec<f32> = x.iter().map(|x| 3.0 * x).collect();
            assert_eq!(download(&device, out.view()), expected, "n = {n}");
        }
    }
}

#[test]
fn a_launch_that_does_not_fit_its_kernel_is_refused_with_both_sides() {
    for device in devices() {
        let refused = |change| refusal(&device, "scale", change);
        let few = refused(|launch| launch.value(1.0f32));
        assert!(few.contains("takes 4 arguments and is given 3"), "{few}");
        let wide = refused(|launch| launch.value(1.0f64).size(1));
        assert!(wide.contains("argument 2 has 8 bytes, its parameter 4"), "{wide}");
        let ragged = refused(|launch| launch.value(1.0f32).size(1).block(33));
        assert!(ragged.contains("33 threads, where a multiple of 32 up to 64"), "{ragged}");
        let large = refused(|launch| launch.value(1.0f32).size(1).block(96));
        assert!(large.contains("96 threads, where a multiple of 32 up to 64"), "{large}");
        let torn = refused(|launch| launch.value(1.0f32).size(1).grid(3, 1, 1).cluster(2));
        assert!(torn.contains("3 blocks in x are not whole clusters of 2"), "{torn}");
        let tall = refused(|launch| launch.value(1.0f32).size(1).grid(1, 1 << 16, 1));
        assert!(tall.contains("a grid of 1 × 65536 × 1"), "{tall}");
        for sentence in [few, wide, ragged, large, torn, tall] {
            assert!(sentence.contains("kernel scale of scale.cu"), "{sentence}");
        }
        let unknown = refusal(&device, "scalee", |launch| launch);
        assert!(unknown.contains("kernel scalee of scale.cu"), "{unknown}");
    }
}

#[test]
fn a_file_that_does_not_compile_is_named_with_what_the_compiler_said() {
    const BROKEN: Source =
        Source::Other("broken.cu", "#include \"common.cuh\"\nint f() { return x; }\n");
    for device in devices() {
        let reason = Launch::of::<f32>(&device, BROKEN, "f").block(32).start().expect_err("broken");
        assert!(matches!(reason, KernelError::Compile { .. }), "{reason:?}");
        let sentence = reason.to_string();
        assert!(
            sentence.contains("broken.cu") && sentence.contains("\"x\"") | sentence.contains("‘x’"),
            "{sentence}"
        );
    }
}

#[test]
fn a_launch_over_an_empty_grid_does_nothing() {
    for device in devices() {
        Launch::of::<f32>(&device, SCALE, "no such kernel").grid(0, 1, 1).start().expect("nothing");
    }
}

#[test]
fn parts_of_a_buffer_are_read_and_written_apart() {
    for device in devices() {
        let mut buffer = upload(&device, &[1.0f32, 2.0, 3.0, 4.0, 5.0]);
        let (mut first, last) = buffer.two_mut(0..2, 3..5);
        first.copy(&device, last.view()).expect("a copy");
        buffer.slice_mut(4..5).zero(&device).expect("zeros");
        assert_eq!(download(&device, buffer.slice(1..5)), [5.0, 3.0, 4.0, 0.0]);
        let (mut left, mut right) = buffer.view_mut().split_at(2);
        left.upload(&device, &[7.0, 8.0]).expect("an upload");
        right.reborrow().into_slice(0..0).upload(&device, &[]).expect("an empty upload");
        assert_eq!(download(&device, buffer.view()), [7.0, 8.0, 3.0, 4.0, 0.0]);
    }
}

#[test]
fn large_and_small_copies_arrive_where_they_should() {
    const ROUNDS: usize = 40;
    for device in devices() {
        // On both sides of what goes through page-locked memory, and more often than it has slots.
        for n in [1, 16 * 1024, 16 * 1024 + 1] {
            let mut buffer = Buffer::<u32>::zeros(&device, ROUNDS * n).expect("memory");
            let values: Vec<u32> = (0..(ROUNDS * n) as u32).collect();
            for round in 0..ROUNDS {
                let part = round * n..(round + 1) * n;
                let passing = values[part.clone()].to_vec();
                buffer.slice_mut(part).upload(&device, &passing).expect("an upload");
            }
            assert_eq!(download(&device, buffer.view()), values);
        }
    }
}

#[test]
fn every_call_is_timed() {
    for device in devices() {
        let x = upload(&device, &[1.0f32; 100]);
        let mut out = Buffer::<f32>::zeros(&device, 100).expect("memory");
        for cold in [false, true] {
            let work = || scale(&device, &mut out.view_mut(), x.view(), 2.0);
            let times_ms = device.timed(5, cold, work).expect("times");
            assert!(times_ms.len() == 5 && times_ms.iter().all(|&time| time > 0.0), "{times_ms:?}");
        }
        assert_eq!(download(&device, out.view()), [2.0; 100]);
    }
}

#[test]
fn more_memory_than_there_is_is_refused_with_the_size() {
    for device in devices() {
        let reason = Buffer::<u8>::zeros(&device, 1 << 60).expect_err("no such memory");
        assert!(
            matches!(reason, KernelError::Memory { bytes, .. } if bytes == 1 << 60),
            "{reason:?}"
        );
        let after = upload(&device, &[1.0f32]);
        assert_eq!(download(&device, after.view()), [1.0]);
    }
}

#[test]
fn the_meter_follows_buffers() {
    for device in devices() {
        let first = Buffer::<f32>::zeros(&device, 100).expect("memory");
        drop(Buffer::<u8>::zeros(&device, 50).expect("memory"));
        let memory = device.memory().expect("figures");
        assert_eq!((memory.used_bytes, memory.peak_bytes), (400, 450));
        assert!(memory.free_bytes <= memory.total_bytes, "{memory:?}");
        device.reset_peak();
        assert_eq!(device.memory().expect("figures").peak_bytes, 400);
        drop(first);
        assert_eq!(device.memory().expect("figures").used_bytes, 0);
    }
}

#[test]
fn tensor_maps_are_refused_where_the_engine_cannot_do_them() {
    for device in devices() {
        let x = Buffer::<half::bf16>::zeros(&device, 64 * 64).expect("memory");
        let map = |columns, box_rows, box_columns| {
            let matrix = [64, columns];
            device.tensor_map(x.view(), matrix, columns, [box_rows, box_columns]).map(|_| ())
        };
        map(64, 64, 64).expect("the engine can");
        device.tensor_map(x.view(), [64, 63], 64, [64, 64]).expect("a gap makes it possible");
        for (shape, why) in [
            ((63, 64, 64), "rows 126 bytes apart"),
            ((64, 64, 65), "rows have 130 bytes"),
            ((64, 64, 128), "rows have 256 bytes"),
            ((64, 257, 64), "257 × 64"),
            ((0, 64, 64), "64 × 0"),
        ] {
            let reason = map(shape.0, shape.1, shape.2).expect_err(why).to_string();
            assert!(reason.contains(why), "{reason}");
        }
    }
}

#[test]
fn nvrtc_compiles_for_every_architecture_and_says_what_a_kernel_takes() {
    let nvrtc = match Nvrtc::find() {
        Ok(nvrtc) => nvrtc,
        Err(reason) => {
            let asked = std::env::var("REQUIRE_NVRTC").is_ok_and(|value| value == "1");
            assert!(!asked, "REQUIRE_NVRTC=1 but: {reason}");
            return eprintln!("SKIPPED NVRTC: {reason}");
        }
    };
    for arch in ["sm_80", "sm_90a", "sm_100"] {
        for precision in [Precision::F32, Precision::Bf16] {
            let compiled = nvrtc.compile(SCALE, precision, arch).expect("it compiles");
            assert_eq!(&compiled.cubin[..4], b"\x7fELF");
            let figures = figures(&compiled.log);
            assert_eq!(figures.len(), 1, "{}", compiled.log);
            assert_eq!(figures[0].kernel, "scale");
            assert!((4..=32).contains(&figures[0].registers), "{figures:?}");
        }
    }
}

#[test]
fn another_library_is_not_taken_for_nvrtc() {
    for path in ["/no/such/libnvrtc.so", "libc.so.6"] {
        let reason = Nvrtc::open(path.as_ref()).expect_err("no NVRTC").to_string();
        assert!(reason.contains(path) && reason.contains("FORTIFAI_NVRTC"), "{reason}");
    }
}

#[test]
fn a_missing_gpu_is_one_sentence() {
    match Device::cuda(1000) {
        Ok(device) => panic!("a thousand of {}", device.name()),
        Err(KernelError::Probe(reason)) => {
            assert!(reason.to_string().starts_with("No CUDA device can be used"), "{reason}");
        }
        Err(reason) => assert!(reason.to_string().contains("cuda:1000"), "{reason}"),
    }
}

/// The tests above on a GPU that is not there. Of a real driver they say what no other test does on
/// a machine without one: which calls are made, with what, and that nothing is freed or overwritten
/// while the stream still needs it.
#[test]
fn these_tests_pass_on_a_driver_that_puts_everything_off() {
    const INSIDE: &str = "FORTIFAI_FAKE_DRIVER";
    if std::env::var_os(INSIDE).is_some() || fortifai_kernels::probe().is_ok() {
        return;
    }
    if let Err(reason) = Nvrtc::find() {
        return eprintln!("SKIPPED the driver's calls: {reason}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let compiler = std::env::var("CXX").unwrap_or("c++".to_owned());
    let built = Command::new(compiler)
        .args(["-std=c++17", "-O1", "-shared", "-fPIC", "-o"])
        .arg(folder.path().join("libcuda.so"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/driver/fake.cpp"))
        .env_remove("LD_PRELOAD")
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the fake driver compiles");
    let output = Command::new(std::env::current_exe().expect("this program"))
        .arg("compile::")
        .envs([(INSIDE, "1"), ("REQUIRE_CUDA", "1")])
        .env("LD_LIBRARY_PATH", folder.path())
        .output()
        .expect("this program runs");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
