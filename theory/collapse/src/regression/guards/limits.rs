//! R3, R5, R6 and R8: finite sizes against their limits.
//!
//! The tolerance of a limit is 6.5 standard errors of the simulation, passed by chance with
//! probability 8e-11, plus a stated bound on the first term that the limit leaves out.

use crate::check::{Outcome, Plan};
use crate::gaussian::chi_squared;
use crate::prediction::Kind;
use crate::regression::{
    Equivalent, IteratedLabels, Resolvent, best_ridge, best_risk, power_law_bias, power_law_df2,
    strong_collapse_ridge_factor,
};
use crate::stats::replicates;
use fortifai_stream::Stream;
use nalgebra::{DMatrix, DVector};

/// The traces in `d = 100`, `T = 200`; their second-order terms are at most a tenth of the first.
pub(super) fn resolvent(plan: &Plan) -> Vec<Outcome> {
    let (d, rows, penalty) = (100, 200, 0.3);
    let traces = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "regression-resolvent", 0, item);
        wishart_traces(d, rows, penalty, &mut stream)
    });
    let moments = Resolvent::new(d as f64 / rows as f64, penalty).expect("inside the domain");
    let inverse = Resolvent::new(rows as f64 / d as f64, penalty).expect("inside the domain");
    let (m, q) = (moments.m(), moments.q());
    let (first, second) = (moments.m_correction(d), moments.q_correction(d));
    let of = |index: usize| traces.iter().map(|pair| pair[index]).collect::<Vec<f64>>();
    vec![
        limit("(1/d) tr R", &of(0), m + first, 0.1 * first)
            .mistake("no term of order 1/d", m)
            .mistake("T/d for d/T", inverse.m())
            .mistake("half the term of order 1/d", m + 0.5 * first),
        limit("(1/d) tr R²", &of(1), q + second, 0.1 * second)
            .mistake("no term of order 1/d", q)
            .mistake("m² for q", m * m),
    ]
}

/// `(1/d) tr R` and `(1/d) tr R²` of `X′X/T` for a standard normal `T × d` matrix. Reflections make
/// `X` bidiagonal with independent `χ_T, χ_{T−1}, …` on the diagonal and `χ_{d−1}, …, χ_1` beside
/// it (Trotter 1984); the traces are derivatives of `ln det(X′X/T + λ)`, whose pivots obey
/// `D_i = a_i − b_i²/D_{i−1}`.
fn wishart_traces(d: usize, rows: usize, penalty: f64, stream: &mut Stream) -> [f64; 2] {
    let t = rows as f64;
    let (mut above, mut diagonal) = (0.0, 0.0);
    let (mut pivot, mut slope, mut bend) = (1.0, 0.0, 0.0);
    let (mut trace, mut square) = (0.0, 0.0);
    for index in 0..d {
        let next = chi_squared(rows - index, stream);
        // X′X = BB′ with B lower bidiagonal: a_i = B_ii² + B_{i,i−1}², b_i = B_{i−1,i−1}B_{i,i−1}.
        let ratio = diagonal * above / (t * t) / (pivot * pivot);
        let curve = ratio * (bend - 2.0 * slope * slope / pivot);
        let new_slope = 1.0 + ratio * slope;
        pivot = (next + above) / t + penalty - ratio * pivot;
        (slope, bend) = (new_slope, curve);
        trace += slope / pivot;
        square += (slope / pivot).powi(2) - bend / pivot;
        diagonal = next;
        above = chi_squared(d - 1 - index, stream);
    }
    [trace / d as f64, square / d as f64]
}

