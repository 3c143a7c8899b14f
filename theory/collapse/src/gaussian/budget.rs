//! G9: the data accumulate, but every model is fitted to a fixed number of them.

use super::inputs::{BUDGET, N, T, entry};
use crate::prediction::{Digits, Entry};
use crate::refusal::{Refusal, require};
use crate::special::ln_gamma_excess;

/// The expected variance of the pool of `tn` samples for `σ_0 = 1`, when each model (divisor `B`)
/// is fitted to `B` samples drawn from the pool with replacement:
/// `(1 − 1/n) Π_{2≤k≤t} (1 − c/k²)` with `c = (1 + (n−1)/B)/n`. The fitted variance is `1 − 1/B` of
/// it.
///
/// *Derivation.* A fit has the variance `v(1 − 1/B)` and its mean is off by `v/B` in square; the new
/// pool averages `(k−1)n` old and `n` new samples, and the terms collect to
/// `v' = v [1 − (1 + (n−1)/B)/(nk²)]`. *Domain:* `n ≥ 1`, `B ≥ 1`. *Source:* derived here; the
/// setting of Kazdan et al. (2024, arXiv 2410.16713). *Guard:* `gaussian-budget`.
///
/// ```
/// use fortifai_collapse::gaussian::budget_variance;
/// let pool = budget_variance(6, 4, 2).expect("n = 6");
/// assert!((pool - 5.0 / 6.0 * (1.0 - (1.0 + 1.25) / 24.0)).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn budget_variance(n: usize, budget: usize, t: usize) -> Result<f64, Refusal> {
    let limit = budget_limit(n, budget)?;
    if t == 0 {
        return Ok(1.0);
    }
    let (x, end) = (weight(n, budget).sqrt(), t as f64 + 1.0);
    Ok(limit * (ln_gamma_excess(end, x) + ln_gamma_excess(end, -x)).exp())
}

/// The limit of [`budget_variance`]: `(1 − 1/n)/(1 − c)·sin(π√c)/(π√c)`, positive for every budget if
/// `n ≥ 2`.
///
/// *Derivation.* `Π_{k≥2} (1 − c/k²) = 1/(Γ(2 + √c)Γ(2 − √c))`, which is also good at `B = 1`, where
/// `c = 1`. *Domain, source, guard:* as [`budget_variance`].
///
/// ```
/// let limit = fortifai_collapse::gaussian::budget_limit(2, 1).expect("n = 2");
/// assert!((limit - 0.25).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn budget_limit(n: usize, budget: usize) -> Result<f64, Refusal> {
    require(n > 0, "n", n, "n ≥ 1")?;
    require(budget > 0, "B", budget, "B ≥ 1")?;
    let x = weight(n, budget).sqrt();
    let ln_tail = -ln_gamma_excess(2.0, x) - ln_gamma_excess(2.0, -x);
    Ok((1.0 - 1.0 / n as f64) * ln_tail.exp())
}

/// `c = (1 + (n−1)/B)/n`.
fn weight(n: usize, budget: usize) -> f64 {
    let (n, budget) = (n as f64, budget as f64);
    (1.0 + (n - 1.0) / budget) / n
}

/// The expected variance of the pool when the `B` samples are drawn without replacement (all of
/// them, as long as there are fewer).
///
/// *Derivation.* From a pool of `N` samples of variance `v`, the fit has the variance
/// `s = v N(1 − 1/B)/(N − 1)` and its mean is off by `q = v (N − B)/((N − 1)B)` in square; the pool of
/// `N' = N + n` then has `v' = [N v + (n−1) s + (Nn/N')(q + s/n)]/N'`. *Domain:* `n ≥ 2`, `B ≥ 1`,
/// `t ≤ 1000000`. *Source:* derived here. *Guard:* `gaussian-budget`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, accumulate_variance, budget_variance_distinct};
/// // As long as the budget exceeds the pool, it is no restriction.
/// let pool = budget_variance_distinct(6, 60, 8).expect("n = 6");
/// assert!((pool - accumulate_variance(6, 8, Divisor::Mle).expect("n = 6")).abs() < 1e-14);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn budget_variance_distinct(n: usize, budget: usize, t: usize) -> Result<f64, Refusal> {
    require(n >= 2, "n", n, "n ≥ 2")?;
    require(budget > 0, "B", budget, "B ≥ 1")?;
    require(t <= 1_000_000, "t", t, "t ≤ 1000000")?;
    let block = n as f64;
    let ln_first = if t == 0 { 0.0 } else { (-1.0 / block).ln_1p() };
    let ln_later: f64 = (2..=t)
        .rev()
        .map(|k| {
            let pool = (k - 1) as f64 * block;
            let picked = pool.min(budget as f64);
            let next = pool + block;
            let s = pool * (1.0 - 1.0 / picked) / (pool - 1.0);
            let q = (pool - picked) / ((pool - 1.0) * picked);
            let kept = (pool + (block - 1.0) * s + pool * block / next * (q + s / block)) / next;
            kept.ln()
        })
        .sum();
    Ok((ln_first + ln_later).exp())
}

const SETTING: &str = "derived here; setting of Kazdan et al. (arXiv 2410.16713)";

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    Entry {
        source: SETTING,
        digits: Digits::Special,
        domain: "n ≥ 1, B ≥ 1",
        ..entry(
            "G9",
            "budget subsample limit",
            "limit of the pool's expected variance, budget drawn with replacement",
            &[N, BUDGET],
            |i| budget_limit(i.count("n")?, i.count("B")?),
        )
    },
    Entry {
        source: SETTING,
        digits: Digits::Special,
        domain: "n ≥ 1, B ≥ 1",
        ..entry(
            "G9",
            "(1-1/n) prod_{k=2}^t (1-(1+(n-1)/B)/(n k^2))",
            "the pool's expected variance, budget drawn with replacement",
            &[N, BUDGET, T],
            |i| budget_variance(i.count("n")?, i.count("B")?, i.count("t")?),
        )
    },
    Entry {
        source: SETTING,
        digits: Digits::Special,
        domain: "n ≥ 2, B ≥ 1, t ≤ 1000000",
        ..entry(
            "G9",
            "pool variance, budget drawn without replacement",
            "the pool's expected variance, budget of distinct samples",
            &[N, BUDGET, T],
            |i| budget_variance_distinct(i.count("n")?, i.count("B")?, i.count("t")?),
        )
    },
];
