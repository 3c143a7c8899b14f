//! What theory expects of a run in the toy world: the limit of endless text, capacity and training.
//!
//! The truth `q` is known there context by context, and so is the law that a loss learns from a law
//! `d`: cross entropy (and a random mask) `d` itself, TCE `d` capped at γ (water-filling), focal loss
//! its own fixed point, label smoothing `(1 − ε)d + ε/V`. Generation g learns from the text that its
//! protocol puts together, so that with `p_i` for what generation i has learnt
//!
//! | protocol | `d_g` |
//! |---|---|
//! | `replace` | `p_{g−1}` |
//! | `mix:α` and `fresh:α` | `α q + (1 − α) p_{g−1}` |
//! | `fractions` | `(q + g p_{g−1})/(g + 1)` |
//! | `accumulate` and `accumulate-subsample` | `(q + p_0 + … + p_{g−1})/(g + 1)` |
//!
//! What a real run adds to this is sampling, finite models, and training that ends.

use super::{Arm, Corpus, Protocol};
use crate::config::RunConfig;
use crate::loss::Loss;
use crate::text::ToyWorld;
use fortifai_collapse::ngram::NGram;
use fortifai_collapse::ngram::corpus::{Forecast, Writing};
use fortifai_collapse::tce::{capped_fit, focal};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// What is expected of one generation on held-out real text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expected {
    /// Mean `KL(q ‖ p)` per token in nats: what the loss itself takes away from the truth.
    pub excess_nats: f64,
    /// Mean of the largest probability.
    pub top_probability: f64,
    /// Share of tokens that the loss keeps at the end of training.
    pub kept_fraction: f64,
}

impl Expected {
    /// The value of a metric by its name.
    pub fn metric(&self, name: &str) -> Option<f64> {
        match name {
            "excess_nats" => Some(self.excess_nats),
            "top_probability" => Some(self.top_probability),
            "kept_fraction_real" => Some(self.kept_fraction),
            _ => None,
        }
    }
}

/// What is expected of every generation of an arm; `None` outside the toy world, for losses whose
/// learnt law is not known, and for arms that change text or decoding.
pub fn expected(config: &RunConfig, arm: &Arm) -> Option<Vec<Expected>> {
    if !config.is_toy() || !arm.treatment.is_none() || arm.apply(config).decode != plain(config) {
        return None;
    }
    let world = ToyWorld::standard();
    let visits = visits(world, &Corpus::toy_heldout(world, config));
    let total: usize = visits.values().sum();
    let tables: Option<Vec<Vec<Expected>>> = visits
        .par_iter()
        .map(|(law, &count)| {
            let law: Vec<f64> = law.iter().map(|bits| f64::from_bits(*bits)).collect();
            let share = count as f64 / total as f64;
            let generations = (config.generations, world.vocab_size());
            let scaled = |step: Expected| Expected {
                excess_nats: share * step.excess_nats,
                top_probability: share * step.top_probability,
                kept_fraction: share * step.kept_fraction,
            };
            Some(
                recursion(&law, &arm.loss, config.protocol, generations)?
                    .into_iter()
                    .map(scaled)
                    .collect(),
            )
        })
        .collect();
    let mut sums = vec![Expected::default(); config.generations];
    for step in tables?.iter().flat_map(|table| table.iter().enumerate()) {
        let (sum, step) = (&mut sums[step.0], step.1);
        sum.excess_nats += step.excess_nats;
        sum.top_probability += step.top_probability;
        sum.kept_fraction += step.kept_fraction;
    }
    Some(sums)
}

/// The run's decoding if it hands on the model's own law: sampling at temperature 1, nothing cut off.
fn plain(config: &RunConfig) -> crate::config::DecodeConfig {
    let mut decode = config.decode.clone();
    (decode.sample, decode.temperature, decode.top_k, decode.top_p) = (true, 1.0, 0, 1.0);
    decode.repetition_penalty = 1.0;
    decode
}

