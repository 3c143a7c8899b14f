//! Launchers of `attention.cu`, `attention_mma.cu` and `attention_wgmma.cu`: causal attention of many heads.
//!
//! `out = softmax(Q Kᵀ/√hs) V` where position `i` sees the positions `0..=i`.
//!
//! | argument | shape | meaning |
//! |---|---|---|
//! | `out`, `dout` | `[b, t, nh, hs]` | the heads' outputs, and their gradient |
//! | `lse` | `[b, nh, t]` | natural logarithm of `Σ_j e^(q·k_j/√hs)`, saved for backward |
//! | `qkv`, `dqkv` | `[b, t, 3, nh, hs]` | queries, keys and values, and their gradient |
//!
//! No rung holds `[t, t]` numbers, and none adds in an order that depends on the device: backward is
//! one pass over queries for `dQ` and one over keys for `dK` and `dV`.

mod wgmma;

use crate::sources::Source;
use crate::{Device, Launch, Precision, Result, Storage, View, ViewMut};

/// `b` sequences of `t` positions, `nh` heads of size `hs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Sequences.
    pub b: usize,
    /// Positions.
    pub t: usize,
    /// Heads.
    pub nh: usize,
    /// Head size.
    pub hs: usize,
}

impl Shape {
    /// Rows of all heads.
    fn rows(self) -> usize {
        self.b * self.nh * self.t
    }

    /// Blocks, if each takes `tile` rows of a head.
    fn blocks(self, tile: usize) -> usize {
        self.b * self.nh * self.t.div_ceil(tile)
    }
}

/// Which kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// One block per row, the formula; any head size.
    Naive,
    /// Tiles in shared memory, f32 arithmetic; head sizes up to 128.
    Flash,
    /// Tensor cores, for bf16 and head sizes 32, 64 and 128 at addresses that are multiples of 16.
    Mma,
    /// The tensor cores of capability 9.0, for bf16 and heads of 64 at such addresses.
    Wgmma,
}

impl Rung {
    /// Whether it can do heads of size `hs` in this storage on this device.
    pub fn serves<A: Storage>(self, device: &Device, hs: usize) -> bool {
        let capability = device.compute_capability();
        // 99 KiB of shared memory, where the tiles of large heads need 108.
        let small = matches!(capability, (8, 6 | 9) | (12, _));
        match self {
            Self::Naive => true,
            Self::Flash => hs <= if small { 64 } else { 128 },
            Self::Mma => {
                A::PRECISION == Precision::Bf16
                    && matches!(hs, 32 | 64 | 128)
                    && capability >= (8, 0)
            }
            Self::Wgmma => {
                A::PRECISION == Precision::Bf16 && hs == wgmma::SIDE && capability == (9, 0)
            }
        }
    }

    fn best<A: Storage>(device: &Device, hs: usize, addresses: &[u64]) -> Self {
        let aligned = addresses.iter().all(|address| address % 16 == 0);
        match () {
            () if aligned && Self::Wgmma.serves::<A>(device, hs) => Self::Wgmma,
            () if aligned && Self::Mma.serves::<A>(device, hs) => Self::Mma,
            () if Self::Flash.serves::<A>(device, hs) => Self::Flash,
            () => Self::Naive,
        }
    }
}

/// Overwrites `out` and `lse`.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit the shape.
pub fn forward<A: Storage>(
    device: &Device,
    out: ViewMut<A>,
    lse: ViewMut<f32>,
    qkv: View<A>,
    shape: Shape,
) -> Result<()> {
    let addresses = [out.address_on(device), qkv.address_on(device)];
    let rung = Rung::best::<A>(device, shape.hs, &addresses);
    forward_with(rung, device, out, lse, qkv, shape)
}

