//! AdamW over the whole arena, with global-norm clipping.

use crate::Result;
use crate::config::TrainConfig;
use crate::cpu::adamw::{Step, clip_factor};
use crate::model::Gpt;
use crate::tier::{Span, Tier};

/// The optimiser's state.
pub struct Optimiser<T: Tier> {
    /// First moments.
    pub m: T::Master,
    /// Second moments.
    pub v: T::Master,
    /// Steps done.
    pub steps: u32,
    /// Stretches of the arena, each with or without weight decay.
    pub spans: Vec<(Span, bool)>,
}

impl<T: Tier> Optimiser<T> {
    /// Moments at zero, decay on the matrices.
    pub fn new(model: &Gpt<T>) -> Result<Self> {
        let len = model.layout.len;
        let spans = model.layout.decay_spans();
        Ok(Self { m: model.tier.master(len)?, v: model.tier.master(len)?, steps: 0, spans })
    }

    /// One step; `scale` multiplies the gradients before they are clipped. Returns the norm of the
    /// scaled gradient before clipping; if it is not finite, nothing is changed.
    pub fn step(
        &mut self,
        model: &mut Gpt<T>,
        gradients: &T::Param,
        config: &TrainConfig,
        learning_rate: f64,
        scale: f64,
    ) -> Result<f64> {
        let norm = model.tier.squared_norm(gradients)?.sqrt() * scale;
        if !norm.is_finite() {
            return Ok(norm);
        }
        self.steps += 1;
        for &(span, decay) in &self.spans {
            let step = Step {
                number: self.steps,
                learning_rate,
                beta1: config.beta1,
                beta2: config.beta2,
                epsilon: config.epsilon,
                weight_decay: if decay { config.weight_decay } else { 0.0 },
                gradient_scale: scale * clip_factor(norm, config.clip_norm),
            };
            let tier = model.tier.clone();
            tier.adamw(&mut model.params, &mut self.m, &mut self.v, gradients, span, step)?;
        }
        Ok(norm)
    }
}
