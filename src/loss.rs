//! The family of per-token losses `L = (1/D) Σ_i f(p_i)`.
//!
//! Every member is a function of the target's probability `p` alone. Its gradient with respect to
//! the logits of a row is `(1/D)·[a·(p_k − [k = t]) + b·(p_k − 1/V)]`, and a [`Rule`] returns
//! `(f, a, b)` for one row. For a pure function of `p`, `a = g(p) = −p f'(p)` and `b = 0`; `b`
//! serves label smoothing.
//!
//! | loss | f(p) | g(p) |
//! |---|---|---|
//! | `ce` | `−ln p` | 1 |
//! | `tce:γ` | `−[p ≤ γ] ln p` | `[p ≤ γ]` |
//! | `focal:γ` | `−(1−p)^γ ln p` | `(1−p)^γ − γ p (1−p)^(γ−1) ln p` |
//! | `focal-detached:γ` | as focal | `(1−p)^γ` |
//! | `linear:γ` | `−(1−γp) ln p` | `1 − γp` (weight detached) |
//! | `drop-low:q` | `−[p ≥ q] ln p` | `[p ≥ q]` |
//! | `clipped-focal:γ,c` | `drop-low` with `q = 1 − c^(1/γ)` | |
//! | `random-mask:κ` | `−m ln p`, m ~ Bernoulli(κ) | `m` |
//! | `tce-dynamic:α` | TCE with γ = mean + α·sd of p, renewed each epoch | as TCE |
//! | `smooth:ε` | `−(1−ε) ln p − (ε/V) Σ_k ln p_k` | `a = 1 − ε`, `b = ε` |
//!
//! Edges: TCE(0) is zero even where `p` underflows; TCE(1) and focal(0) take the path of `ce` bit
//! for bit; focal's `0·∞` at `p = 1` is 0; an empty denominator gives 0. Equality keeps the token
//! and the mask carries no derivative.

use crate::cpu::Real;
use crate::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A loss as the user names it, for example `tce:0.9`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Cross entropy.
    Ce,
    /// Truncated cross entropy: tokens with `p > gamma` contribute nothing. `0 ≤ gamma ≤ 1`.
    Tce {
        /// The threshold.
        gamma: f64,
    },
    /// Focal loss, the gradient flows through the factor. `gamma ≥ 0`.
    Focal {
        /// The exponent.
        gamma: f64,
    },
    /// Focal loss with the factor detached. `gamma ≥ 0`.
    FocalDetached {
        /// The exponent.
        gamma: f64,
    },
    /// Linear confidence weight `1 − gamma·p`, detached. `0 ≤ gamma ≤ 1`.
    Linear {
        /// The slope.
        gamma: f64,
    },
    /// Control: drop the least confident tokens, those with `p < q`. `0 ≤ q ≤ 1`.
    DropLow {
        /// The threshold.
        q: f64,
    },
    /// The authors' clipped focal loss: `drop-low` with `q = 1 − clip^(1/gamma)`.
    ClippedFocal {
        /// The focal exponent, positive.
        gamma: f64,
        /// The clip in `[0, 1]`.
        clip: f64,
    },
    /// Control: keep each token with probability `keep`, whatever its confidence.
    RandomMask {
        /// The kept fraction in `[0, 1]`.
        keep: f64,
    },
    /// TCE with `gamma = mean + alpha·sd` of the probabilities of the epoch before.
    TceDynamic {
        /// The number of standard deviations.
        alpha: f64,
    },
    /// Rival: label smoothing, the target's law mixed with the uniform one.
    Smooth {
        /// The share of the uniform law in `[0, 1]`.
        epsilon: f64,
    },
}

/// The number the summed loss is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denominator {
    /// All predicted tokens, as in the authors' code.
    #[default]
    All,
    /// The tokens that the loss keeps.
    Kept,
}

/// What one row of logits says about its target.
#[derive(Clone, Copy, Debug)]
pub struct RowStats<R> {
    /// The target's probability `e_t / (Σ_{k≠t} e_k + e_t)`.
    pub p: R,
    /// Its complement `Σ_{k≠t} e_k / Σ_k e_k`, without cancellation.
    pub q: R,
    /// `−ln p`, by `log1p(−q)` above one half.
    pub nll: R,
    /// `−(1/V) Σ_k ln p_k`, the loss against the uniform law.
    pub uniform_nll: R,
    /// The row's mask where the loss has one, else `true`.
    pub kept: bool,
}

