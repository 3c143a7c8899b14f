//! Tests of the room above.

use super::*;

#[test]
fn a_frame_lists_every_ngram_of_the_text() {
    let (frame, counts) = Frame::of(&[7, 9, 7, 9, 7, 3], 2).expect("a text");
    // Contexts: start, 7, 9, 3 (in order of appearance; 3 has no continuation).
    assert_eq!((frame.contexts(), frame.ngrams()), (4, 4));
    assert_eq!(frame.vocabulary(), [3, 7, 9]);
    let listed: Vec<(usize, u32, u64, usize)> = (0..4)
        .flat_map(|context| frame.row(context).map(move |ngram| (context, ngram)))
        .map(|(c, ngram)| (c, frame.token(ngram), counts[ngram], frame.next(ngram)))
        .collect();
    assert_eq!(listed, [(0, 7, 1, 1), (1, 3, 1, 3), (1, 9, 2, 2), (2, 7, 2, 1)]);
    assert_eq!(frame.token_counts(&counts), [1, 3, 2]);
    assert_eq!(frame.context_counts(&counts), [1, 3, 2, 0]);
    assert!(Frame::of(&[], 2).is_err() && Frame::of(&[1], 0).is_err());
}

#[test]
fn every_order_counts_every_token_once() {
    let text: Vec<u32> = (0..500u32).map(|i| i * i % 37).collect();
    for order in [1, 2, 3, 7] {
        let model = NGram::counted(&text, order).expect("a text");
        assert_eq!(model.weights().iter().sum::<u64>(), 500);
        for model in [model.clone(), model.clone().stacked(), model.randomly_prompted()] {
            let mut pool = model.pool();
            let mut stream = Stream::new(1, "ngram", 0, 0);
            model.draw(&mut pool, 500, 1.0, &mut stream);
            assert_eq!(pool.iter().sum::<u64>(), 500);
            model.fit(&pool).expect("500 tokens");
        }
    }
}

#[test]
fn a_path_without_choice_repeats_the_text() {
    // Every context of three different tokens is followed by one token; the end starts anew.
    let model = NGram::counted(&[4, 5, 6], 3).expect("a text");
    let mut pool = model.pool();
    model.draw(&mut pool, 7, 1.0, &mut Stream::new(1, "ngram", 0, 0));
    assert_eq!(pool, [3, 2, 2]);
}

#[test]
fn an_unvisited_context_keeps_its_law_only_where_it_is_prompted() {
    let path = NGram::counted(&[0, 1, 0, 1], 2).expect("a text");
    let seen = vec![2, 2, 0];
    assert_eq!(path.fit(&seen).expect("tokens").weights(), [2, 2, 0]);
    let stacked = path.stacked();
    assert_eq!(stacked.fit(&seen).expect("tokens").weights(), [2, 2, stacked.weights()[2]]);
}

#[test]
fn closed_forms_agree_with_mpmath() {
    // mpmath, 40 digits: 1 − Σ_{k≥1} C(12, k) 0.15^k 0.85^{12−k}/k.
    let kept = contexts::kept_at_random(12, 0.15).expect("inside");
    let truth = 0.473_594_317_309_736_2;
    assert!((kept - truth).abs() <= 1e-12 * truth, "{kept} against {truth}");
    for entry in contexts::ENTRIES {
        let prediction = entry.predict(&entry.example()).expect(entry.formula);
        assert!(prediction.value.is_finite(), "{prediction}");
    }
    // By algebra: with one prompt the factor is 1 − π, and two generations square it.
    assert!((contexts::kept_at_random(1, 0.3).expect("inside") - 0.7).abs() <= 1e-15);
    assert!((contexts::kept_at_random_by(1, 0.3, 2).expect("inside") - 0.49).abs() <= 1e-15);
    // A hundred million prompts are as cheap. The sum has about 1e5 terms of rounding 1e-16 each,
    // and the expansion's next term is below 1e-20.
    let kept = contexts::kept_at_random(100_000_000, 0.2).expect("inside");
    let lost = contexts::lost_at_random(100_000_000, 0.2).expect("inside");
    assert!((1.0 - kept - lost).abs() <= 1e-13, "{kept} {lost}");
}
