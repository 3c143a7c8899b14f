//! G10, G11: some real data in every generation, and distorted sampling.
//!
//! `D = E (μ_t − μ_0)²` and `V = E σ_t²` (divisor `n`, `σ_0 = 1`) obey an affine map of the plane; the
//! map is iterated by squaring and its fixed point is solved for. `a` is the share of real samples,
//! `λ` the variance of a synthetic sample in units of the model's.

use super::inputs::{ALPHA, LAMBDA, N, T, entry, finite};
use crate::inputs::Inputs;
use crate::prediction::Entry;
use crate::refusal::{Refusal, require};

/// Expected squared displacement of the mean and expected variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// `D = E (μ − μ_0)²`.
    pub displacement: f64,
    /// `V = E σ²`.
    pub variance: f64,
}

/// `(D, V)` after `t` generations of `n` samples, exactly `an` of them new real ones.
///
/// *Derivation.* The pooled mean is `a x̄ + (1−a) ȳ`, so
/// `D' = (1−a)² D + (a + (1−a)λV)/n`; the pooled second moment about the truth is
/// `a + (1−a)(λV + D)`, so `V' = a(1−1/n) + (1−a)(1−1/n)λV + a(1−a)D`. *Domain:* `n ≥ 1`,
/// `0 ≤ a ≤ 1`, `λ > 0`. *Source:* derived here; settings of Alemohammad et al. (2023, arXiv
/// 2307.01850) and Bertrand et al. (2023, arXiv 2310.00429). *Guards:* `gaussian-mixture`,
/// `gaussian-bias`.
///
/// ```
/// use fortifai_collapse::gaussian::fresh;
/// let moments = fresh(10, 1.0, 1.0, 3).expect("only real data");
/// assert_eq!((moments.displacement, moments.variance), (0.1, 0.9));
/// ```
///
/// # Errors
/// Outside the domain, or if a value exceeds every `f64`.
pub fn fresh(n: usize, alpha: f64, lambda: f64, t: usize) -> Result<Moments, Refusal> {
    let map = stratified(n, alpha, lambda)?.power(t);
    map.apply(0.0, 1.0)
}

/// The fixed point of [`fresh`]: with `λ = 1`, `D* = 1/(n a(2−a) + 1 − a)` and `V* = 1 − D*`.
///
/// *Derivation.* Two linear equations; with `λ = 1` the sum `M = D + V` obeys `M' = a + (1−a)M`, so
/// `M* = 1`. Half the variance survives at about half a real sample per generation. *Domain:* as
/// [`fresh`], `a > 0`, and `λ` small enough that there is a fixed point; for `n → ∞` that is
/// `(1−a)λ < 1` with `V* = a/(1 − (1−a)λ)`, which no `n` brings back to 1. *Source, guards:* as
/// [`fresh`].
///
/// ```
/// let moments = fortifai_collapse::gaussian::fresh_limit(15, 0.2, 1.0).expect("a > 0");
/// assert!((moments.displacement - 1.0 / 6.2).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn fresh_limit(n: usize, alpha: f64, lambda: f64) -> Result<Moments, Refusal> {
    let map = stratified(n, alpha, lambda)?;
    require(alpha > 0.0, "alpha", alpha, "alpha > 0")?;
    let (nr, b) = (n as f64, 1.0 - alpha);
    if lambda == 1.0 {
        // det = a (n a(2−a) + 1 − a)/n, divided through by a/n.
        let whole = nr * alpha * (2.0 - alpha) + b;
        let variance = (nr * alpha * (2.0 - alpha) - alpha) / whole;
        return Ok(Moments { displacement: 1.0 / whole, variance });
    }
    // (1 − A) x = c with 1 − (1−a)² = a(2−a).
    let (p, q) = (alpha * (2.0 - alpha), 1.0 - map.vv);
    let det = p * q - map.dv * map.vd;
    require(q > 0.0 && det > 0.0, "lambda", lambda, "a variance at which the chain is stable")?;
    Ok(Moments {
        displacement: (map.d * q + map.dv * map.v) / det,
        variance: (p * map.v + map.vd * map.d) / det,
    })
}

