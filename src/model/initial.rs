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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;

    #[test]
    fn every_tensor_has_the_law_of_the_table() {
        let config = ModelConfig { layers: 2, heads: 2, channels: 32, context: 16, vocab: 60 };
        let layout = Layout::gpt2(&config);
        let values = arena(&layout, 3);
        assert_eq!(values.len(), layout.len);
        assert!(values == arena(&layout, 3) && values != arena(&layout, 4));
        let mut laws = 0;
        for tensor in &layout.tensors {
            let own = &values[tensor.span.range()];
            match tensor.initial {
                Initial::Zeros => assert!(own.iter().all(|&x| x == 0.0), "{}", tensor.name),
                Initial::Ones => assert!(own.iter().all(|&x| x == 1.0), "{}", tensor.name),
                Initial::Normal(std_dev) => {
                    // The sum of squares over σ² is χ²(n), nearly normal with variance 2n; the mean's
                    // variance is σ²/n. Six standard deviations: one of the 20 tests fails with
                    // probability 4e-8 over seeds.
                    laws += 1;
                    let n = own.len() as f64;
                    let (sum, squares) =
                        own.iter().fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
                    assert!((sum / std_dev).abs() <= 6.0 * n.sqrt(), "{}", tensor.name);
                    let excess = squares / (std_dev * std_dev) - n;
                    assert!(excess.abs() <= 6.0 * (2.0 * n).sqrt(), "{}", tensor.name);
                }
            }
        }
        assert_eq!(laws, 10);
    }
}
