//! Tests of `matmul` on `wgmma`.

use crate::matmul::{Way, able, cases, have_the_same_bits, is_no_worse, long, tiles};
use crate::support::{devices, download, upload};
use fortifai_kernels::matmul::Rung;
use fortifai_kernels::sources::{Source, headers};
use fortifai_kernels::{Device, Launch, Result};
use half::bf16;
use rayon::prelude::*;

/// Below, at and above steps of 16 terms, slabs of 64 and both rings, of 4 and 6; tiles of both
/// sizes, and more tiles than blocks.
const SHAPES: [[usize; 3]; 12] = [
    [1, 1, 1],
    [2, 3, 15],
    [17, 8, 16],
    [63, 65, 17],
    [127, 64, 63],
    [128, 127, 64],
    [129, 128, 65],
    [31, 129, 130],
    [64, 255, 31],
    [5, 257, 320],
    [65, 256, 97],
    [260, 131, 449],
];

#[test]
fn small_tiles_are_no_worse_than_the_textbook() {
    let [small, _] = tiles(Rung::Wgmma);
    is_no_worse::<bf16, bf16>(&cases(&SHAPES, &[8]), small);
    is_no_worse::<bf16, f32>(&cases(&SHAPES, &[8]), small);
}

#[test]
fn large_tiles_are_no_worse_than_the_textbook() {
    let [_, large] = tiles(Rung::Wgmma);
    is_no_worse::<bf16, bf16>(&cases(&SHAPES, &[8]), large);
}

#[test]
fn tiles_of_both_sizes_have_the_same_bits() {
    have_the_same_bits::<bf16>(&tiles(Rung::Wgmma), &[[150, 300, 90], [140, 3, 33]], 8);
}

#[test]
fn split_products_are_no_worse_than_the_textbook() {
    let way = Way { split: true, ..Way::of(Rung::Wgmma) };
    is_no_worse::<bf16, bf16>(&long(&[8, 16]), way);
}

const HOPPER: Source = Source::Other("hopper.cu", include_str!("../cu/hopper.cu"));

#[test]
fn a_copied_box_is_swizzled_as_the_manual_shows_and_zero_beyond_the_edges() {
    // Which chunk of eight numbers stands at each place of a row (PTX ISA, 128-byte swizzling).
    const PLACES: [[usize; 8]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [1, 0, 3, 2, 5, 4, 7, 6],
        [2, 3, 0, 1, 6, 7, 4, 5],
        [3, 2, 1, 0, 7, 6, 5, 4],
        [4, 5, 6, 7, 0, 1, 2, 3],
        [5, 4, 7, 6, 1, 0, 3, 2],
        [6, 7, 4, 5, 2, 3, 0, 1],
        [7, 6, 5, 4, 3, 2, 1, 0],
    ];
    let (rows, columns, stride, box_rows, corner) = (27, 77, 80, 24, [8, 40]);
    let numbers: Vec<bf16> = (0..rows * stride).map(|i| bf16::from_bits(i as u16 + 1)).collect();
    for device in able(Rung::Wgmma) {
        let matrix = upload(&device, &numbers);
        let map = device
            .tensor_map(matrix.view(), [rows, columns], stride, [box_rows, 64])
            .expect("a map");
        let mut out = upload(&device, &vec![bf16::NAN; box_rows * 64]);
        let mut view = out.view_mut();
        let launch = Launch::of::<bf16>(&device, HOPPER, "copied_box")
            .block(32)
            .shared(box_rows * 128)
            .write(&mut view)
            .tensor_map(&map)
            .size(corner[1])
            .size(corner[0])
            .size(box_rows * 64);
        // SAFETY: `out` holds the box, and the map says where the matrix ends.
        unsafe { launch.run() }.expect("a launch");
        for (i, number) in download(&device, out.view()).into_iter().enumerate() {
            let (row, place) = (i / 64, i % 64);
            let (r, c) = (corner[0] + row, corner[1] + PLACES[row % 8][place / 8] * 8 + place % 8);
            let expected = if r < rows && c < columns { r * stride + c + 1 } else { 0 };
            assert_eq!(usize::from(number.to_bits()), expected, "({r}, {c}) on {}", device.name());
        }
    }
}

