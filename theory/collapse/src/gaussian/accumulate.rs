//! G8: the variance when the data accumulate.

use super::Divisor;
use super::inputs::{N, T, entry, input};
use super::log::log_rate;
use crate::conservation::{pools, variance_kept};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};
use crate::special::{ln_1p_minus, ln_gamma_excess};
use std::f64::consts::PI;

/// `E σ_t²` for `σ_0 = 1`: `Π_{k≤t} (1 − 1/(nk²))` with divisor `N`, `Π_{2≤k≤t} (1 − 1/(k(kn − 1)))`
/// with divisor `N − 1`.
///
/// *Derivation.* With divisor `N` the share of [`variance_kept`]; with `N − 1` the sum of squares
/// gains `n − 1 + (k−1)/k` times `σ_{k−1}²` in expectation. Both products are ratios of gamma
/// functions, which gives them at once: the limit times `exp(Σ ± excess(t + 1, ·))`. *Domain:*
/// `n ≥ 1` with divisor `N`, `n ≥ 2` with `N − 1`; no fixed divisor. *Source:* Kazdan et al. (2024,
/// arXiv 2410.16713) for divisor `N`, derived here for `N − 1`. *Guard:* `gaussian-accumulate`.
///
/// The first product falls, and stays positive:
/// Proved: `accumulate_decreases` in `theory/proofs/accumulate.v`.
/// Proved: `accumulate_bound` in `theory/proofs/accumulate.v`.
/// Proved: `accumulate_stays_positive` in `theory/proofs/accumulate.v`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, accumulate_variance};
/// let kept = accumulate_variance(2, 2, Divisor::Mle).expect("n = 2");
/// assert!((kept - 0.5 * 0.875).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn accumulate_variance(n: usize, t: usize, divisor: Divisor) -> Result<f64, Refusal> {
    let limit = accumulate_limit(n, divisor)?;
    if t == 0 {
        return Ok(1.0);
    }
    let end = t as f64 + 1.0;
    let tail = match divisor {
        Divisor::Mle => {
            let x = (1.0 / n as f64).sqrt();
            ln_gamma_excess(end, x) + ln_gamma_excess(end, -x)
        }
        _ => {
            let (plus, minus, sum) = roots(n);
            ln_gamma_excess(end, -plus) + ln_gamma_excess(end, -minus) - ln_gamma_excess(end, -sum)
        }
    };
    Ok(limit * tail.exp())
}

/// The limit of [`accumulate_variance`] for many generations: `sin(πx)/(πx)` with `x = 1/√n`
/// (divisor `N`), `Γ(2 − 1/n)/(Γ(2 − r₊)Γ(2 − r₋))` with `r± = (1 ± √(1 + 4n))/(2n)` (`N − 1`).
///
/// *Derivation.* Euler's product for the sine; `k²n − k − 1 = n(k − r₊)(k − r₋)`. *Domain, source,
/// guard:* as [`accumulate_variance`].
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, accumulate_limit};
/// let limit = accumulate_limit(4, Divisor::Mle).expect("n = 4");
/// assert!((limit - 2.0 / std::f64::consts::PI).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn accumulate_limit(n: usize, divisor: Divisor) -> Result<f64, Refusal> {
    match divisor {
        Divisor::Mle if n == 1 => Ok(0.0),
        Divisor::Mle => {
            require(n > 0, "n", n, "n ≥ 1")?;
            let angle = PI / (n as f64).sqrt();
            Ok(angle.sin() / angle)
        }
        Divisor::Unbiased => {
            require(n >= 2, "n", n, "n ≥ 2")?;
            let (plus, minus, sum) = roots(n);
            let excess = |s: f64| ln_gamma_excess(2.0, -s);
            Ok((excess(sum) - excess(plus) - excess(minus)).exp())
        }
        Divisor::Fixed(m) => Err(Refusal::new(format!(
            "divisor = {m}, but n or n-1 is needed: the pool grows from generation to generation."
        ))),
    }
}

/// `r₊`, `r₋` and their sum `1/n`.
fn roots(n: usize) -> (f64, f64, f64) {
    let n = n as f64;
    let root = (1.0 + 4.0 * n).sqrt();
    // r₋ = (1 − √(1+4n))/(2n) without cancellation.
    ((1.0 + root) / (2.0 * n), -2.0 / (1.0 + root), 1.0 / n)
}

