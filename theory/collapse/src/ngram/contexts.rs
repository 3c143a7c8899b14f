//! N14: an n-gram model's contexts.

use crate::binomial;
use crate::categorical::given::{
    LAW, N, T, check_law, check_mass, check_samples, input, remaining,
};
use crate::categorical::moments;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::{Refusal, require};

/// `E H_c(t) = H_c (1 − 1/n_c)^t` of a context that is prompted `n_c` times per generation.
///
/// *Derivation.* Contexts with fixed numbers of draws are independent Wright–Fisher chains, so N1
/// to N7 hold per context. Source: derived here. Guard: `ngram-stack`.
///
/// ```
/// let left = fortifai_collapse::ngram::contexts::stacked(&[0.5, 0.5], 2, 1)?;
/// assert!((left - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn stacked(p: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    moments::expected_heterozygosity(p, n, t)
}

/// `1 − E[1{N>0}/N]` for `N ~ Binomial(n, π)`: what a context keeps of its heterozygosity in one
/// generation when `n` prompts find it with probability `π` each and an unvisited one keeps its
/// law.
///
/// *Derivation.* Given `N > 0` visits the factor is `1 − 1/N`, without a visit 1; summed as
/// `P(0) + Σ_{k>0} P(k)(1 − 1/k)`, without cancellation, over the counts near the mode.
///
/// Domain: any `n`, at a cost of `√n`. Source: derived here. Guard: `ngram-random-contexts`.
///
/// ```
/// use fortifai_collapse::ngram::contexts::kept_at_random;
/// // One prompt: a visit leaves a single token, else all is kept.
/// assert!((kept_at_random(1, 0.3)? - 0.7).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `pi` is no probability or `n` is zero.
pub fn kept_at_random(n: usize, pi: f64) -> Result<f64, Refusal> {
    check_mass("pi", pi)?;
    check_samples(n)?;
    let kept = |k: usize| if k == 0 { 1.0 } else { (k - 1) as f64 / k as f64 };
    Ok(binomial::expectation(n, pi, kept))
}

/// `E H_c(t)/H_c(0) = (1 − E[1{N>0}/N])^t` under random prompts with fixed shares; see
/// [`kept_at_random`].
///
/// *Derivation.* The visits of each generation are independent of the law. Guard:
/// `ngram-random-contexts`.
///
/// ```
/// use fortifai_collapse::ngram::contexts::kept_at_random_by;
/// // One prompt: all is kept as long as there is no visit.
/// assert!((kept_at_random_by(1, 0.3, 2)? - 0.49).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`kept_at_random`].
pub fn kept_at_random_by(n: usize, pi: f64, t: usize) -> Result<f64, Refusal> {
    check_mass("pi", pi)?;
    check_samples(n)?;
    let lost = binomial::expectation(n, pi, |k| if k == 0 { 0.0 } else { 1.0 / k as f64 });
    Ok(if lost >= 1.0 { f64::from(u8::from(t == 0)) } else { remaining(lost, t as f64) })
}

/// `E[1{N>0}/N] ≈ (1/(nπ))(1 + (1 − π)/(nπ))`.
///
/// *Derivation.* Taylor expansion of `1/N` about its mean; the next term is of order `(nπ)^{−3}`.
/// Guard: `ngram-random-contexts`.
///
/// ```
/// use fortifai_collapse::ngram::contexts::{kept_at_random, lost_at_random};
/// // (1 + 0.5/50)/50; the exact loss is 6e-6 above it, of the order of 50⁻³.
/// assert!((lost_at_random(100, 0.5)? - 0.0202).abs() < 1e-15);
/// assert!((1.0 - kept_at_random(100, 0.5)? - 0.0202).abs() < 1e-5);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`kept_at_random`], or if `pi` is zero.
pub fn lost_at_random(n: usize, pi: f64) -> Result<f64, Refusal> {
    check_mass("pi", pi)?;
    check_samples(n)?;
    require(pi > 0.0, "pi", pi, "pi > 0")?;
    let visits = n as f64 * pi;
    Ok((1.0 + (1.0 - pi) / visits) / visits)
}

