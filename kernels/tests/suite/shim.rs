//! The shim: every built-in against an answer worked by hand (on a GPU too, where there is one), and
//! every misuse against the report that it must give.

use crate::support::{Start, blank, devices, download, sanitized, upload};
use fortifai_kernels::sources::Source;
use fortifai_kernels::{Device, Launch, Schedule};
use half::bf16;

const BUILTINS: Source = Source::Other("builtins.cu", include_str!("../cu/builtins.cu"));
const MEETINGS: Source = Source::Other("meetings.cu", include_str!("../cu/meetings.cu"));
const MEMORY: Source = Source::Other("memory.cu", include_str!("../cu/memory.cu"));
const TENSOR: Source = Source::Other("tensor.cu", include_str!("../cu/tensor.cu"));

/// The shim's schedules: what they report does not exist on a GPU.
fn shims() -> impl Iterator<Item = Device> {
    devices().into_iter().filter(Device::is_host)
}

#[test]
fn shuffles_and_votes_give_the_answers_of_the_manual() {
    let segment = |lane: i32| lane - lane % 8;
    let row = |answer: &dyn Fn(i32) -> i32| (0..32).map(answer).collect::<Vec<i32>>();
    let expected = [
        row(&|_| 105),
        row(&|lane| 100 + 31 - lane),
        row(&|lane| 100 + segment(lane) + 1),
        row(&|lane| 100 + if lane % 2 == 0 { lane + 1 } else { lane - 1 }),
        row(&|lane| 100 + (lane + 16) % 32),
        // Beyond the segment of eight upwards: one's own; downwards is allowed.
        row(&|lane| 100 + if lane % 16 < 8 { lane } else { lane - 8 }),
        row(&|lane| 100 + if lane == 0 { 0 } else { lane - 1 }),
        row(&|lane| 100 + if lane % 8 < 3 { lane } else { lane - 3 }),
        row(&|lane| 100 + if lane == 31 { 31 } else { lane + 1 }),
        row(&|lane| 100 + if lane % 8 > 4 { lane } else { lane + 3 }),
        // Lanes 0, 3, …, 30.
        row(&|_| 0x4924_9249),
        row(&|_| 1),
        row(&|_| 0),
        row(&|_| 1),
        row(&|_| 0),
        row(&|lane| if lane % 4 < 2 { lane + 2 } else { lane - 2 }),
        row(&|_| 13),
        row(&|lane| -lane),
        row(&|lane| if lane == 0 { 31 } else { lane }),
        row(&|_| -4),
    ];
    for device in devices() {
        let mut out = upload(&device, &[-1i32; 20 * 32]);
        let launch = Launch::of::<f32>(&device, BUILTINS, "shuffles").block(32);
        launch.write(&mut out.view_mut()).start().expect("a launch");
        let out = download(&device, out.view());
        for (number, (ours, expected)) in out.chunks(32).zip(&expected).enumerate() {
            assert_eq!(ours, &expected[..], "row {number} on {}", device.name());
        }
    }
}

#[test]
fn reductions_give_every_thread_the_whole_blocks_answer() {
    for device in devices() {
        for threads in [32usize, 96, 256, 1024] {
            let blocks = 3;
            let mut out = blank::<f32>(&device, 2 * blocks * threads);
            let launch = Launch::of::<f32>(&device, BUILTINS, "reductions");
            let launch = launch.grid(blocks, 1, 1).block(threads as u32);
            launch.write(&mut out.view_mut()).start().expect("a launch");
            let out = download(&device, out.view());
            for block in 0..blocks {
                let numbers = || (0..threads).map(|thread| (thread * 7 + block) % 64);
                let sum = numbers().sum::<usize>() as f32;
                let most = -(numbers().min().expect("threads") as f32);
                let at = block * threads..(block + 1) * threads;
                assert!(out[at.clone()].iter().all(|&x| x == sum), "{threads}: {out:?}");
                let max = &out[blocks * threads..][at];
                assert!(max.iter().all(|&x| x == most), "{threads}: {max:?}");
            }
        }
    }
}

#[test]
fn integer_functions_give_the_answers_of_the_manual() {
    let expected = [8, 31, 32, 0, 0, 4, 0x3f80_0000, i32::MIN, 3, 4, 31, -4, 3, 3, 1, 5];
    for device in devices() {
        let mut out = upload(&device, &[-1i32; 16]);
        let launch = Launch::of::<f32>(&device, BUILTINS, "integers").block(32);
        launch.write(&mut out.view_mut()).start().expect("a launch");
        assert_eq!(download(&device, out.view()), expected, "{}", device.name());
    }
}