/// How often held-out text visits contexts of each law (the bits of its probabilities).
fn visits(world: &ToyWorld, heldout: &[u32]) -> BTreeMap<Vec<u64>, usize> {
    let mut visits = BTreeMap::new();
    let mut state = world.start();
    for &token in &heldout[1..] {
        let law = state.next_law().iter().map(|entry| entry.1.to_bits()).collect();
        *visits.entry(law).or_insert(0) += 1;
        state = state.advance(token).expect("held-out documents are of the world");
    }
    visits
}

/// One context through all generations. The last entry of every law is the mass beyond the support of
/// the truth.
fn recursion(
    truth: &[f64],
    loss: &Loss,
    protocol: Protocol,
    (generations, vocab): (usize, usize),
) -> Option<Vec<Expected>> {
    let truth: Vec<f64> = truth.iter().copied().chain([0.0]).collect();
    let mixed = |a: f64, x: &[f64], b: f64, y: &[f64]| -> Vec<f64> {
        x.iter().zip(y).map(|(x, y)| a * x + b * y).collect()
    };
    let mut sum = truth.clone();
    let mut data = truth.clone();
    let mut steps = Vec::new();
    for g in 1..=generations {
        let (learnt, kept_fraction) = learnt(&data, loss, vocab)?;
        let pairs = truth.iter().zip(&learnt).filter(|(q, _)| **q > 0.0);
        let support = &learnt[..learnt.len() - 1];
        steps.push(Expected {
            excess_nats: pairs.map(|(q, p)| q * (q.ln() - p.ln())).sum(),
            top_probability: support.iter().fold(0.0, |most: f64, p| most.max(*p)),
            kept_fraction,
        });
        sum = mixed(1.0, &sum, 1.0, &learnt);
        let n = g as f64;
        data = match protocol {
            Protocol::Replace => learnt,
            Protocol::Mix(share) | Protocol::Fresh(share) => {
                let alpha = share.at(g, generations);
                mixed(alpha, &truth, 1.0 - alpha, &learnt)
            }
            Protocol::Fractions => mixed(1.0 / (n + 1.0), &truth, n / (n + 1.0), &learnt),
            Protocol::Accumulate | Protocol::AccumulateSubsample => {
                sum.iter().map(|x| x / (n + 1.0)).collect()
            }
        };
    }
    Some(steps)
}

/// The law that a loss learns from a law, and the share of tokens that it keeps in the end.
fn learnt(data: &[f64], loss: &Loss, vocab: usize) -> Option<(Vec<f64>, f64)> {
    let total: f64 = data.iter().sum();
    let data: Vec<f64> = data.iter().map(|x| x / total).collect();
    let support = data.iter().filter(|x| **x > 0.0).count();
    match *loss {
        Loss::Ce => Some((data, 1.0)),
        Loss::RandomMask { keep } => Some((data, keep)),
        Loss::Tce { gamma } if support as f64 * gamma < 1.0 => {
            // All that is seen ends at γ; the rest stays on what is never seen.
            let mut law: Vec<f64> =
                data.iter().map(|x| if *x > 0.0 { gamma } else { 0.0 }).collect();
            *law.last_mut()? += 1.0 - support as f64 * gamma;
            Some((law, 0.0))
        }
        Loss::Tce { gamma } => {
            let fit = capped_fit(&data, gamma).ok()?;
            Some((fit.law, fit.kept))
        }
        Loss::Focal { gamma } => Some((focal::learnt(&data, gamma).ok()?, 1.0)),
        Loss::Smooth { epsilon } => {
            let known = data.len() - 1;
            let uniform = |i: usize| if i < known { 1 } else { vocab - known };
            let law = data
                .iter()
                .enumerate()
                .map(|(i, x)| (1.0 - epsilon) * x + epsilon * uniform(i) as f64 / vocab as f64);
            Some((law.collect(), 1.0))
        }
        _ => None,
    }
}

