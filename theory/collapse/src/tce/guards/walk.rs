//! T1-6: the reflected walk, its tail, its passages and its relaxation.

use super::{even_chi_square, gamma, known};
use crate::check::{Guard, Outcome, Plan};
use crate::prediction::Kind;
use crate::stats::replicates;
use crate::tce::{passage, walk};
use fortifai_stream::Stream;
use statrs::function::gamma::ln_gamma;

/// The guards of this part.
pub const WALK: &[Guard] = &[
    Guard {
        name: "tce-floor-tail",
        covers: &["T1"],
        about: "The stationary tail of the floor chain, by importance sampling on tilted paths.",
        replicates: 20_000,
        run: tail,
    },
    Guard {
        name: "tce-floor-chain",
        covers: &["T1"],
        about: "The same tail by the floor chain itself, long after its start.",
        replicates: 8000,
        run: chain,
    },
    Guard {
        name: "tce-hitting-time",
        covers: &["T1"],
        about: "Generations until the standard deviation first falls to its floor.",
        replicates: 40_000,
        run: hitting,
    },
    Guard {
        name: "tce-relaxation",
        covers: &["T1"],
        about: "The smallest moment of the step, searched on a grid of exponents.",
        replicates: 1,
        run: relaxation,
    },
];

/// Where the tail is measured: `ln(σ²/σ_γ²) > 1.5`.
const HEIGHT: f64 = 1.5;

fn tail(plan: &Plan) -> Vec<Outcome> {
    let case = |name: &str, n: usize, m: f64, generation: u64| {
        let kappa = known(walk::tail_exponent(n, m));
        let shape = 0.5 * (n as f64 - 1.0) + kappa;
        let weights = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "tce-floor-tail", generation, item);
            let mut height = 0.0;
            while height <= HEIGHT {
                height += (2.0 * gamma(shape, &mut stream) / m).ln();
            }
            (-kappa * height).exp()
        });
        let predicted = known(passage::stationary_tail(n, m, HEIGHT.exp()));
        Outcome::empirical(name, &weights, predicted)
            .mistake("missing floor", 0.0)
            .mistake("no overshoot", known(walk::tail_bound(n, m, HEIGHT.exp())))
            .mistake("the other divisor", predicted * (HEIGHT * (2.0 * kappa - 3.0).signum()).exp())
    };
    let constant = known(passage::tail_constant(200, 199.0));
    let rough = (-walk::SIEGMUND * (2.0f64 / 199.0).sqrt()).exp();
    vec![
        case("tail, maximum likelihood, n = 20", 20, 20.0, 0),
        case("tail, unbiased, n = 20", 20, 19.0, 1),
        // The next term of the expansion in 1/√ν: below 1/ν.
        Outcome::deterministic("constant for n = 200", constant, rough, 1.0 / 199.0)
            .of_kind(Kind::Asymptotic)
            .mistake("no overshoot", 1.0)
            .mistake("overshoot in units of the variance", 1.0 - 0.5826 * 2.0 / 199.0),
    ]
}

fn chain(plan: &Plan) -> Vec<Outcome> {
    // n = 11 by maximum likelihood, 80 generations from the floor: the tail is then 2e-6 short of
    // the stationary one (numpy: the density carried forward), a two-thousandth of the error.
    let (n, m) = (11, 11.0);
    let hits = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-floor-chain", 0, item);
        let mut y = 0.0f64;
        for _ in 0..80 {
            y = (y + (even_chi_square(n - 1, &mut stream) / m).ln()).max(0.0);
        }
        y > 0.5
    });
    let hits = hits.iter().filter(|hit| **hit).count() as u64;
    let at = 0.5f64.exp();
    let predicted = known(passage::stationary_tail(n, m, at));
    vec![
        Outcome::binomial("floor chain", hits, plan.replicates, predicted)
            .mistake("no overshoot", known(walk::tail_bound(n, m, at)))
            .mistake("unbiased divisor", known(passage::stationary_tail(n, 10.0, at)))
            .mistake("missing floor", 1e-6),
    ]
}

fn hitting(plan: &Plan) -> Vec<Outcome> {
    let (n, m, start) = (11, 11.0, 1.0);
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "tce-hitting-time", 0, item);
        let (mut y, mut generations) = (start, 0.0);
        while y > 0.0 {
            y += (even_chi_square(n - 1, &mut stream) / m).ln();
            generations += 1.0;
        }
        (generations, y)
    });
    let times: Vec<f64> = runs.iter().map(|run| run.0).collect();
    let drift = known(walk::drift(n, m));
    // Wald: S_T − T·E ξ has mean 0 and the variance Var ξ · E T.
    let wald: Vec<f64> = runs.iter().map(|run| run.1 - start - drift * run.0).collect();
    let predicted = known(passage::hitting_time(n, m, start));
    let spread = crate::special::trigamma(5.0);
    let rough = (start + walk::SIEGMUND * spread.sqrt()) / -drift;
    vec![
        Outcome::empirical("generations until the floor", &times, predicted)
            .mistake("no overshoot", start / -drift)
            .mistake("unbiased divisor", known(passage::hitting_time(n, 10.0, start)))
            .mistake("standard deviation for variance", 2.0 * predicted),
        Outcome::known("Wald's identity", &wald, 0.0, spread * predicted)
            .mistake("unbiased drift", (known(walk::drift(n, 10.0)) - drift) * predicted)
            .mistake("drift of the standard deviation", -0.5 * drift * predicted),
        // The overshoot of a driftless normal walk: the next terms, a sixth of the skewness times
        // the standard deviation and a quarter of the drift, are together below half of Var ξ.
        Outcome::deterministic("normal overshoot", predicted, rough, spread / (2.0 * -drift))
            .of_kind(Kind::Asymptotic)
            .mistake("no overshoot", start / -drift)
            .mistake("twice the overshoot", 2.0 * rough - start / -drift),
    ]
}

fn relaxation(_: &Plan) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (n, m) in [(20usize, 19.0), (20, 20.0), (5, 4.0)] {
        let a = 0.5 * (n as f64 - 1.0);
        let moment =
            |theta: f64| (ln_gamma(a + theta) - ln_gamma(a) + theta * (2.0f64 / m).ln()).exp();
        let least = (0..3000).map(|k| moment(k as f64 / 1000.0)).fold(1.0, f64::min);
        let rho = known(walk::relaxation_rate(n, m));
        // The grid misses the minimum by at most curvature · 0.0005²/2, below 1e-7.
        outcomes.push(
            Outcome::deterministic(
                format!("smallest moment, n = {n}, divisor {m}"),
                least,
                rho,
                1e-7,
            )
            .mistake("squared", rho * rho)
            .mistake("typical rate", known(walk::drift(n, m)).exp())
            .mistake("n + 1 for n", known(walk::relaxation_rate(n + 1, m + 1.0))),
        );
    }
    outcomes
}
