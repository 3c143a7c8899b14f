//! One identity behind most of the tables: what a model's mean gains in variance, its own
//! variance loses.
//!
//! A model is refitted each generation so that its mean *and* its second moment are those of its
//! pooled samples: the Gaussian with divisor `N`, the categorical law (its heterozygosity is the
//! variance), the plain bootstrap. A family whose variance is tied to its mean, such as the
//! Poisson law, is not of this kind.

use crate::refusal::{Refusal, require};

/// The share `Π_k (1 − n_k/N_k²)` of the true law's variance that the model keeps on average after
/// the given blocks, of which the `k`-th has `n_k` samples and brings the pool to `N_k`.
///
/// *Derivation.* The pooled mean moves by `n_k/N_k` times the block's error, whose variance is
/// `v/n_k`, so it gains `v n_k/N_k²`. The second moment is a martingale, for it averages samples
/// whose expected square is the model's; so what the mean gains the inner variance loses.
///
/// *Source:* derived here; contains the products of Seddik et al. (2024, arXiv 2404.05090) and
/// Kazdan et al. (2024, arXiv 2410.16713).
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
