//! GPT-2's random initial weights, each tensor from its own named stream.

use super::layout::{Initial, Layout};
use crate::Stream;
use ndarray::Array1;
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::Normal;

/// The initial arena for `seed`, in `f64`; narrower tiers round it.
pub fn arena(layout: &Layout, seed: u64) -> Vec<f64> {
    let mut values = Vec::with_capacity(layout.len);
    for (item, tensor) in layout.tensors.iter().enumerate() {
        let len = tensor.span.len;
        match tensor.initial {
            Initial::Zeros => values.resize(values.len() + len, 0.0),
            Initial::Ones => values.resize(values.len() + len, 1.0),
            Initial::Normal(std_dev) => {
                let law = Normal::new(0.0, std_dev).expect("the standard deviation is positive");
                let mut stream = Stream::new(seed, "weights", 0, item as u64);
                values.extend(Array1::<f64>::random_using(len, law, &mut stream));
            }
        }
    }
    values
}