/// Bias, variance and fake-label term in 48 dimensions; the equivalents are wrong by at most `1/d`.
pub(super) fn equivalent(plan: &Plan) -> Vec<Outcome> {
    let (d, rows, penalty) = (48, 96, 0.05);
    let spectrum: Vec<f64> = (1..=d).map(|i| 4.0 / i as f64).collect();
    let truth: Vec<f64> = (1..=d).map(|i| 1.0 / i as f64).collect();
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "regression-equivalent", 0, item);
        let gram = wishart(d, rows, &mut stream);
        let root = DVector::from_iterator(d, spectrum.iter().map(|value| value.sqrt()));
        let gram = DMatrix::from_fn(d, d, |i, j| root[i] * gram[(i, j)] * root[j] / rows as f64);
        let resolvent = inverse(&gram, penalty);
        // The columns of Σ^½R; the rows of Σ^½RG follow from RG = 1 − λR.
        let left = DMatrix::from_fn(d, d, |i, j| root[i] * resolvent[(i, j)]);
        let lost = (&left * DVector::from_column_slice(&truth)).norm_squared() * penalty * penalty;
        let noise = (&left * &gram).component_mul(&left).sum() / rows as f64;
        let kept = DMatrix::from_fn(d, d, |i, j| {
            let unit = if i == j { 1.0 } else { 0.0 };
            root[i] * (unit - penalty * resolvent[(i, j)]) / root[j]
        });
        [lost, noise, kept.norm_squared()]
    });
    let of = |index: usize| runs.iter().map(|run| run[index]).collect::<Vec<f64>>();
    let law = Equivalent::new(&spectrum, rows, penalty).expect("inside the domain");
    let labels = IteratedLabels { rows: 2 * d + 1, generations: 1, noise: 1.0 };
    // T_0 − d − 1 = d.
    let fake = law.fake(labels).expect("enough rows") * d as f64;
    let bias = law.bias(&truth).expect("as many weights as eigenvalues");
    let naive = spectrum.iter().map(|value| (value / (value + penalty)).powi(2)).sum::<f64>();
    let slack = 1.0 / d as f64;
    vec![
        limit("bias of ridge", &of(0), bias, slack * bias)
            .mistake("no factor 1/(1 − g)", bias * (1.0 - law.g))
            .mistake("(1 − g)² for 1 − g", bias / (1.0 - law.g)),
        limit("variance of ridge", &of(1), law.variance(1.0), slack * law.variance(1.0))
            .mistake("λ for κ", naive / (rows as f64 - naive))
            .mistake("no factor 1/(1 − g)", law.g),
        limit("fake labels in ridge", &of(2), fake, slack * fake)
            .mistake("no second term", law.df2)
            .mistake("no shrinking", d as f64),
    ]
}

/// Sums against integrals, and the best ridge against a search.
pub(super) fn power_law(_: &Plan) -> Vec<Outcome> {
    let (b, r, kappa) = (2.0, 0.4, 1e-6);
    let terms = 50_000;
    // The terms left out, κ^−2 i^−4 and κ²·κ^−2·i^(−1−2rb), as integrals from terms + 1/2.
    let end = terms as f64 + 0.5;
    let df2 = |kappa: f64| {
        let each = |i: u32| (1.0 + kappa * f64::from(i).powi(2)).powi(-2);
        (1..=terms).map(each).sum::<f64>() + end.powi(-3) / (3.0 * kappa * kappa)
    };
    let bias = |kappa: f64| {
        let each = |i: u32| {
            let i = f64::from(i);
            i.powf(-1.0 - 2.0 * r * b) * (kappa / (i.powf(-b) + kappa)).powi(2)
        };
        (1..=terms).map(each).sum::<f64>() + end.powf(-2.0 * r * b) / (2.0 * r * b)
    };
    let asymptotic = |value: Result<f64, crate::Refusal>| value.expect("inside the domain");
    let predicted = asymptotic(power_law_df2(b, kappa));
    let bias_limit = asymptotic(power_law_bias(b, r, kappa));
    let rows = 1e7;
    let (best, least) = {
        // The bias has no minimum apart from that of the sum, which golden sections find.
        let risk = |ln_kappa: f64| bias(ln_kappa.exp()) + df2(ln_kappa.exp()) / rows;
        let centre = asymptotic(best_ridge(b, r, rows)).ln();
        minimum(risk, centre - 1.0, centre + 1.0)
    };
    let ridge = asymptotic(best_ridge(b, r, rows));
    let risk = asymptotic(best_risk(b, r, rows));
    vec![
        // Euler and Maclaurin: the sum is the integral less 1/2 up to O(κ); tails 1e-3.
        Outcome::deterministic("degrees of freedom", df2(kappa), predicted - 0.5, 1e-2)
            .of_kind(Kind::Asymptotic)
            .mistake("no −1/2", predicted)
            .mistake("no factor 1 − 1/b", predicted / (1.0 - 1.0 / b)),
        // The sum begins at 1: a relative error of order κ^(2−2r) = 6e-8, times a constant.
        Outcome::deterministic("bias", bias(kappa), bias_limit, 1e-5 * bias_limit)
            .of_kind(Kind::Asymptotic)
            .mistake("κ² for κ^2r", kappa * kappa)
            .mistake("r = 1/2", asymptotic(power_law_bias(b, 0.5, kappa))),
        // −1/2 against df₂ ≈ 60 and its derivative 0.
        Outcome::deterministic("best ridge", best, ridge, 0.02 * ridge)
            .of_kind(Kind::Asymptotic)
            .mistake("a tenth fewer rows", asymptotic(best_ridge(b, r, 0.9 * rows)))
            .mistake("no factor 2rb", ridge * (2.0 * r * b).powf(b / (2.0 * r * b + 1.0))),
        Outcome::deterministic("risk at the best ridge", least, risk, 0.01 * risk)
            .of_kind(Kind::Asymptotic)
            .mistake("the bias alone", risk / (1.0 + 2.0 * r * b))
            .mistake("a tenth fewer rows", asymptotic(best_risk(b, r, 0.9 * rows))),
    ]
}

