//! N1, N2.

use super::{INSIDE, column};
use crate::categorical::{Categorical, moments};
use crate::check::{Guard, Outcome, Plan};
use crate::model::Model;
use crate::stats::replicates;
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[Guard {
    name: "categorical-moments",
    covers: &["N1", "N2"],
    about: "Heterozygosity, displacement, covariances and products of tokens after ten generations.",
    replicates: 50_000,
    run,
}];

const LAW: [f64; 5] = [0.3, 0.25, 0.25, 0.1, 0.1];

fn run(plan: &Plan) -> Vec<Outcome> {
    let (n, t) = (20, 10);
    let truth = Categorical::new(&LAW);
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "categorical-moments", 0, item);
        let mut model = truth.clone();
        for _ in 0..t {
            model = model.fit(&model.sample(n, &mut stream)).expect(INSIDE);
        }
        let p = &model.probabilities;
        let off: Vec<f64> = p.iter().zip(LAW).map(|(p, truth)| p - truth).collect();
        [
            model.heterozygosity(),
            off.iter().map(|off| off * off).sum(),
            off[0] * off[1],
            off[0] * off[0],
            p[0] * p[1] * p[2],
        ]
    });
    let check = |name: &str, which: usize, expected: &dyn Fn(usize, usize) -> f64| {
        Outcome::empirical(name, &column(&runs, which), expected(n, t))
            .mistake("one generation more", expected(n, t + 1))
            .mistake("n − 1 for n", expected(n - 1, t))
    };
    let product = |n, t| moments::expected_product(&LAW[..3], n, t).expect(INSIDE);
    vec![
        check("E H_t", 0, &|n, t| moments::expected_heterozygosity(&LAW, n, t).expect(INSIDE)),
        check("E|p_t − p_0|²", 1, &|n, t| {
            moments::expected_displacement(&LAW, n, t).expect(INSIDE)
        })
        .mistake("H_0 lost entirely", Categorical::new(&LAW).heterozygosity()),
        Outcome::empirical(
            "Cov(p_1, p_2)",
            &column(&runs, 2),
            moments::covariance(0.3, 0.25, n, t).expect(INSIDE),
        )
        .mistake("independent tokens", 0.0)
        .mistake("one generation", moments::covariance(0.3, 0.25, n, 1).expect(INSIDE)),
        Outcome::empirical(
            "Var p_1",
            &column(&runs, 3),
            moments::variance(0.3, n, t).expect(INSIDE),
        )
        .mistake("one generation more", moments::variance(0.3, n, t + 1).expect(INSIDE))
        .mistake("linear growth", t as f64 * 0.3 * 0.7 / n as f64),
        Outcome::empirical("E p_1 p_2 p_3", &column(&runs, 4), product(n, t))
            .mistake("one generation less", product(n, t - 1))
            .mistake("λ_2 for λ_3", LAW[0] * LAW[1] * LAW[2] * moments::decay(n, t).expect(INSIDE)),
    ]
}