/// The value and the two gradient coefficients of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowLoss<R> {
    /// The loss `f`.
    pub f: R,
    /// The coefficient of `p_k − [k = t]`.
    pub a: R,
    /// The coefficient of `p_k − 1/V`.
    pub b: R,
}

/// A user's own rule, evaluated in `f64`.
pub type CustomRule = Arc<dyn Fn(RowStats<f64>) -> RowLoss<f64> + Send + Sync>;

/// What the classifier evaluates for each row: a code with its parameters, no policy.
#[derive(Clone)]
pub enum Rule {
    /// `f = −ln p`.
    /// Proved: `ce_logit_gradient` in `theory/proofs/gradient.v`.
    Ce,
    /// Keep `p ≤ γ`.
    /// Proved: `tce_logit_gradient` in `theory/proofs/gradient.v`.
    /// Proved: `kept_gradient_norm` in `theory/proofs/norms.v`.
    Tce(f64),
    /// Focal with its full gradient.
    /// Proved: `focal_logit_gradient` in `theory/proofs/gradient.v`.
    Focal(f64),
    /// Focal with the factor detached.
    /// Proved: `weighted_ce_gradient` in `theory/proofs/gradient.v`.
    FocalDetached(f64),
    /// Weight `1 − γp`, detached.
    /// Proved: `weighted_ce_gradient` in `theory/proofs/gradient.v`.
    Linear(f64),
    /// Keep `p ≥ q`.
    DropLow(f64),
    /// Keep the rows whose mask is set.
    Masked,
    /// `(1 − ε)·CE + ε·(CE against the uniform law)`.
    /// Proved: `smoothed_logit_gradient` in `theory/proofs/gradient.v`.
    Smoothed(f64),
    /// Anything else of the form `(f, a, b)`; CPU only.
    Custom(CustomRule),
}

impl fmt::Debug for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ce => write!(out, "Ce"),
            Self::Tce(gamma) => write!(out, "Tce({gamma})"),
            Self::Focal(gamma) => write!(out, "Focal({gamma})"),
            Self::FocalDetached(gamma) => write!(out, "FocalDetached({gamma})"),
            Self::Linear(gamma) => write!(out, "Linear({gamma})"),
            Self::DropLow(q) => write!(out, "DropLow({q})"),
            Self::Masked => write!(out, "Masked"),
            Self::Smoothed(epsilon) => write!(out, "Smoothed({epsilon})"),
            Self::Custom(_) => write!(out, "Custom"),
        }
    }
}

