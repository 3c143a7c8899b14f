//! B1: the Bernoulli chain `P_k = Binomial(n, P_{k−1})/n`.

use super::branching::{K, check, survival};
use crate::gaussian::{entry, finite, input};
use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// `P(P_k ≠ 0)`, by the chain of the count on `0..=n`.
///
/// *Derivation.* The count is a Markov chain with the rows `Binomial(n, i/n)`; extinction is followed
/// backwards. It tends to `p_0` (fixation), not to the branching value 0. *Domain:* `1 ≤ n ≤ 1000`,
/// `0 ≤ p_0 ≤ 1`, `k ≥ 1`, `n²k ≤ 10⁹`. *Source:* derived here. *Guard:* `bernoulli-chain`.
///
/// ```
/// let alive = fortifai_collapse::rates::bernoulli_survival(2, 0.5, 1);
/// assert_eq!(alive, Ok(0.75));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn bernoulli_survival(n: usize, p0: f64, k: usize) -> Result<f64, Refusal> {
    domain(n, p0, k)?;
    require(n <= 1000, "n", n, "n ≤ 1000")?;
    let work = (n * n) as f64 * k as f64;
    require(work <= 1e9, "n²k", work, "n²k ≤ 1e9")?;
    // alive[i] is the probability to be alive after some generations if the count is i.
    let rows: Vec<Vec<f64>> = (0..=n).map(|i| binomial_row(n, i as f64 / n as f64)).collect();
    let expect = |row: &[f64], alive: &[f64]| -> f64 {
        row.iter().zip(alive).map(|(p, alive)| p * alive).sum()
    };
    let mut alive: Vec<f64> = (0..=n).map(|i| if i == 0 { 0.0 } else { 1.0 }).collect();
    for _ in 1..k {
        alive = rows.iter().map(|row| expect(row, &alive)).collect();
    }
    Ok(expect(&binomial_row(n, p0), &alive).min(1.0))
}

/// The probabilities of `Binomial(n, p)`.
fn binomial_row(n: usize, p: f64) -> Vec<f64> {
    let point = |at: usize| (0..=n).map(|i| if i == at { 1.0 } else { 0.0 }).collect();
    if p <= 0.0 {
        return point(0);
    }
    if p >= 1.0 {
        return point(n);
    }
    let (ln_p, ln_q) = (p.ln(), (-p).ln_1p());
    let mut ln_choose = 0.0;
    let term = |j: usize| {
        if j > 0 {
            ln_choose += ((n + 1 - j) as f64 / j as f64).ln();
        }
        (ln_choose + j as f64 * ln_p + (n - j) as f64 * ln_q).exp()
    };
    (0..=n).map(term).collect()
}

/// The bound `P(P_k ≠ 0) ≥ 1 − exp(−n p_0 g_k)`.
///
/// *Domain:* `n ≥ 1`, `0 ≤ p_0 ≤ 1`, `1 ≤ k ≤ 10⁷`. *Source:* Suresh et al. (2024, arXiv 2412.17646).
/// *Guard:* `bernoulli-chain`.
///
/// ```
/// use fortifai_collapse::rates::{bernoulli_survival, suresh_lower};
/// let (truth, bound) = (bernoulli_survival(20, 0.1, 9), suresh_lower(20, 0.1, 9));
/// assert!(truth.expect("n = 20") > bound.expect("n = 20"));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn suresh_lower(n: usize, p0: f64, k: usize) -> Result<f64, Refusal> {
    domain(n, p0, k)?;
    Ok(-(-(n as f64) * p0 * survival(k)?).exp_m1())
}

/// The bound `P(P_k ≠ 0) ≤ 1 − (1 − 3np_0² − 3kp_0) exp(−n p_0 g_k)`.
///
/// *Domain, source, guard:* as [`suresh_lower`].
///
/// ```
/// use fortifai_collapse::rates::{bernoulli_survival, suresh_upper};
/// let (truth, bound) = (bernoulli_survival(20, 0.01, 9), suresh_upper(20, 0.01, 9));
/// assert!(truth.expect("n = 20") < bound.expect("n = 20"));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn suresh_upper(n: usize, p0: f64, k: usize) -> Result<f64, Refusal> {
    let lower = suresh_lower(n, p0, k)?;
    let slack = 3.0 * p0 * (n as f64 * p0 + k as f64);
    Ok(lower + slack * (1.0 - lower))
}

