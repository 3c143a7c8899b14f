//! Simulated checks of R1 to R8.

mod least_squares;
mod limits;
mod ridge;

use crate::check::Guard;

/// The checks of the family.
pub const GUARDS: &[Guard] = &[
    Guard {
        name: "regression-replace",
        covers: &["R1"],
        about: "Least squares on labels of the generation before, correlated inputs; the risk after \
                four generations of 20 rows.",
        replicates: 40_000,
        run: least_squares::replace,
    },
    Guard {
        name: "regression-accumulate",
        covers: &["R2"],
        about: "Least squares on all rows so far, in equal and in unequal blocks; the risk.",
        replicates: 20_000,
        run: least_squares::accumulate,
    },
    Guard {
        name: "regression-strong-collapse",
        covers: &["R7"],
        about: "Least squares on real rows mixed with rows of shifted labels, once and recursively; \
                the risk, and its plateau.",
        replicates: 20_000,
        run: least_squares::strong_collapse,
    },
    Guard {
        name: "regression-ridge",
        covers: &["R3", "R4"],
        about: "Ridge regression in three dimensions at every generation, and once on labels of \
                least squares; the risk given the traces of the resolvents that were drawn.",
        replicates: 20_000,
        run: ridge::given_traces,
    },
    Guard {
        name: "regression-resolvent",
        covers: &["R3"],
        about: "Traces of the resolvent in 100 dimensions against their limit and its next term; \
                the eigenvalues are drawn by a bidiagonal matrix of independent chi variables.",
        replicates: 20_000,
        run: limits::resolvent,
    },
    Guard {
        name: "regression-equivalent",
        covers: &["R5"],
        about: "Bias, variance and fake-label term of ridge regression with a power-law covariance \
                in 48 dimensions against the deterministic equivalent.",
        replicates: 300,
        run: limits::equivalent,
    },
    Guard {
        name: "regression-power-law",
        covers: &["R6"],
        about: "Sums over a power-law spectrum against their integrals, and the minimum of the risk \
                over the ridge.",
        replicates: 1,
        run: limits::power_law,
    },
    Guard {
        name: "regression-strong-collapse-ridge",
        covers: &["R8"],
        about: "Ridge regression on mixed rows in 40 dimensions against its limit.",
        replicates: 600,
        run: limits::strong_collapse_ridge,
    },
];
