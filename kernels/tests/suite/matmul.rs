//! Tests of `matmul`: the cases that all rungs share, and the rungs without tensor cores.

use crate::support::{Budget, Guarded, devices, normals, same_bits, upload, wide};
use fortifai_kernels::matmul::{
    Layout, Limit, Options, Product, Rung, Strides, Tile, Write, run, run_with, scratch,
};
use fortifai_kernels::{Buffer, Device, KernelError, Storage, View};
use half::bf16;

/// One product with everything that it may have.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub shape: [usize; 3],
    pub layout: Layout,
    pub write: Write,
    pub bias: bool,
    pub alpha: f32,
    pub limit: Option<(u32, Limit)>,
    /// Strides are multiples of this many elements, and buffers begin this many late.
    pub alignment: usize,
    /// Elements between rows, before that.
    pub gap: usize,
}

/// How it is run.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub rung: Option<Rung>,
    pub tile: Option<Tile>,
    pub split: bool,
}

impl Way {
    pub fn of(rung: Rung) -> Self {
        Self { rung: Some(rung), tile: None, split: false }
    }
}

/// Every shape in every layout; what else a product may have goes round in cycles of lengths
/// without common factors, so that most pairs meet.
pub fn cases(shapes: &[[usize; 3]], alignments: &[usize]) -> Vec<Case> {
    let layouts = [Layout::NN, Layout::NT, Layout::TN];
    let all = shapes.iter().flat_map(|&shape| layouts.map(|layout| (shape, layout)));
    let of = |(index, (shape, layout)): (usize, ([usize; 3], Layout))| {
        let [m, _, k] = shape.map(|size| size as u32);
        let limits = [
            None,
            Some((m.div_ceil(2), Limit::Rows)),
            Some((k.div_ceil(2), Limit::Inner)),
            None,
            Some((m + 5, Limit::Rows)),
            Some((k + 5, Limit::Inner)),
            Some((m.saturating_sub(1), Limit::Rows)),
            Some((k.saturating_sub(1), Limit::Inner)),
            Some((0, Limit::Rows)),
            None,
            Some((0, Limit::Inner)),
        ];
        Case {
            shape,
            layout,
            write: [Write::Overwrite, Write::Accumulate][index % 2],
            bias: [true, true, false, false][index % 4],
            alpha: [1.0, -0.75, 1.0][index % 3],
            limit: limits[index % 11],
            alignment: alignments[index / 3 % alignments.len()],
            gap: [0, 0, 1, 0, 3][index % 5],
        }
    };
    all.enumerate().map(of).collect()
}

/// A matrix `[rows, columns]` of `stride`, NaN between the rows and where nothing may be read.
fn matrix<A: Storage>(
    seed: u64,
    (rows, columns): (usize, usize),
    stride: usize,
    read: impl Fn(usize, usize) -> bool,
) -> Vec<A> {
    let mut values = normals::<A>(seed, ((rows * stride) + columns).saturating_sub(stride));
    for (index, value) in values.iter_mut().enumerate() {
        let (row, column) = (index / stride, index % stride);
        if column >= columns || !read(row, column) {
            *value = A::of(f32::NAN);
        }
    }
    values
}

/// On a device, `skip` elements late.
fn late<A: Storage>(device: &Device, skip: usize, values: &[A]) -> Buffer<A> {
    let mut all = vec![A::of(f32::NAN); skip];
    all.extend_from_slice(values);
    upload(device, &all)
}

fn view<A: Storage>(buffer: &Buffer<A>, skip: usize) -> View<'_, A> {
    buffer.slice(skip..buffer.len())
}

/// The numbers of a case.
pub struct Numbers<A, O> {
    case: Case,
    strides: Strides,
    out: Vec<O>,
    a: Vec<A>,
    b: Vec<A>,
    bias: Vec<A>,
}

impl<A: Storage, O: Storage + PartialEq> Numbers<A, O> {
    pub fn of(case: Case) -> Self {
        let Case { shape: [m, n, k], layout, .. } = case;
        let stride = |columns: usize| (columns + case.gap).next_multiple_of(case.alignment);
        let (stored_a, stored_b) = match layout {
            Layout::NN => ((m, k), (k, n)),
            Layout::NT => ((m, k), (n, k)),
            Layout::TN => ((k, m), (k, n)),
        };
        let strides = Strides { out: stride(n), a: stride(stored_a.1), b: stride(stored_b.1) };
        let (rows, terms) = case.limits();
        let a = matrix(1, stored_a, strides.a, |i, j| match layout {
            Layout::TN => i < terms && j < rows,
            _ => i < rows && j < terms,
        });
        let b = matrix(2, stored_b, strides.b, |i, j| match layout {
            Layout::NT => j < terms,
            _ => i < terms,
        });
        let out = match case.write {
            Write::Overwrite => matrix(3, (m, n), strides.out, |_, _| false),
            Write::Accumulate => matrix(3, (m, n), strides.out, |_, _| true),
        };
        Self { case, strides, out, a, b, bias: normals(4, n) }
    }

