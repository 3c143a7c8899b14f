//! The fused classifier: values and gradients of every rule.

use super::harness::*;
use fortifai::cpu::{Cpu, classifier::chunk_rows};
use fortifai::loss::Rule;
use fortifai::verify::operators::classifier::{Classifier, Member, members};
use fortifai_oracle::loss::LossKind;

const FIXED: [(usize, usize, usize); 13] = [
    (1, 1, 1),
    (2, 3, 1),
    (1, 1, 2),
    (2, 2, 2),
    (3, 5, 7),
    (7, 4, 15),
    (15, 3, 16),
    (16, 2, 17),
    (17, 7, 31),
    (31, 1, 63),
    (5, 16, 64),
    (4, 17, 65),
    (3, 33, 257),
];

#[test]
fn classifier_backward_is_the_adjoint_of_the_oracle_for_every_rule() {
    let tier = Cpu::<f64>::new();
    for member in members() {
        let record = Record::default();
        for (seed, shape) in FIXED.into_iter().enumerate() {
            let op = Classifier::new(shape, member.clone(), seed as u64);
            record.check(&op, &tier, seed as u64).unwrap();
        }
        let shapes = (1..40usize, 1..12usize, 1..40usize);
        for_all(16, (shapes, 0..1u64 << 32), |(shape, seed)| {
            record.check(&Classifier::new(shape, member.clone(), seed), &tier, seed)
        });
        record.check(&Classifier::new((1300, 2, 3), member.clone(), 0), &tier, 0).unwrap();
        finish(&record, &format!("classifier {member:?}"), &member.branches());
    }
}

#[test]
fn rows_of_several_chunks_are_compacted_without_loss() {
    // With a vocabulary this small a chunk holds 512 rows; the kept ones of four chunks are
    // gathered: none to spare, one row over, and a last chunk of one row.
    let (record, tier) = (Record::default(), Cpu::<f64>::new());
    for (seed, n) in [(1, 513), (2, 1024), (3, 1537), (4, 2047)] {
        for member in members() {
            record.check(&Classifier::new((n, 2, 5), member, seed), &tier, seed).unwrap();
        }
    }
    // A vocabulary so large that a chunk holds fewer rows.
    let member = Member::Known(Rule::Tce(0.3), LossKind::Tce { gamma: 0.3 });
    let v = (1 << 23) / 32;
    assert_eq!(chunk_rows(1000, v), 32);
    record.check(&Classifier::new((67, 1, v), member, 5), &tier, 5).unwrap();
    finish(&record, "classifier in chunks", &["several chunks", "kept", "dropped"]);
}

#[test]
fn classifier_in_f32_is_no_worse_than_twice_the_textbook() {
    let tier = Cpu::<f32>::new();
    for member in members() {
        let mut budget = Budget::default();
        for seed in 0..96 {
            let size = seed as usize;
            let shape = (1 + size % 9, 1 + size % 6, 2 + size % 19);
            budget.check(&Classifier::new(shape, member.clone(), seed), &tier, seed).unwrap();
        }
        finish_budget(&budget, &format!("classifier {member:?}"));
    }
}

#[test]
fn a_chunk_holds_32_to_512_rows_and_about_eight_million_logits() {
    let sizes = [(2000, 5), (2000, 1 << 14), (2000, 1 << 16), (2000, 1 << 30), (7, 5), (0, 0)];
    assert_eq!(sizes.map(|(n, v)| chunk_rows(n, v)), [512, 512, 128, 32, 7, 1]);
}
