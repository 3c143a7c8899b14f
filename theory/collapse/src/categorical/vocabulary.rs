//! N3, N4: how many tokens are seen in one generation, and how many are left after many.

use super::chain::Chain;
use super::given::{LAW, MASS, N, T, check_law, check_mass, check_samples, gone, input, remaining};
use crate::prediction::{Digits, Entry, Kind};
use crate::refusal::{Refusal, require};

/// More tokens than this would make the sum over pairs take longer than a minute.
const MOST_PAIRED: usize = 20_000;

/// More tokens than this would make the sum over sets take longer than a second.
const MOST_SETS: usize = 20;

/// The expected number of distinct tokens among `n` samples, `Σ 1 − (1 − p_i)^n`.
///
/// *Derivation.* Linearity of expectation. Guard: `categorical-vocabulary`.
///
/// ```
/// // One sample is always one token.
/// let distinct = fortifai_collapse::categorical::vocabulary::expected_distinct(&[0.7, 0.3], 1)?;
/// assert!((distinct - 1.0).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn expected_distinct(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    Ok(p.iter().map(|&p| gone(p, n as f64)).sum())
}

/// The variance of the number of distinct tokens among `n` samples,
/// `Σ q_i(1 − q_i) + Σ_{i≠j} [(1 − p_i − p_j)^n − q_i q_j]` with `q_i = (1 − p_i)^n`.
///
/// *Derivation.* Indicators of absence; two tokens are absent together with probability
/// `(1 − p_i − p_j)^n`. The bracket is `q_i q_j [(1 − p_i p_j/((1−p_i)(1−p_j)))^n − 1]`, which has
/// no cancellation. Guard: `categorical-vocabulary`.
///
/// ```
/// use fortifai_collapse::categorical::vocabulary::variance_of_distinct;
/// // Two samples of two equal tokens show one token or two, equally often.
/// assert!((variance_of_distinct(&[0.5, 0.5], 2)? - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law, has more than 20,000 tokens, or `n` is zero.
pub fn variance_of_distinct(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    require(p.len() <= MOST_PAIRED, "the number of tokens", p.len(), "at most 20000")?;
    let size = n as f64;
    let absent: Vec<f64> = p.iter().map(|&p| remaining(p, size)).collect();
    let mut variance = 0.0;
    for (i, (&p_i, &q_i)) in p.iter().zip(&absent).enumerate() {
        variance += q_i * gone(p_i, size);
        for (&p_j, &q_j) in p[..i].iter().zip(&absent) {
            let both = q_i * q_j;
            if both > 0.0 {
                let overlap = (p_i * p_j / ((1.0 - p_i) * (1.0 - p_j))).min(1.0);
                variance -= 2.0 * both * gone(overlap, size);
            }
        }
    }
    Ok(variance.max(0.0))
}

/// The expected probability of the tokens that `n` samples miss, `Σ p_i (1 − p_i)^n`.
///
/// *Derivation.* Linearity of expectation. Source: Good 1953. Guard: `categorical-vocabulary`.
///
/// ```
/// use fortifai_collapse::categorical::vocabulary::expected_missing_mass;
/// // Two samples of two equal tokens miss one of them half of the time.
/// assert!((expected_missing_mass(&[0.5, 0.5], 2)? - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no law or `n` is zero.
pub fn expected_missing_mass(p: &[f64], n: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    check_samples(n)?;
    Ok(p.iter().map(|&p| p * remaining(p, n as f64)).sum())
}

/// Extinction by generation `t` for tokens of any mass, from one pass over the chain.
struct Extinction {
    n: usize,
    t: usize,
    /// The chain and the probability of extinction in `t − 1` more generations from each count;
    /// not needed before the second generation.
    later: Option<(Chain, Vec<f64>)>,
}

impl Extinction {
    fn by(n: usize, t: usize) -> Result<Self, Refusal> {
        check_samples(n)?;
        if t <= 1 {
            return Ok(Self { n, t, later: None });
        }
        let chain = Chain::new(n)?;
        let mut extinct = vec![0.0; n + 1];
        extinct[0] = 1.0;
        let by_count = chain.carried_back(&extinct, t - 1)?;
        Ok(Self { n, t, later: Some((chain, by_count)) })
    }

    fn of(&self, p: f64) -> f64 {
        let p = p.clamp(0.0, 1.0);
        match &self.later {
            None if self.t == 0 => f64::from(u8::from(p == 0.0)),
            None => remaining(p, self.n as f64),
            Some(_) if p == 0.0 => 1.0,
            Some((chain, by_count)) => chain.first_generation(p, by_count),
        }
    }

    /// `1 − ext(p)` without cancellation at small `p`.
    fn survival(&self, p: f64) -> f64 {
        match &self.later {
            None if self.t == 0 => f64::from(u8::from(p > 0.0)),
            None => gone(p.clamp(0.0, 1.0), self.n as f64),
            Some((chain, by_count)) => {
                let alive: Vec<f64> = by_count.iter().map(|extinct| 1.0 - extinct).collect();
                chain.first_generation(p.clamp(0.0, 1.0), &alive)
            }
        }
    }
}

