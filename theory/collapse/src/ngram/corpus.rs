//! A text's decline when an n-gram model is refitted to what it writes.
//!
//! Generation 0 is the model counted from the text, taken as the truth; each later one is counted
//! from as many tokens as the text has. Beside every simulated mean stands the prediction of the
//! sections N4, N13 and N14, with what it assumes.

mod forecast;

pub use forecast::Forecast;

use super::NGram;
use crate::categorical::entropy::surprise;
use crate::model::Model;
use crate::prediction::Kind;
use crate::refusal::{Refusal, require};
use crate::stats::{mean, replicates, variance};
use fortifai_stream::Stream;
use serde::Serialize;

/// How each generation's text is written; see [`super::Design`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writing {
    /// One long path of the text's length.
    Path,
    /// Every context prompted as often as it occurs in the text.
    Stack,
}

/// What is asked of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The length of an n-gram.
    pub order: usize,
    /// How many generations follow the text.
    pub generations: usize,
    /// Independent repetitions.
    pub replicates: u64,
    /// The seed.
    pub seed: u64,
    /// How the generations are written.
    pub writing: Writing,
}

/// A quantity that a prediction names, with what the prediction claims and assumes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// The quantity.
    pub quantity: &'static str,
    /// The section and its formula.
    pub formula: &'static str,
    /// What must hold for it.
    pub assumption: &'static str,
    /// What it claims to be.
    pub kind: Kind,
}

/// One simulated quantity beside its prediction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The mean of the replicates.
    pub mean: f64,
    /// Its standard error; 0 for a single replicate.
    pub standard_error: f64,
    /// The predicted value.
    pub predicted: f64,
}

/// One generation, in the order of [`Decline::claims`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Generation {
    /// Which one; 0 is the text.
    pub generation: usize,
    /// Tokens that occur.
    pub vocabulary: Compared,
    /// Entropy of the tokens' frequencies, in nats.
    pub entropy_nats: Compared,
    /// Contexts that are continued.
    pub contexts: Compared,
    /// n-grams that occur.
    pub ngrams: Compared,
}

/// The decline of a text over generations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decline {
    /// The length of an n-gram.
    pub order: usize,
    /// Tokens of the text and of each generation.
    pub tokens: usize,
    /// Repetitions.
    pub replicates: u64,
    /// How the generations are written.
    pub writing: Writing,
    /// The predictions of vocabulary, entropy, contexts and n-grams.
    pub claims: [Claim; 4],
    /// Generation 0 to the last.
    pub generations: Vec<Generation>,
}

/// Simulates the decline of a text and predicts it.
///
/// Replicate `r` of generation `k` draws from the stream `(seed, "ngram-corpus", k, r)`; replicates
/// run on all cores and are averaged in order.
///
/// # Errors
/// If the text is not longer than the order, the order is not in 1..=16, or there is no replicate.
///
/// ```
/// use fortifai_collapse::ngram::corpus::{Question, Writing, decline};
/// let text: Vec<u32> = (0..400u32).map(|i| i * i % 61 % 23).collect();
/// let asked = Question {
///     order: 2, generations: 3, replicates: 4, seed: 1, writing: Writing::Stack,
/// };
/// let decline = decline(&text, &asked)?;
/// let alive: Vec<f64> = decline.generations.iter().map(|g| g.ngrams.predicted).collect();
/// assert!(alive.windows(2).all(|pair| pair[1] <= pair[0]));
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
pub fn decline(text: &[u32], asked: &Question) -> Result<Decline, Refusal> {
    let Question { order, generations, replicates: count, seed, writing } = *asked;
    require(count >= 1, "the number of replicates", count, "at least 1")?;
    require(
        text.len() > order,
        "the number of tokens",
        text.len(),
        &format!("a text of more than {order} tokens (the order)"),
    )?;
    let counted = NGram::counted(text, order)?;
    let truth = match writing {
        Writing::Path => counted,
        Writing::Stack => counted.stacked(),
    };
    let runs: Vec<Result<Vec<[f64; 4]>, Refusal>> = replicates(count, |item| {
        let mut model = truth.clone();
        let mut seen = vec![measured(&model)];
        for generation in 1..=generations {
            let mut stream = Stream::new(seed, "ngram-corpus", generation as u64, item);
            let mut pool = model.pool();
            model.draw(&mut pool, text.len(), 1.0, &mut stream);
            model = model.fit(&pool)?;
            seen.push(measured(&model));
        }
        Ok(seen)
    });
    let runs = runs.into_iter().collect::<Result<Vec<_>, _>>()?;
    let forecast = Forecast::of(&truth, writing, generations)?;
    let rows = (0..=generations).map(|generation| {
        let predicted = forecast.at(generation);
        let [vocabulary, entropy_nats, contexts, ngrams] = std::array::from_fn(|which| {
            let values: Vec<f64> = runs.iter().map(|run| run[generation][which]).collect();
            let spread = if values.len() > 1 { variance(&values) } else { 0.0 };
            Compared {
                mean: mean(&values),
                standard_error: (spread / values.len() as f64).sqrt(),
                predicted: predicted[which],
            }
        });
        Generation { generation, vocabulary, entropy_nats, contexts, ngrams }
    });
    Ok(Decline {
        order,
        tokens: text.len(),
        replicates: count,
        writing,
        claims: Forecast::claims(&truth, writing),
        generations: rows.collect(),
    })
}

/// Vocabulary, entropy, contexts and n-grams of a model.
fn measured(model: &NGram) -> [f64; 4] {
    let (frame, weights) = (model.frame(), model.weights());
    let alive = |counts: &[u64]| counts.iter().filter(|&&count| count > 0).count() as f64;
    let tokens = frame.token_counts(weights);
    let total = tokens.iter().sum::<u64>() as f64;
    let entropy = tokens.iter().map(|&count| surprise(count as f64 / total)).sum();
    [alive(&tokens), entropy, alive(&frame.context_counts(weights)), alive(weights)]
}
