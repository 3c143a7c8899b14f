//! A Gaussian that is fitted to its own samples.
//!
//! With `ν = n − 1` and the divisor `m` of the sum of squares, replacing the data gives
//! `σ_t² = σ_0² Π_k X_k/m` with independent `X_k ~ χ²_ν`, and `μ_t = μ_0 + Σ_k σ_{k−1} Z_k/√n` with
//! `Z_k` independent of every `X`. The closed forms follow; they are stated for `σ_0 = 1`, `μ_0 = 0`.
//!
//! ```
//! use fortifai_collapse::gaussian::{Divisor, Gaussian, expected_power};
//! use fortifai_collapse::{Recursion, recursion};
//! let truth = Gaussian::standard(Divisor::Mle);
//! let models = recursion::chain(&truth, &Recursion::replace(10), 5, 1, 0).expect("n = 10");
//! assert_eq!(models.len(), 6);
//! // On average a tenth of the variance is lost per generation.
//! let expected = expected_power(10, 5, 1.0, Divisor::Mle).expect("n = 10");
//! assert!((expected - 0.9f64.powi(5)).abs() < 1e-15);
//! ```

mod accumulate;
mod bias;
mod budget;
mod dimensions;
mod distance;
pub mod ensemble;
mod figures;
mod guards;
mod inputs;
mod known;
mod log;
mod metrics;
mod mixture;
mod model;
mod multi;
mod power;
mod tail;

pub use accumulate::{
    accumulate_drift, accumulate_fourth, accumulate_limit, accumulate_log, accumulate_variance,
};
pub use bias::{biased_drift, biased_rate, biased_variance, critical_lambda};
pub use budget::{budget_limit, budget_variance, budget_variance_distinct};
pub use dimensions::{
    anisotropy_rate, det_power, log_det_rate, log_det_variance, lyapunov, trace_squares,
};
pub use distance::{expected_kl_from_truth, expected_kl_to_truth, expected_w2_squared, mean_drift};
pub use figures::FIGURES;
pub use guards::{GUARDS, METRIC_GUARDS};
pub(crate) use inputs::{entry, finite, input};
pub use known::GaussianMean;
pub use log::{expected_time, log_rate, log_variance, time_bound};
pub use metrics::{Pair, bures_squared, entropy};
pub use mixture::{
    Moments, coin, coin_limit, effective_samples, fixed, fixed_limit, fixed_share, fresh,
    fresh_limit, half_share,
};
pub(crate) use model::chi_squared;
pub use model::{Divisor, Gaussian, Pool};
pub use multi::{MultiGaussian, MultiPool};
pub use power::{c4, expected_power, variance_of_variance};
pub use tail::{chernoff_bound, markov_bound, suresh_bound, survival, survival_of_three};

use crate::catalogue::Family;

/// What the catalogue shows of the Gaussian.
pub const FAMILY: Family = Family {
    name: "Gaussian",
    about: "A normal law fitted to its own samples: it narrows, and its mean wanders.",
    entries: &[
        power::ENTRIES,
        log::ENTRIES,
        distance::ENTRIES,
        tail::ENTRIES,
        dimensions::ENTRIES,
        accumulate::ENTRIES,
        budget::ENTRIES,
        mixture::ENTRIES,
        bias::ENTRIES,
    ],
    guards: &[GUARDS],
    figures: &[FIGURES],
};

/// What the catalogue shows of distances between Gaussians.
pub const METRICS: Family = Family {
    name: "Gaussian distances",
    about: "Closed forms for divergences and distances of two normal laws.",
    entries: &[metrics::ENTRIES],
    guards: &[METRIC_GUARDS],
    figures: &[],
};

#[cfg(test)]
pub(crate) mod tests;