#[test]
fn a_box_of_one_layer_ends_at_its_edges() {
    let (layers, rows, columns, box_rows, corner) = (3, 21, 72, 16, [8, 64]);
    let numbers: Vec<bf16> =
        (0..layers * rows * columns).map(|i| bf16::from_bits(i as u16 + 1)).collect();
    for device in able(Rung::Wgmma) {
        let matrices = upload(&device, &numbers);
        let map = device
            .tensor_map_of_layers(matrices.view(), layers, [rows, columns], columns, [box_rows, 64])
            .expect("a map");
        for layer in 0..layers {
            let mut out = upload(&device, &vec![bf16::NAN; box_rows * 64]);
            let mut view = out.view_mut();
            let launch = Launch::of::<bf16>(&device, HOPPER, "copied_box_of_layer")
                .block(32)
                .shared(box_rows * 128)
                .write(&mut view)
                .tensor_map(&map)
                .size(corner[1])
                .size(corner[0])
                .size(layer)
                .size(box_rows * 64);
            // SAFETY: `out` holds the box, and the map says where the matrices end.
            unsafe { launch.run() }.expect("a launch");
            for (i, number) in download(&device, out.view()).into_iter().enumerate() {
                let (row, place) = (i / 64, i % 64);
                let (r, c) =
                    (corner[0] + row, corner[1] + ((place / 8) ^ (row % 8)) * 8 + place % 8);
                let there = r < rows && c < columns;
                let expected = if there { (layer * rows + r) * columns + c + 1 } else { 0 };
                let what = format!("({layer}, {r}, {c}) on {}", device.name());
                assert_eq!(usize::from(number.to_bits()), expected, "{what}");
            }
        }
    }
}

#[test]
fn a_left_operand_may_come_from_registers_and_sums_may_begin_anew() {
    // Small whole numbers, so that every sum is exact.
    let number = |i: usize| bf16::from_f32(((i * 7 + i / 16 * 3) % 5) as f32 - 2.0);
    let a: Vec<bf16> = (0..64 * 16).map(number).collect();
    let b: Vec<bf16> = (0..16 * 64).map(|i| number(i + 3)).collect();
    for device in able(Rung::Wgmma) {
        let (left, right) = (upload(&device, &a), upload(&device, &b));
        let map = device.tensor_map(right.view(), [16, 64], 64, [16, 64]).expect("a map");
        for start in [0, 7] {
            let mut out = upload(&device, &vec![f32::NAN; 64 * 64]);
            let mut view = out.view_mut();
            let launch = Launch::of::<bf16>(&device, HOPPER, "left_in_registers")
                .block(128)
                .shared(16 * 128)
                .write(&mut view)
                .read(left.view())
                .tensor_map(&map)
                .size(start);
            // SAFETY: `out` holds the product, and the map says where the right operand ends.
            unsafe { launch.run() }.expect("a launch");
            for (i, sum) in download(&device, out.view()).into_iter().enumerate() {
                let (row, column) = (i / 64, i % 64);
                let terms = (0..16).map(|l| a[row * 16 + l].to_f32() * b[l * 64 + column].to_f32());
                let truth = terms.sum::<f32>() + start as f32;
                assert_eq!(sum, truth, "({row}, {column}) on {}", device.name());
            }
        }
    }
}