impl Rule {
    /// The value and gradient coefficients of one row.
    ///
    /// Proved: `family_gradient` in `theory/proofs/gradient.v`.
    /// Proved: `gradient_sums_to_zero` in `theory/proofs/gradient.v`.
    /// Proved: `gradient_norm_bounds` in `theory/proofs/norms.v`.
    pub fn row<R: Real>(&self, row: RowStats<R>) -> RowLoss<R> {
        let (zero, one) = (R::zero(), R::one());
        let cross_entropy = RowLoss { f: row.nll, a: one, b: zero };
        let dropped = RowLoss { f: zero, a: zero, b: zero };
        let keep_if = |kept: bool| if kept { cross_entropy } else { dropped };
        match self {
            Self::Ce => cross_entropy,
            // A row without a probability, NaN, is kept: a loss that dropped it would hide what went wrong.
            Self::Tce(gamma) => {
                let drops = row.p > R::of(*gamma);
                keep_if(*gamma > 0.0 && !drops)
            }
            Self::Focal(gamma) if *gamma == 0.0 => cross_entropy,
            Self::Focal(gamma) => {
                let factor = power(row.q, *gamma);
                // Near p = 1 the product q^(γ−1)·ln p behaves as −q^γ: no infinity times zero.
                let pull = match row.q > zero {
                    true => R::of(*gamma) * row.p * power(row.q, *gamma - 1.0) * row.nll,
                    false => zero,
                };
                RowLoss { f: weighted(factor, row.nll), a: factor + pull, b: zero }
            }
            Self::FocalDetached(gamma) => {
                let factor = power(row.q, *gamma);
                RowLoss { f: weighted(factor, row.nll), a: factor, b: zero }
            }
            Self::Linear(gamma) => {
                let gamma = R::of(*gamma);
                // 1 − γp as (1 − γ) + γ(1 − p), which does not cancel at γ = 1.
                let factor = (one - gamma) + gamma * row.q;
                RowLoss { f: weighted(factor, row.nll), a: factor, b: zero }
            }
            Self::DropLow(q) => {
                let drops = row.p < R::of(*q);
                keep_if(!drops)
            }
            Self::Masked => keep_if(row.kept),
            Self::Smoothed(epsilon) => {
                let epsilon = R::of(*epsilon);
                let f = (one - epsilon) * row.nll + epsilon * row.uniform_nll;
                RowLoss { f, a: one - epsilon, b: epsilon }
            }
            Self::Custom(rule) => {
                let wide = RowStats {
                    p: row.p.wide(),
                    q: row.q.wide(),
                    nll: row.nll.wide(),
                    uniform_nll: row.uniform_nll.wide(),
                    kept: row.kept,
                };
                let loss = rule(wide);
                RowLoss { f: R::of(loss.f), a: R::of(loss.a), b: R::of(loss.b) }
            }
        }
    }

    /// Whether the rule reads `uniform_nll`, which costs a sum over the row.
    pub fn needs_uniform(&self) -> bool {
        matches!(self, Self::Smoothed(_) | Self::Custom(_))
    }
}

/// `factor·nll`, where a factor of zero wins over an infinite loss.
fn weighted<R: Real>(factor: R, nll: R) -> R {
    if factor == R::zero() { R::zero() } else { factor * nll }
}

/// `base^exponent`, exact for the small integers that are used most.
fn power<R: Real>(base: R, exponent: f64) -> R {
    if exponent == 0.0 {
        R::one()
    } else if exponent == 1.0 {
        base
    } else if exponent == 2.0 {
        base * base
    } else {
        R::of(libm::pow(base.wide(), exponent))
    }
}

impl Loss {
    /// The rule for one epoch. `gamma` is the renewed threshold of `tce-dynamic`, 1 before any
    /// probability has been seen; the other losses ignore it.
    pub fn rule(&self, gamma: f64) -> Rule {
        match *self {
            Self::Ce => Rule::Ce,
            Self::Tce { gamma: 1.0 } => Rule::Ce,
            Self::Tce { gamma } => Rule::Tce(gamma),
            Self::Focal { gamma } | Self::FocalDetached { gamma } if gamma == 0.0 => Rule::Ce,
            Self::Focal { gamma } => Rule::Focal(gamma),
            Self::FocalDetached { gamma } => Rule::FocalDetached(gamma),
            Self::Linear { gamma } => Rule::Linear(gamma),
            Self::DropLow { q } => Rule::DropLow(q),
            Self::ClippedFocal { gamma, clip } => Rule::DropLow(1.0 - clip.powf(1.0 / gamma)),
            Self::RandomMask { .. } => Rule::Masked,
            Self::TceDynamic { .. } => Rule::Tce(gamma.clamp(0.0, 1.0)),
            Self::Smooth { epsilon: 0.0 } => Rule::Ce,
            Self::Smooth { epsilon } => Rule::Smoothed(epsilon),
        }
    }

