//! Decoding with a key-value cache against full recomputation.

use super::harness::for_all;
use super::harness::{Finding, ensure};
use super::model::Case;
use fortifai::Stream;
use fortifai::config::ModelConfig;
use fortifai::cpu::{Cpu, Real};
use fortifai::model::{Activations, Gpt, GptDecoder};
use fortifai::sample::Decoder;
use fortifai::tier::Tier;
use std::cell::Cell;

/// Logits after the last token of one sequence, without a cache.
fn recomputed<T: Tier>(model: &Gpt<T>, tokens: &[u32]) -> Vec<f64> {
    let t = tokens.len();
    let mut acts = Activations::new(&model.tier, &model.config, 1, t, false).unwrap();
    let logits = model.logits(&mut acts, tokens, t).unwrap();
    logits[(t - 1) * model.config.vocab..].iter().map(|x| x.wide()).collect()
}

fn compare<T: Tier>(
    model: &Gpt<T>,
    decoder: &GptDecoder<T>,
    histories: &[(usize, Vec<u32>)],
    tolerance: f64,
    what: impl Fn() -> String,
) -> Result<(), Finding> {
    let v = model.config.vocab;
    assert_eq!(decoder.logits().len(), histories.len() * v, "{}: number of logits", what());
    for (row, (logits, (_, tokens))) in decoder.logits().chunks(v).zip(histories).enumerate() {
        for (got, truth) in logits.iter().zip(recomputed(model, tokens)) {
            let error = (got.wide() - truth).abs();
            ensure(error <= tolerance * truth.abs().max(1.0), || {
                format!("{}, row {row} {tokens:?}: {got} not {truth}", what())
            })?;
        }
    }
    Ok(())
}

fn model(seed: u64, context: usize) -> Gpt<Cpu<f64>> {
    let mut stream = Stream::new(seed, "conformance-decoder", 0, 0);
    let (layers, heads, hs) = (1 + stream.below(3), 1 + stream.below(3), 1 + stream.below(6));
    let vocab = 2 + stream.below(20);
    let config = ModelConfig { layers, heads, channels: heads * hs, context, vocab };
    Case::new(config, 1, 1, 0.5, seed).model(Cpu::new()).unwrap()
}

/// Random prompts in groups of rows; at every step each group's rows continue random parents of the
/// group (repeated, dropped, reordered, their number going up and down), and groups may finish.
#[test]
fn cached_logits_equal_recomputed_ones_through_any_beam_search() {
    let [repeated, dropped, swapped, finished, refilled] = [const { Cell::new(0) }; 5];
    let bump = |counter: &Cell<usize>, by: bool| counter.set(counter.get() + usize::from(by));
    for_all(40, (1..6usize, 1..5usize, 2..24usize, 0..1u64 << 32), |shape| {
        let (prompts, beams, context, seed) = shape;
        let model = model(seed, context);
        let v = model.config.vocab;
        let mut stream = Stream::new(seed, "conformance-beams", 0, 0);
        // Sometimes more slots than the groups can share out evenly.
        let spare = stream.below(prompts);
        let mut decoder = GptDecoder::new(&model, prompts * beams + spare, context).unwrap();
        // Two rounds with one decoder: the second finds the first one's numbers in the cache.
        for round in 0..2 {
            let mut histories: Vec<(usize, Vec<u32>)> = (0..prompts)
                .map(|prompt| {
                    let len = 1 + stream.below(context);
                    (prompt, (0..len).map(|_| stream.below(v) as u32).collect())
                })
                .collect();
            let texts: Vec<&[u32]> = histories.iter().map(|(_, tokens)| &tokens[..]).collect();
            decoder.prefill(&texts).unwrap();
            bump(&refilled, round == 1);
            let what = |step: usize| format!("decoder {shape:?}, round {round}, step {step}");
            compare(&model, &decoder, &histories, 1e-12, || what(0))?;
            for step in 1..12 {
                let mut parents = Vec::new();
                for prompt in 0..prompts {
                    let rows: Vec<usize> = (0..histories.len())
                        .filter(|&row| histories[row].0 == prompt)
                        .filter(|&row| histories[row].1.len() < context)
                        .collect();
                    // A group finishes at the end of its context, or early.
                    if rows.is_empty() || stream.below(9) == 0 {
                        bump(&finished, histories.iter().any(|(at, _)| *at == prompt));
                        continue;
                    }
                    let children: Vec<usize> = (0..1 + stream.below(beams))
                        .map(|_| rows[stream.below(rows.len())])
                        .collect();
                    let mut unique = children.clone();
                    unique.sort_unstable();
                    bump(&swapped, !children.is_sorted());
                    unique.dedup();
                    bump(&repeated, unique.len() < children.len());
                    bump(&dropped, unique.len() < rows.len());
                    parents.extend(children);
                }
                if parents.is_empty() {
                    break;
                }
                let tokens: Vec<u32> = parents.iter().map(|_| stream.below(v) as u32).collect();
                decoder.step(&parents, &tokens).unwrap();
                histories = parents
                    .iter()
                    .zip(&tokens)
                    .map(|(&parent, &token)| {
                        let (prompt, mut past) = histories[parent].clone();
                        past.push(token);
                        (prompt, past)
                    })
                    .collect();
                compare(&model, &decoder, &histories, 1e-12, || what(step))?;
            }
        }
        Ok(())
    });
    for counter in [&repeated, &dropped, &swapped, &finished, &refilled] {
        assert!(counter.get() >= 20, "a branch of the beam search is hardly visited");
    }
}

