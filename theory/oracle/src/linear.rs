//! An affine map of one row.

use crate::Scalar;

/// `y_o = b_o + Σ_i x_i W[i, o]`, with `W` stored `[in, out]` row by row (as Hugging Face's
/// `Conv1D` stores it).
///
/// | argument | shape |
/// |---|---|
/// | `x` | `[in]` |
/// | `weight` | `[in, out]` |
/// | `bias` | `[out]` |
///
/// # Panics
/// If `weight` does not have `in · out` entries.
pub fn forward<S: Scalar>(x: &[S], weight: &[S], bias: &[S]) -> Vec<S> {
    let outputs = bias.len();
    assert_eq!(weight.len(), x.len() * outputs, "linear: length of weight");
    let column = |o: usize| weight.iter().skip(o).step_by(outputs);
    (0..outputs).map(|o| S::sum(x.iter().zip(column(o)).map(|(&x, &w)| x * w)) + bias[o]).collect()
}

/// `y_o = Σ_i x_i W[o, i]`: the product with the transpose of a table `[out, in]`, without bias.
/// With the token embedding as the table it gives the logits of a tied classifier.
///
/// # Panics
/// If the table's length is not a multiple of the row's.
pub fn transposed<S: Scalar>(x: &[S], table: &[S]) -> Vec<S> {
    assert_eq!(table.len() % x.len(), 0, "linear: length of the transposed table");
    table.chunks_exact(x.len()).map(|row| S::dot(row, x)).collect()
}

#[cfg(test)]
mod tests {
    use crate::testing::{differentiates, numbers};

    #[test]
    fn weights_are_stored_input_by_output() {
        // By hand: (1, 2)·[[1, 2, 3], [4, 5, 6]] + (0.5, 0, −1).
        let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(super::forward(&[1.0, 2.0], &weight, &[0.5, 0.0, -1.0]), [9.5, 12.0, 14.0]);
        assert_eq!(super::transposed(&[1.0, 2.0, 3.0], &weight), [14.0, 32.0]);
    }

    #[test]
    fn duals_differentiate_all_three_arguments() {
        let split = |p: &[f64]| super::forward(&p[..3], &p[3..9], &p[9..]);
        let dual = |p: &[crate::Dual64]| super::forward(&p[..3], &p[3..9], &p[9..]);
        differentiates(&numbers(11, 1), 2, split, dual);
    }
}
