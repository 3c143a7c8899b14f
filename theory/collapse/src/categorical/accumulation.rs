//! N9: accumulated data, block schedules, and a fixed training budget.
//!
//! The heterozygosity of the categorical law plays the part of the Gaussian's variance (U1, G9).

use super::given::{N, T, check_samples, input, remaining};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::ln_gamma_ratio;
use std::f64::consts::PI;

/// `E H_t/H_0 = Π_{k≤t} (1 − 1/(n k²))` when every generation is fitted to all `k n` samples so
/// far.
///
/// *Derivation.* The pooled law moves by `1/k` of the block's error, whose variance is `H/n`; the
/// sum of squares is a martingale, so what the mean gains `H` loses. In closed form
/// `sin(πx)/(πx) · Γ(t+1+x)Γ(t+1−x)/Γ(t+1)²` with `x = 1/√n`.
///
/// Domain: `n ≥ 1`, any `t`. Source: Kazdan et al. 2024, arXiv 2410.16713, for the Gaussian. Guard:
/// `categorical-accumulate`.
///
/// Proved: `accumulate_decay` in `theory/proofs/accumulate.v`.
///
/// ```
/// let kept = fortifai_collapse::categorical::accumulation::accumulated(6, 1)?;
/// assert!((kept - 5.0 / 6.0).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n` is zero.
pub fn accumulated(n: usize, t: usize) -> Result<f64, Refusal> {
    check_samples(n)?;
    Ok(product_below(1.0 / n as f64, t))
}

/// The limit of [`accumulated`] for many generations, `sin(π/√n)/(π/√n)`.
///
/// *Derivation.* Euler's product for the sine. Source, guard: as [`accumulated`].
///
/// ```
/// use fortifai_collapse::categorical::accumulation::accumulated_limit;
/// use std::f64::consts::PI;
/// // A quarter of a turn.
/// assert!((accumulated_limit(4)? - 2.0 / PI).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n` is zero.
pub fn accumulated_limit(n: usize) -> Result<f64, Refusal> {
    check_samples(n)?;
    Ok(sinc(1.0 / (n as f64).sqrt()))
}

/// `E H_t/H_0 = Π_k (1 − n_k/N_k²)` for blocks of the given sizes, accumulated
/// (`N_k = n_1 + … + n_k`) or each replacing the one before (`N_k = n_k`).
///
/// Collapse in mean if and only if `Σ n_k/N_k²` diverges. Guard: `categorical-accumulate`.
///
/// ```
/// use fortifai_collapse::categorical::accumulation::scheduled;
/// // (1 − 2/2²)(1 − 2/4²).
/// assert!((scheduled(&[2, 2], true)? - 0.4375).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If there is no block or one is empty.
pub fn scheduled(blocks: &[usize], accumulate: bool) -> Result<f64, Refusal> {
    require(!blocks.is_empty(), "the number of blocks", blocks.len(), "at least 1")?;
    let (mut pool, mut kept) = (0.0, 1.0);
    for &block in blocks {
        require(block >= 1, "a block", block, "at least 1 sample")?;
        let block = block as f64;
        pool = if accumulate { pool + block } else { block };
        kept *= remaining(block / (pool * pool), 1.0);
    }
    Ok(kept)
}

/// `E H/H_0` of the pool of `t n` samples when each model is fitted to `budget` of them, drawn with
/// replacement: `(1 − 1/n) Π_{k=2..t} [1 − c/k²]`, `c = (1 + (n−1)/B)/n`. The fitted model has
/// `1 − 1/B` of it.
///
/// *Derivation.* The block is drawn from a model whose law is off the pool's by variance `H/B` and
/// whose own heterozygosity is `(1 − 1/B) H`. Source: derived here (G9); setting of arXiv
/// 2410.16713. Guard: `categorical-accumulate`.
///
/// ```
/// use fortifai_collapse::categorical::accumulation::budgeted;
/// // One token is copied: half of the first pools are even, then (1, 3): 1/2 · (3/8)/(1/2).
/// assert!((budgeted(2, 1, 2)? - 0.375).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n`, `budget` or `t` is zero.
pub fn budgeted(n: usize, budget: usize, t: usize) -> Result<f64, Refusal> {
    let c = budget_cost(n, budget)?;
    require(t >= 1, "t", t, "t ≥ 1")?;
    let first = remaining(1.0 / n as f64, 1.0);
    // Π_{k≥2} is Π_{k≥1} without its first factor 1 − c, which is zero at c = 1.
    if t == 1 {
        return Ok(first);
    }
    let x = c.sqrt();
    Ok(first * sinc_over_first(x) * tail_product(x, t))
}

