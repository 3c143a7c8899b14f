//! G6: how likely a standard deviation survives when the data are replaced.

use super::Divisor;
use super::inputs::{DIVISOR, EPS, N, T, divisor, entry, finite, input};
use super::model::ln_quotient;
use super::power::expected_power;
use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Kind};
use crate::refusal::{Refusal, require};
use crate::special::{
    bessel_k1, digamma_excess, ln_gamma_excess, ln_gamma_excess_complex, trigamma,
};
use nalgebra::Complex;
use std::f64::consts::PI;

/// `P(σ_t > ε σ_0)`.
///
/// *Derivation.* `K(z) = t·ln E (σ_1²)^z` is the cumulant function of `Y = ln σ_t²`, so by Gil and
/// Pelaez `P(Y > y) = (1/2π) ∫ exp(K(z) − zy)/z dw` along `z = s + iw` for any `s > 0`, and
/// `−P(Y ≤ y)` for `−ν/2 < s < 0`. The line through the saddle point keeps the relative accuracy of
/// the smaller tail, and the trapezoidal rule converges exponentially on it. *Domain:* `n ≥ 2`,
/// `ε > 0`. *Source:* derived here. *Guard:* `gaussian-tail`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, survival};
/// // With n = 3 the variance is exponential after one generation.
/// let p = survival(3, 1, 0.5, Divisor::Unbiased).expect("n = 3");
/// assert!((p - (-0.25f64).exp()).abs() < 1e-12);
/// ```
///
/// # Errors
/// Outside the domain.
pub fn survival(n: usize, t: usize, eps: f64, divisor: Divisor) -> Result<f64, Refusal> {
    let law = LogVariance::new(n, t, eps, divisor)?;
    if t == 0 {
        return Ok(if eps < 1.0 { 1.0 } else { 0.0 });
    }
    let Some(saddle) = law.saddle() else { return Ok(0.0) };
    // Below every number: the tail on the side of the saddle is nothing.
    if law.ln_chernoff(saddle) <= -745.0 {
        return Ok(if saddle > 0.0 { 0.0 } else { 1.0 });
    }
    let spread = (law.t * trigamma(law.x)).sqrt();
    // The line keeps away from the pole at 0.
    let s = match saddle >= 0.0 {
        true => saddle.max(1.0 / spread),
        false => saddle.min((-1.0 / spread).max(-0.5 * law.x)),
    };
    let tail = law.line_integral(s);
    Ok(if s > 0.0 { tail } else { 1.0 + tail }.clamp(0.0, 1.0))
}

/// The least `ε^{−2s} E σ_t^{2s}` over `s ≥ 0`, an upper bound of `P(σ_t > ε σ_0)`.
///
/// *Derivation.* Chernoff's inequality; the exponent is convex and least at the saddle point.
/// *Domain:* `n ≥ 2`, `ε > 0`. *Source:* derived here. *Guard:* `gaussian-tail`.
///
/// ```
/// use fortifai_collapse::gaussian::{Divisor, chernoff_bound, survival};
/// let bound = chernoff_bound(10, 20, 0.5, Divisor::Unbiased).expect("n = 10");
/// assert!(bound > survival(10, 20, 0.5, Divisor::Unbiased).expect("n = 10"));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn chernoff_bound(n: usize, t: usize, eps: f64, divisor: Divisor) -> Result<f64, Refusal> {
    let law = LogVariance::new(n, t, eps, divisor)?;
    if t == 0 {
        return Ok(if eps <= 1.0 { 1.0 } else { 0.0 });
    }
    let Some(saddle) = law.saddle() else { return Ok(0.0) };
    if saddle <= 0.0 {
        return Ok(1.0);
    }
    Ok(law.ln_chernoff(saddle).exp().min(1.0))
}