    /// All of the output's buffer, after a look at what lies around it.
    pub fn run(&self, device: &Device, way: Way) -> Vec<O> {
        let case = self.case;
        let [m, n, k] = case.shape;
        // Late by the alignment, an odd number where there is none to keep.
        let skip = if case.alignment == 1 { 1 + case.gap % 2 } else { case.alignment };
        let mut out = Guarded::of(device, &self.out, skip.max(4), O::of(7.5));
        let (a, b) = (late(device, skip, &self.a), late(device, skip, &self.b));
        let bias = late(device, skip, &self.bias);
        let limit = upload(device, &[case.limit.map_or(0, |(most, _)| most)]);
        let product = Product {
            m,
            n,
            k,
            layout: case.layout,
            alpha: case.alpha,
            write: case.write,
            bias: case.bias.then(|| view(&bias, skip)),
            limit: case.limit.map(|(_, what)| (limit.view(), what)),
            rung: way.rung,
        };
        let room = if way.split { scratch(m, n, k) } else { 0 };
        let mut room = upload(device, &vec![f32::NAN; room]);
        let options = Options {
            strides: Some(self.strides),
            scratch: way.split.then(|| room.view_mut()),
            tile: way.tile,
        };
        run_with(device, out.view_mut(), view(&a, skip), view(&b, skip), &product, options)
            .unwrap();
        out.read(device)
    }

    /// The entries that take part, with what a sum makes of its terms.
    fn entries<S>(&self, entry: impl Fn(&[(A, A)], Option<A>, Option<O>) -> S) -> Vec<S> {
        let (rows, terms) = self.case.limits();
        let Case { shape: [_, n, _], layout, .. } = self.case;
        let left = |i: usize, l: usize| match layout {
            Layout::TN => self.a[l * self.strides.a + i],
            _ => self.a[i * self.strides.a + l],
        };
        let right = |l: usize, j: usize| match layout {
            Layout::NT => self.b[j * self.strides.b + l],
            _ => self.b[l * self.strides.b + j],
        };
        let each = (0..rows).flat_map(|i| (0..n).map(move |j| (i, j)));
        each.map(|(i, j)| {
            let terms: Vec<(A, A)> = (0..terms).map(|l| (left(i, l), right(l, j))).collect();
            let adds = self.case.write == Write::Accumulate;
            let old = adds.then(|| self.out[i * self.strides.out + j]);
            entry(&terms, self.case.bias.then(|| self.bias[j]), old)
        })
        .collect()
    }

    /// Exactly.
    pub fn truth(&self) -> Vec<f64> {
        let wide = |x: A| f64::from(x.wide());
        self.entries(|terms, bias, old| {
            let sum: f64 = terms.iter().map(|&(x, y)| wide(x) * wide(y)).sum();
            let bias = bias.map_or(0.0, wide);
            f64::from(self.case.alpha) * sum + bias + old.map_or(0.0, |old| f64::from(old.wide()))
        })
    }

    /// Plainly in `f32`, the terms in order.
    pub fn textbook(&self) -> Vec<f64> {
        self.entries(|terms, bias, old| {
            let sum = terms.iter().fold(0.0, |sum, (x, y)| sum + x.wide() * y.wide());
            let value = self.case.alpha * sum + bias.map_or(0.0, A::wide);
            f64::from(O::of(value + old.map_or(0.0, O::wide)).wide())
        })
    }

    /// The entries that take part, after a look at those that do not.
    pub fn taking_part(&self, out: &[f64]) -> Vec<f64> {
        let (rows, _) = self.case.limits();
        let [_, n, _] = self.case.shape;
        let mut part = Vec::new();
        for (index, (&now, before)) in out.iter().zip(&self.out).enumerate() {
            let (row, column) = (index / self.strides.out, index % self.strides.out);
            if row < rows && column < n {
                part.push(now);
            } else {
                let before = f64::from(before.wide());
                let alone = now.to_bits() == before.to_bits() || (now.is_nan() && before.is_nan());
                assert!(alone, "({row}, {column}) was {before}, is {now}: {:?}", self.case);
            }
        }
        part
    }
}