#[test]
fn mathematics_agrees_with_rusts() {
    let x = [0.25f32, 0.5, 1.0, 1.75, 3.0, 17.5];
    let n = x.len();
    let narrow: [fn(f64) -> f64; 13] = [
        f64::exp,
        f64::ln,
        f64::ln_1p,
        f64::exp_m1,
        f64::sqrt,
        |x| 1.0 / x.sqrt(),
        f64::tanh,
        |x| x.powf(1.5),
        |x| x * x - 1.0,
        |x| x.max(1.0),
        |x| x.min(1.0),
        |x| x,
        f64::floor,
    ];
    let wide = [0, 1, 2, 3, 4, 6, 7, 8, 11, 12].map(|number: usize| narrow[number]);
    let near = |ours: f64, f: fn(f64) -> f64, x: f32, precision: f64, row: usize| {
        let truth = f(f64::from(x));
        let error = (ours - truth).abs();
        assert!(error <= precision * truth.abs(), "row {row}: f({x}) = {truth}, not {ours}");
    };
    for device in devices() {
        let (mut out, mut out_wide) =
            (blank::<f32>(&device, 13 * n), upload(&device, &vec![f64::NAN; 10 * n]));
        let x_there = upload(&device, &x);
        let launch = Launch::of::<f32>(&device, BUILTINS, "mathematics").block(32);
        let (mut to, mut to_wide) = (out.view_mut(), out_wide.view_mut());
        let launch = launch.write(&mut to).write(&mut to_wide).read(x_there.view()).size(n);
        launch.start().expect("a launch");
        let (out, out_wide) = (download(&device, out.view()), download(&device, out_wide.view()));
        for (i, &x) in x.iter().enumerate() {
            for (row, &f) in narrow.iter().enumerate() {
                near(f64::from(out[row * n + i]), f, x, 4.0 * f64::from(f32::EPSILON), row);
            }
            for (row, &f) in wide.iter().enumerate() {
                near(out_wide[row * n + i], f, x, 4.0 * f64::EPSILON, row);
            }
        }
    }
}

#[test]
fn integer_atomics_count_every_thread_of_every_block() {
    let (blocks, threads) = (7usize, 96u32);
    let all = blocks * threads as usize;
    let numbers: Vec<i32> = (0..all).map(|i| (i as i32 * 37) % 1009).collect();
    for device in devices() {
        let (mut wide, mut count) = (upload(&device, &[0u64]), upload(&device, &[0u32]));
        let mut counts = upload(&device, &[0i32; 4]);
        let numbers_there = upload(&device, &numbers);
        let launch = Launch::of::<f32>(&device, BUILTINS, "atomics").grid(blocks, 1, 1);
        let (mut wide_to, mut to, mut count_to) =
            (wide.view_mut(), counts.view_mut(), count.view_mut());
        let launch = launch.block(threads).write(&mut wide_to).write(&mut to).write(&mut count_to);
        launch.read(numbers_there.view()).start().expect("a launch");
        assert_eq!(download(&device, wide.view()), [all as u64]);
        assert_eq!(download(&device, count.view()), [3 * all as u32]);
        let counts = download(&device, counts.view());
        assert_eq!(counts[0], 2 * all as i32);
        assert_eq!(counts[1], *numbers.iter().max().expect("numbers"));
        assert!(counts[2] >= 1 && counts[2] == counts[3], "{counts:?}");
    }
}

/// Runs a kernel `(float* out, int n)` of [`MEETINGS`] on one block: its output, or the report.
fn meeting(
    device: &Device,
    kernel: &'static str,
    threads: u32,
    n: usize,
) -> Result<Vec<f32>, String> {
    let mut out = blank::<f32>(device, threads as usize);
    let launch = Launch::of::<f32>(device, MEETINGS, kernel).block(threads);
    let mut to = out.view_mut();
    launch.write(&mut to).size(n).start().map_err(|reason| reason.to_string())?;
    Ok(download(device, out.view()))
}

