//! The pretrained model of `init = "base"`.

use crate::collapse::Corpus;
use crate::collapse::saved::Saved;
use crate::config::RunConfig;
use crate::loss::Loss;
use crate::model::Gpt;
use crate::tier::Tier;
use crate::train::{Blocks, Control, FitRequest, fit};
use crate::{Error, Result};

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
