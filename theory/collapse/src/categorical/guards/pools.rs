//! N9.

use super::{INSIDE, column};
use crate::categorical::{Categorical, accumulation as a};
use crate::check::{Guard, Outcome, Plan};
use crate::model::Model;
use crate::prediction::Kind;
use crate::stats::replicates;
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[Guard {
    name: "categorical-accumulate",
    covers: &["N9"],
    about: "Heterozygosity of accumulated data, of uneven blocks, and under a training budget.",
    replicates: 40_000,
    run,
}];

const LAW: [f64; 2] = [0.3, 0.7];
const N: usize = 6;
const T: usize = 8;
const BUDGET: usize = 4;
const BLOCKS: [usize; 5] = [4, 9, 3, 12, 5];

fn run(plan: &Plan) -> Vec<Outcome> {
    let truth = Categorical::new(&LAW);
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "categorical-accumulate", 0, item);
        let blocks = [N; T];
        [
            pooled(&truth, &blocks, None, &mut stream),
            pooled(&truth, &BLOCKS, None, &mut stream),
            pooled(&truth, &blocks, Some(true), &mut stream),
            pooled(&truth, &blocks, Some(false), &mut stream),
        ]
    });
    let h = truth.heterozygosity();
    let all = |n, t| h * a::accumulated(n, t).expect(INSIDE);
    let with = |b| h * a::budgeted(N, b, T).expect(INSIDE);
    let without = |b| h * a::budgeted_without_replacement(N, b, T).expect(INSIDE);
    let blocks = |accumulate| h * a::scheduled(&BLOCKS, accumulate).expect(INSIDE);
    let check = |name: &str, which: usize, expected: f64| {
        Outcome::empirical(name, &column(&runs, which), expected)
    };
    vec![
        check("accumulated", 0, all(N, T))
            .mistake("replaced", h * (1.0 - 1.0 / N as f64).powi(T as i32))
            .mistake("one generation", all(N, 1))
            .mistake("n − 1 for n", all(N - 1, T)),
        check("accumulated blocks", 1, blocks(true)).mistake("replaced blocks", blocks(false)),
        check("budget with replacement", 2, with(BUDGET))
            .mistake("no budget", all(N, T))
            .mistake("B − 1 for B", with(BUDGET - 1)),
        check("budget without replacement", 3, without(BUDGET))
            .mistake("with replacement", with(BUDGET))
            .mistake("no budget", all(N, T)),
        limit("accumulated limit", a::accumulated(N, 1_000_000), a::accumulated_limit(N)),
        limit("budget limit", a::budgeted(N, BUDGET, 1_000_000), a::budgeted_limit(N, BUDGET)),
    ]
}

/// The pool's heterozygosity after the blocks, each drawn from a model of the whole pool or of a
/// budget of it.
fn pooled(truth: &Categorical, blocks: &[usize], budget: Option<bool>, stream: &mut Stream) -> f64 {
    let mut model = truth.clone();
    let mut pool = model.pool();
    for &block in blocks {
        model.draw(&mut pool, block, 1.0, stream);
        model = match budget {
            None => model.fit(&pool),
            Some(again) => model.fit(&model.subsample(&pool, BUDGET, again, stream)),
        }
        .expect(INSIDE);
    }
    truth.fit(&pool).expect(INSIDE).heterozygosity()
}

/// After 10⁶ generations less than `1/10⁶` of the loss is left to come.
fn limit(
    name: &str,
    late: Result<f64, crate::refusal::Refusal>,
    limit: Result<f64, crate::refusal::Refusal>,
) -> Outcome {
    let (late, limit) = (late.expect(INSIDE), limit.expect(INSIDE));
    Outcome::deterministic(name, late, limit, 1e-6)
        .of_kind(Kind::Exact)
        .mistake("the first factor alone", 1.0 - 1.0 / N as f64)
}