/// The report of a kernel that must fail. A good kernel runs afterwards as if nothing had happened.
fn report(device: &Device, kernel: &'static str, threads: u32, n: usize) -> String {
    let report = meeting(device, kernel, threads, n).expect_err("a faulty kernel");
    let good = meeting(device, "rotate", threads, 1).expect("a good kernel");
    assert_eq!(good[1..3], [0.0, 1.0], "after {kernel}");
    report
}

/// The number of the line after the `nth` (from 0) that contains `text`, as reports say it.
fn line(source: Source, text: &str, nth: usize) -> String {
    let (name, all) = source.file();
    let mut lines = all.lines().enumerate().filter(|(_, line)| line.contains(text));
    let (index, _) = lines.nth(nth).expect("the line");
    format!("{name}:{}", index + 1)
}

#[test]
fn barriers_carry_numbers_from_thread_to_thread() {
    for device in devices() {
        let rotated = |first: usize, count: usize| {
            (0..count).map(move |i| (first + (i + count - 1) % count) as f32)
        };
        let out = meeting(&device, "rotate", 256, 1).expect("a launch");
        assert_eq!(out, rotated(0, 256).collect::<Vec<_>>());
        let out = meeting(&device, "rotate_in_warp", 256, 1).expect("a launch");
        let expected: Vec<f32> = (0..8).flat_map(|warp| rotated(32 * warp, 32)).collect();
        assert_eq!(out, expected);
        let out = meeting(&device, "two_rounds", 256, 1).expect("a launch");
        assert!(out.iter().all(|&x| x == 2.0 * 32640.0 + 256_000.0), "{out:?}");
    }
}

#[test]
fn a_missing_barrier_shows_as_nan_or_as_a_wrong_sum() {
    for device in shims() {
        for kernel in ["rotate", "rotate_in_warp"] {
            let out = meeting(&device, kernel, 256, 0).expect("a launch");
            assert!(out.iter().any(|x| x.is_nan()), "{kernel}: {out:?}");
        }
        let out = meeting(&device, "two_rounds", 256, 0).expect("a launch");
        assert!(out.iter().any(|&x| x != 2.0 * 32640.0 + 256_000.0), "{out:?}");
    }
}

#[test]
fn a_divergent_barrier_is_reported_with_both_lines() {
    let (first, second) =
        (line(MEETINGS, "    __syncthreads();", 1), line(MEETINGS, "    __syncthreads();", 2));
    for device in shims() {
        let report = report(&device, "two_barriers", 256, 100);
        assert!(report.contains("divergent barrier"), "{report}");
        assert!(report.contains(&first) && report.contains(&second), "{first} {second}: {report}");
    }
}

#[test]
fn a_thread_that_returned_is_missed_at_the_barrier_and_in_its_warp() {
    for device in shims() {
        let at_barrier = report(&device, "returns_early", 256, 100);
        assert!(at_barrier.contains("divergent barrier"), "{at_barrier}");
        assert!(at_barrier.contains("has returned"), "{at_barrier}");
        let in_warp = report(&device, "returns_from_warp", 256, 100);
        assert!(in_warp.contains("divergent warp"), "{in_warp}");
        assert!(in_warp.contains("__shfl_xor_sync (common.cuh:"), "{in_warp}");
        assert!(in_warp.contains("has returned"), "{in_warp}");
        // Whole warps may go.
        let out = meeting(&device, "returns_from_warp", 256, 96).expect("a launch");
        assert!(out[..96].iter().all(|&x| x == 32.0) && out[96..].iter().all(|x| x.is_nan()));
    }
}

#[test]
fn lanes_that_shuffle_at_different_lines_are_reported() {
    for device in shims() {
        let report = report(&device, "two_shuffles", 64, 40);
        let (first, second) =
            (line(MEETINGS, "(FULL, x, 1)", 0), line(MEETINGS, "(FULL, x, 2)", 0));
        assert!(report.contains("divergent warp"), "{report}");
        assert!(report.contains(&first) && report.contains(&second), "{report}");
    }
}

#[test]
fn a_mask_of_some_lanes_is_refused() {
    for device in shims() {
        let report = report(&device, "narrow_mask", 32, 16);
        assert!(report.contains("mask 0000ffff: only FULL is modelled"), "{report}");
    }
}