/// `E σ_t⁴ = Π_{k≤t} (1 − 4/(n²k³) + 3/(n²k⁴))` with divisor `N`.
///
/// *Derivation.* `σ_k² = σ_{k−1}² f_k` with independent factors
/// `f_k = (k−1)/k + [A + ((k−1)/k) B]/(kn)`, `A ~ χ²_{n−1}`, `B ~ χ²_1`. Then `E f_k = 1 − 1/(nk²)`
/// and `Var f_k = 2(n − 1 + (1 − 1/k)²)/(n²k²)`; the terms in `1/k²` cancel. *Domain:* `n ≥ 1`.
/// *Source:* derived here. *Guard:* `gaussian-accumulate`.
///
/// ```
/// let fourth = fortifai_collapse::gaussian::accumulate_fourth(3, 1).expect("n = 3");
/// assert!((fourth - 8.0 / 9.0).abs() < 1e-15);
/// ```
///
/// # Errors
/// If `n = 0`.
pub fn accumulate_fourth(n: usize, t: usize) -> Result<f64, Refusal> {
    require(n > 0, "n", n, "n ≥ 1")?;
    if n == 1 && t > 0 {
        return Ok(0.0);
    }
    let square = (n as f64) * (n as f64);
    let factor = |k: usize| {
        let k = k as f64;
        (-(4.0 * k - 3.0) / (square * k * k * k * k)).ln_1p()
    };
    let near = t.min(NEAR);
    // From the smallest term on.
    let ln_near: f64 = (1..=near).rev().map(factor).sum();
    // The rest by the midpoint rule, whose error is below 1e-16; so are the squares.
    let (from, to) = (near as f64 + 0.5, t as f64 + 0.5);
    let far = |power: i32| from.powi(-power) - to.powi(-power);
    let ln_far = (far(3) - 2.0 * far(2)) / square;
    Ok((ln_near + ln_far).exp())
}

/// Up to here products are taken factor by factor.
const NEAR: usize = 10_000;

/// `E ln σ_t² = Σ_{k≤t} E ln f_k` with divisor `N`, the typical variance of accumulated data.
///
/// *Derivation.* Frullani's integral `E ln f = ∫_0^∞ (e^{−s} − E e^{−sf})/s ds` with
/// `E e^{−s f_k} = e^{−s(k−1)/k} (1 + 2s/(kn))^{−(n−1)/2} (1 + 2s(k−1)/(k²n))^{−1/2}`; the difference is
/// `−e^{−s} (e^q − 1)` with `q = s/(k²n) − ((n−1)/2) L(2s/(kn)) − ½ L(2s(k−1)/(k²n))` and
/// `L(u) = ln(1 + u) − u`, a sum of positive terms. The trapezoidal rule in `ln s` converges
/// exponentially. `k = 1` is [`log_rate`]. *Domain:* `n ≥ 2`, `t ≤ 10000`. *Source:* derived here.
/// *Guard:* `gaussian-accumulate`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, accumulate_log, log_rate};
/// assert_eq!(accumulate_log(6, 1), log_rate(6, Divisor::Mle));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn accumulate_log(n: usize, t: usize) -> Result<f64, Refusal> {
    require(n >= 2, "n", n, "n ≥ 2")?;
    require(t <= NEAR, "t", t, "t ≤ 10000")?;
    if t == 0 {
        return Ok(0.0);
    }
    let later: f64 = (2..=t).rev().map(|k| log_factor(n as f64, k as f64)).sum();
    Ok(log_rate(n, Divisor::Mle)? + later)
}

/// `E ln f_k` for `k ≥ 2`.
fn log_factor(n: f64, k: f64) -> f64 {
    let integrand = |u: f64| {
        let s = u.exp();
        let (wide, narrow) = (2.0 * s / (k * n), 2.0 * s * (k - 1.0) / (k * k * n));
        let q = s / (k * k * n) - 0.5 * (n - 1.0) * ln_1p_minus(wide) - 0.5 * ln_1p_minus(narrow);
        // −e^{−s}(e^q − 1), where q may exceed s at no s.
        if q > 1.0 { (-s).exp() - (q - s).exp() } else { -(-s).exp() * q.exp_m1() }
    };
    // The integrand falls like e^u to the left and like exp(−e^u/2) to the right.
    let step = 0.125;
    (-320..=48).map(|j| integrand(step * f64::from(j))).sum::<f64>() * step
}

