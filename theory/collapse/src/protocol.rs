//! What a generation is trained on.

use crate::prediction::Kind;
use crate::stated::Stated;
use serde::{Deserialize, Serialize};

/// Which data the next generation is fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Only the `n` samples of the generation before.
    Replace,
    /// Every sample so far: `k·n` of them at generation `k`, the first `n` real.
    Accumulate,
}

/// The share `Π_k (1 − n_k/N_k²)` of the true law's variance that the model keeps on average after
/// the given blocks, of which the `k`-th has `n_k` samples and brings the pool to `N_k`.
///
/// Holds for every family whose fit reproduces the mean and the second moment of its pooled data:
/// the Gaussian with divisor `N`, the categorical law with its heterozygosity as the variance.
///
/// *Derivation.* The pooled mean moves by `n_k/N_k` times the block's error, whose variance is
/// `v/n_k`; the second moment is a martingale, so what the mean gains the inner variance loses.
///
/// For the categorical law:
/// Proved: `variance_after_schedule` in `theory/proofs/recursion.v`.
///
/// # Panics
/// If a block or a pool is empty.
pub fn variance_kept(blocks: &[(usize, usize)]) -> Stated {
    let value = blocks.iter().fold(1.0, |kept, &(block, pool)| {
        assert!(block > 0 && pool > 0, "variance_kept: a block or a pool is empty");
        kept * (1.0 - block as f64 / (pool as f64 * pool as f64))
    });
    Stated {
        name: "U1 share of the variance kept",
        formula: "E v_t / v_0 = Π_k (1 − n_k / N_k²)",
        value,
        kind: Kind::Exact,
        source: "total-variance conservation; contains the products of arXiv 2404.05090 and 2410.16713",
    }
}

impl Protocol {
    /// The blocks `(n_k, N_k)` of `generations` generations of `n` samples each.
    pub fn blocks(self, n: usize, generations: usize) -> Vec<(usize, usize)> {
        let pool = |k: usize| match self {
            Self::Replace => n,
            Self::Accumulate => k * n,
        };
        (1..=generations).map(|k| (n, pool(k))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Protocol, variance_kept};

    #[test]
    fn products_agree_with_mpmath() {
        // mpmath, 40 digits: blocks of 4, 9, 3, 12, 5 accumulated; n = 6 accumulated 8 times;
        // n = 12 replaced 7 times.
        let mut pool = 0;
        let blocks = [4, 9, 3, 12, 5].map(|n| {
            pool += n;
            (n, pool)
        });
        for (blocks, truth) in [
            (blocks.to_vec(), 0.687_824_652_453_733_3),
            (Protocol::Accumulate.blocks(6, 8), 0.762_320_129_910_020_5),
            (Protocol::Replace.blocks(12, 7), 0.543_851_178_260_388_1),
        ] {
            let value = variance_kept(&blocks).value;
            assert!((value - truth).abs() <= 1e-12 * truth, "{value} against {truth}");
        }
    }
}
