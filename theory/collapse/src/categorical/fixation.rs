//! N6, N7: the time to total collapse, and how long two tokens both stay alive.

use super::chain::{Chain, LARGEST};
use super::given::{LAW, MASS, N, T, check_law, check_mass, check_samples, remaining};
use crate::prediction::{Digits, Entry, Kind};
use crate::refusal::{Refusal, require};

/// `E[T_collapse] = Σ_i E[T; i takes over]` in generations, for any number of tokens.
///
/// *Derivation.* From the count `k`, `g_k = E[T; i fixes]` satisfies `(I − Q) g = h` with `Q` the
/// interior of the chain and `h_k = k/n` (the probability of fixation). From the mass `q`:
/// `q + Σ_k Bin(n, q)_k g_k`.
///
/// Domain: `n ≤ 2000` (a linear solve); a law that is already on one token has collapsed at 0.
/// Source: Kimura and Ohta 1969 for the diffusion; own sum. Guard: `categorical-fixation`.
///
/// ```
/// // Two tokens, one sample: the first generation decides.
/// let time = fortifai_collapse::categorical::fixation::expected_collapse(&[0.5, 0.5], 1)?;
/// assert!((time - 1.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law, or `n` is zero or larger than 2000.
pub fn expected_collapse(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    if p.iter().filter(|&&p| p > 0.0).count() <= 1 {
        check_samples(n)?;
        return Ok(0.0);
    }
    let times = Times::new(n)?;
    let fixing = times.solve(|k| k as f64 / n as f64);
    Ok(p.iter().map(|&q| q + times.chain.first_generation(q, &fixing)).sum())
}

/// `E[T; token i takes over]`, the time times the event that it is this token, from its mass.
///
/// Derivation, domain, source, guard: as [`expected_collapse`], of which it is one term.
///
/// ```
/// use fortifai_collapse::categorical::fixation::expected_time_of_takeover;
/// // One sample decides in one generation, for this token with its probability.
/// assert!((expected_time_of_takeover(0.3, 1)? - 0.3).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`expected_collapse`].
pub fn expected_time_of_takeover(p: f64, n: usize) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    if p == 0.0 || p == 1.0 {
        check_samples(n)?;
        return Ok(0.0);
    }
    let times = Times::new(n)?;
    let fixing = times.solve(|k| k as f64 / n as f64);
    Ok(p + times.chain.first_generation(p, &fixing))
}

/// `E T_collapse²` for two tokens.
///
/// *Derivation.* With `τ = E T` from each interior count, `s = E T²` satisfies
/// `(I − Q) s = 2 τ − 1`; from the mass, `1 + Σ_k Bin(n, p)_k (2 τ_k + s_k)`. Guard:
/// `categorical-fixation`.
///
/// ```
/// use fortifai_collapse::categorical::fixation::expected_square_of_collapse;
/// // With two samples each generation decides with 1/2: (2 − 1/2)/(1/2)².
/// assert!((expected_square_of_collapse(0.5, 2)? - 6.0).abs() < 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`expected_collapse`].
pub fn expected_square_of_collapse(p: f64, n: usize) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    if p == 0.0 || p == 1.0 {
        check_samples(n)?;
        return Ok(0.0);
    }
    let times = Times::new(n)?;
    let mean = times.solve(|_| 1.0);
    let square = times.solve(|k| 2.0 * mean[k] - 1.0);
    let both: Vec<f64> =
        mean.iter().zip(&square).map(|(mean, square)| 2.0 * mean + square).collect();
    Ok(1.0 + times.chain.first_generation(p, &both))
}

/// `P(token i takes over) = p_i(0)`, whatever `n`.
///
/// *Derivation.* `p_i` is a bounded martingale that ends at 0 or 1. Guard:
/// `categorical-fixation`.
///
/// ```
/// use fortifai_collapse::categorical::fixation::takeover;
/// // A rare token wins as often as it is drawn.
/// assert!((takeover(0.3)? - 0.3).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no probability.
pub fn takeover(p: f64) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    Ok(p)
}

/// `E T ≈ −2n Σ (1 − p_i) ln(1 − p_i)` generations, the diffusion limit.
///
/// *Derivation.* Kimura and Ohta's time to fixation of a token of mass `p` is
/// `−2n (1 − p) ln(1 − p)/p` given that it fixes. The value is 2 to 3 generations too high.
/// Source: Kimura and Ohta 1969; own sum over tokens. Guard: `categorical-fixation`.
///
/// ```
/// use fortifai_collapse::categorical::fixation::diffusion_collapse;
/// // Two equal tokens last for 2n ln 2 generations.
/// assert!((diffusion_collapse(&[0.5, 0.5], 100)? - 200.0 * 2f64.ln()).abs() < 1e-12);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn diffusion_collapse(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    let term = |&p: &f64| if p < 1.0 { (1.0 - p) * (-p).ln_1p() } else { 0.0 };
    Ok(-2.0 * n as f64 * p.iter().map(term).sum::<f64>())
}