impl Case {
    /// Rows and terms that take part.
    fn limits(&self) -> (usize, usize) {
        let [m, _, k] = self.shape;
        match self.limit {
            None => (m, k),
            Some((most, Limit::Rows)) => (m.min(most as usize), k),
            Some((most, Limit::Inner)) => (m, k.min(most as usize)),
        }
    }
}

/// The devices that can run `rung`.
pub fn able(rung: Rung) -> Vec<Device> {
    let mut devices = devices();
    devices.retain(|device| {
        let able = rung != Rung::Wgmma || device.compute_capability() == (9, 0);
        if !able {
            eprintln!("SKIPPED wgmma on {}: it has another compute capability", device.name());
        }
        able
    });
    devices
}

/// Fails unless `way` has the same bits everywhere and is no worse than the textbook on all cases.
pub fn is_no_worse<A: Storage, O: Storage + PartialEq>(cases: &[Case], way: Way) {
    let devices = way.rung.map_or_else(devices, able);
    let mut budget = Budget::default();
    for &case in cases {
        let numbers = Numbers::<A, O>::of(case);
        let (truth, textbook) = (numbers.truth(), numbers.textbook());
        for out in same_bits(&devices, |device| vec![wide(&numbers.run(device, way))]) {
            let ours = numbers.taking_part(&out[0]);
            assert!(ours.iter().all(|x| x.is_finite()), "{case:?}, {way:?}");
            budget.add(&ours, &textbook, &truth);
        }
    }
    budget.assert_no_worse::<O>(&format!("matmul, {way:?}"));
}

const SMALL: [[usize; 3]; 12] = [
    [1, 1, 1],
    [2, 3, 1],
    [5, 2, 7],
    [1, 33, 8],
    [16, 16, 16],
    [17, 31, 9],
    [7, 64, 65],
    [63, 5, 17],
    [64, 64, 24],
    [65, 66, 3],
    [31, 129, 33],
    [130, 40, 20],
];

#[test]
fn the_naive_rung_is_no_worse_than_the_textbook() {
    let (cases, way) = (cases(&SMALL, &[1, 8]), Way::of(Rung::Naive));
    is_no_worse::<f32, f32>(&cases, way);
    is_no_worse::<bf16, bf16>(&cases, way);
    is_no_worse::<bf16, f32>(&cases, way);
}

#[test]
fn small_tiles_are_no_worse_than_the_textbook() {
    let (cases, way) = (cases(&SMALL, &[1, 8]), Way::of(Rung::Tiled));
    let way = Way { tile: Some(Tile::Small), ..way };
    is_no_worse::<f32, f32>(&cases, way);
    is_no_worse::<bf16, bf16>(&cases, way);
    is_no_worse::<bf16, f32>(&cases, way);
}

#[test]
fn large_tiles_are_no_worse_than_the_textbook() {
    let (cases, way) = (cases(&SMALL, &[1, 8]), Way::of(Rung::Tiled));
    let way = Way { tile: Some(Tile::Large), ..way };
    is_no_worse::<f32, f32>(&cases, way);
    is_no_worse::<bf16, bf16>(&cases, way);
}

#[test]
fn few_rows_are_no_worse_than_the_textbook() {
    let shapes = [1, 2, 4, 5, 7, 8, 15, 16].map(|m| [[m, 3, 1], [m, 65 + m, 117 + 8 * m]]);
    let mut cases = cases(shapes.as_flattened(), &[8, 8, 1]);
    cases.retain(|case| case.layout != Layout::TN);
    is_no_worse::<f32, f32>(&cases, Way::of(Rung::FewRows));
    is_no_worse::<bf16, bf16>(&cases, Way::of(Rung::FewRows));
    is_no_worse::<bf16, f32>(&cases, Way::of(Rung::FewRows));
}

/// Fails unless all ways give the same bits.
pub fn have_the_same_bits<A: Storage>(ways: &[Way], shapes: &[[usize; 3]], alignment: usize) {
    let device = &devices()[0];
    for case in cases(shapes, &[alignment]) {
        let numbers = Numbers::<A, f32>::of(case);
        let bits = |way| numbers.run(device, way).into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let first = bits(ways[0]);
        assert!(ways[1..].iter().all(|&way| bits(way) == first), "{case:?}");
    }
}

/// A rung with both tiles.
pub fn tiles(rung: Rung) -> [Way; 2] {
    [Tile::Small, Tile::Large].map(|tile| Way { tile: Some(tile), ..Way::of(rung) })
}

