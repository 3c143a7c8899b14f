//! Item scores beside transformers on the same weights; `items.py` made the values.

use fortifai::config::ModelConfig;
use fortifai::cpu::{Cpu, Real};
use fortifai::measure::items::{ItemFiles, ItemScore, Items};
use fortifai::model::Gpt;
use fortifai::text::{Tokenizer, TokenizerKind};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::Path;

const MADE: &str = include_str!("items.json");
const WEIGHTS: &[u8] = include_bytes!("items.safetensors");

/// transformers sums in another order: `|a − b| ≤ TOLERANCE · max(1, |b|)`, in nats.
const TOLERANCE: f64 = 1e-12;

fn model<R: Real>(golden: &Value) -> Gpt<Cpu<R>> {
    let config: ModelConfig = serde_json::from_value(golden["config"].clone()).unwrap();
    let mut model = Gpt::zeros(Cpu::<R>::new(), config).unwrap();
    let tensors = SafeTensors::deserialize(WEIGHTS).unwrap();
    let mut arena = Vec::with_capacity(model.layout.len);
    for tensor in &model.layout.tensors {
        let found = tensors.tensor(&tensor.name).unwrap();
        assert_eq!(found.shape(), tensor.shape, "{}", tensor.name);
        let words = found.data().as_chunks::<4>().0.iter();
        arena.extend(words.map(|word| R::of(f64::from(f32::from_le_bytes(*word)))));
    }
    model.set_params(&arena).unwrap();
    model
}

/// The items of the golden file as files of their three forms.
fn load(golden: &Value, dir: &Path) -> Items {
    let file = |name: &str| dir.join(name);
    let write = |name: &str, text: String| std::fs::write(file(name), text).unwrap();
    let lines = |kind: &str| -> String {
        let items = golden[kind]["items"].as_array().unwrap();
        items.iter().map(|item| format!("{item}\n")).collect()
    };
    write("questions.json", golden["retention"]["items"].to_string());
    write("pairs.jsonl", lines("blimp"));
    write("choice.jsonl", lines("choice"));
    let files = ItemFiles {
        retention: Some(file("questions.json")),
        splits: Some(3),
        blimp: vec![file("pairs.jsonl")],
        choice: Some(file("choice.jsonl")),
        ..ItemFiles::default()
    };
    Items::load(&files, &Tokenizer::train(&TokenizerKind::Byte, &[]).unwrap()).unwrap()
}

fn golden_scores(golden: &Value) -> Vec<&Value> {
    let of = |kind: &str| golden[kind]["scores"].as_array().unwrap().iter();
    of("retention").chain(of("blimp")).chain(of("choice")).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn worst(ours: &[f64], truth: &[f64]) -> f64 {
    assert_eq!(ours.len(), truth.len());
    let error = |(a, b): (&f64, &f64)| (a - b).abs() / b.abs().max(1.0);
    ours.iter().zip(truth).map(error).fold(0.0, |most, error| {
        assert!(error.is_finite());
        f64::max(most, error)
    })
}

fn scores<R: Real>(golden: &Value) -> Vec<ItemScore> {
    let folder = tempfile::tempdir().unwrap();
    load(golden, folder.path()).score(&model::<R>(golden)).unwrap()
}

#[test]
fn item_scores_equal_those_of_transformers() {
    let golden: Value = serde_json::from_str(MADE).unwrap();
    let (ours, truth) = (scores::<f64>(&golden), golden_scores(&golden));
    assert_eq!(ours.len(), truth.len());
    let (mut right, mut cut) = (0, 0);
    for (ours, truth) in ours.iter().zip(&truth) {
        let place = format!("{} {}", ours.measure, ours.item);
        let error = worst(&ours.sums, &numbers(&truth["sums"]));
        assert!(error <= TOLERANCE, "{place}: the sums differ by {error:e}");
        let error = worst(&ours.means, &numbers(&truth["means"]));
        assert!(error <= TOLERANCE, "{place}: the means differ by {error:e}");
        let tokens: Vec<u64> = ours.tokens.iter().map(|tokens| *tokens as u64).collect();
        assert_eq!(serde_json::json!(tokens), truth["tokens"], "{place}");
        assert_eq!(serde_json::json!(ours.right), truth["right"], "{place}");
        assert_eq!(serde_json::json!(ours.right_by_mean), truth["right_by_mean"], "{place}");
        assert_eq!(serde_json::json!(ours.cut), truth["cut"], "{place}");
        right += usize::from(ours.right);
        cut += usize::from(ours.cut);
    }
    // Both outcomes occur, and both ways of reading.
    assert!((1..truth.len()).contains(&right) && (1..truth.len()).contains(&cut));
    let disagree = |score: &ItemScore| score.right_by_mean.is_some_and(|mean| mean != score.right);
    assert!(ours.iter().any(disagree), "the two scorings never disagree");
}

/// In single precision a score is off by its tokens' rounding: at most 1e-5 of a nat for each.
#[test]
fn single_precision_is_as_near_as_it_can_be() {
    let golden: Value = serde_json::from_str(MADE).unwrap();
    for (ours, truth) in scores::<f32>(&golden).iter().zip(golden_scores(&golden)) {
        for ((ours, truth), tokens) in
            ours.sums.iter().zip(numbers(&truth["sums"])).zip(&ours.tokens)
        {
            assert!((ours - truth).abs() <= 1e-5 * *tokens as f64, "{ours} {truth}");
        }
    }
}