/// As [`forward`], by a rung of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit the shape, or the rung does not serve it.
pub fn forward_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut out: ViewMut<A>,
    mut lse: ViewMut<f32>,
    qkv: View<A>,
    shape: Shape,
) -> Result<()> {
    assert_eq!(out.len(), shape.rows() * shape.hs, "attention::forward: length of out");
    assert_eq!(lse.len(), shape.rows(), "attention::forward: length of lse");
    assert_eq!(qkv.len(), 3 * out.len(), "attention::forward: length of qkv");
    rung_serves::<A>(rung, device, shape, "forward");
    let size = padded(shape.hs);
    let launch = match rung {
        Rung::Naive => Launch::of::<A>(device, Source::Attention, "attention_forward_naive")
            .grid(shape.rows(), 1, 1)
            .block(64),
        Rung::Flash => Launch::of::<A>(device, Source::Attention, FLASH[size].forward)
            .grid(shape.blocks(64), 1, 1)
            .block(256)
            .shared(flash_bytes(size, 1, 1, 64)),
        Rung::Mma => Launch::of::<A>(device, Source::AttentionMma, MMA[size].forward)
            .grid(shape.blocks(128), 1, 1)
            .block(128)
            .shared(mma_bytes(size, 128, 0)),
        Rung::Wgmma => return wgmma::forward(device, out, lse, qkv, shape),
    };
    // SAFETY: all have the lengths of the shape, and the tiles their shared memory.
    unsafe { heads(launch.write(&mut out).write(&mut lse).read(qkv), rung, shape).run() }
}

/// Numbers of scratch that [`backward`] needs: `D_i = dout_i · out_i` of every row.
pub fn scratch(shape: Shape) -> usize {
    shape.rows()
}

/// Adds to `dqkv`. With `P_ij = e^(q_i·k_j/√hs − lse_i)` for `j ≤ i` and `dS_ij = P_ij (dout_i·v_j −
/// D_i)`: `dQ += dS K/√hs`, `dK += dSᵀ Q/√hs`, `dV += Pᵀ dout`.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit the shape.
#[allow(clippy::too_many_arguments)] // outputs, inputs, saved, scratch, shape
pub fn backward<A: Storage>(
    device: &Device,
    dqkv: ViewMut<A>,
    dout: View<A>,
    qkv: View<A>,
    out: View<A>,
    lse: View<f32>,
    scratch: ViewMut<f32>,
    shape: Shape,
) -> Result<()> {
    let [a, b, c] = [dout, qkv, out].map(|view| view.address_on(device));
    let rung = Rung::best::<A>(device, shape.hs, &[dqkv.address_on(device), a, b, c]);
    backward_with(rung, device, dqkv, dout, qkv, out, lse, scratch, shape)
}

/// As [`backward`], by a rung of one's choice.
///
/// # Errors
/// If the device fails.
///
/// # Panics
/// If a length does not fit the shape, or the rung does not serve it.
#[allow(clippy::too_many_arguments)] // outputs, inputs, saved, scratch, shape
pub fn backward_with<A: Storage>(
    rung: Rung,
    device: &Device,
    mut dqkv: ViewMut<A>,
    dout: View<A>,
    qkv: View<A>,
    out: View<A>,
    lse: View<f32>,
    mut scratch: ViewMut<f32>,
    shape: Shape,
) -> Result<()> {
    let rows = shape.rows();
    assert_eq!(dqkv.len(), 3 * rows * shape.hs, "attention::backward: length of dqkv");
    assert_eq!(dout.len(), rows * shape.hs, "attention::backward: length of dout");
    assert_eq!(qkv.len(), dqkv.len(), "attention::backward: length of qkv");
    assert_eq!(out.len(), dout.len(), "attention::backward: length of out");
    assert_eq!(lse.len(), rows, "attention::backward: length of lse");
    assert!(scratch.len() >= rows, "attention::backward: {} of {rows} scratch", scratch.len());
    rung_serves::<A>(rung, device, shape, "backward");
    if rung == Rung::Wgmma {
        return wgmma::backward(device, dqkv, dout, qkv, out, lse, scratch, shape);
    }
    // SAFETY: all have the lengths of the shape, and the tiles their shared memory.
    unsafe {
        Launch::of::<A>(device, Source::Attention, "attention_row_sums")
            .grid(rows.div_ceil(16), 1, 1)
            .block(256)
            .write(&mut scratch)
            .read(dout)
            .read(out)
            .value(rows as u64)
            .size(shape.t)
            .size(shape.nh)
            .size(shape.hs)
            .run()
    }?;
    let size = padded(shape.hs);
    for of_keys in [false, true] {
        let launch = match rung {
            Rung::Naive => Launch::of::<A>(device, Source::Attention, NAIVE[usize::from(of_keys)])
                .grid(rows, 1, 1)
                .block(64),
            Rung::Flash => {
                let streamed = if size == 2 { 32 } else { 64 };
                let kernel = FLASH[size].backward[usize::from(of_keys)];
                Launch::of::<A>(device, Source::Attention, kernel)
                    .grid(shape.blocks(64), 1, 1)
                    .block(256)
                    .shared(flash_bytes(size, 2, 2, streamed))
            }
            Rung::Mma => {
                let tile = if size == 2 { 64 } else { 128 };
                let kernel = MMA[size].backward[usize::from(of_keys)];
                Launch::of::<A>(device, Source::AttentionMma, kernel)
                    .grid(shape.blocks(tile), 1, 1)
                    .block(128)
                    .shared(mma_bytes(size, 2 * tile, if of_keys { 4 * 64 } else { 0 }))
            }
            Rung::Wgmma => unreachable!("attention::backward: launched above"),
        };
        let launch = launch.write(&mut dqkv).read(scratch.view()).read(lse).read(dout).read(qkv);
        // SAFETY: all have the lengths of the shape, and the tiles their shared memory.
        unsafe { heads(launch, rung, shape).run() }?;
    }
    Ok(())
}

