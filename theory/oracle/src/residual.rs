//! The residual connection.

use crate::Scalar;

/// `y = a + b`, element by element.
///
/// # Panics
/// If the lengths differ.
pub fn forward<S: Scalar>(a: &[S], b: &[S]) -> Vec<S> {
    assert_eq!(a.len(), b.len(), "residual: length of the second term");
    a.iter().zip(b).map(|(&a, &b)| a + b).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn terms_are_added() {
        assert_eq!(super::forward(&[1.0, -2.0], &[0.5, 2.0]), [1.5, 0.0]);
    }
}