/// The limit of [`budgeted`]: `(1 − 1/n)/(1 − c) · sin(π√c)/(π√c)`, positive for every budget if
/// `n ≥ 2`.
///
/// *Derivation.* Euler's product without its first factor; 1/2 of `1 − 1/n` at `c = 1`. Source,
/// guard: as [`budgeted`].
///
/// ```
/// use fortifai_collapse::categorical::accumulation::budgeted_limit;
/// // c = 1: (1 − 1/4) · 3/4 · 8/9 · 15/16 · … = 3/4 · 1/2.
/// assert!((budgeted_limit(4, 1)? - 0.375).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n` or `budget` is zero.
pub fn budgeted_limit(n: usize, budget: usize) -> Result<f64, Refusal> {
    let c = budget_cost(n, budget)?;
    Ok(remaining(1.0 / n as f64, 1.0) * sinc_over_first(c.sqrt()))
}

/// [`budgeted`], with the budget drawn without replacement, for `B ≤ n`:
/// with a pool of `N` points and heterozygosity `v`, `s = v N (1 − 1/B)/(N − 1)` is the fitted
/// heterozygosity, `q = v (N − B)/((N − 1) B)` its squared distance from the pool, and
/// `v' = [N v + (n−1) s + (N n/N')(q + s/n)]/N'`, `N' = N + n`.
///
/// Guard: `categorical-accumulate`.
///
/// ```
/// use fortifai_collapse::categorical::accumulation::budgeted_without_replacement;
/// // All of the first pool: as accumulated, (1 − 2/2²)(1 − 2/4²).
/// assert!((budgeted_without_replacement(2, 2, 2)? - 0.4375).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `n`, `budget` or `t` is zero, `budget > n`, or `t > 10⁷` (the recursion is run).
pub fn budgeted_without_replacement(n: usize, budget: usize, t: usize) -> Result<f64, Refusal> {
    budget_cost(n, budget)?;
    require(budget <= n, "B", budget, &format!("B ≤ n = {n} (the first pool has n points)"))?;
    require((1..=10_000_000).contains(&t), "t", t, "1 ≤ t ≤ 10000000")?;
    let (block, b) = (n as f64, budget as f64);
    let mut v = 1.0 - 1.0 / block;
    if n == 1 {
        return Ok(0.0);
    }
    for k in 2..=t {
        let pool = (k - 1) as f64 * block;
        let next = pool + block;
        let fitted = v * pool * (1.0 - 1.0 / b) / (pool - 1.0);
        let off = v * (pool - b) / ((pool - 1.0) * b);
        v = (pool * v + (block - 1.0) * fitted + pool * block / next * (off + fitted / block))
            / next;
    }
    Ok(v)
}

/// `c = (1 + (n − 1)/B)/n`.
fn budget_cost(n: usize, budget: usize) -> Result<f64, Refusal> {
    check_samples(n)?;
    require(budget >= 1, "B", budget, "B ≥ 1")?;
    Ok((1.0 + (n as f64 - 1.0) / budget as f64) / n as f64)
}

/// `Π_{k=1..t} (1 − c/k²)`.
fn product_below(c: f64, t: usize) -> f64 {
    if t == 0 {
        return 1.0;
    }
    let x = c.sqrt();
    sinc(x) * tail_product(x, t)
}

/// `Π_{k>t} (1 − x²/k²)^{-1} = Γ(t+1+x) Γ(t+1−x)/Γ(t+1)²` for `0 < x ≤ 1`.
fn tail_product(x: f64, t: usize) -> f64 {
    let above = t as f64 + 1.0;
    (ln_gamma_ratio(above, x) + ln_gamma_ratio(above, -x)).exp()
}