/// `P(both of two tokens are alive at t)`, exact, from the chain.
///
/// Guard: `categorical-fixation`.
///
/// ```
/// use fortifai_collapse::categorical::fixation::mixed;
/// // With two samples both stay alive half of the time.
/// assert!((mixed(0.5, 2, 3)? - 0.125).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`expected_collapse`].
pub fn mixed(p: f64, n: usize, t: usize) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    check_samples(n)?;
    if t == 0 || p == 0.0 || p == 1.0 {
        return Ok(f64::from(u8::from(p > 0.0 && p < 1.0)));
    }
    let chain = Chain::new(n)?;
    let inside: Vec<f64> = (0..=n).map(|k| f64::from(u8::from(k > 0 && k < n))).collect();
    Ok(chain.first_generation(p, &chain.carried_back(&inside, t - 1)?))
}

/// `P(both alive at t) ≈ 6 p (1 − p)(1 − 1/n)^t`.
///
/// *Derivation.* The quasi-stationary law is close to uniform, under which `2x(1 − x)` is 1/3 on
/// average, so `P = E H_t/(1/3)`. Holds for `t` beyond about `n`. Guard: `categorical-fixation`.
///
/// ```
/// use fortifai_collapse::categorical::fixation::{mixed, mixed_late};
/// // Twice n generations on, 7 % above the exact value: the law is less even than assumed.
/// let ratio = mixed_late(0.5, 20, 40)? / mixed(0.5, 20, 40)?;
/// assert!(ratio > 1.0 && ratio < 1.0 + 1.5 / 20.0);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no probability or `n` is zero.
pub fn mixed_late(p: f64, n: usize, t: usize) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    check_samples(n)?;
    Ok(6.0 * p * (1.0 - p) * remaining(1.0 / n as f64, t as f64))
}

/// `P(both alive at t) ≥ 4 p (1 − p)(1 − 1/n)^t`.
///
/// *Derivation.* `H = 2x(1 − x)` is at most 1/2 while both are alive. Guard:
/// `categorical-fixation`.
///
/// ```
/// use fortifai_collapse::categorical::fixation::mixed_at_least;
/// // Attained by two samples, where both stay alive half of the time.
/// assert!((mixed_at_least(0.5, 2, 3)? - 0.125).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no probability or `n` is zero.
pub fn mixed_at_least(p: f64, n: usize, t: usize) -> Result<f64, Refusal> {
    Ok(mixed_late(p, n, t)? * (2.0 / 3.0))
}

/// `P(both alive at t) ≤ n p (1 − p)(1 − 1/n)^(t−1)` for `t ≥ 1`.
///
/// *Derivation.* `x(1 − x)` is at least `(n − 1)/n²` while both are alive. Half of the bound with
/// `2 n p (1 − p)`. Guard: `categorical-fixation`.
///
/// ```
/// use fortifai_collapse::categorical::fixation::mixed_at_most;
/// // Attained by two samples, where both stay alive half of the time.
/// assert!((mixed_at_most(0.5, 2, 3)? - 0.125).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no probability or `n` or `t` is zero.
pub fn mixed_at_most(p: f64, n: usize, t: usize) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    check_samples(n)?;
    require(t >= 1, "t", t, "t ≥ 1")?;
    Ok(n as f64 * p * (1.0 - p) * remaining(1.0 / n as f64, (t - 1) as f64))
}

/// The system `I − Q` of the interior counts `1..n`, factored.
///
/// The rows of `Q` are binomial, so that all but some `√n` of a row's entries are below 1e-40 and
/// left out: Gauss's elimination inside the band takes `n²` steps instead of `n³`. `I − Q` is an
/// M-matrix whose rows are dominated by their diagonal, which needs no pivots.
struct Times {
    chain: Chain,
    rows: Vec<Row>,
}

/// A row of `L` (below the diagonal) and `U`, from the column `start` on.
struct Row {
    start: usize,
    values: Vec<f64>,
}

impl Row {
    fn end(&self) -> usize {
        self.start + self.values.len()
    }

    /// The entries of the columns from `from` on.
    fn from(&self, from: usize) -> &[f64] {
        &self.values[from - self.start..]
    }
}

impl Times {
    fn new(n: usize) -> Result<Self, Refusal> {
        require(n <= LARGEST, "n", n, &format!("n ≤ {LARGEST} (a linear solve)"))?;
        let chain = Chain::new(n)?;
        let mut rows: Vec<Row> = Vec::with_capacity(n - 1);
        for i in 0..n - 1 {
            let (start, end) = chain.visible(i + 1);
            // Without the two ends of the chain; with the diagonal.
            let (start, end) = ((start.max(1) - 1).min(i), (end - 1).clamp(i + 1, n - 1));
            let entry = |j: usize| f64::from(u8::from(i == j)) - chain.probability(i + 1, j + 1);
            let mut row = Row { start, values: (start..end).map(entry).collect() };
            for (k, pivot) in rows.iter().enumerate().skip(start) {
                if row.end() < pivot.end() {
                    row.values.resize(pivot.end() - start, 0.0);
                }
                let factor = row.values[k - start] / pivot.from(k)[0];
                row.values[k - start] = factor;
                let rest = &mut row.values[k + 1 - start..];
                rest.iter_mut().zip(pivot.from(k + 1)).for_each(|(x, u)| *x -= factor * u);
            }
            rows.push(row);
        }
        Ok(Self { chain, rows })
    }