/// `c₄(n)^t/ε`, an upper bound of `P(σ_t > ε σ_0)` with divisor `n − 1`.
///
/// *Derivation.* Markov's inequality. *Domain:* `n ≥ 2`, `ε > 0`. *Source:* derived here. *Guard:*
/// `gaussian-tail`.
///
/// ```
/// use fortifai_collapse::gaussian::{markov_bound, suresh_bound};
/// let bound = markov_bound(10, 50, 0.1).expect("n = 10");
/// assert!(bound < suresh_bound(10, 50, 0.1).expect("n = 10"));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn markov_bound(n: usize, t: usize, eps: f64) -> Result<f64, Refusal> {
    require(eps > 0.0, "eps", eps, "eps > 0")?;
    finite(expected_power(n, t, 0.5, Divisor::Unbiased)? / eps)
}

/// `exp(−t/(4n − 1))/ε`, an upper bound of `P(σ_t > ε σ_0)` with divisor `n − 1`.
///
/// *Derivation.* Markov's inequality and `ln c₄(n) ≤ −1/(4n − 1)`. Its exponent is that of `E σ_t`,
/// half the typical one. *Domain:* `n ≥ 2`, `ε > 0`. *Source:* Suresh et al. (2024, arXiv
/// 2412.17646). *Guard:* `gaussian-tail`.
///
/// ```
/// let bound = fortifai_collapse::gaussian::suresh_bound(10, 0, 0.5);
/// assert_eq!(bound, Ok(2.0));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn suresh_bound(n: usize, t: usize, eps: f64) -> Result<f64, Refusal> {
    require(n >= 2, "n", n, "n ≥ 2")?;
    require(eps > 0.0, "eps", eps, "eps > 0")?;
    finite((-(t as f64) / (4.0 * n as f64 - 1.0)).exp() / eps)
}

/// `P(σ_2² > y) = 2√y K₁(2√y)` with three samples per generation and divisor 2.
///
/// *Derivation.* `σ_2²` is a product of two independent exponential variables, whose survival
/// function is `∫_0^∞ exp(−x − y/x) dx`. *Domain:* `y ≥ 0`. *Source:* derived here. *Guard:*
/// `gaussian-tail`.
///
/// ```
/// assert_eq!(fortifai_collapse::gaussian::survival_of_three(0.0), Ok(1.0));
/// ```
///
/// # Errors
/// If `y` is negative.
pub fn survival_of_three(y: f64) -> Result<f64, Refusal> {
    require(y >= 0.0 && y.is_finite(), "y", y, "a number that is not negative")?;
    let root = 2.0 * y.sqrt();
    Ok(if root < 1e-150 { 1.0 } else { root * bessel_k1(root) })
}

/// The law of `ln σ_t²`, whose cumulant function is `t (z·shift + excess(x, z))`, at one level.
struct LogVariance {
    /// `ν/2`.
    x: f64,
    /// `ln(ν/m)`.
    shift: f64,
    t: f64,
    /// `ln ε²`.
    y: f64,
}

impl LogVariance {
    fn new(n: usize, t: usize, eps: f64, divisor: Divisor) -> Result<Self, Refusal> {
        let m = divisor.checked(n)?;
        require(eps > 0.0 && eps.is_finite(), "eps", eps, "a positive finite number")?;
        let nu = n as f64 - 1.0;
        Ok(Self { x: 0.5 * nu, shift: ln_quotient(nu, m), t: t as f64, y: 2.0 * eps.ln() })
    }

    /// The `s` with `K'(s) = y`: `ψ(x + s) = y/t − shift + ln x`, by Newton's iteration (Minka
    /// 2000). `None` where the tail is below every number.
    fn saddle(&self) -> Option<f64> {
        let target = self.y / self.t - self.shift + self.x.ln();
        if target > 600.0 {
            return None;
        }
        let euler = 0.577_215_664_901_532_9;
        let mut a = if target > -2.22 { target.exp() + 0.5 } else { -1.0 / (target + euler) };
        for _ in 0..8 {
            let psi = digamma_excess(a) + a.ln();
            a = (a - (psi - target) / trigamma(a)).max(0.5 * a);
        }
        Some(a - self.x)
    }

    /// `K(s) − sy`, or `−∞` where it is beyond every number.
    fn ln_chernoff(&self, s: f64) -> f64 {
        let power = s * self.shift + ln_gamma_excess(self.x, s);
        let exponent = self.t * power - s * self.y;
        if exponent.is_nan() { f64::NEG_INFINITY } else { exponent }
    }