#[test]
fn a_deadlock_is_reported_with_who_waits_where() {
    let warp = line(MEETINGS, "__syncwarp();", 1);
    let block = line(MEETINGS, "    __syncthreads();", 3);
    for device in shims() {
        let report = report(&device, "crossed", 64, 8);
        assert!(report.contains("block (0, 0, 0): deadlock:"), "{report}");
        for (threads, place) in [
            ("threads 0 to 7 and 8 more", format!("__syncwarp ({warp})")),
            ("threads 8 to 31 and 24 more", format!("__syncthreads ({block})")),
        ] {
            let part = format!("{threads} wait at {place}");
            assert!(report.contains(&part), "{part}: {report}");
        }
    }
}

#[test]
fn a_thread_that_polls_lets_others_go_on_and_a_hopeless_one_is_reported() {
    for device in shims() {
        let out = meeting(&device, "relay", 96, 1).expect("a launch");
        assert_eq!(out, (0..96).map(|i| i as f32).collect::<Vec<_>>());
        let report = report(&device, "relay", 96, 0);
        assert!(report.contains("deadlock: threads 0 to 95 wait at the token"), "{report}");
    }
}

#[test]
fn schedules_run_threads_in_the_order_they_name() {
    let run = |schedule| {
        let device = Device::host(schedule).expect("a compiler");
        let (mut out, mut counter) = (upload(&device, &[-1i32; 256]), upload(&device, &[0i32]));
        let launch = Launch::of::<f32>(&device, MEETINGS, "order").block(256);
        let (mut to, mut counter_to) = (out.view_mut(), counter.view_mut());
        launch.write(&mut to).write(&mut counter_to).start().expect("a launch");
        download(&device, out.view())
    };
    if shims().next().is_none() {
        return;
    }
    let forward: Vec<i32> = (0..256).collect();
    assert_eq!(run(Schedule::Forward), forward);
    assert_eq!(run(Schedule::Reverse), forward.iter().rev().copied().collect::<Vec<_>>());
    let random = run(Schedule::Random(5));
    let mut sorted = random.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, forward);
    assert_eq!(random, run(Schedule::Random(5)), "the seed decides");
    assert_ne!(random, run(Schedule::Random(6)));
    assert_ne!(random, forward);
}

#[test]
fn shared_memory_starts_as_nan_in_every_block() {
    for device in shims() {
        let mut out = upload(&device, &[0.0f32; 5 * 128]);
        let launch = Launch::of::<f32>(&device, MEMORY, "fresh").grid(5, 1, 1).block(64);
        launch.shared(256).write(&mut out.view_mut()).start().expect("a launch");
        assert!(download(&device, out.view()).iter().all(|x| x.is_nan()));
    }
}

#[test]
fn a_write_beyond_shared_memory_is_reported() {
    for device in shims() {
        let write = |at: i32, dynamic: i32| {
            let launch = Launch::of::<f32>(&device, MEMORY, "write_at").block(32).shared(40);
            launch.value(at).value(dynamic).start()
        };
        for dynamic in [0, 1] {
            write(0, dynamic).expect("the first");
            write(9, dynamic).expect("the last");
            // AddressSanitizer ends the process, but for the bytes before a piece of odd alignment;
            // `faults` tries it in processes of their own.
            let beyond: &[i32] = match (sanitized(), dynamic) {
                (false, _) => &[-1, 10],
                (true, 0) => &[-1],
                (true, _) => &[],
            };
            for &at in beyond {
                let report = write(at, dynamic).expect_err("beyond").to_string();
                let name = ["fixed", "bytes"][dynamic as usize];
                assert!(
                    report.contains(&format!("written beyond the ends of shared {name}")),
                    "{report}"
                );
            }
        }
    }
}

#[test]
fn every_declaration_and_every_instance_has_its_own_shared_memory() {
    for device in devices() {
        let mut out = upload(&device, &[-1i32; 5]);
        let launch = Launch::of::<f32>(&device, MEMORY, "declarations").block(32).shared(4);
        launch.write(&mut out.view_mut()).start().expect("a launch");
        assert_eq!(download(&device, out.view()), [11, 20, 30, 1, 0]);
    }
}