    /// `(I − Q)^{-1} h`, with zeros at the two ends.
    fn solve(&self, h: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut solved = vec![0.0; self.rows.len() + 2];
        // The count i + 1 belongs to the row i.
        for (i, row) in self.rows.iter().enumerate() {
            let below = row.values.iter().zip(&solved[row.start + 1..=i]);
            solved[i + 1] = h(i + 1) - below.map(|(l, y)| l * y).sum::<f64>();
        }
        for (i, row) in self.rows.iter().enumerate().rev() {
            let above = row.from(i + 1).iter().zip(&solved[i + 2..]);
            let rest = above.map(|(u, x)| u * x).sum::<f64>();
            solved[i + 1] = (solved[i + 1] - rest) / row.from(i)[0];
        }
        solved
    }
}

/// The entries of N6 and N7.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N6",
        name: "expected generations to total collapse, two tokens",
        formula: "E T_collapse K=2",
        kind: Kind::Exact,
        source: "linear solve on the chain of counts",
        domain: "n ≤ 2000, p the probability of one of the two tokens",
        digits: Digits::Special,
        inputs: &[N, MASS],
        value: |x| {
            let p = x.number("p")?;
            check_mass("p", p)?;
            expected_collapse(&[p, 1.0 - p], x.count("n")?)
        },
    },
    Entry {
        id: "N6",
        name: "expected generations to total collapse",
        formula: "E T_collapse K=3",
        kind: Kind::Exact,
        source: "linear solve on the chain of counts, summed over tokens",
        domain: "n ≤ 2000, any number of tokens",
        digits: Digits::Special,
        inputs: &[N, LAW],
        value: |x| expected_collapse(x.law("p")?, x.count("n")?),
    },
    Entry {
        id: "N6",
        name: "generations to collapse, counted where one token takes over",
        formula: "E[T_collapse; token takes over]",
        kind: Kind::Exact,
        source: "linear solve on the chain of counts",
        domain: "n ≤ 2000",
        digits: Digits::Special,
        inputs: &[N, MASS],
        value: |x| expected_time_of_takeover(x.number("p")?, x.count("n")?),
    },
    Entry {
        id: "N6",
        name: "expected squared generations to total collapse, two tokens",
        formula: "E T_collapse^2 K=2",
        kind: Kind::Exact,
        source: "fundamental matrix of the chain of counts",
        domain: "n ≤ 2000, p the probability of one of the two tokens",
        digits: Digits::Special,
        inputs: &[N, MASS],
        value: |x| expected_square_of_collapse(x.number("p")?, x.count("n")?),
    },
    Entry {
        id: "N6",
        name: "probability that a token takes over",
        formula: "P(token takes over)=p(0)",
        kind: Kind::Exact,
        source: "bounded martingale",
        domain: "0 ≤ p ≤ 1",
        digits: Digits::Elementary,
        inputs: &[MASS],
        value: |x| takeover(x.number("p")?),
    },
    Entry {
        id: "N6",
        name: "generations to total collapse, diffusion limit",
        formula: "diffusion -2n sum(1-p)ln(1-p)",
        kind: Kind::Asymptotic,
        source: "Kimura and Ohta 1969; own sum over tokens",
        domain: "n ≫ 1; 2 to 3 generations too high",
        digits: Digits::Elementary,
        inputs: &[N, LAW],
        value: |x| diffusion_collapse(x.law("p")?, x.count("n")?),
    },
    Entry {
        id: "N7",
        name: "probability that two tokens are both alive at generation t",
        formula: "P(mixed at t), K=2",
        kind: Kind::Exact,
        source: "lumped Wright-Fisher chain",
        domain: "n ≤ 2000",
        digits: Digits::Special,
        inputs: &[MASS, N, T],
        value: |x| mixed(x.number("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N7",
        name: "late probability that two tokens are both alive",
        formula: "P(mixed at t), K=2 ~ 6p(1-p)(1-1/n)^t",
        kind: Kind::Asymptotic,
        source: "derived here from the nearly uniform quasi-stationary law",
        domain: "t beyond about n",
        digits: Digits::Elementary,
        inputs: &[MASS, N, T],
        value: |x| mixed_late(x.number("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N7",
        name: "lower bound on the probability that two tokens are both alive",
        formula: "P(mixed at t), K=2 >= 4p(1-p)(1-1/n)^t",
        kind: Kind::Bound,
        source: "derived here from N1",
        domain: "n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[MASS, N, T],
        value: |x| mixed_at_least(x.number("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N7",
        name: "upper bound on the probability that two tokens are both alive",
        formula: "P(mixed at t), K=2 <= n p(1-p)(1-1/n)^(t-1)",
        kind: Kind::Bound,
        source: "derived here from N1",
        domain: "n ≥ 1, t ≥ 1",
        digits: Digits::Elementary,
        inputs: &[MASS, N, T],
        value: |x| mixed_at_most(x.number("p")?, x.count("n")?, x.count("t")?),
    },
];