/// `D` after `t` generations if every sample is real with probability `a`:
/// `D' = (1−a)²(1−1/n) D + 1/n`, and `V = 1 − D`.
///
/// *Derivation.* A sample has the mean `(1−a)μ` and the total second moment 1, hence the variance
/// `1 − (1−a)²D` on average. *Domain:* `n ≥ 1`, `0 ≤ a ≤ 1`. *Source:* derived here; Wright's island
/// model. *Guard:* `gaussian-mixture`.
///
/// ```
/// assert_eq!(fortifai_collapse::gaussian::coin(10, 0.3, 1), Ok(0.1));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn coin(n: usize, alpha: f64, t: usize) -> Result<f64, Refusal> {
    check(n, alpha)?;
    if t == 0 {
        return Ok(0.0);
    }
    // A geometric sum: D_t = (1/n)(1 − r^t)/(1 − r).
    let (nr, b) = (n as f64, 1.0 - alpha);
    let less_one = -(nr * alpha * (2.0 - alpha) + b * b) / nr;
    let kept = t as f64 * if less_one > -1.0 { less_one.ln_1p() } else { f64::NEG_INFINITY };
    Ok(kept.exp_m1() / less_one / nr)
}

/// The limit of [`coin`]: `D* = 1/(n − (n−1)(1−a)²)`.
///
/// *Derivation, domain, source, guard:* as [`coin`].
///
/// ```
/// let limit = fortifai_collapse::gaussian::coin_limit(15, 0.2).expect("a > 0");
/// assert!((limit - 1.0 / (15.0 - 14.0 * 0.64)).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn coin_limit(n: usize, alpha: f64) -> Result<f64, Refusal> {
    check(n, alpha)?;
    let b = 1.0 - alpha;
    // n − (n−1)(1−a)² = n a(2−a) + (1−a)².
    Ok(1.0 / (n as f64 * alpha * (2.0 - alpha) + b * b))
}

/// `(D, V)` after `t` generations if the same `an` real samples take part in every one, over their
/// random choice.
///
/// *Derivation.* About the mean `m_r` of the real samples, whose variance is `s_r²`:
/// `D' = (1−a)² D + (1−a)V/n`, `V' = a s_r² + (1−a)(1−1/n)V + a(1−a)D`, from `E D_0 = 1/n_r`, `V_0 = 1`;
/// and `E (μ_t − μ_0)² = 1/n_r + D_t − 2(1−a)^t/n_r`, because the truth is forgotten by `1 − a` per
/// generation. *Domain:* `n ≥ 1`, `0 < a ≤ 1` and `an ≥ 1`. *Source:* derived here. *Guard:*
/// `gaussian-mixture`.
///
/// ```
/// use fortifai_collapse::gaussian::{fixed, fixed_limit};
/// let (late, limit) = (fixed(15, 0.2, 500), fixed_limit(15, 0.2));
/// let (late, limit) = (late.expect("a > 0"), limit.expect("a > 0"));
/// assert!((late.displacement - limit.displacement).abs() < 1e-12);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn fixed(n: usize, alpha: f64, t: usize) -> Result<Moments, Refusal> {
    check(n, alpha)?;
    let (nr, real, b) = (n as f64, alpha * n as f64, 1.0 - alpha);
    require(real >= 1.0 - 1e-9, "alpha·n", real, "at least one real sample")?;
    let step = Map {
        dd: b * b,
        dv: b / nr,
        vd: alpha * b,
        vv: b * (1.0 - 1.0 / nr),
        d: 0.0,
        v: alpha * (1.0 - 1.0 / real),
    };
    let about = step.power(t).apply(1.0 / real, 1.0)?;
    let memory = b.powf(t as f64) / real;
    Ok(Moments {
        displacement: (1.0 / real - memory) + (about.displacement - memory),
        variance: about.variance,
    })
}

/// The limit of [`fixed`]: `D = 1/n_r + D_f (1 − 1/n_r)`, `V = (1 − D_f)(1 − 1/n_r)`, with `D_f` of
/// [`fixed_share`].
///
/// *Derivation, domain, source, guard:* as [`fixed`].
///
/// ```
/// let limit = fortifai_collapse::gaussian::fixed_limit(10, 0.5).expect("a > 0");
/// assert!((limit.displacement + limit.variance - 1.0).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn fixed_limit(n: usize, alpha: f64) -> Result<Moments, Refusal> {
    let real = alpha * n as f64;
    let share = fixed_share(n, alpha)?;
    require(real >= 1.0 - 1e-9, "alpha·n", real, "at least one real sample")?;
    let inner = 1.0 - 1.0 / real;
    Ok(Moments { displacement: 1.0 / real + share * inner, variance: (1.0 - share) * inner })
}

