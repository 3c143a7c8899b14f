//! M3: estimates of a law's metrics from `n` samples.

use crate::categorical::given::{LAW, check_law, check_samples, input, remaining};
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// The unbiased estimate of `Σp²` from counts, `Σ c(c − 1)/(n(n − 1))`: the share of pairs of
/// samples that agree.
///
/// ```
/// // Of three samples one pair of three agrees.
/// let estimate = fortifai_collapse::metrics::estimators::simpson_estimate(&[2, 1, 0])?;
/// assert!((estimate - 1.0 / 3.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// Source: Simpson 1949. Guard: `metrics-estimators`.
///
/// # Errors
/// If there are fewer than two samples.
pub fn simpson_estimate(counts: &[u64]) -> Result<f64, Refusal> {
    let n: u64 = counts.iter().sum();
    require(n >= 2, "n", n, "n ≥ 2")?;
    let pairs: f64 = counts.iter().map(|&c| c as f64 * (c as f64 - 1.0)).sum();
    Ok(pairs / (n as f64 * (n as f64 - 1.0)))
}

/// The variance of [`simpson_estimate`]:
/// `[4(n−2) Σp³ + 2 Σp² − (4n−6)(Σp²)²]/(n(n−1))`.
///
/// *Derivation.* Of the pairs of pairs, those with one sample in common agree with probability
/// `Σp³`, the same pair with `Σp²`, disjoint ones independently. Written as
/// `4(n−2) Σ p (p − F)² + 2 F (1 − F)`, `F = Σp²`, which has no cancellation. Source: Simpson 1949;
/// U-statistics (Hoeffding 1948). Guard: `metrics-estimators`.
///
/// ```
/// use fortifai_collapse::metrics::estimators::variance_of_simpson;
/// // Two samples of two equal tokens agree half of the time: a coin.
/// assert!((variance_of_simpson(&[0.5, 0.5], 2)? - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n < 2`.
pub fn variance_of_simpson(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    require(n >= 2, "n", n, "n ≥ 2")?;
    let squares: f64 = p.iter().map(|p| p * p).sum();
    let spread: f64 = p.iter().map(|p| p * (p - squares) * (p - squares)).sum();
    let unlike: f64 = p.iter().map(|p| p * (1.0 - p)).sum();
    let n = n as f64;
    Ok((4.0 * (n - 2.0) * spread + 2.0 * squares * unlike) / (n * (n - 1.0)))
}

/// The expected number of tokens seen exactly once, `n Σ p (1 − p)^{n−1}`.
///
/// Source: Good 1953. Guard: `metrics-estimators`.
///
/// ```
/// use fortifai_collapse::metrics::estimators::expected_singletons;
/// // Two samples of two equal tokens: both are single half of the time.
/// assert!((expected_singletons(&[0.5, 0.5], 2)? - 1.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn expected_singletons(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    let after = (n - 1) as f64;
    Ok(n as f64 * p.iter().map(|&p| p * remaining(p, after)).sum::<f64>())
}

/// How much Good and Turing's estimate of the unseen mass, singletons over `n`, is too high on
/// average: `Σ p² (1 − p)^{n−1}`, at most `1/n`.
///
/// *Derivation.* `p (1−p)^{n−1} − p (1−p)^n`. Guard: `metrics-estimators`.
///
/// ```
/// use fortifai_collapse::metrics::estimators::good_turing_bias;
/// // Two samples of two equal tokens: estimated 1/2, in truth 1/4.
/// assert!((good_turing_bias(&[0.5, 0.5], 2)? - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn good_turing_bias(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    let after = (n - 1) as f64;
    Ok(p.iter().map(|&p| p * p * remaining(p, after)).sum())
}

const PAIRED: Input = input("n", "number of samples", "20");

/// The entries of M3.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "M3",
        name: "expectation of the unbiased estimate of the sum of squares",
        formula: "E sum c(c-1)/(n(n-1))=sum p^2",
        kind: Kind::Exact,
        source: "Simpson 1949",
        domain: "n ≥ 2",
        digits: Digits::Elementary,
        inputs: &[LAW, PAIRED],
        value: |x| {
            let law = x.law("p")?;
            variance_of_simpson(law, x.count("n")?)?;
            Ok(law.iter().map(|p| p * p).sum())
        },
    },
    Entry {
        id: "M3",
        name: "variance of the unbiased estimate of the sum of squares",
        formula: "Var sum c(c-1)/(n(n-1))=[4(n-2)sum p^3+2 sum p^2-(4n-6)(sum p^2)^2]/(n(n-1))",
        kind: Kind::Exact,
        source: "Simpson 1949; Hoeffding 1948",
        domain: "n ≥ 2",
        digits: Digits::Elementary,
        inputs: &[LAW, PAIRED],
        value: |x| variance_of_simpson(x.law("p")?, x.count("n")?),
    },
    Entry {
        id: "M3",
        name: "expected number of tokens seen once",
        formula: "E singletons=n sum p(1-p)^(n-1)",
        kind: Kind::Exact,
        source: "Good 1953",
        domain: "n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[LAW, PAIRED],
        value: |x| expected_singletons(x.law("p")?, x.count("n")?),
    },
    Entry {
        id: "M3",
        name: "bias of Good and Turing's estimate of the unseen mass",
        formula: "E singletons/n-E missing mass=sum p^2(1-p)^(n-1)",
        kind: Kind::Exact,
        source: "Good 1953",
        domain: "n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[LAW, PAIRED],
        value: |x| good_turing_bias(x.law("p")?, x.count("n")?),
    },
];
