//! Token and position embedding of one token.

use crate::Scalar;

/// `x = wte[token] + wpe[position]`, of length `channels`.
///
/// | argument | shape |
/// |---|---|
/// | `wte` | `[v, c]` |
/// | `wpe` | `[context, c]` |
///
/// # Panics
/// If the token or the position lies outside its table.
pub fn forward<S: Scalar>(
    token: usize,
    position: usize,
    wte: &[S],
    wpe: &[S],
    channels: usize,
) -> Vec<S> {
    let row = |table: &[S], index: usize, what: &str| -> Vec<S> {
        let rows = table.len() / channels;
        assert!(index < rows, "embedding: {what} {index} lies outside the table of {rows} rows");
        table[index * channels..(index + 1) * channels].to_vec()
    };
    let (token, position) = (row(wte, token, "token"), row(wpe, position, "position"));
    token.into_iter().zip(position).map(|(a, b)| a + b).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_are_added() {
        let (wte, wpe) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [10.0, 20.0, 30.0, 40.0]);
        // By hand: (5, 6) + (30, 40).
        assert_eq!(super::forward(2, 1, &wte, &wpe, 2), [35.0, 46.0]);
    }
}
