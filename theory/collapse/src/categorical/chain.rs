//! The chain of one token's count: `n + 1` states, rows `Binomial(n, i/n)`.
//!
//! A token of mass `p` has the count `Binomial(n, p)` after one generation, whatever the other
//! tokens do; any function of its count after `t` generations therefore has the expectation
//! `Bin(n, p) · P^{t−1} f`. Functions are carried backwards (`P f`), so one pass serves every mass.

use super::given::{check_samples, remaining};
use crate::binomial;
use crate::refusal::{Refusal, require};

/// The largest number of samples per generation for which the chain is built: its matrix then
/// takes 32 MB and a generation 4 million multiplications.
pub const LARGEST: usize = 2000;

/// The largest `n²` times the number of steps.
const WORK: f64 = 8e9;

/// Weights below this share of a row's largest are skipped where they cannot be seen.
const NARROW: f64 = 1e-40;

/// How closely every state must follow the second eigenvalue before the rest is taken as a power;
/// the third eigenvector's share is then below `n` times this (2e-11 at most).
const SETTLED: f64 = 1e-14;

/// The transition matrix of the count of a token.
#[derive(Clone, Debug)]
pub struct Chain {
    n: usize,
    /// Rows of `n + 1` weights each.
    rows: Vec<Vec<f64>>,
    /// Where each row's weights are above [`NARROW`].
    bands: Vec<(usize, usize)>,
}

impl Chain {
    /// The Wright–Fisher chain of `n` samples per generation.
    ///
    /// # Errors
    /// If `n` is zero or larger than [`LARGEST`].
    pub fn new(n: usize) -> Result<Self, Refusal> {
        Self::sampled(n, |x| x)
    }

    /// The chain whose next count is `Binomial(n, map(i/n))`.
    ///
    /// # Errors
    /// If `n` is zero or larger than [`LARGEST`].
    pub fn sampled(n: usize, map: impl Fn(f64) -> f64) -> Result<Self, Refusal> {
        check_samples(n)?;
        require(n <= LARGEST, "n", n, &format!("n ≤ {LARGEST} (the chain has n + 1 states)"))?;
        let rows: Vec<Vec<f64>> =
            (0..=n).map(|i| binomial::law(n, map(i as f64 / n as f64))).collect();
        let bands = rows.iter().map(|row| band(row)).collect();
        Ok(Self { n, rows, bands })
    }

    /// The probability of the next count `to` after the count `from`.
    pub fn probability(&self, from: usize, to: usize) -> f64 {
        self.rows[from][to]
    }

    /// The counts `from..to` that can be seen after the given one; all others together have a
    /// probability below 1e-36.
    pub(super) fn visible(&self, from: usize) -> (usize, usize) {
        self.bands[from]
    }

    /// `P f`: the expectation of `f(next count)` from every count.
    pub fn expectation(&self, f: &[f64]) -> Vec<f64> {
        self.rows.iter().map(|row| dot(row, f)).collect()
    }

    /// `P^steps f` of the Wright–Fisher chain itself (whose mean is conserved), for any number of
    /// steps.
    ///
    /// The limit is the line between `f(0)` and `f(n)`, which the chain keeps. After `n/8` steps
    /// the difference from it is carried alone, by the rows' visible parts, until it shrinks by
    /// `1 − 1/n` per step everywhere; what is left is a power.
    ///
    /// # Errors
    /// If `n²` times the number of steps is above 8e9, which takes seconds; `16 n` steps suffice to
    /// settle.
    pub fn carried_back(&self, f: &[f64], steps: usize) -> Result<Vec<f64>, Refusal> {
        self.check_work(steps.min(16 * self.n))?;
        let mut values = f.to_vec();
        let plain = steps.min(self.n / 8 + 8);
        for _ in 0..plain {
            values = self.expectation(&values);
        }
        if plain == steps {
            return Ok(values);
        }
        let (low, high) = (values[0], values[self.n]);
        let line: Vec<f64> =
            (0..=self.n).map(|i| low + (high - low) * i as f64 / self.n as f64).collect();
        let mut off: Vec<f64> = values.iter().zip(&line).map(|(v, line)| v - line).collect();
        let settled = 1.0 - 1.0 / self.n as f64;
        for step in plain..steps {
            let next: Vec<f64> = self
                .rows
                .iter()
                .zip(&self.bands)
                .map(|(row, &(from, to))| dot(&row[from..to], &off[from..to]))
                .collect();
            let even = next
                .iter()
                .zip(&off)
                .all(|(next, off)| (next - settled * off).abs() <= SETTLED * off.abs());
            off = next;
            if even {
                let left = remaining(1.0 / self.n as f64, (steps - step - 1) as f64);
                off.iter_mut().for_each(|off| *off *= left);
                break;
            }
        }
        Ok(line.iter().zip(&off).map(|(line, off)| line + off).collect())
    }

    /// `P^steps f` of any chain, step by step.
    ///
    /// # Errors
    /// If `n²·steps` is above 8e9, which takes seconds.
    pub fn stepped_back(&self, f: &[f64], steps: usize) -> Result<Vec<f64>, Refusal> {
        self.check_work(steps)?;
        Ok((0..steps).fold(f.to_vec(), |values, _| self.expectation(&values)))
    }

    fn check_work(&self, steps: usize) -> Result<(), Refusal> {
        let work = (self.n as f64).powi(2) * steps as f64;
        require(work <= WORK, "n² t", work, "at most 8e9 (for the cost of the chain)")
    }

    /// `E f(count)` for `f` over the counts and a first generation drawn from the mass `p`.
    pub fn first_generation(&self, p: f64, f: &[f64]) -> f64 {
        dot(&binomial::law(self.n, p), f)
    }

    /// The law of the count of a token of mass `p` after `t ≥ 1` generations.
    ///
    /// # Errors
    /// If `t` is zero.
    pub fn count_law(&self, p: f64, t: usize) -> Result<Vec<f64>, Refusal> {
        require(t >= 1, "t", t, "t ≥ 1")?;
        let mut law = binomial::law(self.n, p);
        for _ in 1..t {
            let mut next = vec![0.0; self.n + 1];
            for (mass, row) in law.iter().zip(&self.rows) {
                next.iter_mut().zip(row).for_each(|(next, p)| *next += mass * p);
            }
            law = next;
        }
        Ok(law)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn band(row: &[f64]) -> (usize, usize) {
    let top = row.iter().fold(0.0f64, |top, &p| top.max(p));
    let seen = |&p: &f64| p > NARROW * top;
    let from = row.iter().position(seen).unwrap_or(0);
    let to = row.iter().rposition(seen).map_or(0, |last| last + 1);
    (from, to)
}

#[cfg(test)]
mod tests;