/// `Var μ_t = 1 − E σ_t²` with divisor `N`.
///
/// *Derivation.* [`variance_kept`]: what the mean gains, the inner variance loses. Grows to about
/// `π²/(6n)`. *Domain, guard:* as [`accumulate_variance`]. *Source:* derived here.
///
/// ```
/// let drift = fortifai_collapse::gaussian::accumulate_drift(2, 1).expect("n = 2");
/// assert!((drift - 0.5).abs() < 1e-15);
/// ```
///
/// # Errors
/// If `n = 0`.
pub fn accumulate_drift(n: usize, t: usize) -> Result<f64, Refusal> {
    let kept = accumulate_variance(n, t, Divisor::Mle)?;
    if kept < 0.5 {
        return Ok(1.0 - kept);
    }
    // −expm1 of the logarithm: 1/(nk²) summed without forming 1 − small.
    let x = (1.0 / n as f64).sqrt();
    let ends = |end: f64| ln_gamma_excess(end, x) + ln_gamma_excess(end, -x);
    Ok(-(ends(t as f64 + 1.0) - ends(1.0)).exp_m1())
}

const KAZDAN: &str = "Kazdan et al. (arXiv 2410.16713)";
const BLOCKS: Input = input("blocks", "samples of each generation", "[4, 9, 3, 12, 5]");

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    Entry {
        source: KAZDAN,
        domain: "n ≥ 1",
        ..entry(
            "G8",
            "accumulate MLE prod(1-1/(n k^2))",
            "expected variance, accumulated data, divisor N",
            &[N, T],
            |i| accumulate_variance(i.count("n")?, i.count("t")?, Divisor::Mle),
        )
    },
    Entry {
        source: KAZDAN,
        domain: "n ≥ 1",
        ..entry(
            "G8",
            "accumulate MLE limit sin(pi/sqrt n)/(pi/sqrt n)",
            "its limit for many generations",
            &[N],
            |i| accumulate_limit(i.count("n")?, Divisor::Mle),
        )
    },
    entry(
        "G8",
        "accumulate divisor N-1 prod_{k=2}^t(1-1/(k(kn-1)))",
        "expected variance, accumulated data, divisor N-1",
        &[N, T],
        |i| accumulate_variance(i.count("n")?, i.count("t")?, Divisor::Unbiased),
    ),
    Entry {
        digits: Digits::Special,
        ..entry("G8", "accumulate divisor N-1 limit", "its limit for many generations", &[N], |i| {
            accumulate_limit(i.count("n")?, Divisor::Unbiased)
        })
    },
    Entry {
        domain: "n ≥ 1",
        ..entry(
            "G8",
            "E sigma_t^4 accumulate MLE",
            "expected squared variance, accumulated data, divisor N",
            &[N, T],
            |i| accumulate_fourth(i.count("n")?, i.count("t")?),
        )
    },
    Entry {
        domain: "blocks of at least one sample",
        ..entry(
            "G8",
            "blocks prod(1-n_k/N_k^2)",
            "expected variance, accumulated blocks of any size, divisor N",
            &[BLOCKS],
            |i| variance_kept(&pools(i.list("blocks")?)?),
        )
    },
    Entry {
        domain: "n ≥ 1",
        ..entry(
            "G8",
            "Var mu_t = 1 - prod(1-1/(n k^2))",
            "variance of the mean, accumulated data, divisor N",
            &[N, T],
            |i| accumulate_drift(i.count("n")?, i.count("t")?),
        )
    },
    Entry {
        domain: "n large, t = ∞",
        kind: Kind::Asymptotic,
        ..entry("G8", "Var mu ~ pi^2/(6n)", "its limit, accumulated data", &[N], |i| {
            let n = i.count("n")?;
            require(n > 0, "n", n, "n ≥ 1")?;
            Ok(PI * PI / (6.0 * n as f64))
        })
    },
    Entry {
        digits: Digits::Special,
        domain: "n ≥ 2, t ≤ 10000",
        ..entry(
            "G8",
            "E ln sigma_t^2 accumulate MLE",
            "typical logarithm of the variance, accumulated data, divisor N",
            &[N, T],
            |i| accumulate_log(i.count("n")?, i.count("t")?),
        )
    },
];