    /// `(1/π) ∫_0^∞ Re[exp(K(z) − zy)/z] dw` on `z = s + iw`, with steps halved until two results
    /// agree.
    fn line_integral(&self, s: f64) -> f64 {
        let integrand = |w: f64| {
            let z = Complex::new(s, w);
            let exponent = (z * self.shift + ln_gamma_excess_complex(self.x, z)) * self.t;
            (exponent - z * self.y).exp() / z
        };
        let spread = (self.t * trigamma(self.x + s)).sqrt();
        let mut step = (1.0 / spread).min(s.abs()).min(self.x + s);
        let peak = integrand(0.0);
        let sum = |first: f64, step: f64| {
            let mut sum = 0.0;
            for j in 0..1_000_000 {
                let term = integrand(first + step * f64::from(j));
                sum += term.re;
                // The modulus falls along the line, at least exponentially in the end.
                if term.norm() <= 1e-18 * peak.norm() || !term.norm().is_finite() {
                    break;
                }
            }
            sum
        };
        let mut total = 0.5 * peak.re + sum(step, step);
        for _ in 0..12 {
            let finer = total + sum(0.5 * step, step);
            let settled = (0.5 * finer - total).abs() <= 1e-13 * total.abs();
            (total, step) = (finer, 0.5 * step);
            if settled {
                break;
            }
        }
        total * step / PI
    }
}

const Y: crate::prediction::Input = input("y", "level of σ_2²", "0.3");

/// The parameters that the entries share.
fn level(inputs: &Inputs) -> Result<(usize, usize, f64), Refusal> {
    Ok((inputs.count("n")?, inputs.count("t")?, inputs.number("eps")?))
}

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    Entry {
        digits: Digits::Special,
        domain: "y ≥ 0",
        ..entry(
            "G6",
            "n=3,t=2: P(sigma_2^2>y)=2 sqrt(y) K1(2 sqrt y)",
            "survival of the variance, three samples, two generations",
            &[Y],
            |i| survival_of_three(i.number("y")?),
        )
    },
    Entry {
        digits: Digits::Special,
        domain: "n ≥ 2, eps > 0",
        ..entry(
            "G6",
            "P(sigma_t>eps), Gil-Pelaez",
            "survival of the standard deviation, divisor n-1",
            &[N, T, EPS],
            |i| level(i).and_then(|(n, t, eps)| survival(n, t, eps, Divisor::Unbiased)),
        )
    },
    Entry {
        digits: Digits::Special,
        domain: "n ≥ 2, eps > 0",
        ..entry(
            "G6",
            "P(sigma_t>eps), any divisor",
            "survival of the standard deviation",
            &[N, T, EPS, DIVISOR],
            |i| {
                let (n, t, eps) = level(i)?;
                survival(n, t, eps, divisor(i, Divisor::Unbiased)?)
            },
        )
    },
    Entry {
        digits: Digits::Special,
        kind: Kind::Bound,
        domain: "n ≥ 2, eps > 0",
        ..entry(
            "G6",
            "Chernoff bound P(sigma_t>eps)",
            "least exponential bound of the survival, divisor n-1",
            &[N, T, EPS],
            |i| level(i).and_then(|(n, t, eps)| chernoff_bound(n, t, eps, Divisor::Unbiased)),
        )
    },
    Entry {
        kind: Kind::Bound,
        domain: "n ≥ 2, eps > 0",
        ..entry(
            "G6",
            "Markov bound c4(n)^t/eps",
            "bound of the survival by the mean, divisor n-1",
            &[N, T, EPS],
            |i| level(i).and_then(|(n, t, eps)| markov_bound(n, t, eps)),
        )
    },
    Entry {
        kind: Kind::Bound,
        domain: "n ≥ 2, eps > 0",
        source: "Suresh et al. (arXiv 2412.17646)",
        ..entry(
            "G6",
            "Suresh bound exp(-t/(4n-1))/eps",
            "exponential bound of the survival, divisor n-1",
            &[N, T, EPS],
            |i| level(i).and_then(|(n, t, eps)| suresh_bound(n, t, eps)),
        )
    },
];
