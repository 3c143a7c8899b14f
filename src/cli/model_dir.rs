//! Loading a model from the directory of a run.

use crate::collapse::{chain_name, chains, load_weights, saved_config};
use crate::config::RunConfig;
use crate::loss::Loss;
use crate::model::Gpt;
use crate::text::Tokenizer;
use crate::tier::Tier;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Which model of which run.
#[derive(Clone, Debug, clap::Args)]
pub struct Which {
    /// Directory of a run (made by fortifai train or fortifai collapse)
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Which chain, where the run has several, for example tce-0.9-seed1
    #[arg(long, value_name = "NAME")]
    pub chain: Option<String>,
}

/// A model with all that belongs to it.
pub struct Loaded<T: Tier> {
    /// The settings of its run.
    pub config: RunConfig,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// The model with the weights of the chain's latest generation.
    pub model: Gpt<T>,
    /// The loss it was trained with.
    pub loss: Loss,
    /// The generation.
    pub generation: usize,
}

impl Which {
    /// Loads the latest weights of the chain onto a tier.
    pub fn load<T: Tier<Number = f32>>(&self, tier: &T) -> Result<Loaded<T>> {
        let config = saved_config(&self.dir)?;
        let tokenizer = Tokenizer::load(&self.dir.join("tokenizer.json"))?;
        let (name, loss) = self.chain(&self.dir, &config)?;
        let (model, generation) = load_weights(tier, &config, &self.dir, &name)?;
        Ok(Loaded { config, tokenizer, model, loss, generation })
    }

    fn chain(&self, dir: &Path, config: &RunConfig) -> Result<(String, Loss)> {
        let all: Vec<(String, Loss)> = chains(config)
            .into_iter()
            .map(|(arm, seed)| (chain_name(&arm, seed), arm.loss))
            .collect();
        let names = || all.iter().map(|chain| chain.0.as_str()).collect::<Vec<_>>().join(", ");
        match (&self.chain, all.as_slice()) {
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(Error::input(format!(
                "The run in {} has several chains; choose one with --chain: {}.",
                dir.display(),
                names()
            ))),
            (Some(name), _) => {
                all.iter().find(|chain| chain.0 == *name).cloned().ok_or_else(|| {
                    Error::input(format!(
                        "The run in {} has no chain {name}; it has {}.",
                        dir.display(),
                        names()
                    ))
                })
            }
        }
    }
}