/// `sin(πx)/(πx)` for `0 < x ≤ 1`, without the cancellation near 1.
fn sinc(x: f64) -> f64 {
    if x < 0.5 { (PI * x).sin() / (PI * x) } else { (PI * (1.0 - x)).sin() / (PI * x) }
}

/// `sin(πx)/(πx(1 − x²))` for `0 < x ≤ 1`, which is 1/2 at 1.
fn sinc_over_first(x: f64) -> f64 {
    if x < 0.5 {
        return sinc(x) / (1.0 - x * x);
    }
    let off = PI * (1.0 - x);
    let ratio = if off == 0.0 { 1.0 } else { off.sin() / off };
    ratio / (x * (1.0 + x))
}

const SIZE: Input = input("n", "samples per generation", "6");
const BUDGET: Input = input("B", "samples each model is fitted to", "4");
const BLOCKS: Input = input("blocks", "samples of each generation", "[4, 9, 3, 12, 5]");
const KAZDAN: &str =
    "Kazdan et al. 2024, arXiv 2410.16713, for the Gaussian; own for the categorical";

/// The entries of N9.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N9",
        name: "share of the heterozygosity kept, accumulated data",
        formula: "accumulate H_t/H_0=prod(1-1/(n k^2))",
        kind: Kind::Exact,
        source: KAZDAN,
        domain: "n ≥ 1",
        digits: Digits::Special,
        inputs: &[N, T],
        value: |x| accumulated(x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N9",
        name: "share of the heterozygosity kept for ever, accumulated data",
        formula: "accumulate limit H/H_0=sin(pi/sqrt n)/(pi/sqrt n)",
        kind: Kind::Exact,
        source: KAZDAN,
        domain: "n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[N],
        value: |x| accumulated_limit(x.count("n")?),
    },
    Entry {
        id: "N9",
        name: "share of the heterozygosity kept, accumulated blocks of any size",
        formula: "accumulated blocks H_t/H_0=prod(1-n_k/N_k^2)",
        kind: Kind::Exact,
        source: "total-variance conservation (U1)",
        domain: "whole blocks of at least 1 sample",
        digits: Digits::Elementary,
        inputs: &[BLOCKS],
        value: |x| scheduled(&x.counts("blocks")?, true),
    },
    Entry {
        id: "N9",
        name: "share of the heterozygosity kept, replaced blocks of any size",
        formula: "replaced blocks H_t/H_0=prod(1-1/n_k)",
        kind: Kind::Exact,
        source: "total-variance conservation (U1)",
        domain: "whole blocks of at least 1 sample",
        digits: Digits::Elementary,
        inputs: &[BLOCKS],
        value: |x| scheduled(&x.counts("blocks")?, false),
    },
    Entry {
        id: "N9",
        name: "share of the pool's heterozygosity kept, budget drawn with replacement",
        formula: "budget with replacement H_t/H_0",
        kind: Kind::Exact,
        source: "derived here; setting of arXiv 2410.16713",
        domain: "n ≥ 1, B ≥ 1, t ≥ 1",
        digits: Digits::Special,
        inputs: &[SIZE, BUDGET, T],
        value: |x| budgeted(x.count("n")?, x.count("B")?, x.count("t")?),
    },
    Entry {
        id: "N9",
        name: "share of the pool's heterozygosity kept for ever, budget drawn with replacement",
        formula: "budget with replacement limit H/H_0",
        kind: Kind::Exact,
        source: "derived here; setting of arXiv 2410.16713",
        domain: "n ≥ 1, B ≥ 1",
        digits: Digits::Elementary,
        inputs: &[SIZE, BUDGET],
        value: |x| budgeted_limit(x.count("n")?, x.count("B")?),
    },
    Entry {
        id: "N9",
        name: "share of the pool's heterozygosity kept, budget drawn without replacement",
        formula: "budget without replacement H_t/H_0",
        kind: Kind::Exact,
        source: "derived here; setting of arXiv 2410.16713",
        domain: "1 ≤ B ≤ n, 1 ≤ t ≤ 10000000",
        digits: Digits::Special,
        inputs: &[SIZE, BUDGET, T],
        value: |x| budgeted_without_replacement(x.count("n")?, x.count("B")?, x.count("t")?),
    },
];