/// The kernels of one size of head.
struct Kernels {
    forward: &'static str,
    /// The pass over queries and the pass over keys.
    backward: [&'static str; 2],
}

const NAIVE: [&str; 2] = ["attention_backward_naive_queries", "attention_backward_naive_keys"];

/// Heads of up to 32, 64 and 128 channels.
const FLASH: [Kernels; 3] = [
    Kernels {
        forward: "attention_forward_flash_32",
        backward: ["attention_backward_flash_queries_32", "attention_backward_flash_keys_32"],
    },
    Kernels {
        forward: "attention_forward_flash_64",
        backward: ["attention_backward_flash_queries_64", "attention_backward_flash_keys_64"],
    },
    Kernels {
        forward: "attention_forward_flash_128",
        backward: ["attention_backward_flash_queries_128", "attention_backward_flash_keys_128"],
    },
];

/// Heads of 32, 64 and 128 channels.
const MMA: [Kernels; 3] = [
    Kernels {
        forward: "attention_forward_mma_32",
        backward: ["attention_backward_mma_queries_32", "attention_backward_mma_keys_32"],
    },
    Kernels {
        forward: "attention_forward_mma_64",
        backward: ["attention_backward_mma_queries_64", "attention_backward_mma_keys_64"],
    },
    Kernels {
        forward: "attention_forward_mma_128",
        backward: ["attention_backward_mma_queries_128", "attention_backward_mma_keys_128"],
    },
];

/// Which of the sizes above a head is rounded up to; of no meaning beyond 128.
fn padded(hs: usize) -> usize {
    match hs {
        0..=32 => 0,
        33..=64 => 1,
        _ => 2,
    }
}

/// Shared memory of the flash rung: `owned` tiles of 64 rows, some of `streamed` rows, and weights.
fn flash_bytes(size: usize, owned: usize, others: usize, streamed: usize) -> usize {
    4 * ((owned * 64 + others * streamed) * ((32 << size) + 4) + 64 * (streamed + 4))
}

/// Shared memory of the mma rung: `owned` rows, two stages of twice 64 rows, and statistics.
fn mma_bytes(size: usize, owned: usize, statistics: usize) -> usize {
    2 * (owned + 4 * 64) * (32 << size) + 4 * statistics
}

fn rung_serves<A: Storage>(rung: Rung, device: &Device, shape: Shape, what: &str) {
    let served = rung.serves::<A>(device, shape.hs);
    assert!(served, "attention::{what}: {rung:?} has no kernel for heads of {}", shape.hs);
}

/// The sizes, as every kernel takes them; those on tensor cores know their head's.
fn heads(launch: Launch, rung: Rung, shape: Shape) -> Launch {
    let launch = launch.size(shape.t).size(shape.nh);
    if rung == Rung::Mma { launch } else { launch.size(shape.hs) }
}