/// `E N_c = Σ_{s<L} (e_start P^s)_c`: how often a path of `length` tokens draws in the context.
/// `transitions` holds the rows of `P` one after another.
///
/// *Derivation.* The path is a Markov chain on contexts. Guard: `ngram-path`.
///
/// ```
/// use fortifai_collapse::ngram::contexts::expected_visits;
/// // Two contexts in turn: the first, third and fifth of five draws.
/// assert!((expected_visits(&[0.0, 1.0, 1.0, 0.0], 0, 0, 5)? - 3.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `transitions` is not square, a row is no law, a context does not exist, or `K² L > 10¹⁰`.
pub fn expected_visits(
    transitions: &[f64],
    start: usize,
    context: usize,
    length: usize,
) -> Result<f64, Refusal> {
    let k = square(transitions)?;
    require(start < k, "start", start, &format!("a context below {k}"))?;
    require(context < k, "c", context, &format!("a context below {k}"))?;
    let work = (k * k) as f64 * length as f64;
    require(work <= 1e10, "K^2 L", work, "K^2 L ≤ 1e10 (the chain is run)")?;
    let mut law = vec![0.0; k];
    law[start] = 1.0;
    let mut visits = 0.0;
    for _ in 0..length {
        visits += law[context];
        let mut next = vec![0.0; k];
        for (mass, row) in law.iter().zip(transitions.chunks_exact(k)) {
            next.iter_mut().zip(row).for_each(|(next, p)| *next += mass * p);
        }
        law = next;
    }
    Ok(visits)
}

/// `E[(C_cj − N_c P_cj)²] = P_cj (1 − P_cj) E N_c` along one path, where `C_cj` counts the draws of
/// `j` in the context `c` and `N_c` all draws there.
///
/// *Derivation.* `C_cj − N_c P_cj` is a sum of martingale differences, one per visit, each of
/// variance `P(1 − P)`; `C_cj/N_c` itself is biased, since counts and visits depend on each
/// other. Guard: `ngram-path`.
///
/// ```
/// use fortifai_collapse::ngram::contexts::variance_along_path;
/// // One visit is expected, after none, a half and a half: one toss.
/// assert!((variance_along_path(&[0.5; 4], 0, 1, 0, 3)? - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`expected_visits`], or if the token does not exist.
pub fn variance_along_path(
    transitions: &[f64],
    start: usize,
    context: usize,
    token: usize,
    length: usize,
) -> Result<f64, Refusal> {
    let visits = expected_visits(transitions, start, context, length)?;
    let k = square(transitions)?;
    require(token < k, "j", token, &format!("a token below {k}"))?;
    let p = transitions[context * k + token];
    Ok(p * (1.0 - p) * visits)
}

/// `E[(C_cj − N_c P_cj)(C_ci − N_c P_ci)] = −P_cj P_ci E N_c` for two tokens of one context; for
/// different contexts the expectation is 0.
///
/// Guard: `ngram-path`.
///
/// ```
/// use fortifai_collapse::ngram::contexts::covariance_along_path;
/// // One visit is expected, after none, a half and a half: one toss, two faces.
/// assert!((covariance_along_path(&[0.5; 4], 0, 1, (0, 1), 3)? - (-0.25)).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`variance_along_path`].
pub fn covariance_along_path(
    transitions: &[f64],
    start: usize,
    context: usize,
    tokens: (usize, usize),
    length: usize,
) -> Result<f64, Refusal> {
    let visits = expected_visits(transitions, start, context, length)?;
    let k = square(transitions)?;
    require(tokens.0 < k, "j", tokens.0, &format!("a token below {k}"))?;
    require(tokens.1 < k, "i", tokens.1, &format!("a token below {k}"))?;
    require(tokens.0 != tokens.1, "i", tokens.1, "a token other than j")?;
    Ok(-transitions[context * k + tokens.0] * transitions[context * k + tokens.1] * visits)
}

/// `E Σ_cj (C_cj − N_c P_cj)²/(P_cj E N_c) = K (K − 1)` for `K` contexts with `K` tokens of
/// positive probability each.
///
/// *Derivation.* [`variance_along_path`], summed: each context gives `K − 1`. Guard: `ngram-path`.
///
/// ```
/// use fortifai_collapse::ngram::contexts::chi_square_along_path;
/// // Three contexts with two degrees of freedom each.
/// assert!((chi_square_along_path(3)? - 6.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `k` is zero.
pub fn chi_square_along_path(k: usize) -> Result<f64, Refusal> {
    require(k >= 1, "K", k, "K ≥ 1")?;
    Ok(k as f64 * (k as f64 - 1.0))
}

/// The number of contexts of a square matrix whose rows are laws.
fn square(transitions: &[f64]) -> Result<usize, Refusal> {
    let k = (transitions.len() as f64).sqrt().round() as usize;
    require(
        k >= 1 && k * k == transitions.len(),
        "the length of P",
        transitions.len(),
        "K² numbers, row after row",
    )?;
    transitions.chunks_exact(k).try_for_each(|row| check_law("a row of P", row))?;
    Ok(k)
}