/// Where `f` is least between two points, and how much it is, by golden sections.
fn minimum(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> (f64, f64) {
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_left, mut at_right) = (f(left), f(right));
    for _ in 0..16 {
        if at_left < at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - golden * (high - low);
            at_left = f(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + golden * (high - low);
            at_right = f(right);
        }
    }
    (left.exp(), at_left)
}

/// `|RG_2δ|²/|δ|²` averaged over directions, in 40 dimensions; the limit is wrong by at most `1/d`.
pub(super) fn strong_collapse_ridge(plan: &Plan) -> Vec<Outcome> {
    let (d, rows, fake, penalty) = (40, 80, 20, 0.2);
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "regression-strong-collapse-ridge", 0, item);
        let real = DMatrix::from_fn(d, rows - fake, |_, _| stream.normal());
        let synthetic = DMatrix::from_fn(d, fake, |_, _| stream.normal());
        let synthetic = &synthetic * synthetic.transpose() / rows as f64;
        let gram = &real * real.transpose() / rows as f64 + &synthetic;
        let resolvent = inverse(&gram, penalty);
        let both = &resolvent * &synthetic;
        let overlap = (&resolvent * &both).trace() / d as f64;
        [both.norm_squared() / d as f64, overlap]
    });
    let of = |index: usize| runs.iter().map(|run| run[index]).collect::<Vec<f64>>();
    let (phi, share) = (d as f64 / rows as f64, fake as f64 / rows as f64);
    let moments = Resolvent::new(phi, penalty).expect("inside the domain");
    let factor = strong_collapse_ridge_factor(phi, penalty, share).expect("inside the domain");
    let pairs = share * share * moments.kept_square();
    let cross = share * moments.leak();
    vec![
        limit("factor of the fake labels' error", &of(0), factor, 1.0 / d as f64 * factor)
            .mistake("no diagonal term", pairs)
            .mistake("p2 for p1p2 in the diagonal term", {
                pairs + (factor - pairs) / (1.0 - share)
            })
            .mistake("linear in the synthetic share", share * moments.kept_square()),
        // The next term of m − λq is that of its two traces.
        limit("correlation with the signal", &of(1), cross, 1.0 / d as f64 * cross)
            .mistake("m for m − λq", share * moments.m())
            .mistake("p2² for p2", share * cross),
    ]
}

/// A simulated mean against a limit.
fn limit(name: &str, samples: &[f64], predicted: f64, next_term: f64) -> Outcome {
    Outcome::near(name, samples, predicted, next_term).of_kind(Kind::Asymptotic)
}

/// `X′X` of a standard normal `rows × d` matrix, by Bartlett's triangle.
fn wishart(d: usize, rows: usize, stream: &mut Stream) -> DMatrix<f64> {
    let mut root = DMatrix::zeros(d, d);
    for row in 0..d {
        for column in 0..row {
            root[(row, column)] = stream.normal();
        }
        root[(row, row)] = chi_squared(rows - row, stream).sqrt();
    }
    &root * root.transpose()
}

fn inverse(gram: &DMatrix<f64>, penalty: f64) -> DMatrix<f64> {
    let d = gram.nrows();
    let matrix = gram + DMatrix::identity(d, d) * penalty;
    matrix.cholesky().expect("a positive ridge").inverse()
}
