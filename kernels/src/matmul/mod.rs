//! Matrix products.
//!
//! One product is launched on one of the rungs of a ladder. Each multiplies more often per number
//! that it brings from the memory behind it, which is what limits it:
//!
//! | rung | per block | multiply-adds per number read from cache, from shared memory | bound by |
//! |---|---|---|---|
//! | [`Rung::Naive`] | an entry per thread | ½, – | the cache |
//! | [`Rung::FewRows`] | `m` rows × 32 columns | `m` per number of the weight | memory |
//! | [`Rung::Tiled`] | 128 × 128 (64 × 64) entries | 64 (32), 4 (2⅔) | f32 arithmetic |
//! | [`Rung::Mma`] | 128 × 128 (64 × 64) entries | 64 (32), 32 (16) | tensor cores |
//! | [`Rung::Wgmma`] | 128 × 256 (128 × 128) entries, two blocks share `b` | 128 (85), 51 (43) | tensor cores |
//!
//! The smaller tiles serve products that would leave most of a device idle. All rungs add the terms
//! of an entry in the order of `k` in single precision (the naive and the tiled rung as one chain,
//! few rows as up to 32 chains and a tree, tensor cores 16 terms at a time), so that the bits of an
//! entry depend on the rung but not on the [`Tile`]. [`run_with`] can split the terms of a product into
//! shares that are added in order; see [`scratch`].

mod choice;
mod launch;
mod split;

pub use split::scratch;

use crate::{Device, Precision, Result, Storage, View, ViewMut};

/// How the row-major operands of `out [m, n]` are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `a [m, k] · b [k, n]`.
    NN,
    /// `a [m, k] · b [n, k]ᵀ`.
    NT,
    /// `a [k, m]ᵀ · b [k, n]`.
    TN,
}

impl Layout {
    /// Rows and columns of `a` and of `b` as they are stored.
    fn stored(self, m: usize, n: usize, k: usize) -> [(usize, usize); 2] {
        match self {
            Self::NN => [(m, k), (k, n)],
            Self::NT => [(m, k), (n, k)],
            Self::TN => [(k, m), (k, n)],
        }
    }
}

/// Whether a product replaces what stands in its output or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// `out ← …`.
    Overwrite,
    /// `out ← out + …`, added in single precision and rounded once.
    Accumulate,
}

/// What a number that only the device knows bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The first rows of `out`, and of `m` in `a`, take part; the others are left alone.
    Rows,
    /// The first terms of `k` take part.
    Inner,
}

/// A way to compute a product; see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// One thread per entry.
    Naive,
    /// Tiles in registers, operands through shared memory.
    Tiled,
    /// Up to 16 rows against a weight that is read once.
    FewRows,
    /// Tensor cores through `mma.sync`: bf16 with rows at multiples of 16 bytes.
    Mma,
    /// Tensor cores through `wgmma` on compute capability 9.0: bf16 with rows at multiples of 16
    /// bytes.
    Wgmma,
}

/// `out [m, n] ← (out +) alpha · a · b (+ bias)`.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a, A> {
    /// Rows of the output.
    pub m: usize,
    /// Columns of the output.
    pub n: usize,
    /// Terms of each entry.
    pub k: usize,
    /// How `a` and `b` are stored.
    pub layout: Layout,
    /// Factor of the sums.
    pub alpha: f32,
    /// Replace or add.
    pub write: Write,
    /// Added once to every row, `[n]`.
    pub bias: Option<View<'a, A>>,
    /// A number on the device, `[1]` or more of which the first counts, and what it bounds. Blocks
    /// that lie beyond it return at once.
    pub limit: Option<(View<'a, u32>, Limit)>,
    /// The way to compute it, or the one that suits it.
    pub rung: Option<Rung>,
}

/// Elements from one row of a matrix to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strides {
    /// Of the output.
    pub out: usize,
    /// Of `a`.
    pub a: usize,
    /// Of `b`.
    pub b: usize,
}

impl Strides {
    /// Of matrices whose rows follow each other without gaps.
    pub fn dense<A>(product: &Product<A>) -> Self {
        let Product { m, n, k, layout, .. } = *product;
        let [(_, a), (_, b)] = layout.stored(m, n, k);
        Self { out: n, a, b }
    }
}

/// The part of the output that a block works on at a time, of [`Rung::Tiled`], [`Rung::Mma`] and
/// [`Rung::Wgmma`]. The bits are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    /// 128 × 128 entries, of [`Rung::Wgmma`] 128 × 256.
    Large,
    /// 64 × 64 entries, of [`Rung::Wgmma`] 128 × 128, for products that would leave much of a
    /// device idle.
    Small,
}