#[test]
fn naive_products_and_tiles_of_both_sizes_have_the_same_bits() {
    let [small, large] = tiles(Rung::Tiled);
    let ways = [Way::of(Rung::Naive), small, large];
    have_the_same_bits::<f32>(&ways, &[[65, 70, 40], [3, 200, 9]], 1);
    have_the_same_bits::<bf16>(&ways, &[[70, 140, 24]], 8);
}

/// Shapes with few entries of many terms, which are split.
pub fn long(alignments: &[usize]) -> Vec<Case> {
    let shapes = [1, 3, 5, 10, 20, 64, 65, 2, 7, 1, 4].map(|m| [m, 73 - m, 1020 + 4 * m]);
    let mut cases = cases(&shapes, alignments);
    for case in &mut cases {
        let [m, n, k] = case.shape;
        case.shape = [m, n, k.max(1024)];
        assert!(scratch(m, n, k.max(1024)) >= 2 * m * n, "{case:?}");
    }
    cases
}

#[test]
fn split_products_are_no_worse_than_the_textbook() {
    let way = Way { split: true, ..Way::of(Rung::Tiled) };
    is_no_worse::<f32, f32>(&long(&[1, 8]), way);
}

#[test]
fn a_product_without_terms_is_its_bias() {
    for device in &devices() {
        let bias = upload(device, &[1.5f32, -2.0, 0.25]);
        let mut out = upload(device, &[f32::NAN; 6]);
        let none = upload(device, &[0f32; 0]);
        let product = Product { bias: Some(bias.view()), ..plain(2, 3, 0) };
        run(device, out.view_mut(), none.view(), none.view(), &product).unwrap();
        let out = out.view().download(device).unwrap();
        assert_eq!(out, [1.5, -2.0, 0.25, 1.5, -2.0, 0.25]);
        let mut nothing = upload(device, &[0f32; 0]);
        run(device, nothing.view_mut(), none.view(), bias.view(), &plain(0, 1, 3)).unwrap();
    }
}

fn plain<A: Storage>(m: usize, n: usize, k: usize) -> Product<'static, A> {
    let (alpha, write) = (1.0, Write::Overwrite);
    Product { m, n, k, layout: Layout::NN, alpha, write, bias: None, limit: None, rung: None }
}

#[test]
fn products_without_a_wish_take_few_rows_up_to_16() {
    let device = &devices()[0];
    let is_few = |m: usize, layout| {
        let case = cases(&[[m, 40, 1000]], &[8])[0];
        let numbers = Numbers::<bf16, f32>::of(Case { layout, limit: None, ..case });
        let bits = |rung| -> Vec<u32> {
            let way = Way { rung, tile: None, split: false };
            numbers.run(device, way).into_iter().map(f32::to_bits).collect()
        };
        let auto = bits(None);
        assert!(auto == bits(Some(Rung::FewRows)) || auto == bits(Some(Rung::Mma)));
        auto != bits(Some(Rung::Mma))
    };
    assert!(is_few(1, Layout::NN) && is_few(16, Layout::NN) && is_few(16, Layout::NT));
}

#[test]
fn unsuitable_rungs_are_refused() {
    let device = &devices()[0];
    let numbers = upload(device, &normals::<f32>(1, 32 * 32));
    let refused = |m: usize, rung| {
        let mut out = upload(device, &vec![0f32; m * 32]);
        let product = Product { rung: Some(rung), ..plain(m, 32, 32) };
        let a = numbers.slice(0..m * 32);
        let result = run(device, out.view_mut(), a, numbers.view(), &product);
        matches!(result, Err(KernelError::Unsupported(_)))
    };
    assert!(refused(17, Rung::FewRows) && !refused(16, Rung::FewRows));
    assert!(refused(32, Rung::Mma) && refused(32, Rung::Wgmma) && !refused(32, Rung::Tiled));
}

#[test]
#[should_panic(expected = "matmul: b has length 11, should be [3, 4]")]
fn a_wrong_length_panics() {
    let device = &devices()[0];
    let (a, b) = (upload(device, &[0f32; 6]), upload(device, &[0f32; 11]));
    let mut out = upload(device, &[0f32; 8]);
    let _ = run(device, out.view_mut(), a.view(), b.view(), &plain(2, 4, 3));
}

#[test]
#[should_panic(expected = "matmul: operands in f32 with an output in bf16")]
fn an_output_narrower_than_the_operands_panics() {
    let device = &devices()[0];
    let a = upload(device, &[0f32; 4]);
    let mut out = upload(device, &[bf16::ZERO; 4]);
    let _ = run(device, out.view_mut(), a.view(), a.view(), &plain(2, 2, 2));
}