#[test]
fn prompts_of_other_orders_may_stand_mixed() {
    // Rows of different prompts need not stay grouped together.
    let model = model(3, 9);
    let v = model.config.vocab as u32;
    let mut decoder = GptDecoder::new(&model, 6, 9).unwrap();
    decoder.prefill(&[&[0, 1 % v], &[1 % v, 0, 1 % v]]).unwrap();
    decoder.step(&[1, 0, 1, 0, 1], &[0, 0, 1 % v, 1 % v, 0]).unwrap();
    decoder.step(&[3, 4, 0, 1, 2, 3], &[1 % v, 0, 1 % v, 0, 0, 0]).unwrap();
    let o = 1 % v;
    let (a, b) = (vec![0, o], vec![o, 0, o]);
    let with = |past: &[u32], more: &[u32]| (0, [past, more].concat());
    let histories = [
        with(&a, &[o, o]),
        with(&b, &[0, 0]),
        with(&b, &[0, o]),
        with(&a, &[0, 0]),
        with(&b, &[o, 0]),
        with(&a, &[o, 0]),
    ];
    compare(&model, &decoder, &histories, 1e-12, || "mixed".into()).unwrap();
}

#[test]
fn many_prompts_are_read_in_several_parts() {
    // More tokens than are worked off together: 4,096 at a time.
    let config = ModelConfig { layers: 1, heads: 1, channels: 2, context: 100, vocab: 5 };
    let case = Case::new(config, 1, 1, 0.5, 1);
    let model = case.model(Cpu::<f64>::new()).unwrap();
    let mut stream = Stream::new(1, "conformance-many", 0, 0);
    let prompts: Vec<(usize, Vec<u32>)> = (0..90)
        .map(|prompt| {
            let len = if prompt == 50 { 99 } else { 1 + stream.below(98) };
            (prompt, (0..len).map(|_| stream.below(5) as u32).collect())
        })
        .collect();
    let texts: Vec<&[u32]> = prompts.iter().map(|(_, tokens)| &tokens[..]).collect();
    let mut decoder = GptDecoder::new(&model, 180, 100).unwrap();
    decoder.prefill(&texts).unwrap();
    compare(&model, &decoder, &prompts, 1e-12, || "prefill".into()).unwrap();
    let parents: Vec<usize> = (0..180).map(|row| row / 2).collect();
    let tokens: Vec<u32> = (0..180).map(|row| row % 5).collect();
    decoder.step(&parents, &tokens).unwrap();
    let histories: Vec<_> = (0..180)
        .map(|row| (row / 2, [&prompts[row / 2].1[..], &[row as u32 % 5]].concat()))
        .collect();
    compare(&model, &decoder, &histories, 1e-12, || "step".into()).unwrap();
}

#[test]
fn rows_have_the_same_bits_in_every_company() {
    // What a prompt continues with must not depend on which others are generated beside it.
    let config = ModelConfig { layers: 2, heads: 2, channels: 16, context: 12, vocab: 9 };
    let case = Case::new(config, 1, 1, 0.5, 2);
    let model = case.model(Cpu::<f32>::new()).unwrap();
    let mut stream = Stream::new(2, "conformance-company", 0, 0);
    let prompts: Vec<Vec<u32>> =
        (0..40).map(|_| (0..5).map(|_| stream.below(9) as u32).collect()).collect();
    let run = |rows: usize| {
        let texts: Vec<&[u32]> = prompts[..rows].iter().map(|prompt| &prompt[..]).collect();
        let mut decoder = GptDecoder::new(&model, rows, 12).unwrap();
        decoder.prefill(&texts).unwrap();
        let mut all = vec![decoder.logits().to_vec()];
        for step in 0..4u32 {
            let parents: Vec<usize> = (0..rows).collect();
            let tokens: Vec<u32> = (0..rows as u32).map(|row| (row + step) % 9).collect();
            decoder.step(&parents, &tokens).unwrap();
            all.push(decoder.logits().to_vec());
        }
        all
    };
    let whole = run(40);
    for rows in [1, 2, 3, 4, 15, 16, 17, 28, 29, 33] {
        for (step, (part, whole)) in run(rows).iter().zip(&whole).enumerate() {
            assert_eq!(part[..], whole[..rows * 9], "{rows} rows, step {step}");
        }
    }
}

#[test]
fn a_full_cache_is_refused() {
    let model = model(4, 3);
    let mut decoder = GptDecoder::new(&model, 2, 3).unwrap();
    assert!(decoder.prefill(&[]).is_err());
    assert!(decoder.prefill(&[&[]]).is_err());
    assert!(decoder.prefill(&[&[0, 0, 0, 0]]).is_err());
    assert!(decoder.prefill(&[&[0], &[0], &[0]]).is_err());
    decoder.prefill(&[&[0, 0]]).unwrap();
    assert!(decoder.step(&[0, 0, 0], &[0, 0, 0]).is_err());
    decoder.step(&[0, 0], &[0, 1]).unwrap();
    assert!(decoder.step(&[0], &[0]).is_err());
}

#[test]
fn a_decoder_says_what_it_can_hold() {
    let model = model(5, 9);
    for (rows, context) in [(1, 3), (4, 9)] {
        let decoder = GptDecoder::new(&model, rows, context).unwrap();
        assert_eq!((decoder.max_rows(), decoder.context()), (rows, context));
        assert_eq!(decoder.vocab(), model.config.vocab);
    }
    // No more positions than the model knows, and at least one row.
    let decoder = GptDecoder::new(&model, 0, 100).unwrap();
    assert_eq!((decoder.max_rows(), decoder.context()), (1, 9));
}
