//! N8.

use super::{INSIDE, column, violation};
use crate::binomial::draw;
use crate::categorical::mixing::{self as m, Mix};
use crate::check::{Guard, Outcome, Plan};
use crate::prediction::Kind;
use crate::stats::replicates;
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[Guard {
    name: "categorical-mixing",
    covers: &["N8"],
    about: "Displacement of two tokens with a share of real data in each generation, n = 5.",
    replicates: 100_000,
    run,
}];

const N: usize = 5;
const ALPHA: f64 = 0.4;
const REAL: u64 = 2;
const P: f64 = 0.3;
/// The heterozygosity of the two tokens.
const H: f64 = 2.0 * P * (1.0 - P);

fn run(plan: &Plan) -> Vec<Outcome> {
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "categorical-mixing", 0, item);
        let stream = &mut stream;
        let size = N as f64;
        let set = draw(REAL, P, stream);
        let (mut stratified, mut coin, mut fixed) = (P, P, set as f64 / REAL as f64);
        let start = fixed;
        let mut early = [0.0; 2];
        for t in 1..=15 {
            let fresh = draw(REAL, P, stream) + draw(N as u64 - REAL, stratified, stream);
            stratified = fresh as f64 / size;
            let mixture = ALPHA * P + (1.0 - ALPHA) * coin;
            coin = draw(N as u64, mixture, stream) as f64 / size;
            fixed = (set + draw(N as u64 - REAL, fixed, stream)) as f64 / size;
            if t == 2 {
                early = [2.0 * (stratified - P).powi(2), 2.0 * (coin - P).powi(2)];
            }
        }
        let off = |x: f64, from: f64| 2.0 * (x - from).powi(2);
        let [a, b] = early;
        [off(stratified, P), off(coin, P), off(fixed, start), off(fixed, P), a, b]
    });
    let at = |mix, t| H * m::displaced_by(N, ALPHA, t, mix).expect(INSIDE);
    let end = |mix| H * m::displaced(N, ALPHA, mix).expect(INSIDE);
    let from_truth = H * m::displaced_from_truth(N, ALPHA).expect(INSIDE);
    // The set's own heterozygosity is H (1 − 1/n_r) on average.
    let from_set = end(Mix::FixedSet) * (1.0 - 1.0 / REAL as f64);
    let check = |name: &str, which: usize, expected: f64| {
        Outcome::empirical(name, &column(&runs, which), expected)
    };
    vec![
        check("stratified D*", 0, at(Mix::Stratified, 15))
            .mistake("per sample", end(Mix::PerSample))
            .mistake("fixed set", end(Mix::FixedSet)),
        check("per-sample D*", 1, at(Mix::PerSample, 15))
            .mistake("stratified", end(Mix::Stratified))
            .mistake("no real data", H),
        check("fixed set, from the set", 2, from_set)
            .mistake("the truth's heterozygosity", end(Mix::FixedSet)),
        check("fixed set, from the truth", 3, from_truth)
            .mistake("fresh real data", end(Mix::Stratified))
            .mistake("the set's error alone", H / REAL as f64),
        check("stratified D_2", 4, at(Mix::Stratified, 2))
            .mistake("one generation less", at(Mix::Stratified, 1)),
        check("per-sample D_2", 5, at(Mix::PerSample, 2))
            .mistake("one generation less", at(Mix::PerSample, 1)),
        bound(),
        diffusion(),
    ]
}

/// `D_f ≤ 1/(2 n_r + 1)` for every amount of synthetic data.
fn bound() -> Outcome {
    let against = |scale: f64| {
        violation([1usize, 3, 20].into_iter().flat_map(|real| {
            let most = m::fixed_set_bound(real).expect(INSIDE) * scale;
            [1usize, 4, 1000, 1_000_000].map(|times| {
                let n = real * times;
                let alpha = 1.0 / times as f64;
                (m::displaced(n, alpha, Mix::FixedSet).expect(INSIDE), most)
            })
        }))
    };
    Outcome::deterministic("D_f ≤ 1/(2n_r + 1)", against(1.0), 0.0, 1e-12)
        .of_kind(Kind::Bound)
        .mistake("1 % below", -against(0.99))
}

/// The Dirichlet's displacement, off by the relative order `α + 1/n`.
fn diffusion() -> Outcome {
    let (n, alpha) = (100_000, 1e-4);
    let exact = m::displaced(n, alpha, Mix::PerSample).expect(INSIDE);
    let limit = m::displaced_diffusion(n, alpha).expect(INSIDE);
    Outcome::deterministic("D* ~ 1/(2nα + 1)", exact, limit, limit * (alpha + 1.0 / n as f64))
        .of_kind(Kind::Asymptotic)
        .mistake("nα for 2nα", 1.0 / (n as f64 * alpha + 1.0))
}