#[test]
fn ldmatrix_hands_each_lane_its_pairs() {
    // Entry (row, column) of matrix m is 64 m + 8 row + column, as bits.
    let bits: Vec<bf16> = (0..256).map(bf16::from_bits).collect();
    for device in devices() {
        let mut out = upload(&device, &[u32::MAX; 256]);
        let bits_there = upload(&device, &bits);
        let launch = Launch::of::<bf16>(&device, TENSOR, "load_matrices").block(32);
        launch.write(&mut out.view_mut()).read(bits_there.view()).start().expect("a launch");
        let out = download(&device, out.view());
        for lane in 0..32u32 {
            for m in 0..4 {
                let (g, t) = (lane / 4, 2 * (lane % 4));
                let at = (4 * lane + m) as usize;
                let plain = 64 * m + 8 * g + t;
                assert_eq!(out[at], plain | (plain + 1) << 16, "lane {lane}, matrix {m}");
                let transposed = 64 * m + 8 * t + g;
                assert_eq!(out[128 + at], transposed | (transposed + 8) << 16, "lane {lane}");
            }
        }
    }
}

#[test]
fn mma_adds_the_plain_product() {
    // Small integers: every order of summation gives the same f32.
    let a: Vec<bf16> = (0..256).map(|i| bf16::from_f32(((i * 5) % 17) as f32 - 8.0)).collect();
    let b: Vec<bf16> = (0..128).map(|i| bf16::from_f32(((i * 3) % 13) as f32 - 6.0)).collect();
    let d: Vec<f32> = (0..128).map(|i| i as f32).collect();
    let mut expected = d.clone();
    for (i, row) in a.chunks(16).enumerate() {
        for (k, &a) in row.iter().enumerate() {
            for j in 0..8 {
                expected[8 * i + j] += f32::from(a) * f32::from(b[8 * k + j]);
            }
        }
    }
    for device in devices() {
        let (mut out, a, b) = (upload(&device, &d), upload(&device, &a), upload(&device, &b));
        let launch = Launch::of::<bf16>(&device, TENSOR, "product").block(32);
        launch.write(&mut out.view_mut()).read(a.view()).read(b.view()).start().expect("a launch");
        assert_eq!(download(&device, out.view()), expected, "{}", device.name());
    }
}

/// What the kernel `copies` sees after having waited so far.
fn copied(device: &Device, waits: i32) -> Vec<f32> {
    let numbers: Vec<f32> = (0..384).map(|i| i as f32).collect();
    let (mut out, numbers) = (blank::<f32>(device, 384), upload(device, &numbers));
    let launch = Launch::of::<f32>(device, TENSOR, "copies").block(32);
    let mut to = out.view_mut();
    launch.write(&mut to).read(numbers.view()).value(waits).start().expect("a launch");
    download(device, out.view())
}

#[test]
fn asynchronous_copies_arrive_at_their_wait_with_zeros_behind_short_ones() {
    for device in devices() {
        let mut expected: Vec<f32> = (0..384).map(|i| i as f32).collect();
        for lane in 0..32 {
            for i in lane % 5..4 {
                expected[256 + 4 * lane + i] = 0.0;
            }
        }
        assert_eq!(copied(&device, 3), expected, "{}", device.name());
        for waits in [1, 2] {
            let arrived = 128 * waits as usize;
            assert_eq!(copied(&device, waits)[..arrived], expected[..arrived]);
        }
    }
}

#[test]
fn an_asynchronous_copy_is_nan_until_it_is_waited_for() {
    for device in shims() {
        for waits in 0..3 {
            let out = copied(&device, waits);
            assert!(out[128 * waits as usize..].iter().all(|x| x.is_nan()), "{waits}: {out:?}");
        }
    }
}

#[test]
fn addresses_that_are_no_multiples_of_16_are_reported() {
    for device in shims() {
        let numbers = upload(&device, &[0.0f32; 8]);
        for (to, from, ok) in [(0, 0, true), (4, 4, true), (1, 0, false), (0, 2, false)] {
            let launch = Launch::of::<f32>(&device, TENSOR, "skewed_copy").block(32);
            let result = launch.read(numbers.view()).value(to).value(from).start();
            assert_eq!(result.is_ok(), ok, "{to} {from}");
            if let Err(reason) = result {
                assert!(reason.to_string().contains("is not aligned to 16 bytes"), "{reason}");
            }
        }
        let mut out = upload(&device, &[0u32; 32]);
        let launch = Launch::of::<f32>(&device, TENSOR, "skewed_rows").block(32);
        let report = launch.write(&mut out.view_mut()).value(4i32).start().expect_err("skewed");
        assert!(report.to_string().contains("ldmatrix_x4: address"), "{report}");
    }
}
