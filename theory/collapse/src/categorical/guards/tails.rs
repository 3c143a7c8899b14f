//! N13, N15.

use super::{INSIDE, column};
use crate::categorical::entropy::expected_entropy;
use crate::categorical::vocabulary::{expected_survivors, extinct_by, variance_of_survivors};
use crate::categorical::{Categorical, one_step as o, zipf as z};
use crate::check::{Guard, Outcome, Plan};
use crate::model::Model;
use crate::prediction::Kind;
use crate::special::zeta::zeta;
use crate::stats::replicates;
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[
    Guard {
        name: "categorical-zipf",
        covers: &["N4", "N13"],
        about: "Vocabulary of Zipf's law over ten generations, and the limits behind it.",
        replicates: 400,
        run: zipf,
    },
    Guard {
        name: "categorical-one-step",
        covers: &["N15"],
        about: "Total variation, chi-square and entropy of one generation.",
        replicates: 100_000,
        run: one_step,
    },
];

fn zipf(plan: &Plan) -> Vec<Outcome> {
    let (n, t) = (400, 10);
    let weights: Vec<f64> = (1..=300).map(|i| f64::from(i).powf(-1.2)).collect();
    let total: f64 = weights.iter().sum();
    let law: Vec<f64> = weights.iter().map(|w| w / total).collect();
    let truth = Categorical::new(&law);
    let alive = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "categorical-zipf", 0, item);
        let mut model = truth.clone();
        for _ in 0..t {
            model = model.fit(&model.sample(n, &mut stream)).expect(INSIDE);
        }
        model.alive() as f64
    });
    let expected = |n, t| expected_survivors(&law, n, t).expect(INSIDE);
    let spread = variance_of_survivors(&law, n, t).expect(INSIDE);
    // Sums over the whole of Zipf's law, s = 3/2, and the first generation's share at t = 5.
    let (s, many) = (1.5, 1_000_000);
    let first = z::distinct(s, many).expect(INSIDE);
    let kept = z::vocabulary_kept(s, 5).expect(INSIDE);
    let shrunk = many as f64 * z::branching(5).expect(INSIDE);
    let (seen, missing) = (seen(s, many as f64), missing(s, many as f64));
    let late = z::vocabulary_kept_late(s, 100_000).expect(INSIDE);
    let exact_late = z::vocabulary_kept(s, 100_000).expect(INSIDE);
    vec![
        Outcome::known("tokens alive at 10", &alive, expected(n, t), spread)
            .mistake("one generation less", expected(n, t - 1))
            .mistake("Zipf's limit", expected(n, 1) * z::vocabulary_kept(1.2, t).expect(INSIDE)),
        // The sum is below the integral by 1/2 and terms that vanish with n.
        Outcome::deterministic("Karlin's distinct tokens", seen + 0.5, first, 0.1)
            .of_kind(Kind::Asymptotic)
            .mistake("without ζ", first * zeta(s).powf(1.0 / s))
            .mistake("Γ(1 + 1/s)", first * 0.9),
        Outcome::deterministic(
            "missing mass of Zipf's law",
            missing,
            z::missing_mass(s, many).expect(INSIDE),
            1e-3 * missing,
        )
        .of_kind(Kind::Asymptotic)
        .mistake("without 1/s", s * missing)
        .mistake("n + 1 % samples", z::missing_mass(s, many + many / 100).expect(INSIDE)),
        Outcome::deterministic("vocabulary kept at 5", self::seen(s, shrunk) / seen, kept, 1e-3)
            .of_kind(Kind::Asymptotic)
            .mistake("one generation more", z::vocabulary_kept(s, 6).expect(INSIDE))
            .mistake("2/t for g_t", z::vocabulary_kept_late(s, 5).expect(INSIDE)),
        // g_t = 2/(t + ln(t)/3 + …): off by ln(t)/(3 t), a share 1/s of that here.
        Outcome::deterministic("vocabulary kept late, ratio", exact_late / late, 1.0, 1e-4)
            .of_kind(Kind::Asymptotic)
            .mistake("1/t for 2/t", 0.5f64.powf(1.0 / s))
            .mistake("s for 1/s", late.powf(s - 1.0)),
        branching(),
    ]
}