const VISITED: Input = input("pi", "share of the prompts that find the context", "0.15");
const ROWS: Input =
    input("P", "transition matrix, row after row", "[0.5, 0.3, 0.2, 0.2, 0.6, 0.2, 0.3, 0.3, 0.4]");
const START: Input = input("start", "the first context, counted from 0", "0");
const CONTEXT: Input = input("c", "the context, counted from 0", "1");
const TOKEN: Input = input("j", "the token, counted from 0", "2");
const LENGTH: Input = input("L", "tokens of the path", "40");
const OWN: &str = "derived here";

/// The entries of N14.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N14",
        name: "expected heterozygosity of a context with a fixed number of prompts",
        formula: "stack E H_c(t)=H_c (1-1/n_c)^t",
        kind: Kind::Exact,
        source: OWN,
        domain: "n prompts of the context per generation, n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[LAW, N, T],
        value: |x| stacked(x.law("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N14",
        name: "share of a context's heterozygosity kept in one generation, random prompts",
        formula: "1-E[1{N>0}/N], N~Bin",
        kind: Kind::Exact,
        source: OWN,
        domain: "n ≥ 1, 0 ≤ pi ≤ 1; a context that is not visited keeps its law",
        digits: Digits::Special,
        inputs: &[N, VISITED],
        value: |x| kept_at_random(x.count("n")?, x.number("pi")?),
    },
    Entry {
        id: "N14",
        name: "share of a context's heterozygosity kept after t generations, random prompts",
        formula: "E H_c(t)/H_c(0)=(1-E[1{N>0}/N])^t, N~Bin",
        kind: Kind::Exact,
        source: OWN,
        domain: "n ≥ 1, 0 ≤ pi ≤ 1, the same in every generation",
        digits: Digits::Special,
        inputs: &[N, VISITED, T],
        value: |x| kept_at_random_by(x.count("n")?, x.number("pi")?, x.count("t")?),
    },
    Entry {
        id: "N14",
        name: "share of a context's heterozygosity lost in one generation, many random prompts",
        formula: "E[1{N>0}/N] ~ (1/(n pi))(1+(1-pi)/(n pi))",
        kind: Kind::Asymptotic,
        source: OWN,
        domain: "n pi ≫ 1",
        digits: Digits::Elementary,
        inputs: &[N, VISITED],
        value: |x| lost_at_random(x.count("n")?, x.number("pi")?),
    },
    Entry {
        id: "N14",
        name: "expected visits of a context by one path",
        formula: "E N_c=sum_{s<L}(e_0 P^s)_c",
        kind: Kind::Exact,
        source: OWN,
        domain: "rows of P are laws, K^2 L ≤ 1e10",
        digits: Digits::Elementary,
        inputs: &[ROWS, START, CONTEXT, LENGTH],
        value: |x| expected_visits(x.list("P")?, x.count("start")?, x.count("c")?, x.count("L")?),
    },
    Entry {
        id: "N14",
        name: "variance of a context's count of one token about its visits, one path",
        formula: "E(C_cj-N_c P_cj)^2=P_cj(1-P_cj) E N_c",
        kind: Kind::Exact,
        source: OWN,
        domain: "rows of P are laws, K^2 L ≤ 1e10",
        digits: Digits::Elementary,
        inputs: &[ROWS, START, CONTEXT, TOKEN, LENGTH],
        value: |x| {
            let (start, context) = (x.count("start")?, x.count("c")?);
            variance_along_path(x.list("P")?, start, context, x.count("j")?, x.count("L")?)
        },
    },
    Entry {
        id: "N14",
        name: "covariance of a context's counts of two tokens about its visits, one path",
        formula: "E(C_cj-N_c P_cj)(C_ci-N_c P_ci)=-P_cj P_ci E N_c",
        kind: Kind::Exact,
        source: OWN,
        domain: "i ≠ j, rows of P are laws, K^2 L ≤ 1e10",
        digits: Digits::Elementary,
        inputs: &[
            ROWS,
            START,
            CONTEXT,
            TOKEN,
            input("i", "another token, counted from 0", "0"),
            LENGTH,
        ],
        value: |x| {
            let (start, context) = (x.count("start")?, x.count("c")?);
            let tokens = (x.count("j")?, x.count("i")?);
            covariance_along_path(x.list("P")?, start, context, tokens, x.count("L")?)
        },
    },
    Entry {
        id: "N14",
        name: "expected chi-square of all counts about their visits, one path",
        formula: "E sum_cj (C-NP)^2/(P_cj E N_c)=K(K-1)",
        kind: Kind::Exact,
        source: OWN,
        domain: "every transition possible",
        digits: Digits::Elementary,
        inputs: &[crate::categorical::given::K],
        value: |x| chi_square_along_path(x.count("K")?),
    },
];
