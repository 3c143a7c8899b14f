//! Guards of the metrics of laws.

use super::{estimators as e, laws, named};
use crate::categorical::Categorical;
use crate::categorical::vocabulary::expected_missing_mass;
use crate::check::{Guard, Outcome, Plan};
use crate::stats::{mean, replicates};
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[
    Guard {
        name: "metrics-laws",
        covers: &["M1", "M2"],
        about: "Closed forms of named laws against sums over their tokens.",
        replicates: 1,
        run: named_laws,
    },
    Guard {
        name: "metrics-estimators",
        covers: &["M3"],
        about: "The estimate of the sum of squares, its variance, and tokens seen once, n = 20.",
        replicates: 100_000,
        run: estimators,
    },
];

const INSIDE: &str = "guard: inside the domain";
const LAW: [f64; 5] = [0.5, 0.25, 0.15, 0.07, 0.03];

fn named_laws(_: &Plan) -> Vec<Outcome> {
    // Sums of at most 4,000 terms that hold all but 1e-15 of the mass: tolerance 1e-12.
    let cut = |weights: Vec<f64>| -> Vec<f64> {
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    };
    let geometric = cut((0..200).map(|k| 0.7f64.powi(k)).collect());
    // At s = 5 what is cut off has the mass 1e-15.
    let zipf = cut((1..=4000).map(|i| f64::from(i).powi(-5)).collect());
    let spike: Vec<f64> = (0..100).map(|i| if i == 0 { 0.6 } else { 0.4 / 99.0 }).collect();
    let uniform = vec![0.01; 100];
    let entropy = |p: &[f64]| laws::entropy(p).expect(INSIDE);
    let simpson = |p: &[f64]| 1.0 - laws::gini_simpson(p).expect(INSIDE);
    let check = |name: &str, summed: f64, closed: f64, wrong: f64| {
        Outcome::deterministic(name, summed, closed, 1e-12).mistake("another law", wrong)
    };
    let two = laws::hill(&spike, 2.0).expect(INSIDE);
    let cross = laws::surplexity(&spike, &uniform).expect(INSIDE);
    let apart = laws::divergence(&spike, &uniform).expect(INSIDE);
    let back = laws::divergence(&uniform, &spike).expect(INSIDE);
    vec![
        check(
            "geometric entropy",
            entropy(&geometric),
            named::geometric_entropy(0.7).expect(INSIDE),
            named::geometric_entropy(0.71).expect(INSIDE),
        ),
        check(
            "geometric Σp²",
            simpson(&geometric),
            named::geometric_simpson(0.7).expect(INSIDE),
            (1.0 - 0.7) / 1.0,
        ),
        check(
            "Zipf entropy",
            entropy(&zipf),
            named::zipf_entropy(5.0).expect(INSIDE),
            named::zipf_entropy(5.01).expect(INSIDE),
        ),
        check(
            "Zipf Σp²",
            simpson(&zipf),
            named::zipf_simpson(5.0).expect(INSIDE),
            named::zipf_simpson(4.99).expect(INSIDE),
        ),
        check(
            "spike entropy",
            entropy(&spike),
            named::spike_entropy(0.6, 100).expect(INSIDE),
            named::spike_entropy(0.6, 101).expect(INSIDE),
        ),
        check(
            "spike Σp²",
            simpson(&spike),
            named::spike_simpson(0.6, 100).expect(INSIDE),
            named::spike_simpson(0.6, 101).expect(INSIDE),
        ),
        check(
            "spike Gini",
            laws::gini_coefficient(&spike).expect(INSIDE),
            named::spike_gini(0.6, 100).expect(INSIDE),
            0.6,
        ),
        check("D_2 = 1/Σp²", two * simpson(&spike), 1.0, entropy(&spike).exp() * simpson(&spike)),
        // Relative to the uniform law, KL = ln K − H; the other direction is another number.
        check("KL to the uniform law", apart, 100f64.ln() - entropy(&spike), back),
        check("surplexity", cross.ln(), entropy(&spike) + apart, entropy(&spike) + back),
    ]
}

fn estimators(plan: &Plan) -> Vec<Outcome> {
    let n = 20;
    let truth = Categorical::new(&LAW);
    let squares: f64 = LAW.iter().map(|p| p * p).sum();
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "metrics-estimators", 0, item);
        let counts = truth.sample(n, &mut stream);
        let estimate = e::simpson_estimate(&counts).expect(INSIDE);
        let once = counts.iter().filter(|&&c| c == 1).count() as f64;
        let missing: f64 = LAW.iter().zip(&counts).filter(|(_, c)| **c == 0).map(|(p, _)| p).sum();
        [estimate, once, once / n as f64 - missing]
    });
    let column = |which: usize| -> Vec<f64> { runs.iter().map(|run| run[which]).collect() };
    let spread = |n| e::variance_of_simpson(&LAW, n).expect(INSIDE);
    let squared: Vec<f64> = column(0).iter().map(|x| (x - squares).powi(2)).collect();
    let once = |n| e::expected_singletons(&LAW, n).expect(INSIDE);
    let bias = e::good_turing_bias(&LAW, n).expect(INSIDE);
    let plug_in = squares + (1.0 - squares) / n as f64;
    vec![
        Outcome::known("E Σc(c−1)/(n(n−1))", &column(0), squares, spread(n))
            .mistake("Σ(c/n)²", plug_in)
            .mistake("n for n − 1", squares * (1.0 - 1.0 / n as f64)),
        Outcome::empirical("its variance", &squared, spread(n))
            .mistake("n + 1 for n", spread(n + 1))
            .mistake("independent pairs", 2.0 * squares * (1.0 - squares) / (n * (n - 1)) as f64),
        Outcome::empirical("tokens seen once", &column(1), once(n))
            .mistake("n + 1 for n", once(n + 1))
            .mistake("exponent n", n as f64 * expected_missing_mass(&LAW, n).expect(INSIDE)),
        Outcome::empirical("Good and Turing's bias", &column(2), bias)
            .mistake("unbiased", 0.0)
            .mistake("1/n", 1.0 / n as f64),
        Outcome::deterministic(
            "singletons/n = missing mass + bias",
            once(n) / n as f64,
            expected_missing_mass(&LAW, n).expect(INSIDE) + bias,
            1e-15,
        )
        .mistake("no bias", mean(&[expected_missing_mass(&LAW, n).expect(INSIDE)])),
    ]
}
