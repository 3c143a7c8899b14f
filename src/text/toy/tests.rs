use super::*;
use crate::text::split_documents;
use world::{ATTRIBUTE, ENTITIES, MAX_DOCUMENT_TOKENS};

fn encode(text: &str) -> Vec<u32> {
    ToyWorld::standard().tokenizer().encode(text).unwrap()
}

fn stream(item: u64) -> Stream {
    Stream::new(11, "toy-test", 0, item)
}

#[test]
fn the_law_sums_to_one_in_every_state() {
    let world = ToyWorld::standard();
    assert!(world.states() > 1000);
    for number in 0..world.states() as u32 {
        let law = State { sites: &world.sites, number }.next_law();
        let total: f64 = law.iter().map(|entry| entry.1).sum();
        assert!((total - 1.0).abs() <= 1e-12, "state {number} sums to {total}");
        assert!(law.iter().all(|entry| entry.1 > 0.0));
        assert!(law.is_sorted_by(|a, b| a.0 < b.0), "a token leads to two places at {number}");
    }
}

#[test]
fn the_vocabulary_is_small_and_fully_used() {
    let world = ToyWorld::standard();
    assert!((250..=400).contains(&world.vocab_size()), "{}", world.vocab_size());
    let mut used = vec![false; world.vocab_size()];
    world.sites.iter().flat_map(|site| &site.law).for_each(|entry| used[entry.0 as usize] = true);
    for attribute in 0..ATTRIBUTE.len() {
        world.value_tokens(attribute).for_each(|token| used[token as usize] = true);
    }
    assert!(used.into_iter().all(|used| used));
}

#[test]
fn sampled_documents_are_grammatical_true_and_short() {
    let world = ToyWorld::standard();
    let tokens = world.sample_stream(&mut stream(0), 50_000);
    for document in split_documents(&tokens, 0, false) {
        assert!(document.len() < MAX_DOCUMENT_TOKENS);
        let verdict = world.judge(document);
        assert!(verdict.grammatical && verdict.facts_true == verdict.facts_stated);
        let text = world.tokenizer().decode(document);
        assert_eq!(world.tokenizer().encode(&text).unwrap(), document);
    }
    // The stream as a whole is walked by the automaton and every token has positive probability.
    let mut state = world.start();
    for &token in &tokens[1..] {
        assert!(state.probability(token) > 0.0);
        state = state.advance(token).unwrap();
    }
    assert_eq!(state, world.start());
}

/// Longest path through the acyclic graph, the end token included.
#[test]
fn no_document_exceeds_the_limit() {
    let world = ToyWorld::standard();
    let mut longest = vec![0usize; world.states()];
    let mut layer = vec![0u32];
    for depth in 1.. {
        let mut next = layer.iter().flat_map(|&number| &world.sites[number as usize].targets);
        let mut reached = vec![false; world.states()];
        next.by_ref().for_each(|target| reached[target.0 as usize] = true);
        if std::mem::take(&mut reached[0]) {
            longest[0] = depth;
        }
        layer = (0..world.states() as u32).filter(|&number| reached[number as usize]).collect();
        if layer.is_empty() {
            break;
        }
    }
    assert!(longest[0] <= MAX_DOCUMENT_TOKENS, "{}", longest[0]);
}

/// z is at known variance: |z| ≤ 6.5 has a false alarm of 8e-11 under the normal limit; 2 tests.
#[test]
fn the_exact_entropy_and_length_agree_with_sampling() {
    let world = ToyWorld::standard();
    let figures = world.figures();
    let documents = 20_000;
    let mut random = stream(1);
    let (mut length, mut deviation) = (0.0, 0.0);
    for _ in 0..documents {
        let mut document = world.sample_document(&mut random);
        document.push(0);
        length += document.len() as f64;
        let mut state = world.start();
        for token in document {
            deviation -= state.probability(token).ln() + figures.entropy_nats;
            state = state.advance(token).unwrap();
        }
    }
    let n = f64::from(documents);
    let z_length =
        (length - n * figures.document_tokens) / (n * figures.document_tokens_variance).sqrt();
    let z_entropy = deviation / (n * figures.deviation_variance).sqrt();
    assert!(z_length.abs() <= 6.5, "{z_length}");
    assert!(z_entropy.abs() <= 6.5, "{z_entropy}");
}

/// A document states a fact at most 4 times, so the variance of a count is at most 4 times its
/// mean; by Bernstein's inequality one of 240 counts with means above 20 strays by 6.5 such
/// standard deviations with probability below 0.02, and far below under the actual variance.
#[test]
fn facts_are_stated_as_often_as_computed() {
    let world = ToyWorld::standard();
    let tokens = world.sample_stream(&mut stream(2), 200_000);
    let mut counts = vec![[0.0; ATTRIBUTES]; ENTITIES];
    let mut state = world.start();
    for &token in &tokens[1..] {
        if let Some((entity, attribute)) = state.fact() {
            counts[entity][attribute] += 1.0;
        }
        state = state.advance(token).unwrap();
    }
    for (counts, rates) in counts.iter().flatten().zip(world.fact_rates().iter().flatten()) {
        let mean = rates * tokens.len() as f64;
        assert!((counts - mean).abs() <= 6.5 * (4.0 * mean).sqrt(), "{counts} for {mean}");
        assert!(mean >= 15.0, "a fact is stated {mean} times in 200,000 tokens");
    }
}

