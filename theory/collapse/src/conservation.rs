//! One identity behind most of the tables: what a model's mean gains in variance, its own
//! variance loses.
//!
//! A model is refitted each generation so that its mean *and* its second moment are those of its
//! pooled samples: the Gaussian with divisor `N`, the categorical law (its heterozygosity is the
//! variance), the plain bootstrap. A family whose variance is tied to its mean, such as the
//! Poisson law, is not of this kind.

mod guards;

pub use guards::{FIGURES, GUARDS};

use crate::catalogue::Family;
use crate::gaussian::{entry, input};
use crate::inputs::Inputs;
use crate::prediction::{Entry, Input};
use crate::protocol::Schedule;
use crate::recursion::Recursion;
use crate::refusal::{Refusal, require};

/// What the catalogue shows of this room.
pub const FAMILY: Family = Family {
    name: "Conservation of variance",
    about: "One identity that predicts the mean variance for every schedule of samples.",
    entries: &[ENTRIES],
    guards: &[GUARDS],
    figures: &[FIGURES],
};

/// The share `Π_k (1 − n_k/N_k²)` of the true law's variance that the model keeps on average after
/// the given blocks, of which the `k`-th has `n_k` samples and brings the pool to `N_k`.
///
/// *Derivation.* The pooled mean moves by `n_k/N_k` times the block's error, whose variance is
/// `v/n_k`, so it gains `v n_k/N_k²`. The second moment is a martingale, for it averages samples
/// whose expected square is the model's; so what the mean gains the inner variance loses.
///
/// *Consequence.* The variance collapses in the mean if and only if `Σ n_k/N_k²` diverges: data that
/// accumulate never do it, replaced data do it unless `Σ 1/n_k` converges. What is lost is the
/// expected squared displacement of the mean. *Domain:* `1 ≤ n_k ≤ N_k`. *Source:* derived here;
/// contains the products of Seddik et al. (2024, arXiv 2404.05090) and Kazdan et al. (2024, arXiv
/// 2410.16713). *Guard:* `variance-conserved`.
///
/// For the categorical law:
/// Proved: `variance_after_schedule` in `theory/proofs/recursion.v`.
///
/// ```
/// use fortifai_collapse::{Recursion, conservation::variance_kept};
/// let blocks = Recursion::replace(10).blocks(3).expect("a constant schedule");
/// assert!((variance_kept(&blocks).expect("blocks") - 0.9f64.powi(3)).abs() < 1e-15);
/// ```
///
/// # Errors
/// If a block is empty or larger than its pool.
pub fn variance_kept(blocks: &[(usize, usize)]) -> Result<f64, Refusal> {
    blocks.iter().try_fold(1.0, |kept, &(block, pool)| {
        require(block > 0, "n_k", block, "a block of at least one sample")?;
        require(block <= pool, "N_k", pool, "a pool that holds its block")?;
        Ok(kept * (1.0 - block as f64 / (pool as f64 * pool as f64)))
    })
}

/// The blocks `(n_k, N_k)` of accumulated data from the numbers `n_k`.
///
/// # Errors
/// If one is not a whole number from 1 to 2³².
pub fn pools(blocks: &[f64]) -> Result<Vec<(usize, usize)>, Refusal> {
    Recursion::accumulate(schedule(blocks)?).blocks(blocks.len())
}

/// The schedule of the given blocks.
fn schedule(blocks: &[f64]) -> Result<Schedule, Refusal> {
    let whole = |&n: &f64| {
        require(
            (1.0..=4_294_967_296.0).contains(&n) && n.fract() == 0.0,
            "n_k",
            n,
            "a whole block",
        )?;
        Ok(n as usize)
    };
    Ok(Schedule::Blocks(blocks.iter().map(whole).collect::<Result<_, Refusal>>()?))
}

