//! Figures: what a threshold does, predicted and simulated.

use super::{calibrated, capped_fit, clip_chain, floors, flow, trained, walk};
use crate::check::Plan;
use crate::figure::{Figure, Point, Series};
use crate::stats::{mean, replicates, variance};
use fortifai_stream::Stream;

/// The figures of the family.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "tce-gaussian",
        covers: &["T1"],
        title: "A Gaussian retrained on its own samples, with and without a floor",
        caption: "Plain fitting loses the spread exponentially. The truncated loss holds it at its \
                  floor, here a tenth of the truth's: a lower bound, above which the noise of \
                  every refit keeps the points.",
        x: "generation",
        y: "standard deviation (geometric mean over chains)",
        log_y: true,
        replicates: 400,
        series: gaussian,
    },
    Figure {
        name: "tce-water-filling",
        covers: &["T2"],
        title: "What a law with a confident token is turned into",
        caption: "The confident tokens are pinned at the threshold and the tail is raised in \
                  proportion. Points: where gradient descent on the loss ends.",
        x: "token",
        y: "probability",
        log_y: false,
        replicates: 1,
        series: filling,
    },
    Figure {
        name: "tce-clip-chain",
        covers: &["T2"],
        title: "Two tokens, retrained for ever",
        caption: "Cross entropy ends at one token. The cap keeps both alive, and forgets which one \
                  was the more frequent.",
        x: "count of the first token among 30 samples",
        y: "probability in the long run",
        log_y: false,
        replicates: 20_000,
        series: clipped,
    },
    Figure {
        name: "tce-masked-share",
        covers: &["T4"],
        title: "How many tokens of a calibrated model are masked",
        caption: "Contexts drawn from Dirichlet laws on 10 tokens: the sharper they are, the more \
                  of the data the loss does not see.",
        x: "threshold",
        y: "masked share of the tokens",
        log_y: false,
        replicates: 4000,
        series: masked,
    },
    Figure {
        name: "tce-survivors",
        covers: &["T2"],
        title: "How many of twelve tokens live on",
        caption: "The number of living tokens falls to the inverse of the threshold, rounded up, \
                  and stays there.",
        x: "generation",
        y: "tokens alive",
        log_y: false,
        replicates: 400,
        series: survivors,
    },
];

fn point(x: f64, samples: &[f64]) -> Point {
    let standard_error = (variance(samples) / samples.len() as f64).sqrt();
    Point { x, mean: mean(samples), standard_error }
}

fn gaussian(plan: &Plan) -> Vec<Series> {
    let (n, last) = (10usize, 60usize);
    let drift = walk::drift(n, n as f64).unwrap_or(0.0);
    let floor = 0.1f64.ln();
    let series = |label: &str, floored: bool| {
        let runs = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "figure-tce-gaussian", 0, item);
            let mut log = 0.0f64;
            let mut path = vec![log];
            for _ in 0..last {
                let samples: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
                let squares = variance(&samples) * (n - 1) as f64 / n as f64;
                log += 0.5 * squares.ln();
                log = if floored { log.max(floor) } else { log };
                path.push(log);
            }
            path
        });
        let points = (0..=last).step_by(4).map(|t| {
            let logs: Vec<f64> = runs.iter().map(|path| path[t]).collect();
            let at = point(t as f64, &logs);
            let center = at.mean.exp();
            Point { x: at.x, mean: center, standard_error: center * at.standard_error }
        });
        let line = (0..=last).map(|t| {
            let log = 0.5 * drift * t as f64;
            (t as f64, if floored { log.max(floor) } else { log }.exp())
        });
        Series { label: label.to_owned(), line: line.collect(), points: points.collect() }
    };
    vec![series("cross entropy", false), series("truncated: the floor", true)]
}