    /// The family's name without parameters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ce => "ce",
            Self::Tce { .. } => "tce",
            Self::Focal { .. } => "focal",
            Self::FocalDetached { .. } => "focal-detached",
            Self::Linear { .. } => "linear",
            Self::DropLow { .. } => "drop-low",
            Self::ClippedFocal { .. } => "clipped-focal",
            Self::RandomMask { .. } => "random-mask",
            Self::TceDynamic { .. } => "tce-dynamic",
            Self::Smooth { .. } => "smooth",
        }
    }

    /// The loss of the given family and parameters, each checked against its domain.
    pub fn from_parts(kind: &str, parameters: &[f64]) -> Result<Self> {
        let want = match kind {
            "ce" => 0,
            "clipped-focal" => 2,
            "tce" | "focal" | "focal-detached" | "linear" | "drop-low" | "random-mask"
            | "tce-dynamic" | "smooth" => 1,
            _ => {
                return Err(Error::input(format!(
                    "Unknown loss {kind:?}; known are ce, tce:γ, focal:γ, focal-detached:γ, linear:γ, \
                     drop-low:q, clipped-focal:γ,clip, random-mask:κ, tce-dynamic:α and smooth:ε."
                )));
            }
        };
        if parameters.len() != want {
            return Err(Error::input(format!(
                "The loss {kind} takes {want} parameter(s) but {} are given; write it for example as {}.",
                parameters.len(),
                match want {
                    0 => "ce",
                    1 if kind == "focal" || kind == "focal-detached" => "focal:2",
                    1 => "tce:0.9",
                    _ => "clipped-focal:2,0.99",
                }
            )));
        }
        let unit = |name: &str, value: f64| in_range(kind, name, value, 0.0, 1.0, "[0, 1]");
        let positive = |name: &str, value: f64| {
            in_range(kind, name, value, 0.0, f64::MAX, "the finite numbers from 0 up")
        };
        Ok(match (kind, parameters) {
            ("ce", _) => Self::Ce,
            ("tce", &[gamma]) => Self::Tce { gamma: unit("γ", gamma)? },
            ("focal", &[gamma]) => Self::Focal { gamma: positive("γ", gamma)? },
            ("focal-detached", &[gamma]) => Self::FocalDetached { gamma: positive("γ", gamma)? },
            ("linear", &[gamma]) => Self::Linear { gamma: unit("γ", gamma)? },
            ("drop-low", &[q]) => Self::DropLow { q: unit("q", q)? },
            ("random-mask", &[keep]) => Self::RandomMask { keep: unit("κ", keep)? },
            ("tce-dynamic", &[alpha]) => Self::TceDynamic {
                alpha: in_range(kind, "α", alpha, f64::MIN, f64::MAX, "the finite numbers")?,
            },
            ("smooth", &[epsilon]) => Self::Smooth { epsilon: unit("ε", epsilon)? },
            (_, parameters) => Self::ClippedFocal {
                gamma: in_range(
                    kind,
                    "γ",
                    parameters[0],
                    f64::MIN_POSITIVE,
                    f64::MAX,
                    "the positive finite numbers",
                )?,
                clip: unit("clip", parameters[1])?,
            },
        })
    }
}

fn in_range(kind: &str, name: &str, value: f64, low: f64, high: f64, domain: &str) -> Result<f64> {
    if value >= low && value <= high {
        return Ok(value);
    }
    Err(Error::input(format!(
        "The parameter {name} = {value} of the loss {kind} lies outside {domain}; choose a value inside it."
    )))
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut parameters = Vec::new();
        for word in rest.split(',').filter(|word| !word.is_empty()) {
            let value = word.trim().parse::<f64>().map_err(|_| {
                Error::input(format!(
                    "In the loss {text:?} the parameter {word:?} is not a number; write for example tce:0.9."
                ))
            })?;
            parameters.push(value);
        }
        Self::from_parts(kind, &parameters)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::Ce => write!(out, "{kind}"),
            Self::Tce { gamma }
            | Self::Focal { gamma }
            | Self::FocalDetached { gamma }
            | Self::Linear { gamma } => write!(out, "{kind}:{gamma}"),
            Self::DropLow { q } => write!(out, "{kind}:{q}"),
            Self::ClippedFocal { gamma, clip } => write!(out, "{kind}:{gamma},{clip}"),
            Self::RandomMask { keep } => write!(out, "{kind}:{keep}"),
            Self::TceDynamic { alpha } => write!(out, "{kind}:{alpha}"),
            Self::Smooth { epsilon } => write!(out, "{kind}:{epsilon}"),
        }
    }
}

impl serde::Serialize for Loss {
    fn serialize<S: serde::Serializer>(&self, out: S) -> std::result::Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Loss {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

mod unlearn;

pub use unlearn::unlearn;

#[cfg(test)]
mod tests;