/// `P(a token of mass p is extinct by t) = [Bin(n, p) P^{t−1}]_0`.
///
/// *Derivation.* All other tokens merge into one, so the count is a chain on `n + 1` states.
///
/// Domain: `n ≤ 2000` for `t ≥ 2`, any `t`. Source: own use of lumping. Guard:
/// `categorical-vocabulary`.
///
/// ```
/// use fortifai_collapse::categorical::vocabulary::extinct_by;
/// // Missed at once with 1/4; else one of two is left with 1/2 and then missed with 1/4.
/// assert!((extinct_by(0.5, 2, 2)? - 0.375).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// If `p` is no probability, `n` is zero, or the chain is too large.
pub fn extinct_by(p: f64, n: usize, t: usize) -> Result<f64, Refusal> {
    check_mass("p", p)?;
    Ok(Extinction::by(n, t)?.of(p))
}

/// The expected number of tokens alive at `t`, `Σ 1 − ext(p_i, t)`.
///
/// *Derivation.* Linearity of expectation. Domain, source, guard: as [`extinct_by`].
///
/// ```
/// use fortifai_collapse::categorical::vocabulary::expected_survivors;
/// // Two tokens, each extinct with 3/8.
/// assert!((expected_survivors(&[0.5, 0.5], 2, 2)? - 1.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`extinct_by`].
pub fn expected_survivors(p: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    let extinction = Extinction::by(n, t)?;
    Ok(p.iter().map(|&p| extinction.survival(p)).sum())
}

/// The variance of the number of tokens alive at `t`:
/// `Σ_ij ext(p_i + p_j) − ext(p_i) ext(p_j)`, on the diagonal `ext(p_i)(1 − ext(p_i))`.
///
/// *Derivation.* Two tokens are extinct together when their merged token is. Guard:
/// `categorical-vocabulary`.
///
/// ```
/// use fortifai_collapse::categorical::vocabulary::variance_of_survivors;
/// // Two are alive with 1/4, else one: the variance of a coin.
/// assert!((variance_of_survivors(&[0.5, 0.5], 2, 2)? - 0.1875).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`extinct_by`], or for more than 2000 tokens.
pub fn variance_of_survivors(p: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    if t == 1 {
        return variance_of_distinct(p, n);
    }
    require(p.len() <= 2000, "the number of tokens", p.len(), "at most 2000")?;
    let extinction = Extinction::by(n, t)?;
    let extinct: Vec<f64> = p.iter().map(|&p| extinction.of(p)).collect();
    let mut variance = 0.0;
    for (i, (&p_i, &e_i)) in p.iter().zip(&extinct).enumerate() {
        variance += e_i * (1.0 - e_i);
        for (&p_j, &e_j) in p[..i].iter().zip(&extinct) {
            variance += 2.0 * (extinction.of(p_i + p_j) - e_i * e_j);
        }
    }
    Ok(variance.max(0.0))
}

/// `P(exactly m tokens are alive at t)`, by inclusion and exclusion over the sets of tokens that
/// are extinct together, `Σ_{|S| = K−k} ext(p_S)`.
///
/// Domain: up to 20 tokens; where the alternating sum would lose more than ten digits it is
/// refused. Guard: `categorical-vocabulary`.
///
/// ```
/// use fortifai_collapse::categorical::vocabulary::exactly_alive;
/// // With two samples both stay alive half of the time, whatever went before.
/// assert!((exactly_alive(&[0.5, 0.5], 2, 2, 2)? - 0.25).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`extinct_by`], for more than 20 tokens, or if the digits are lost.
pub fn exactly_alive(p: &[f64], n: usize, m: usize, t: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    let tokens: Vec<f64> = p.iter().copied().filter(|&p| p > 0.0).collect();
    let k = tokens.len();
    require(k <= MOST_SETS, "the number of tokens", k, "at most 20 (sets are summed)")?;
    if m == 0 || m > k || m > n && t > 0 {
        return Ok(0.0);
    }
    let extinction = Extinction::by(n, t)?;
    let full = (1u32 << k) - 1;
    // P(exactly k − j extinct) = Σ_{i ≥ j} (−1)^{i−j} C(i, j) S_i, S_i over sets of i extinct.
    let mut sums = vec![0.0; k + 1];
    for set in 0..full {
        let mass: f64 = (0..k).filter(|i| set >> i & 1 == 1).map(|i| tokens[i]).sum();
        sums[set.count_ones() as usize] += extinction.of(mass);
    }
    let dead = k - m;
    let (mut value, mut size, mut ways) = (0.0, 0.0, 1.0);
    for (i, sum) in sums.iter().enumerate().skip(dead) {
        let sign = if (i - dead).is_multiple_of(2) { 1.0 } else { -1.0 };
        value += sign * ways * sum;
        size += ways * sum;
        ways *= (i + 1) as f64 / (i + 1 - dead) as f64;
    }
    let lost = size * 4.0 * f64::EPSILON;
    require(
        lost <= 1e-10 * value,
        "the alternating sum",
        format!("{value:.3e} ± {lost:.1e}"),
        "a value that keeps ten digits",
    )?;
    Ok(value)
}

