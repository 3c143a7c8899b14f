//! The decay of heterozygosity in finite populations: Wright, "Evolution in Mendelian populations"
//! (1931), a factor `1 − 1/(2N)` per generation of `N` diploid parents (`n = 2N` genes); found
//! again for language models by Seddik et al. (2024, arXiv 2404.05090).

use fortifai_collapse::categorical::{Categorical, moments};
use fortifai_collapse::stats::{Z_LIMIT, replicates};
use fortifai_collapse::{Model, Outcome};
use fortifai_stream::Stream;

#[test]
fn heterozygosity_decays_by_one_nth_per_generation() {
    // Eight tokens, n = 16 (Wright's N = 8), R = 20,000. The heterozygosity is bounded, so its
    // own variance stands for the unknown one; 5 tests of |z| ≤ 6.5, false alarm 8e-11 each.
    let p = [0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05];
    let truth = Categorical::new(&p);
    let runs: Vec<Vec<f64>> = replicates(20_000, |item| {
        let mut model = truth.clone();
        let mut kept = vec![];
        for generation in 1..=30 {
            let mut stream = Stream::new(1931, "wright-fisher", generation, item);
            model = model.fit(&model.sample(16, &mut stream)).expect("16 samples");
            kept.push(model.heterozygosity());
        }
        kept
    });
    for t in [1, 3, 10, 20, 30] {
        let samples: Vec<f64> = runs.iter().map(|run| run[t - 1]).collect();
        let expected = |n| moments::expected_heterozygosity(&p, n, t).expect("inside");
        let outcome = Outcome::empirical("H_t", &samples, expected(16))
            .mistake("N for 2N", expected(8))
            .mistake("n + 1 for n", expected(17));
        assert!(outcome.passed && outcome.limit == Z_LIMIT, "{outcome:?}");
        assert!(outcome.mistakes[0].rejected, "{outcome:?}");
        // A single generation is too short to tell 16 from 17 parents.
        assert!(outcome.mistakes[1].rejected || t < 10, "{outcome:?}");
    }
}
