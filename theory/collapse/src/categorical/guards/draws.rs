//! The sampler itself.

use crate::binomial;
use crate::check::{Guard, Outcome, Plan};
use crate::stats::replicates;
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[Guard {
    name: "binomial-draws",
    covers: &["N3", "N4"],
    about: "Counts of binomial and multinomial draws against their exact laws.",
    replicates: 50_000,
    run: draws,
}];

fn draws(plan: &Plan) -> Vec<Outcome> {
    // Both sides of the switch between inversion and rejection, and of p = 1/2.
    let cases = [(12, 0.3), (30, 0.6), (40, 0.5), (1000, 0.011), (1000, 0.3), (5000, 0.97)];
    let mut outcomes: Vec<Outcome> = cases
        .iter()
        .enumerate()
        .map(|(case, &(n, p))| {
            let counts = replicates(plan.replicates, |item| {
                let mut stream = Stream::new(plan.seed, "binomial-draws", case as u64, item);
                binomial::draw(n as u64, p, &mut stream) as usize
            });
            against(format!("Binomial({n}, {p})"), &counts, n, p, plan.replicates)
        })
        .collect();
    // The third of four tokens, by a chain of binomials and by single draws.
    for (case, n) in [(6, 30u64), (7, 2)] {
        let weights = [0.2, 0.1, 0.3, 0.15, 0.05, 0.05, 0.05, 0.03, 0.03, 0.02, 0.01, 0.01];
        let counts = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "binomial-draws", case, item);
            let mut third = 0;
            binomial::multinomial(n, &weights, &mut stream, |token, times| {
                third += if token == 2 { times as usize } else { 0 };
            });
            third
        });
        let name = format!("multinomial of {n}");
        outcomes.push(against(name, &counts, n as usize, 0.3, plan.replicates));
    }
    outcomes
}

/// χ² over the counts of expectation 5 and more, the others merged into the ends.
fn against(name: String, counts: &[usize], n: usize, p: f64, trials: u64) -> Outcome {
    let expected = |n: usize, p: f64| -> Vec<f64> {
        let law = binomial::law(n, p);
        law.iter().map(|mass| mass * trials as f64).collect()
    };
    let truth = expected(n, p);
    let from = truth.iter().position(|&e| e >= 5.0).unwrap_or(0);
    let to = truth.iter().rposition(|&e| e >= 5.0).unwrap_or(n);
    let merge = |cells: &[f64]| -> Vec<f64> {
        let mut merged = cells[from..=to.min(cells.len() - 1)].to_vec();
        let last = merged.len() - 1;
        merged[0] += cells[..from].iter().sum::<f64>();
        merged[last] += cells[(to + 1).min(cells.len())..].iter().sum::<f64>();
        merged
    };
    let mut seen = vec![0.0; n + 1];
    counts.iter().for_each(|&count| seen[count] += 1.0);
    let (seen, truth) = (merge(&seen), merge(&truth));
    let wrong = merge(&expected(n, p + if p > 0.9 { -0.005 } else { 0.02 }));
    let freedom = truth.len() - 1;
    Outcome::counts(name, &seen, &truth, freedom, &[("another probability", wrong)])
}