#[test]
fn the_first_ten_thousand_tokens_never_change() {
    let world = ToyWorld::standard();
    let tokens = world.sample_stream(&mut Stream::new(0, "toy", 0, 0), 10_000);
    let bytes = tokens[..10_000].iter().flat_map(|token| token.to_le_bytes()).collect::<Vec<_>>();
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "2784644581cb1ea3ee0ea016578ff65ad49aefca84c295c6041d6cba119d8c2e"
    );
}

#[test]
fn questions_have_one_true_and_one_plausible_false_answer() {
    let world = ToyWorld::standard();
    let questions = world.fact_questions();
    assert_eq!(questions.len(), ENTITIES * ATTRIBUTES);
    for question in &questions {
        assert_eq!(question.context[0], 0);
        let state = world.state_after(&question.context).unwrap();
        assert_eq!(state.fact(), Some((question.entity_rank, question.attribute)));
        assert_eq!(state.probability(question.answer_true[0]), 1.0);
        assert_eq!(state.probability(question.answer_false[0]), 0.0);
        assert!(world.advance_loosely(state, question.answer_false[0]).is_some());
        let used = |other: &FactQuestion| {
            other.attribute == question.attribute && other.answer_true == question.answer_false
        };
        assert!(questions.iter().any(used));
    }
}

#[test]
fn agreement_pairs_differ_in_grammar_only_at_the_verb() {
    let world = ToyWorld::standard();
    let pairs = world.agreement_pairs();
    assert_eq!(pairs.len(), 180);
    assert_eq!(pairs.iter().filter(|pair| pair.attracted).count(), 60);
    for MinimalPair { good, bad, .. } in &pairs {
        let (last, prefix) = good.split_last().unwrap();
        assert_eq!(prefix, &bad[..prefix.len()]);
        assert_eq!(bad.len(), good.len());
        let state = world.state_after(prefix).unwrap();
        assert!(state.probability(*last) > 0.0);
        assert!(state.advance(bad[prefix.len()]).is_none());
    }
}

#[test]
fn the_judge_tells_grammar_from_truth() {
    let world = ToyWorld::standard();
    let question = &world.fact_questions()[0];
    let statement = |answer: &[u32]| [&question.context, answer, &encode(".")[..]].concat();
    let verdict = |tokens: &[u32]| {
        let verdict = world.judge(tokens);
        (verdict.grammatical, verdict.facts_stated, verdict.facts_true)
    };
    assert_eq!(verdict(&statement(&question.answer_true)), (true, 1, 1));
    assert_eq!(verdict(&statement(&question.answer_false)), (true, 1, 0));
    // A colour is no town; a document may not break off, be empty, or begin with a pronoun.
    assert_eq!(verdict(&encode("zorin lives in red .")), (false, 0, 0));
    assert_eq!(verdict(&encode("zorin lives in")), (false, 0, 0));
    assert_eq!(verdict(&[]), (false, 0, 0));
    assert_eq!(verdict(&encode("she eats figs .")), (false, 0, 0));
    assert_eq!(verdict(&encode("the dogs near the tree sleep .")), (true, 0, 0));
    assert_eq!(verdict(&encode("the dogs near the tree sleeps .")), (false, 0, 0));
    let passive = world.judge(&encode("the dogs are seen by the king ."));
    assert!(passive.grammatical && passive.rare_constructions == 1);
    assert_eq!(world.judge(&encode("where does zorin live ?")).rare_constructions, 1);
    // Nothing but the end follows the fourth sentence; nobody else may enter.
    assert!(world.judge(&encode(&"the dog sleeps . ".repeat(4))).grammatical);
    assert!(!world.judge(&encode(&"the dog sleeps . ".repeat(5))).grammatical);
    assert!(!world.judge(&encode("zorin eats figs . mavel eats figs .")).grammatical);
}

#[test]
fn the_true_law_has_no_excess_and_keeps_its_tail() {
    let world = ToyWorld::standard();
    let state = world.start();
    let law = world.law(&[0]).unwrap();
    let probs = law.iter().map(|&q| q as f32).collect::<Vec<_>>();
    let logs = law.iter().map(|&q| q.ln() as f32).collect::<Vec<_>>();
    assert!(state.excess_nats(&logs).abs() <= 1e-6);
    let (model, truth) = state.tail(&probs);
    assert!(truth > 0.1 && (model / truth - 1.0).abs() <= 1e-6);
    // A uniform model loses ln v minus the entropy.
    let v = world.vocab_size();
    let uniform = vec![-(v as f32).ln(); v];
    let loss = (v as f64).ln() - state.entropy_nats();
    assert!((state.excess_nats(&uniform) - loss).abs() <= 1e-6);
    assert!(world.law(&encode("zorin zorin")).is_none());
}

/// The numbers in the table of the module's page, to the digits that it gives.
#[test]
fn the_figures_are_those_of_the_documentation() {
    let world = ToyWorld::standard();
    let figures = world.figures();
    let rates = world.fact_rates();
    let rarest = rates.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(world.vocab_size(), 289);
    assert_eq!(format!("{:.4}", figures.entropy_nats), "1.0872");
    assert_eq!(format!("{:.2}", figures.document_tokens), "15.27");
    assert_eq!(format!("{:.1}", rarest * 1e5), "11.5");
    assert_eq!(format!("{:.0}", rates[0][1] * 1e5), "688");
}