impl Tile {
    /// Rows and columns.
    fn shape(self, rung: Rung) -> (usize, usize) {
        match (self, rung) {
            (Self::Large, Rung::Wgmma) => (128, 256),
            (Self::Small, Rung::Wgmma) | (Self::Large, _) => (128, 128),
            (Self::Small, _) => (64, 64),
        }
    }
}

/// What [`run_with`] takes beyond the product.
#[derive(Debug, Default)]
pub struct Options<'a> {
    /// Of the rows, if there are gaps between them.
    pub strides: Option<Strides>,
    /// Room for a product that is better split; see [`scratch`].
    pub scratch: Option<ViewMut<'a, f32>>,
    /// The tile, or the one that suits the shape.
    pub tile: Option<Tile>,
}

/// `out ← (out +) alpha · a · b (+ bias)` in storage `A`, or with an output in `f32`; sums in `f32`,
/// rounded once.
///
/// | argument | shape | meaning |
/// |---|---|---|
/// | `out` | `[m, n]` | written, or added to |
/// | `a` | `[m, k]`, TN `[k, m]` | left operand |
/// | `b` | `[k, n]`, NT `[n, k]` | right operand |
///
/// Two runs give the same bits. Without a wish for a rung, products of up to 16 rows (NN and NT) run
/// on [`Rung::FewRows`]; others in bf16, if addresses are multiples of 16 bytes and strides of 8
/// elements, on [`Rung::Wgmma`] if the device has compute capability 9.0 and the product at least
/// 66 of its smaller tiles, or on [`Rung::Mma`] from 8.0 on; the rest on [`Rung::Tiled`].
///
/// # Errors
/// If the device fails, or cannot run the rung that was asked for.
///
/// # Panics
/// If a length does not fit the shape, or the output is neither `A` nor `f32`.
pub fn run<A: Storage, O: Storage>(
    device: &Device,
    out: ViewMut<O>,
    a: View<A>,
    b: View<A>,
    product: &Product<A>,
) -> Result<()> {
    run_with(device, out, a, b, product, Options::default())
}

/// As [`run`], with [`Options`]. Where rows have gaps between them, the lengths are at least up to the
/// end of the last row.
///
/// # Errors
/// As [`run`].
///
/// # Panics
/// As [`run`], and if there is scratch but too little of it.
pub fn run_with<A: Storage, O: Storage>(
    device: &Device,
    mut out: ViewMut<O>,
    a: View<A>,
    b: View<A>,
    product: &Product<A>,
    options: Options,
) -> Result<()> {
    let Product { m, n, k, layout, .. } = *product;
    let strides = options.strides.unwrap_or_else(|| Strides::dense(product));
    let [stored_a, stored_b] = layout.stored(m, n, k);
    check("out", out.len(), (m, n), strides.out);
    check("a", a.len(), stored_a, strides.a);
    check("b", b.len(), stored_b, strides.b);
    assert!(product.bias.is_none_or(|bias| bias.len() == n), "matmul: the bias is not [{n}]");
    assert!(product.limit.is_none_or(|(limit, _)| limit.len() > 0), "matmul: an empty limit");
    assert!(
        O::PRECISION == A::PRECISION || O::PRECISION == Precision::F32,
        "matmul: operands in f32 with an output in bf16"
    );
    if m == 0 || n == 0 {
        return Ok(());
    }
    let plan = choice::plan(device, a, b, product, strides, &options)?;
    match options.scratch {
        Some(mut scratch) if plan.splits > 1 => {
            let mut slices = split::slices(&mut scratch, product, plan.splits);
            launch::shares(device, &mut slices, a, b, product, strides, plan)?;
            launch::join(device, &mut out, slices.view(), product, strides, plan)
        }
        _ => launch::whole(device, &mut out, a, b, product, strides, plan),
    }
}

fn check(what: &str, len: usize, (rows, columns): (usize, usize), stride: usize) {
    assert!(stride >= columns, "matmul: rows of {what} overlap, {columns} columns {stride} apart");
    let extent = if rows * columns == 0 { 0 } else { (rows - 1) * stride + columns };
    let fits = if stride == columns { len == extent } else { len >= extent };
    assert!(fits, "matmul: {what} has length {len}, should be [{rows}, {columns}]");
}