fn filling(_: &Plan) -> Vec<Series> {
    let p = [0.5, 0.2, 0.1, 0.07, 0.05, 0.04, 0.02, 0.02];
    let case = |gamma: f64| {
        let law = capped_fit(&p, gamma).map_or_else(|_| p.to_vec(), |fit| fit.law);
        let keep = |q: f64| if q <= gamma { 1.0 } else { 0.0 };
        let end = flow(&p, &[0.125; 8], keep, 0.01, 60_000).unwrap_or_default();
        let place = |(i, q): (usize, &f64)| ((i + 1) as f64, *q);
        let points = end.iter().enumerate().map(place).map(|(x, mean)| Point {
            x,
            mean,
            standard_error: 0.0,
        });
        let label =
            if gamma == 1.0 { "cross entropy".to_owned() } else { format!("threshold {gamma}") };
        Series {
            label,
            line: law.iter().enumerate().map(place).collect(),
            points: points.collect(),
        }
    };
    vec![case(1.0), case(0.35), case(0.2)]
}

fn clipped(plan: &Plan) -> Vec<Series> {
    let n = 30;
    let case = |gamma: f64, generation: u64| {
        let law = clip_chain::stationary(n, gamma).unwrap_or_default();
        let counts = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "figure-tce-clip-chain", generation, item);
            // Either token may begin as the majority: it takes long to change.
            let mut x = if item % 2 == 0 { n } else { 0 };
            for _ in 0..100 {
                let q = clip_chain::clip(x as f64 / n as f64, gamma);
                x = (0..n).filter(|_| stream.uniform() < q).count();
            }
            x
        });
        let r = counts.len() as f64;
        let points = (0..=n).map(|x| {
            let share = counts.iter().filter(|count| **count == x).count() as f64 / r;
            let standard_error = (share * (1.0 - share) / r).sqrt();
            Point { x: x as f64, mean: share, standard_error }
        });
        Series {
            label: format!("threshold {gamma}"),
            line: law.iter().enumerate().map(|(x, mass)| (x as f64, *mass)).collect(),
            points: points.collect(),
        }
    };
    vec![case(0.7, 0), case(0.9, 1)]
}

fn masked(plan: &Plan) -> Vec<Series> {
    let k = 10;
    // a = d/2 with a whole number d of squares of normal numbers.
    let case = |d: usize| {
        let a = 0.5 * d as f64;
        let share = |gamma: f64| calibrated::masked_dirichlet(k, a, gamma).unwrap_or(0.0);
        let rows = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "figure-tce-masked-share", d as u64, item);
            let square = |_| (0..d).map(|_| stream.normal().powi(2)).sum::<f64>();
            let squares: Vec<f64> = (0..k).map(square).collect();
            let total: f64 = squares.iter().sum();
            squares.iter().map(|square| square / total).collect::<Vec<f64>>()
        });
        let points = (1..10).map(|tenth| {
            let gamma = f64::from(tenth) / 10.0;
            let hits: Vec<f64> =
                rows.iter().map(|p| p.iter().filter(|p| **p > gamma).sum()).collect();
            point(gamma, &hits)
        });
        Series {
            label: format!("concentration {a}"),
            line: (1..=100).map(|x| f64::from(x) / 100.0).map(|x| (x, share(x))).collect(),
            points: points.collect(),
        }
    };
    vec![case(1), case(2), case(6)]
}

fn survivors(plan: &Plan) -> Vec<Series> {
    let case = |gamma: f64, generation: u64| {
        let last = 60usize;
        let runs = replicates(plan.replicates, |item| {
            let mut stream = Stream::new(plan.seed, "figure-tce-survivors", generation, item);
            let mut q = vec![1.0 / 12.0; 12];
            let mut alive = vec![12.0];
            for _ in 0..last {
                let mut data = vec![0.0; 12];
                (0..20).for_each(|_| data[stream.categorical(&q)] += 0.05);
                q = trained(&data, &q, gamma).unwrap_or(q);
                alive.push(q.iter().filter(|q| **q > 0.0).count() as f64);
            }
            alive
        });
        let points = (0..=last).step_by(4).map(|t| {
            let alive: Vec<f64> = runs.iter().map(|run| run[t]).collect();
            point(t as f64, &alive)
        });
        let kept = floors::survivors(gamma).unwrap_or(f64::NAN);
        Series {
            label: format!("threshold {gamma}"),
            line: vec![(0.0, kept), (last as f64, kept)],
            points: points.collect(),
        }
    };
    vec![case(0.9, 0), case(0.4, 1), case(0.22, 2)]
}