/// `E P_k^r`, by the triangular recursion of the moments.
///
/// *Derivation.* Factorial moments of the binomial law: `E[X(X−1)…(X−j+1) | P] = n(n−1)…(n−j+1) P^j`,
/// so `E[P'^r | P] = n^{−r} Σ_j S(r, j) n(n−1)…(n−j+1) P^j` with Stirling's numbers of the second kind.
/// *Domain:* `n ≥ 1`, `0 ≤ p_0 ≤ 1`, `1 ≤ r ≤ 20`. *Source:* derived here. *Guard:* `bernoulli-chain`.
///
/// ```
/// use fortifai_collapse::rates::bernoulli_moment;
/// assert_eq!(bernoulli_moment(10, 0.25, 7, 1), Ok(0.25));
/// ```
///
/// # Errors
/// Outside the domain.
pub fn bernoulli_moment(n: usize, p0: f64, k: usize, r: usize) -> Result<f64, Refusal> {
    require(n > 0, "n", n, "n ≥ 1")?;
    require((0.0..=1.0).contains(&p0), "p0", p0, "0 ≤ p0 ≤ 1")?;
    require((1..=20).contains(&r), "r", r, "1 ≤ r ≤ 20")?;
    let mut square = moment_map(n, r);
    let mut moments: Vec<f64> = (1..=r).map(|j| p0.powi(j as i32)).collect();
    let mut left = k;
    while left > 0 {
        if left & 1 == 1 {
            let dot = |row: &Vec<f64>| row.iter().zip(&moments).map(|(a, b)| a * b).sum();
            moments = square.iter().map(dot).collect();
        }
        square = product(&square, &square);
        left >>= 1;
    }
    finite(moments[r - 1])
}

/// Row `i`, column `j`: the coefficient of `P^{j+1}` in `E[P'^{i+1} | P]`; its entries are not
/// negative and every row sums to 1.
fn moment_map(n: usize, r: usize) -> Vec<Vec<f64>> {
    let n = n as f64;
    let mut rows = vec![vec![0.0; r]; r];
    // S(i, j) n^{(j)}/n^i = [S(i−1, j−1) n^{(j−1)}/n^{i−1}] (n−j+1)/n + (j/n) S(i−1, j) n^{(j)}/n^{i−1}.
    rows[0][0] = 1.0;
    for i in 1..r {
        for j in 0..=i {
            let stay = rows[i - 1][j] * (j + 1) as f64 / n;
            let step = if j > 0 { rows[i - 1][j - 1] * (n - j as f64) / n } else { 0.0 };
            rows[i][j] = stay + step.max(0.0);
        }
    }
    rows
}

fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let r = a.len();
    let cell = |i: usize, j: usize| (0..r).map(|l| a[i][l] * b[l][j]).sum();
    (0..r).map(|i| (0..r).map(|j| cell(i, j)).collect()).collect()
}

fn domain(n: usize, p0: f64, k: usize) -> Result<(), Refusal> {
    require(n > 0, "n", n, "n ≥ 1")?;
    require((0.0..=1.0).contains(&p0), "p0", p0, "0 ≤ p0 ≤ 1")?;
    check(k)
}

const N: Input = input("n", "samples per generation", "20");
const P0: Input = input("p0", "true probability", "0.1");
const R: Input = input("r", "power", "2");

fn chain(inputs: &Inputs) -> Result<(usize, f64, usize), Refusal> {
    Ok((inputs.count("n")?, inputs.number("p0")?, inputs.count("k")?))
}

/// An entry of this section.
const fn bernoulli(
    formula: &'static str,
    name: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    Entry {
        digits: Digits::Special,
        domain: "n ≥ 1, 0 ≤ p0 ≤ 1",
        ..entry("B1", formula, name, inputs, value)
    }
}

/// The entries of this section.
pub const ENTRIES: &[Entry] = &[
    Entry {
        domain: "1 ≤ n ≤ 1000, 0 ≤ p0 ≤ 1, n^2 k ≤ 1e9",
        ..bernoulli(
            "P(P_k != 0), exact from the chain of the count",
            "probability that the event still occurs",
            &[N, P0, K],
            |i| chain(i).and_then(|(n, p0, k)| bernoulli_survival(n, p0, k)),
        )
    },
    Entry {
        kind: Kind::Bound,
        source: "Suresh et al. (arXiv 2412.17646)",
        ..bernoulli(
            "P(P_k != 0) >= 1-exp(-n p0 g_k)",
            "lower bound of the survival",
            &[N, P0, K],
            |i| chain(i).and_then(|(n, p0, k)| suresh_lower(n, p0, k)),
        )
    },
    Entry {
        kind: Kind::Bound,
        source: "Suresh et al. (arXiv 2412.17646)",
        ..bernoulli(
            "P(P_k != 0) <= 1-(1-3 n p0^2-3 k p0) exp(-n p0 g_k)",
            "upper bound of the survival",
            &[N, P0, K],
            |i| chain(i).and_then(|(n, p0, k)| suresh_upper(n, p0, k)),
        )
    },
    bernoulli(
        "E P_k^r, triangular recursion of the moments",
        "moment of the fitted probability",
        &[N, P0, K, R],
        |i| {
            let (n, p0, k) = chain(i)?;
            bernoulli_moment(n, p0, k, i.count("r")?)
        },
    ),
];