/// The share of distinct pairs among the pairs of tokens in the text that each generation writes under
/// `replace`, if all that is handed on is the pairs of the text before: the decline of a 2-gram model
/// of the same corpus, of which it has as much as a generation writes. `None` under another protocol, or if
/// the text is too short.
pub fn distinct_pairs(config: &RunConfig, corpus: &Corpus) -> Option<Vec<f64>> {
    if config.protocol != Protocol::Replace {
        return None;
    }
    let real = corpus.real(*config.seeds.first()?);
    let text = real.get(1..real.len().saturating_sub(1))?;
    let text = &text[..text.len().min(config.budget(1, text.len()))];
    let truth = NGram::counted(text, 2).ok()?;
    let forecast = Forecast::of(&truth, Writing::Stack, config.generations).ok()?;
    let pairs = text.len() as f64;
    Some((1..=config.generations).map(|t| forecast.at(t)[3] / pairs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve;

    fn config(protocol: &str) -> RunConfig {
        let text = format!("protocol = \"{protocol}\"\ngenerations = 4\ntoy.heldout_tokens = 800");
        resolve(&[("the test".into(), text.parse().unwrap())]).unwrap()
    }

    fn of(protocol: &str, arm: &str) -> Option<Vec<Expected>> {
        expected(&config(protocol), &arm.parse().unwrap())
    }

    #[test]
    fn cross_entropy_loses_nothing_and_tce_its_cap_once() {
        for protocol in ["replace", "mix:0.5", "fractions", "accumulate"] {
            let ce = of(protocol, "ce").unwrap();
            assert!(
                ce.iter().all(|step| step.excess_nats.abs() < 1e-12 && step.kept_fraction > 0.999)
            );
            assert_eq!(ce, of(protocol, "random-mask:1").unwrap());
        }
        // A capped law is not capped again: generation 1 is as generation 0.
        let tce = of("replace", "tce:0.9").unwrap();
        assert!(tce[0].excess_nats > 0.0 && tce[0].top_probability < 0.9);
        assert!((tce[3].excess_nats - tce[0].excess_nats).abs() < 1e-12);
        // A cap that nothing reaches is none.
        assert_eq!(of("replace", "tce:1").unwrap()[0].kept_fraction, 1.0);
    }

    #[test]
    fn focal_loss_flattens_on_and_on_and_real_text_holds_it() {
        let replace = of("replace", "focal:2").unwrap();
        let mix = of("mix:0.5", "focal:2").unwrap();
        assert_eq!(replace[0], mix[0]);
        assert!(replace.windows(2).all(|pair| pair[0].excess_nats < pair[1].excess_nats));
        assert!(mix[3].excess_nats < replace[3].excess_nats);
    }

    #[test]
    fn one_context_by_hand() {
        // (0.97, 0.02, 0.01) under TCE(0.9): the cap, and the rest in proportion.
        let steps =
            recursion(&[0.97, 0.02, 0.01], &Loss::Tce { gamma: 0.9 }, Protocol::Replace, (2, 9))
                .unwrap();
        let kl = 0.97 * (0.97f64 / 0.9).ln() + 0.03 * (0.3f64).ln();
        assert!((steps[0].excess_nats - kl).abs() < 1e-12 && steps[0].top_probability == 0.9);
        assert!((steps[0].kept_fraction - 0.3).abs() < 1e-12);
        assert!((steps[1].kept_fraction - 1.0).abs() < 1e-12);
        // What is certain is pinned, too, and the rest goes where nothing is true.
        let steps = recursion(&[1.0], &Loss::Tce { gamma: 0.9 }, Protocol::Mix(0.5.into()), (2, 9))
            .unwrap();
        assert!(
            (steps[0].excess_nats + 0.9f64.ln()).abs() < 1e-15 && steps[0].kept_fraction == 0.0
        );
        assert!((steps[1].excess_nats + 0.9f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn arms_that_change_the_text_have_no_forecast() {
        for arm in ["ce+grammar", "ce@temperature=1.1", "linear:1"] {
            assert_eq!(of("replace", arm), None, "{arm}");
        }
    }
}