/// `D_f = (1−a)/(n a(2−a) + 1 − a)`: what recursion costs on top of a fixed real set, in units of that
/// set's variance. It is at most `1/(2n_r + 1)`, however many synthetic samples there are.
///
/// *Derivation, source, guard:* as [`fixed`]. *Domain:* `n ≥ 1`, `0 ≤ a ≤ 1`.
///
/// ```
/// let share = fortifai_collapse::gaussian::fixed_share(15, 0.2).expect("a > 0");
/// assert!((share - 0.8 / 6.2).abs() < 1e-15);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn fixed_share(n: usize, alpha: f64) -> Result<f64, Refusal> {
    check(n, alpha)?;
    let b = 1.0 - alpha;
    Ok(b / (n as f64 * alpha * (2.0 - alpha) + b))
}

/// The share of real data at which half the variance survives, the root of
/// `n a(2−a) + 1 − a = 2`: `a = 2/((2n−1) + √((2n−1)² − 4n))`, about `1/(2n)`.
///
/// *Derivation.* `D* = ½` in [`fresh_limit`]. *Domain:* `n ≥ 2`. *Source:* derived here. *Guard:*
/// `gaussian-mixture`.
///
/// ```
/// assert_eq!(fortifai_collapse::gaussian::half_share(2), Ok(0.5));
/// ```
///
/// # Errors
/// If `n < 2`.
pub fn half_share(n: usize) -> Result<f64, Refusal> {
    require(n >= 2, "n", n, "n ≥ 2")?;
    let n = n as f64;
    let odd = 2.0 * n - 1.0;
    Ok(2.0 / (odd + (odd * odd - 4.0 * n).sqrt()))
}

/// `n_e = 1/D* = n a(2−a)/(a + (1−a)λ)`, the number of real samples that would do as well, if only the
/// mean is fitted. With `λ = 1` it is `n_r(2 − a)`: at most twice the real samples.
///
/// *Derivation.* `D' = (1−a)² D + (a + (1−a)λ)/n`. *Domain:* `n ≥ 1`, `0 ≤ a ≤ 1`, `λ > 0`. *Source:*
/// derived here; setting of Alemohammad et al. (2023, arXiv 2307.01850). *Guard:* `gaussian-bias`.
///
/// ```
/// let samples = fortifai_collapse::gaussian::effective_samples(100, 0.5, 1.0);
/// assert_eq!(samples, Ok(75.0));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn effective_samples(n: usize, alpha: f64, lambda: f64) -> Result<f64, Refusal> {
    check(n, alpha)?;
    require(lambda > 0.0 && lambda.is_finite(), "lambda", lambda, "a positive finite number")?;
    finite(n as f64 * alpha * (2.0 - alpha) / (alpha + (1.0 - alpha) * lambda))
}

fn check(n: usize, alpha: f64) -> Result<(), Refusal> {
    require(n > 0, "n", n, "n ≥ 1")?;
    require((0.0..=1.0).contains(&alpha), "alpha", alpha, "0 ≤ alpha ≤ 1")
}

/// One generation with exactly `an` new real samples.
fn stratified(n: usize, alpha: f64, lambda: f64) -> Result<Map, Refusal> {
    check(n, alpha)?;
    require(lambda > 0.0 && lambda.is_finite(), "lambda", lambda, "a positive finite number")?;
    let (n, b) = (n as f64, 1.0 - alpha);
    let inner = 1.0 - 1.0 / n;
    Ok(Map {
        dd: b * b,
        dv: b * lambda / n,
        vd: alpha * b,
        vv: b * inner * lambda,
        d: alpha / n,
        v: alpha * inner,
    })
}

/// `D' = dd·D + dv·V + d`, `V' = vd·D + vv·V + v`, with no negative coefficient.
#[derive(Clone, Copy)]
struct Map {
    dd: f64,
    dv: f64,
    vd: f64,
    vv: f64,
    d: f64,
    v: f64,
}

impl Map {
    const IDENTITY: Self = Self { dd: 1.0, dv: 0.0, vd: 0.0, vv: 1.0, d: 0.0, v: 0.0 };

