//! Diversity of generated text: distinct-n and the vocabulary that is still alive.

use super::histogram::Histogram;

/// Distinct n-grams divided by all n-grams, for `1 ≤ n ≤ 4`; n-grams do not cross documents.
///
/// The value falls with the amount of text, so compare texts of equal length only. `None` where no
/// document is as long as `n`.
///
/// Source: Li, Galley, Brockett, Gao & Dolan 2016, section 5.2, arXiv:1510.03055.
///
/// # Panics
/// `n` outside `1..=4`.
pub fn distinct<'a>(documents: impl IntoIterator<Item = &'a [u32]>, n: usize) -> Option<f64> {
    assert!((1..=4).contains(&n), "diversity::distinct takes n from 1 to 4, not {n}");
    let mut grams: Vec<u128> = documents
        .into_iter()
        .flat_map(|tokens| tokens.windows(n))
        .map(|gram| gram.iter().fold(0, |key, &token| key << 32 | u128::from(token)))
        .collect();
    let all = grams.len();
    grams.sort_unstable();
    grams.dedup();
    (all > 0).then(|| grams.len() as f64 / all as f64)
}

/// The share of four-grams that occurred earlier in the same document. `None` where no document has
/// four tokens.
pub fn self_repetition<'a>(documents: impl IntoIterator<Item = &'a [u32]>) -> Option<f64> {
    let (mut all, mut fresh) = (0, 0);
    for document in documents {
        let mut grams: Vec<&[u32]> = document.windows(4).collect();
        all += grams.len();
        grams.sort_unstable();
        grams.dedup();
        fresh += grams.len();
    }
    (all > 0).then(|| (all - fresh) as f64 / all as f64)
}

/// The share of the real text's token types that occur in the generated text.
///
/// Types that only the generated text has count neither way. `None` without real tokens or where
/// the vocabularies differ.
pub fn vocabulary_alive(real: &Histogram, synthetic: &Histogram) -> Option<f64> {
    let types = real.types();
    if types == 0 || real.counts().len() != synthetic.counts().len() {
        return None;
    }
    let both = real.counts().iter().zip(synthetic.counts());
    let alive = both.filter(|(real, synthetic)| **real > 0 && **synthetic > 0).count();
    Some(alive as f64 / types as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_n_equals_the_values_worked_out_by_hand() {
        let documents: [&[u32]; 2] = [&[1, 2, 1, 2], &[1, 2, 3]];
        assert_eq!(distinct(documents, 1), Some(3.0 / 7.0));
        // 12 21 12 | 12 23 and 121 212 | 123.
        assert_eq!(distinct(documents, 2), Some(3.0 / 5.0));
        assert_eq!(distinct(documents, 3), Some(1.0));
    }

    #[test]
    fn grams_do_not_cross_documents_and_short_documents_give_nothing() {
        let documents: [&[u32]; 3] = [&[1], &[2], &[]];
        assert_eq!(distinct(documents, 2), None);
        assert_eq!(distinct(documents, 1), Some(1.0));
    }

    #[test]
    fn repetition_counts_what_a_document_says_again() {
        // 1212 2121 1212 2121: two of four are old; the second document begins anew.
        let documents: [&[u32]; 2] = [&[1, 2, 1, 2, 1, 2, 1], &[1, 2, 1, 2]];
        assert_eq!(self_repetition(documents), Some(2.0 / 5.0));
        assert_eq!(self_repetition([&[1u32, 2][..]]), None);
    }

    #[test]
    fn grams_of_large_tokens_stay_apart() {
        let documents: [&[u32]; 2] = [&[u32::MAX, 0, 1], &[0, u32::MAX, 1]];
        assert_eq!(distinct(documents, 3), Some(1.0));
    }

    #[test]
    fn alive_counts_only_the_types_of_the_real_text() {
        let of = |tokens: &[u32]| Histogram::from_tokens(6, tokens).unwrap();
        assert_eq!(vocabulary_alive(&of(&[0, 1, 2, 3]), &of(&[0, 0, 3, 5])), Some(0.5));
        assert_eq!(vocabulary_alive(&of(&[0]), &of(&[])), Some(0.0));
        assert_eq!(vocabulary_alive(&of(&[]), &of(&[1])), None);
    }
}
