//! N6, N7.

use super::{INSIDE, column, violation};
use crate::binomial;
use crate::categorical::fixation as f;
use crate::check::{Guard, Outcome, Plan};
use crate::prediction::Kind;
use crate::stats::replicates;
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[Guard {
    name: "categorical-fixation",
    covers: &["N6", "N7"],
    about: "Time to total collapse, takeover, and how long two tokens both live, n = 20.",
    replicates: 40_000,
    run,
}];

const N: u64 = 20;
const P: f64 = 0.3;
const THREE: [f64; 3] = [0.6, 0.3, 0.1];
const EARLY: usize = 6;

fn run(plan: &Plan) -> Vec<Outcome> {
    let n = N as usize;
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "categorical-fixation", 0, item);
        let (time, end) = two(&mut stream);
        let late = time > EARLY as f64;
        [time, f64::from(u8::from(end == N)), f64::from(u8::from(late)), three(&mut stream)]
    });
    let times = column(&runs, 0);
    let hits = |which: usize| column(&runs, which).iter().sum::<f64>() as u64;
    let two = [P, 1.0 - P];
    let mean = f::expected_collapse(&two, n).expect(INSIDE);
    let square = f::expected_square_of_collapse(P, n).expect(INSIDE);
    let squares: Vec<f64> = times.iter().map(|t| t * t).collect();
    let taken: Vec<f64> = runs.iter().map(|run| run[0] * run[1]).collect();
    let takeover = f::expected_time_of_takeover(P, n).expect(INSIDE);
    let collapse = |p: &[f64], n| f::expected_collapse(p, n).expect(INSIDE);
    let mixed = f::mixed(P, n, EARLY).expect(INSIDE);
    vec![
        Outcome::known("E T, K = 2", &times, mean, square - mean * mean)
            .mistake("off by one generation", mean + 1.0)
            .mistake("diffusion", f::diffusion_collapse(&two, n).expect(INSIDE)),
        Outcome::empirical("E T², K = 2", &squares, square)
            .mistake("2 (E T)²", 2.0 * mean * mean)
            .mistake("(E T)²", mean * mean),
        Outcome::empirical("E[T; takes over]", &taken, takeover)
            .mistake("independent of who wins", P * mean)
            .mistake("T of the other token", mean - takeover),
        Outcome::binomial("P(takes over)", hits(1), plan.replicates, f::takeover(P).expect(INSIDE))
            .mistake("either is as likely", 0.5)
            .mistake("p²", P * P),
        Outcome::empirical("E T, K = 3", &column(&runs, 3), collapse(&THREE, n))
            .mistake("two tokens", collapse(&[0.6, 0.4], n))
            .mistake("n + 1 for n", collapse(&THREE, n + 1)),
        Outcome::binomial("P(both alive at 6)", hits(2), plan.replicates, mixed)
            .mistake("one generation less", f::mixed(P, n, EARLY - 1).expect(INSIDE))
            .mistake("the late formula", f::mixed_late(P, n, EARLY).expect(INSIDE)),
        bounds(),
        late(),
        diffusion(),
    ]
}

/// Generations until one of two tokens is gone, and the count of the first then.
fn two(stream: &mut Stream) -> (f64, u64) {
    let mut count = binomial::draw(N, P, stream);
    let mut time = 1.0;
    while count > 0 && count < N {
        count = binomial::draw(N, count as f64 / N as f64, stream);
        time += 1.0;
    }
    (time, count)
}

/// Generations until two of three tokens are gone.
fn three(stream: &mut Stream) -> f64 {
    let mut weights = THREE;
    let mut time = 0.0;
    while weights.iter().filter(|&&w| w > 0.0).count() > 1 {
        let mut counts = [0.0; 3];
        binomial::multinomial(N, &weights, stream, |token, times| counts[token] = times as f64);
        weights = counts;
        time += 1.0;
    }
    time
}

fn bounds() -> Outcome {
    let cases = || {
        [2, 5, 20, 60].into_iter().flat_map(|n| {
            [0.02, 0.3, 0.5].into_iter().flat_map(move |p| [1, 3, 20, 200].map(|t| (p, n, t)))
        })
    };
    let between = |low: f64, high: f64| {
        violation(cases().flat_map(|(p, n, t)| {
            let exact = f::mixed(p, n, t).expect(INSIDE);
            let least = f::mixed_at_least(p, n, t).expect(INSIDE) * low;
            let most = f::mixed_at_most(p, n, t).expect(INSIDE) * high;
            [(least, exact), (exact, most)]
        }))
    };
    Outcome::deterministic("4p(1−p)λ^t ≤ P(both) ≤ np(1−p)λ^(t−1)", between(1.0, 1.0), 0.0, 1e-10)
        .of_kind(Kind::Bound)
        .mistake("6 for 4", -between(1.5, 1.0))
        .mistake("one generation later", -between(1.0, 0.95))
}

/// The quasi-stationary law is off the uniform one by the relative order `1/n`, with a factor of
/// about 2.1 in `E 2x(1 − x)`.
fn late() -> Outcome {
    let (p, n, t) = (0.3, 200, 400);
    let exact = f::mixed(p, n, t).expect(INSIDE);
    let ratio = f::mixed_late(p, n, t).expect(INSIDE) / exact;
    Outcome::deterministic("P(both alive) ~ 6p(1−p)λ^t, ratio", 1.0, ratio, 3.0 / n as f64)
        .of_kind(Kind::Asymptotic)
        .mistake("4 for 6", ratio * 4.0 / 6.0)
        .mistake("λ² for λ", ratio * 0.995f64.powi(400))
}

/// The diffusion value is 2 to 3 generations above the exact one, here at `n = 300`.
fn diffusion() -> Outcome {
    let n = 300;
    let exact = f::expected_collapse(&THREE, n).expect(INSIDE);
    let limit = f::diffusion_collapse(&THREE, n).expect(INSIDE);
    Outcome::deterministic("E T ~ −2n Σ(1−p) ln(1−p)", exact, limit, 3.0)
        .of_kind(Kind::Asymptotic)
        .mistake("n for 2n", 0.5 * limit)
        .mistake("4n for 2n", 2.0 * limit)
}
