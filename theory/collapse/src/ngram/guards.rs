//! Guards of the n-gram sections.

use super::{NGram, contexts};
use crate::categorical::guards::{INSIDE, column};
use crate::check::{Guard, Outcome, Plan};
use crate::model::Model;
use crate::prediction::Kind;
use crate::stats::replicates;
use fortifai_stream::Stream;

pub(super) const GUARDS: &[Guard] = &[
    Guard {
        name: "ngram-stack",
        covers: &["N14"],
        about: "Contexts with fixed prompts: heterozygosity after four generations, and counts.",
        replicates: 20_000,
        run: stack,
    },
    Guard {
        name: "ngram-random-contexts",
        covers: &["N14"],
        about: "Contexts that are prompted at random and keep their law when they are missed.",
        replicates: 40_000,
        run: random,
    },
    Guard {
        name: "ngram-path",
        covers: &["N14"],
        about: "Counts along one path of forty tokens about their visits.",
        replicates: 40_000,
        run: path,
    },
];

/// A text of three tokens in which every token follows every other.
const TEXT: [u32; 40] = [
    0, 1, 2, 0, 0, 1, 1, 2, 2, 1, 0, 2, 0, 1, 2, 2, 0, 1, 0, 0, 2, 1, 1, 2, 0, 0, 1, 0, 2, 1, 2, 0,
    1, 1, 1, 2, 2, 2, 0, 0,
];
const T: usize = 4;
/// The context of token 0 (the start is the first).
const CONTEXT: usize = 1;

/// `1 − Σ p²` of a context.
fn mixedness(model: &NGram, context: usize) -> f64 {
    let row = &model.weights()[model.frame().row(context)];
    let total = row.iter().sum::<u64>() as f64;
    1.0 - row.iter().map(|&c| (c as f64 / total).powi(2)).sum::<f64>()
}

fn law(model: &NGram, context: usize) -> Vec<f64> {
    let row = &model.weights()[model.frame().row(context)];
    let total = row.iter().sum::<u64>() as f64;
    row.iter().map(|&c| c as f64 / total).collect()
}

fn recursion(truth: &NGram, stream: &mut Stream) -> [f64; 3] {
    let mut model = truth.clone();
    let mut first = vec![];
    for t in 0..T {
        let mut pool = model.pool();
        model.draw(&mut pool, TEXT.len(), 1.0, stream);
        if t == 0 {
            first = pool.clone();
        }
        model = model.fit(&pool).expect(INSIDE);
    }
    let counts = &first[model.frame().row(CONTEXT)];
    // Pearson's statistic of the first generation's counts, with expectation K − 1.
    let visits = counts.iter().sum::<u64>() as f64;
    let expected = law(truth, CONTEXT);
    let pearson = counts
        .iter()
        .zip(&expected)
        .map(|(&c, p)| (c as f64 - visits * p).powi(2) / (visits * p).max(f64::MIN_POSITIVE));
    [mixedness(&model, CONTEXT), pearson.sum(), visits]
}

fn stack(plan: &Plan) -> Vec<Outcome> {
    let truth = NGram::counted(&TEXT, 2).expect(INSIDE).stacked();
    let runs = replicates(plan.replicates, |item| {
        recursion(&truth, &mut Stream::new(plan.seed, "ngram-stack", 0, item))
    });
    let p = law(&truth, CONTEXT);
    let prompts = truth.frame().context_counts(truth.weights())[CONTEXT] as usize;
    let expected = |n, t| contexts::stacked(&p, n, t).expect(INSIDE);
    let misses = runs.iter().filter(|run| run[2] as usize != prompts).count() as f64;
    vec![
        Outcome::empirical("E H_c(4)", &column(&runs, 0), expected(prompts, T))
            .mistake("one generation less", expected(prompts, T - 1))
            .mistake("all contexts' prompts", expected(TEXT.len(), T)),
        Outcome::empirical("Pearson's χ² of the counts", &column(&runs, 1), p.len() as f64 - 1.0)
            .mistake("K for K − 1", p.len() as f64),
        Outcome::deterministic("every context gets its prompts", misses, 0.0, 0.5)
            .mistake("at random", 1.0),
    ]
}