const BLOCKS: Input = input("blocks", "samples of each generation", "[4, 9, 3, 12, 5]");
const FIRST: Input = input("n", "samples of generation 1", "10");
const RATIO: Input = input("ratio", "growth per generation", "1.5");
const EXPONENT: Input = input("exponent", "power of the generation", "2");
const T: Input = input("t", "generations, up to 1000000", "8");

/// The share kept under a growing schedule.
fn kept(inputs: &Inputs, growth: &str, run: fn(Schedule) -> Recursion) -> Result<f64, Refusal> {
    let (first, t) = (inputs.count("n")?, inputs.count("t")?);
    require(t <= 1_000_000, "t", t, "t ≤ 1000000")?;
    let rate = inputs.number(growth)?;
    let schedule = match growth {
        "ratio" => Schedule::Geometric { first, ratio: rate },
        _ => Schedule::Power { first, exponent: rate },
    };
    variance_kept(&run(schedule).blocks(t)?)
}

/// An entry of this section.
const fn share(
    formula: &'static str,
    name: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        source: "derived here; contains products of arXiv 2404.05090 and 2410.16713",
        domain: "fits that keep mean and second moment; blocks of at least one sample",
        ..entry("U1", formula, name, inputs, value)
    }
}

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    share(
        "E v_t/v_0 = prod_k (1-n_k/N_k^2)",
        "share of the variance kept, accumulated blocks",
        &[BLOCKS],
        |i| variance_kept(&pools(i.list("blocks")?)?),
    ),
    share(
        "E v_t/v_0 = prod_k (1-1/n_k)",
        "share of the variance kept, replaced blocks",
        &[BLOCKS],
        |i| {
            let blocks = i.list("blocks")?;
            variance_kept(&Recursion::replace(schedule(blocks)?).blocks(blocks.len())?)
        },
    ),
    share(
        "E v_t/v_0, replaced, n_k = round(n ratio^(k-1))",
        "share of the variance kept, blocks growing geometrically",
        &[FIRST, RATIO, T],
        |i| kept(i, "ratio", Recursion::replace),
    ),
    share(
        "E v_t/v_0, replaced, n_k = round(n k^exponent)",
        "share of the variance kept, blocks growing as a power",
        &[FIRST, EXPONENT, T],
        |i| kept(i, "exponent", Recursion::replace),
    ),
    share(
        "E v_t/v_0, accumulated, n_k = round(n ratio^(k-1))",
        "share of the variance kept, accumulated blocks growing geometrically",
        &[FIRST, RATIO, T],
        |i| kept(i, "ratio", Recursion::accumulate),
    ),
    share(
        "E v_t/v_0, accumulated, n_k = round(n k^exponent)",
        "share of the variance kept, accumulated blocks growing as a power",
        &[FIRST, EXPONENT, T],
        |i| kept(i, "exponent", Recursion::accumulate),
    ),
];

#[cfg(test)]
mod tests {
    use super::variance_kept;
    use crate::{Recursion, protocol::Schedule};

    #[test]
    fn products_agree_with_mpmath() {
        // mpmath, 40 digits: blocks of 4, 9, 3, 12, 5 accumulated; n = 6 accumulated 8 times;
        // n = 12 replaced 7 times.
        let blocks = Schedule::Blocks(vec![4, 9, 3, 12, 5]);
        for (recursion, generations, truth) in [
            (Recursion::accumulate(blocks), 5, 0.687_824_652_453_733_3),
            (Recursion::accumulate(6), 8, 0.762_320_129_910_020_5),
            (Recursion::replace(12), 7, 0.543_851_178_260_388_1),
        ] {
            let value = variance_kept(&recursion.blocks(generations).expect("blocks"));
            let value = value.expect("blocks that are not empty");
            assert!((value - truth).abs() <= 1e-12 * truth, "{value} against {truth}");
        }
    }

    #[test]
    fn empty_blocks_are_refused() {
        assert!(variance_kept(&[(0, 3)]).is_err());
        assert!(variance_kept(&[(4, 3)]).is_err());
    }
}
