//! Published results on Gaussians that are fitted to their own samples, reproduced.

use fortifai_collapse::check::Outcome;
use fortifai_collapse::gaussian::{
    Divisor, Gaussian, Pool, accumulate_fourth, accumulate_limit, accumulate_variance,
};
use fortifai_collapse::recursion::{chain, last};
use fortifai_collapse::stats::replicates;
use fortifai_collapse::{Model, Recursion, Refusal};
use fortifai_stream::Stream;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// A Gaussian that is fitted to those of its samples that lie outside the densest `1 − kept` of the
/// mass of the law they are judged by: a mask of a fixed share of mass, with no floor. (A mask
/// of a fixed density is another rule.)
#[derive(Clone, Copy, Debug)]
struct Masked {
    /// The law that is sampled.
    law: Gaussian,
    /// The share of its own mass that it keeps: 1 is the plain fit.
    kept: f64,
}

impl Masked {
    /// `a` with `P(|Z| < a) = 1 − kept`.
    fn threshold(&self) -> f64 {
        standard().inverse_cdf(1.0 - 0.5 * self.kept)
    }
}

impl Model for Masked {
    type Pool = Pool;

    fn pool(&self) -> Pool {
        Pool::default()
    }

    fn draw(&self, pool: &mut Pool, count: usize, bias: f64, stream: &mut Stream) {
        let (width, edge) = ((bias * self.law.var).sqrt(), self.threshold() * self.law.std_dev());
        let sample = |_| self.law.mean + width * stream.normal();
        let outside = |x: &f64| (x - self.law.mean).abs() >= edge;
        pool.add(&(0..count).map(sample).filter(outside).collect::<Vec<f64>>());
    }

    fn subsample(&self, _: &Pool, _: usize, _: bool, _: &mut Stream) -> Pool {
        unreachable!("no budget here")
    }

    fn fit(&self, pool: &Pool) -> Result<Self, Refusal> {
        Ok(Self { law: self.law.fit(pool)?, ..*self })
    }
}

fn standard() -> Normal {
    Normal::new(0.0, 1.0).expect("a positive deviation")
}

/// `η(a) = 1 + a φ(a)/(1 − Φ(a)) = E[Z² | |Z| > a]`.
fn eta(a: f64) -> f64 {
    1.0 + a * standard().pdf(a) / standard().sf(a)
}

#[test]
fn masking_the_densest_share_outweighs_a_sampling_bias() {
    // arXiv 2509.08972, figure of the 1-D Gaussian: 10,000 samples per generation, sampling bias
    // 0.9 on the standard deviation, except for the real data of the first fit. The plain fit's
    // deviation falls as 0.9^t. Keeping κ = 0.8 of the mass multiplies it by 0.9 √η(a/0.9), which
    // is 1.0172; the first fit has no bias and gives √η(a) = 1.116.
    let (bias, generations) = (0.9f64, 49);
    let masked = Masked { law: Gaussian::standard(Divisor::Mle), kept: 0.8 };
    let a = masked.threshold();
    let (first, factor) = (eta(a).sqrt(), bias * eta(a / bias).sqrt());
    assert!((first - 1.116).abs() < 5e-4 && (factor - 1.0172).abs() < 5e-5, "{first} {factor}");
    assert!((first * factor.powi(48) - 2.53).abs() < 5e-3, "2.53 after 48 generations of bias");

    let recursion = Recursion::replace(10_000).biased(bias * bias, 2);
    let deviations = |kept: f64| -> Vec<f64> {
        let run = chain(&Masked { kept, ..masked }, &recursion, generations, 20_250_908, 0);
        run.expect("many samples").iter().map(|model| model.law.std_dev()).collect()
    };
    // ln σ_t is a walk whose steps have a deviation below 1/√n = 0.01: after 49 of them 0.07, and
    // 6.5 of these deviations for the normal tail 8e-11. Steps are checked with 6.5/√n = 0.065.
    let (masked, plain) = (deviations(0.8), deviations(1.0));
    for t in 1..=generations {
        let age = t as i32 - 1;
        let drift = 0.065 * (t as f64).sqrt();
        let off = |sd: f64, predicted: f64| (sd / predicted).ln().abs();
        assert!(off(plain[t], bias.powi(age)) <= drift, "{t}: {}", plain[t]);
        assert!(off(masked[t], first * factor.powi(age)) <= drift, "{t}: {}", masked[t]);
        assert!(off(masked[t] / masked[t - 1], if t == 1 { first } else { factor }) <= 0.065);
    }
    // Power: at the end the two laws are apart by forty times the drift's own deviation.
    assert!(masked[49] > 1.5 && plain[49] < 0.01);
}

#[test]
fn accumulated_variance_tends_to_its_published_limit() {
    // Kazdan et al. (2024, arXiv 2410.16713): E σ_t² → sin(π/√n)/(π/√n) with divisor N. Known
    // variance E σ⁴ − (E σ²)², |z| ≤ 6.5 (8e-11); after t generations the product is within 1/(nt)
    // of the limit.
    let (n, t) = (4, 60);
    let truth = Gaussian::standard(Divisor::Mle);
    let recursion = Recursion::accumulate(n);
    let vars = replicates(40_000, |item| {
        last(&truth, &recursion, t, 20_241_022, item).expect("n = 4").var
    });
    let limit = accumulate_limit(n, Divisor::Mle).expect("n = 4");
    // n = 4: sin(π/2)/(π/2).
    assert!((limit - 2.0 / std::f64::consts::PI).abs() <= 1e-15);
    let finite = accumulate_variance(n, t, Divisor::Mle).expect("n = 4");
    assert!(finite > limit && finite - limit <= 1.0 / (n * t) as f64);
    let spread = accumulate_fourth(n, t).expect("n = 4") - finite * finite;
    let outcome = Outcome::known("E σ_t²", &vars, finite, spread)
        .mistake("divisor N − 1", accumulate_limit(n, Divisor::Unbiased).expect("n = 4"))
        .mistake("n + 1 samples", accumulate_limit(n + 1, Divisor::Mle).expect("n = 5"));
    assert!(outcome.passed && outcome.mistakes.iter().all(|wrong| wrong.rejected), "{outcome:?}");
}