    /// First `other`, then `self`.
    fn after(self, other: Self) -> Self {
        Self {
            dd: self.dd * other.dd + self.dv * other.vd,
            dv: self.dd * other.dv + self.dv * other.vv,
            vd: self.vd * other.dd + self.vv * other.vd,
            vv: self.vd * other.dv + self.vv * other.vv,
            d: self.dd * other.d + self.dv * other.v + self.d,
            v: self.vd * other.d + self.vv * other.v + self.v,
        }
    }

    /// The `t`-fold map, by squaring.
    fn power(self, t: usize) -> Self {
        let (mut done, mut square, mut left) = (Self::IDENTITY, self, t);
        while left > 0 {
            if left & 1 == 1 {
                done = square.after(done);
            }
            square = square.after(square);
            left >>= 1;
        }
        done
    }

    fn apply(self, d: f64, v: f64) -> Result<Moments, Refusal> {
        Ok(Moments {
            displacement: finite(self.dd * d + self.dv * v + self.d)?,
            variance: finite(self.vd * d + self.vv * v + self.v)?,
        })
    }
}

const SETTING: &str = "derived here; settings of Alemohammad et al. (arXiv 2307.01850) and \
                       Bertrand et al. (arXiv 2310.00429)";

fn share(inputs: &Inputs) -> Result<(usize, f64), Refusal> {
    Ok((inputs.count("n")?, inputs.number("alpha")?))
}

/// An entry of these sections.
const fn mixed(
    id: &'static str,
    formula: &'static str,
    name: &'static str,
    inputs: &'static [crate::prediction::Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        source: SETTING,
        domain: "n ≥ 1, 0 < alpha ≤ 1, lambda > 0 where it is asked; alpha·n whole where real samples are counted",
        ..entry(id, formula, name, inputs, value)
    }
}

/// The entries of these sections.
pub const ENTRIES: &[Entry] = &[
    mixed("G10", "fresh stratified D*", "displacement, new real data", &[N, ALPHA], |i| {
        share(i).and_then(|(n, a)| Ok(fresh_limit(n, a, 1.0)?.displacement))
    }),
    mixed("G10", "fresh stratified V*", "variance, new real data", &[N, ALPHA], |i| {
        share(i).and_then(|(n, a)| Ok(fresh_limit(n, a, 1.0)?.variance))
    }),
    mixed("G10", "fresh stratified V_t", "variance, new real data", &[N, ALPHA, T], |i| {
        let (n, a) = share(i)?;
        Ok(fresh(n, a, 1.0, i.count("t")?)?.variance)
    }),
    mixed("G10", "per-sample D*", "displacement, real by a coin", &[N, ALPHA], |i| {
        share(i).and_then(|(n, a)| coin_limit(n, a))
    }),
    mixed("G10", "per-sample D_t", "displacement, real by a coin", &[N, ALPHA, T], |i| {
        let (n, a) = share(i)?;
        coin(n, a, i.count("t")?)
    }),
    mixed("G10", "fixed real D_f", "displacement about a fixed real set", &[N, ALPHA], |i| {
        share(i).and_then(|(n, a)| fixed_share(n, a))
    }),
    mixed("G10", "fixed real D*", "displacement, a fixed real set", &[N, ALPHA], |i| {
        share(i).and_then(|(n, a)| Ok(fixed_limit(n, a)?.displacement))
    }),
    mixed("G10", "fixed real V*", "variance, a fixed real set", &[N, ALPHA], |i| {
        share(i).and_then(|(n, a)| Ok(fixed_limit(n, a)?.variance))
    }),
    mixed(
        "G10",
        "alpha keeping half the variance (root of n a(2-a)+1-a=2)",
        "share of real data at which half the variance survives",
        &[N],
        |i| half_share(i.count("n")?),
    ),
    mixed("G11", "fresh+bias D*", "displacement, distorted", &[N, ALPHA, LAMBDA], |i| {
        let (n, a) = share(i)?;
        Ok(fresh_limit(n, a, i.number("lambda")?)?.displacement)
    }),
    mixed("G11", "fresh+bias V*", "variance, distorted", &[N, ALPHA, LAMBDA], |i| {
        let (n, a) = share(i)?;
        Ok(fresh_limit(n, a, i.number("lambda")?)?.variance)
    }),
    mixed("G11", "n_e known sigma", "equivalent real samples", &[N, ALPHA, LAMBDA], |i| {
        let (n, a) = share(i)?;
        effective_samples(n, a, i.number("lambda")?)
    }),
];
