//! The pretrained model that chains start from.

use crate::collapse::Corpus;
use crate::collapse::folder::{chain_name, chains, load_weights, saved_config};
use crate::collapse::saved::Saved;
use crate::config::{ModelConfig, RunConfig};
use crate::loss::Loss;
use crate::model::Gpt;
use crate::text::Tokenizer;
use crate::tier::Tier;
use crate::train::{Blocks, Control, FitRequest, fit};
use crate::{Error, Result};
use std::path::Path;

/// The weights of a seed's base model: those on disk, or trained now and saved.
pub fn base_weights<T: Tier<Number = f32>>(
    tier: &T,
    config: &RunConfig,
    corpus: &Corpus,
    saved: &Saved,
    seed: u64,
    stopped: &dyn Fn() -> bool,
) -> Result<Vec<f32>> {
    let Some(base) = &config.base else {
        return Err(Error::input(
            "The settings have no table [base]; add one for init = \"base\".",
        ));
    };
    if let Some(dir) = &base.model {
        return weights_of(tier, config, corpus, dir);
    }
    let mut model = Gpt::new(tier.clone(), config.model.clone(), seed)?;
    if saved.has_weights("base") {
        return saved.weights("base", &model);
    }
    let text = corpus.base(seed);
    let request = FitRequest {
        train: Blocks::new(&text, config.model.context, "text of the base model")?,
        validation: None,
        loss: Loss::Ce,
        config: &base.train,
        seed,
        // No generation of the run has this number, so none shares its random numbers.
        generation: usize::MAX,
        marks: None,
    };
    let outcome = fit(&mut model, &request, &mut |_| match stopped() {
        true => Control::Stop,
        false => Control::Continue,
    })?;
    if outcome.diverged {
        return Err(Error::input(format!(
            "The base model of seed {seed} diverged; lower learning_rate = {} in [base.train].",
            base.train.learning_rate
        )));
    }
    saved.put_weights("base", &model)?;
    model.get_params()
}

/// The weights of a model that is there, if it fits the run.
fn weights_of<T: Tier<Number = f32>>(
    tier: &T,
    config: &RunConfig,
    corpus: &Corpus,
    dir: &Path,
) -> Result<Vec<f32>> {
    let own = saved_config(dir)?;
    let refuse =
        |why: String| Err(Error::input(format!("The base model in {} {why}", dir.display())));
    let [(arm, seed)] = chains(&own)[..] else {
        return refuse("is one of several chains; name the directory of a single one.".into());
    };
    let (model, _) = load_weights(tier, &own, dir, &chain_name(&arm, seed))?;
    if model.config != config.model {
        let [is, should] = [&model.config, &config.model].map(|model| {
            let ModelConfig { layers, heads, channels, context, vocab, .. } = model;
            format!("{layers} layers, {heads} heads, {channels} channels, context {context}, vocabulary {vocab}")
        });
        return refuse(format!("has {is}; the run asks for {should}. Make them equal."));
    }
    if Tokenizer::load(&dir.join("tokenizer.json"))?.to_json() != corpus.tokenizer().to_json() {
        return refuse(format!(
            "has another tokenizer; set tokenizer = \"file:{}\".",
            dir.join("tokenizer.json").display()
        ));
    }
    model.get_params()
}