/// `Σ 1 − e^{−n p_i}` over all of Zipf's law: 4·10⁵ terms, then the integral of the expansion.
fn seen(s: f64, n: f64) -> f64 {
    let (scale, last) = (n / zeta(s), 400_000);
    let sum: f64 = (1..=last).map(|i| -(-scale * f64::from(i).powf(-s)).exp_m1()).sum();
    let edge = f64::from(last) + 0.5;
    let tail = |order: f64| edge.powf(1.0 - order * s) / (order * s - 1.0);
    sum + scale * tail(1.0) - scale * scale * tail(2.0) / 2.0
        + scale * scale * scale * tail(3.0) / 6.0
}

/// `Σ p_i e^{−n p_i}` over all of Zipf's law.
fn missing(s: f64, n: f64) -> f64 {
    let (scale, last) = (n / zeta(s), 400_000);
    let term = |i: u32| {
        let x = scale * f64::from(i).powf(-s);
        x * (-x).exp() / n
    };
    let edge = f64::from(last) + 0.5;
    let tail = |order: f64| edge.powf(1.0 - order * s) / (order * s - 1.0);
    (1..=last).map(term).sum::<f64>()
        + (scale * tail(1.0) - scale * scale * tail(2.0) + scale.powi(3) * tail(3.0) / 2.0) / n
}

/// The branching limit of one token against the exact chain: within `p t/2`, or `p` at `t = 1`.
fn branching() -> Outcome {
    let n = 200;
    let worst = |late: usize| {
        let mut worst = 0.0f64;
        for p in [0.005, 0.01, 0.05, 0.1] {
            for t in [1, 2, 5, 10] {
                let exact = 1.0 - extinct_by(p, n, t).expect(INSIDE);
                let limit = z::survival(p, n, t + late).expect(INSIDE);
                worst = worst.max((exact - limit).abs() / (0.5 * p * t as f64));
            }
        }
        worst
    };
    Outcome::deterministic("1 − e^{−npg}, error over pt/2", worst(0), 0.0, 1.0)
        .of_kind(Kind::Asymptotic)
        .mistake("one generation more", worst(0) - worst(1))
}

const LAW: [f64; 4] = [0.4, 0.3, 0.2, 0.1];

fn one_step(plan: &Plan) -> Vec<Outcome> {
    let n = 10;
    let truth = Categorical::new(&LAW);
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "categorical-one-step", 0, item);
        let model = truth.fit(&truth.sample(n, &mut stream)).expect(INSIDE);
        let off = || model.probabilities.iter().zip(LAW).map(|(p, truth)| (p - truth, truth));
        [
            off().map(|(off, _)| 0.5 * off.abs()).sum(),
            off().map(|(off, truth)| off * off / truth).sum(),
        ]
    });
    let variation = |n| o::expected_total_variation(&LAW, n).expect(INSIDE);
    vec![
        Outcome::empirical("E TV", &column(&runs, 0), variation(n))
            .mistake("n − 1 for n", variation(n - 1))
            .mistake("uniform law", o::expected_total_variation_uniform(4, n).expect(INSIDE)),
        Outcome::empirical(
            "E χ²/n",
            &column(&runs, 1),
            o::expected_chi_square(4, n).expect(INSIDE),
        )
        .mistake("K for K − 1", 4.0 / n as f64)
        .mistake("n − 1 for n", o::expected_chi_square(4, n - 1).expect(INSIDE)),
        expansion(),
    ]
}

/// Miller's and Harris's terms against the exact entropy; the next one is below `Σ p^−2/(12 n³)`.
fn expansion() -> Outcome {
    let n = 400;
    let exact = expected_entropy(&LAW, n, 1).expect(INSIDE);
    let series = o::expected_entropy(&LAW, n).expect(INSIDE);
    let next: f64 = LAW.iter().map(|p| 1.0 / (p * p)).sum::<f64>() / (12.0 * (n as f64).powi(3));
    let second: f64 = (LAW.iter().map(|p| 1.0 / p).sum::<f64>() - 1.0) / (12.0 * (n * n) as f64);
    Outcome::deterministic("E entropy, two terms", exact, series, next)
        .of_kind(Kind::Asymptotic)
        .mistake("one term", series + second)
        .mistake("K for K − 1", series - 0.5 / n as f64)
}