/// `P(T_collapse ≤ t) = Σ_i ext(1 − p_i, t)`: all but one token are extinct by `t`.
///
/// *Derivation.* The events "all tokens but `i` are extinct" exclude each other. Guard:
/// `categorical-vocabulary`.
///
/// ```
/// use fortifai_collapse::categorical::vocabulary::collapsed_by;
/// // With two samples both stay alive half of the time, whatever went before.
/// assert!((collapsed_by(&[0.5, 0.5], 2, 2)? - 0.75).abs() < 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
///
/// # Errors
/// As [`extinct_by`].
pub fn collapsed_by(p: &[f64], n: usize, t: usize) -> Result<f64, Refusal> {
    check_law("p", p)?;
    let extinction = Extinction::by(n, t)?;
    Ok(p.iter().filter(|&&p| p > 0.0).map(|&p| extinction.of(1.0 - p)).sum())
}

/// The entries of N3 and N4.
pub const ENTRIES: &[Entry] = &[
    Entry {
        id: "N3",
        name: "expected distinct tokens in one generation",
        formula: "E distinct one generation",
        kind: Kind::Exact,
        source: "linearity of expectation; sum of 1-(1-p_i)^n",
        domain: "n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[LAW, N],
        value: |x| expected_distinct(x.law("p")?, x.count("n")?),
    },
    Entry {
        id: "N3",
        name: "variance of the distinct tokens in one generation",
        formula: "Var distinct one generation",
        kind: Kind::Exact,
        source: "pairwise absence; sum q_i(1-q_i) + sum_{i!=j} (1-p_i-p_j)^n - q_i q_j",
        domain: "n ≥ 1, at most 20000 tokens",
        digits: Digits::Special,
        inputs: &[LAW, N],
        value: |x| variance_of_distinct(x.law("p")?, x.count("n")?),
    },
    Entry {
        id: "N3",
        name: "expected probability of the tokens that one generation misses",
        formula: "missing mass",
        kind: Kind::Exact,
        source: "Good 1953; sum of p_i(1-p_i)^n",
        domain: "n ≥ 1",
        digits: Digits::Elementary,
        inputs: &[LAW, N],
        value: |x| expected_missing_mass(x.law("p")?, x.count("n")?),
    },
    Entry {
        id: "N4",
        name: "probability that a token is extinct by generation t",
        formula: "P(extinct by t)",
        kind: Kind::Exact,
        source: "lumped Wright-Fisher chain; [Bin(n,p) P^(t-1)]_0",
        domain: "n ≤ 2000 (any n for t ≤ 1)",
        digits: Digits::Special,
        inputs: &[N, MASS, T],
        value: |x| extinct_by(x.number("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N4",
        name: "expected number of tokens alive at generation t",
        formula: "E surviving tokens",
        kind: Kind::Exact,
        source: "lumped Wright-Fisher chain; sum of 1-ext(p_i,t)",
        domain: "n ≤ 2000 (any n for t ≤ 1)",
        digits: Digits::Special,
        inputs: &[LAW, N, T],
        value: |x| expected_survivors(x.law("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N4",
        name: "variance of the number of tokens alive at generation t",
        formula: "Var surviving tokens",
        kind: Kind::Exact,
        source: "lumped Wright-Fisher chain; sum_ij ext(p_i+p_j)-ext(p_i)ext(p_j)",
        domain: "n ≤ 2000, at most 2000 tokens",
        digits: Digits::Special,
        inputs: &[LAW, N, T],
        value: |x| variance_of_survivors(x.law("p")?, x.count("n")?, x.count("t")?),
    },
    Entry {
        id: "N4",
        name: "probability that exactly m tokens are alive at generation t",
        formula: "P(exactly m alive at t)",
        kind: Kind::Exact,
        source: "inclusion and exclusion over ext(p_S,t)",
        domain: "n ≤ 2000, at most 20 tokens",
        digits: Digits::Special,
        inputs: &[LAW, N, input("m", "number of tokens alive", "2"), T],
        value: |x| exactly_alive(x.law("p")?, x.count("n")?, x.count("m")?, x.count("t")?),
    },
    Entry {
        id: "N4",
        name: "probability of total collapse by generation t",
        formula: "P(T_collapse <= t)=sum ext(1-p_i,t)",
        kind: Kind::Exact,
        source: "lumped Wright-Fisher chain",
        domain: "n ≤ 2000 (any n for t ≤ 1)",
        digits: Digits::Special,
        inputs: &[LAW, N, T],
        value: |x| collapsed_by(x.law("p")?, x.count("n")?, x.count("t")?),
    },
];