/// What catches a planted fault, in at least one schedule.
#[derive(Clone, Copy, Debug)]
enum Means {
    /// A sentence of the shim.
    Report(&'static str),
    /// Numbers that are not those of the sound source.
    Numbers,
}

/// In `matmul_wgmma.cu` with `hopper.cuh`, the first text becomes the second.
const FAULTS: [(&str, &str, Means); 23] = [
    // Barriers and bytes.
    (
        "      mbarrier_wait(&room.full[turn.stage], turn.parity);\n",
        "",
        Means::Report("has yet to bring"),
    ),
    (
        "mbarrier_arrive_expect(come, sizeof(typename R::Stage));",
        "mbarrier_arrive(come);",
        Means::Report("has yet to bring"),
    ),
    (
        "mbarrier_arrive_expect(come, sizeof(typename R::Stage));",
        "mbarrier_arrive_expect(come, sizeof(stage.a));",
        Means::Report("deadlock"),
    ),
    (
        "      mbarrier_wait(&room.empty[turn.stage], turn.parity ^ 1);\n",
        "",
        Means::Report("more arrivals in one phase"),
    ),
    (
        "      if (reading && lane < int(SHARERS)) mbarrier_arrive_at(reading, u32(lane));\n      reading =",
        "      reading =",
        Means::Report("deadlock"),
    ),
    ("if (leads && l == lead) mbarrier_arrive(&room.lead);", "", Means::Report("deadlock")),
    ("mbarrier_init(&room.lead, 4);", "mbarrier_init(&room.lead, 5);", Means::Report("deadlock")),
    // Two blocks.
    (
        "mbarrier_arrive_at(reading, u32(lane))",
        "mbarrier_arrive(reading)",
        Means::Report("another copy to"),
    ),
    ("CONSUMERS * SHARERS", "CONSUMERS", Means::Report("another copy to")),
    (
        "    async_fence();\n  }\n  cluster_sync();",
        "    async_fence();\n  }\n  __syncthreads();",
        Means::Report("dynamic shared memory"),
    ),
    (
        "  // Nobody leaves while another block may still write to it.\n  cluster_sync();",
        "",
        Means::Report("has ended"),
    ),
    ("int(rank) * SHARE + i", "i", Means::Report("another copy to")),
    ("(1 << SHARERS) - 1, slab", "1, slab", Means::Report("deadlock")),
    ("int(rank_in_cluster()) * BM", "0", Means::Numbers),
    // Products under way.
    ("      wgmma_wait<1>(sums);\n", "", Means::Report("still reads")),
    ("    wgmma_wait<0>(sums);\n", "", Means::Report("still reads")),
    ("      wgmma_fence();\n", "", Means::Report("without wgmma_fence")),
    // Descriptors and the swizzle.
    ("u64(1) << 62", "u64(2) << 62", Means::Report("only the 128-byte swizzle")),
    ("BOX * 2, 8 * 128)", "BOX, 8 * 128)", Means::Numbers),
    (
        "<BN, !R::A_K_MAJOR, !R::B_K_MAJOR>",
        "<BN, !R::A_K_MAJOR, R::B_K_MAJOR>",
        Means::Report("has yet to bring"),
    ),
    ("slab[swizzled(row, column)]", "slab[row * 64 + column]", Means::Numbers),
    // The way out.
    (
        "swizzled(lane % 16, (j + lane / 16) * 8)",
        "lane % 16 * 64 + (j + lane / 16) * 8",
        Means::Numbers,
    ),
    (
        "    stmatrix_x4(row, pairs);\n  }\n  __syncwarp();",
        "    stmatrix_x4(row, pairs);\n  }",
        Means::Numbers,
    ),
];

/// `out [m, n] = a [m, k] b [k, n]` of the first `most` terms in one cluster, by `source`.
fn product(device: &Device, source: Source) -> Result<bool> {
    let ([m, n, k], most) = ([130, 260, 456], 411);
    // Small whole numbers, so that every sum is exact; behind the limit there are none.
    let number = |row: usize, column: usize| bf16::from_f32(((row * 7 + column * 3) % 5) as f32);
    let limited =
        |term: usize, number: bf16| if term < most { number } else { bf16::from_f32(f32::NAN) };
    let (a_stride, b_stride, out_stride) = (k, 264, 264);
    let a: Vec<bf16> = (0..m * a_stride)
        .map(|i| limited(i % a_stride, number(i / a_stride, i % a_stride)))
        .collect();
    let b: Vec<bf16> = (0..k * b_stride)
        .map(|i| limited(i / b_stride, number(i / b_stride, i % b_stride)))
        .collect();
    let truth = (0..m * n).map(|i| {
        let terms =
            (0..most).map(|l| a[i / n * a_stride + l].to_f32() * b[l * b_stride + i % n].to_f32());
        bf16::from_f32(terms.sum::<f32>())
    });
    let (a, b) = (upload(device, &a), upload(device, &b));
    let limit = upload(device, &[most as u32]);
    let mut out = upload(device, &vec![bf16::NAN; m * out_stride]);
    let map_a = device.tensor_map(a.view(), [m, k], a_stride, [64, 64])?;
    let map_b = device.tensor_map(b.view(), [k, n], b_stride, [64, 64])?;
    let mut view = out.view_mut();
    let launch = Launch::of::<bf16>(device, source, "matmul_wgmma_nn")
        .grid(2, 1, 1)
        .block(384)
        .cluster(2)
        .shared(4 * 48 * 1024 + 32 * 1024 + 104)
        .write(&mut view)
        .write_or_null::<f32>(None)
        .read(a.view())
        .read(b.view())
        .read_or_null::<bf16>(None)
        .read(limit.view())
        .value(1i32)
        .size(m)
        .size(n)
        .size(k)
        .size(out_stride)
        .size(a_stride)
        .size(b_stride)
        .value(1.0f32)
        .value(0i32)
        .tensor_map(&map_a)
        .tensor_map(&map_b);
    // SAFETY: the buffers are as long as shape and strides say; a fault is planted for the shim only.
    unsafe { launch.run() }?;
    let out = download(device, out.view());
    let rows = out.chunks(out_stride).flat_map(|row| &row[..n]).copied();
    Ok(rows.eq(truth))
}

/// The kernel file as far as its first kernel, with its header, and with a fault or none.
fn source(fault: Option<(&str, &str)>) -> Source {
    const END: &str = "EXPORT(matmul_wgmma_nn)\n";
    let text = Source::MatmulWgmma.text().expect("sources");
    let (first, _) = text.split_once(END).expect("the first kernel");
    let headers = headers().expect("headers");
    let (_, header) = headers.iter().find(|(name, _)| name == "hopper.cuh").expect("a header");
    let mut text = first.replacen("#include \"hopper.cuh\"", header, 1);
    text.push_str(END);
    if let Some((from, to)) = fault {
        assert!(text.contains(from), "there is no {from:?}: plant the fault anew");
        text = text.replacen(from, to, 1);
    }
    Source::Other("planted.cu", text.leak())
}

#[test]
fn planted_faults_are_caught_and_the_sound_source_passes() {
    let shims: Vec<Device> = devices().into_iter().filter(Device::is_host).collect();
    let sound = source(None);
    for device in &shims {
        assert!(product(device, sound).expect("the sound source"), "{}", device.name());
    }
    let missed = FAULTS.par_iter().filter_map(|&(from, to, means)| {
        let faulty = source(Some((from, to)));
        // On a thread of its own, with which the stacks of the CUDA threads end: a process can map
        // only so many.
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
        let outcomes: Vec<Result<bool>> =
            alone.install(|| shims.iter().map(|device| product(device, faulty)).collect());
        let caught = outcomes.iter().any(|outcome| match (means, outcome) {
            (Means::Report(words), Err(reason)) => reason.to_string().contains(words),
            (Means::Numbers, Ok(equal)) => !equal,
            _ => false,
        });
        (!caught).then(|| format!("{to:?} for {from:?}: {means:?}, {outcomes:?}\n"))
    });
    let missed: String = if shims.is_empty() { String::new() } else { missed.collect() };
    assert!(missed.is_empty(), "not caught:\n{missed}");
}