fn random(plan: &Plan) -> Vec<Outcome> {
    let truth = NGram::counted(&TEXT[..12], 2).expect(INSIDE).randomly_prompted();
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "ngram-random-contexts", 0, item);
        let mut model = truth.clone();
        for _ in 0..T {
            let mut pool = model.pool();
            model.draw(&mut pool, 12, 1.0, &mut stream);
            model = model.fit(&pool).expect(INSIDE);
        }
        [mixedness(&model, CONTEXT)]
    });
    let counts = truth.frame().context_counts(truth.weights());
    let share = counts[CONTEXT] as f64 / 12.0;
    let start = mixedness(&truth, CONTEXT);
    let kept = |n, t| start * contexts::kept_at_random_by(n, share, t).expect(INSIDE);
    let fixed = |t| start * (1.0 - 1.0 / counts[CONTEXT] as f64).powi(t);
    vec![
        Outcome::empirical("E H_c(4)", &column(&runs, 0), kept(12, T))
            .mistake("fixed prompts", fixed(T as i32))
            .mistake("one generation less", kept(12, T - 1))
            .mistake("n + 2 for n", kept(14, T)),
        expansion(),
    ]
}

/// The expansion of `E[1{N>0}/N]`; the next term is below `3/(nπ)²` of the first.
fn expansion() -> Outcome {
    let (n, pi) = (4000, 0.15);
    let exact = 1.0 - contexts::kept_at_random(n, pi).expect(INSIDE);
    let series = contexts::lost_at_random(n, pi).expect(INSIDE);
    let visits = n as f64 * pi;
    Outcome::deterministic("E[1{N>0}/N] ~", exact, series, 3.0 / visits.powi(3))
        .of_kind(Kind::Asymptotic)
        .mistake("1/(nπ)", 1.0 / visits)
        .mistake("π for 1 − π", (1.0 + pi / visits) / visits)
}

fn path(plan: &Plan) -> Vec<Outcome> {
    let truth = NGram::counted(&TEXT, 2).expect(INSIDE);
    let frame = truth.frame();
    let k = frame.contexts();
    let mut transitions = vec![0.0; k * k];
    for context in 0..k {
        for (ngram, p) in frame.row(context).zip(law(&truth, context)) {
            transitions[context * k + frame.next(ngram)] += p;
        }
    }
    let length = 40;
    let laws: Vec<Vec<f64>> = (1..k).map(|context| law(&truth, context)).collect();
    let visits = |c| contexts::expected_visits(&transitions, 0, c, length).expect(INSIDE);
    let means: Vec<f64> = (1..k).map(visits).collect();
    let runs = replicates(plan.replicates, |item| {
        let mut stream = Stream::new(plan.seed, "ngram-path", 0, item);
        let mut pool = truth.pool();
        truth.draw(&mut pool, length, 1.0, &mut stream);
        let counts = frame.context_counts(&pool);
        // C − N P of each context but the start, and the χ² of all of them.
        let mut off = [[0.0; 3]; 3];
        let mut square = 0.0;
        for context in 1..k {
            for (token, ngram) in frame.row(context).enumerate() {
                let p = laws[context - 1][token];
                let d = pool[ngram] as f64 - counts[context] as f64 * p;
                off[context - 1][token] = d;
                square += d * d / (p * means[context - 1]);
            }
        }
        let visits = counts[CONTEXT] as f64;
        [visits, off[0][0], off[0][0].powi(2), off[0][0] * off[0][1], off[0][0] * off[1][0], square]
    });
    let p = &laws[0];
    let mean = means[0];
    let next = |which: usize| frame.next(frame.row(CONTEXT).start + which);
    let variance = contexts::variance_along_path(&transitions, 0, CONTEXT, next(0), length);
    let covariance =
        contexts::covariance_along_path(&transitions, 0, CONTEXT, (next(0), next(1)), length);
    let check = |name: &str, which: usize, expected: f64| {
        Outcome::empirical(name, &column(&runs, which), expected)
    };
    let all = (k - 1) as f64;
    vec![
        check("E N_c", 0, mean).mistake("a third of the path", length as f64 / 3.0).mistake(
            "one token more",
            contexts::expected_visits(&transitions, 0, CONTEXT, 41).expect(INSIDE),
        ),
        check("E(C − NP)", 1, 0.0).mistake("half a token", 0.5).mistake("−½ token", -0.5),
        check("E(C − NP)²", 2, variance.expect(INSIDE))
            .mistake("Poisson", p[0] * mean)
            .mistake("all tokens of the path", p[0] * (1.0 - p[0]) * length as f64),
        check("covariance of two tokens", 3, covariance.expect(INSIDE))
            .mistake("independent", 0.0)
            .mistake("the other sign", p[0] * p[1] * mean),
        check("covariance of two contexts", 4, 0.0)
            .mistake("as of two tokens", -p[0] * p[1] * mean),
        check("χ² of all counts", 5, contexts::chi_square_along_path(k - 1).expect(INSIDE))
            .mistake("K²", all * all)
            .mistake("K² − 1", all * all - 1.0),
    ]
}
