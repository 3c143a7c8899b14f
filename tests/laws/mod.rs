//! Algebraic laws: what must hold between results whatever the numbers are, and what training
//! converges to.
//!
//! A law needs no second implementation to compare with, so it catches what the textbook and the
//! fast path might have in common. Which test shows which law (`conformance` is the room next
//! door):
//!
//! - a shift of all logits changes nothing:
//!   `logits::a_shift_of_all_logits_changes_nothing`
//! - permuting rows permutes the result:
//!   `logits::permuting_the_rows_permutes_the_result`
//! - permuting the vocabulary permutes it:
//!   `logits::permuting_the_vocabulary_permutes_the_result`
//! - Σ_k ∂L/∂z_k = 0 in every row:
//!   `conformance::truncation::gradients_of_the_logits_sum_to_zero_in_every_row`
//! - TCE(0) ≡ 0:
//!   `conformance::truncation::gamma_zero_is_exactly_zero`
//! - TCE(1) ≡ focal(0) ≡ CE, bit for bit:
//!   `conformance::truncation::gamma_one_and_focal_zero_are_cross_entropy_bit_for_bit`
//!   and over a training
//!   `conformance::determinism::training_with_gamma_one_is_cross_entropy_bit_for_bit`
//! - kept rows are nested in γ, so their share is monotone:
//!   `logits::kept_rows_grow_with_gamma`
//! - TCE and drop-low share out CE:
//!   `logits::truncation_and_its_complement_share_out_cross_entropy`
//! - equality keeps the token:
//!   `conformance::truncation::equality_keeps_the_token`
//! - (1−p)√(V/(V−1)) ≤ ‖p−e‖₂ ≤ (1−p)√2, ‖p−e‖₁ = 2(1−p), ‖p−e‖∞ = 1−p:
//!   `logits::gradient_norms_lie_between_their_bounds`
//!   attained in `logits::both_bounds_of_the_norm_are_attained`
//! - loss and gradient jump at p = γ:
//!   `logits::loss_and_gradient_jump_at_gamma`
//! - dropped rows take no part:
//!   `conformance::truncation::dropped_rows_take_no_part`
//! - backward is linear in the cotangent:
//!   `operators::backward_is_linear_in_the_cotangent`
//! - backward adds to what it finds:
//!   every check of `conformance::harness::Record` (random start)
//! - a common shift of the keys changes nothing:
//!   `operators::a_common_shift_of_the_keys_changes_nothing`
//!   `model::the_key_bias_changes_nothing`
//! - attention averages values:
//!   `operators::attention_is_an_average_of_values`
//! - heads are alike:
//!   `operators::permuting_heads_permutes_the_outputs`
//! - attention is its quadratic definition:
//!   `conformance::attention::attention_backward_is_the_adjoint_of_the_oracle` (values too)
//! - layer norm ignores a shift:
//!   `operators::layernorm_ignores_a_shift`
//! - logits ignore later tokens:
//!   `conformance::model::logits_never_depend_on_later_tokens`
//!   `conformance::attention::attention_never_depends_on_later_tokens`
//! - gradients ignore later tokens:
//!   `model::gradients_of_a_token_ignore_later_tokens`
//!   `conformance::attention::attention_gradients_never_reach_later_tokens`
//! - sequences ignore their neighbours:
//!   `model::sequences_ignore_their_neighbours`
//!   when decoding `conformance::decoder::rows_have_the_same_bits_in_every_company`
//! - micro-batches add up to the batch:
//!   `conformance::model::micro_batches_add_up_to_the_batch`
//! - gradients scale with the denominator:
//!   `model::gradients_scale_with_the_denominator`
//! - token names do not matter:
//!   `model::renaming_the_tokens_changes_nothing`
//! - a tied table gets both gradients:
//!   `model::the_tied_table_gets_the_gradients_of_both_uses`
//! - cached decoding is recomputation:
//!   `conformance::decoder::cached_logits_equal_recomputed_ones_through_any_beam_search`
//! - whole models have the oracle's slope:
//!   `model::random_models_have_the_slope_of_the_oracle`
//!   with every loss at every case
//!   `conformance::model::model_gradients_equal_the_oracles_for_every_loss`
//! - second derivatives are the oracle's:
//!   `second_order`
//! - training converges to the closed forms:
//!   `convergence`
//!
//! Cheap laws run under quickcheck, those with shapes under proptest; both draw the same cases in
//! every run, more of them with `EXTENSIVE=1`. A case that fails under proptest is shrunk, printed
//! and its seed appended to `tests/regressions/laws.txt`; every law tries all seeds in that file
//! first, so committing the file keeps them as regression cases for as long as the law draws its
//! inputs from the same strategy.

mod convergence;
mod logits;
mod model;
mod operators;
mod second_order;

use crate::conformance::harness::{Finding, ensure, extensive};
use fortifai::Stream;
use proptest::strategy::Strategy;
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner,
};
use quickcheck::{Gen, QuickCheck, Testable};

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/laws.txt");

/// Runs the check on the seeds of the regressions and on `cases` values (`many` if extensive).
fn hold_for_all<S: Strategy>(
    (cases, many): (u32, u32),
    strategy: S,
    check: impl Fn(S::Value) -> Result<(), Finding>,
) {
    let config = Config {
        cases: if extensive() { many } else { cases },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner
        .run(&strategy, |value| check(value).map_err(|found| TestCaseError::fail(found.message)));
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Runs a cheap law on 200 inputs, or on 5,000.
fn hold<L: Testable>(law: L) {
    let tests = if extensive() { 5_000 } else { 200 };
    QuickCheck::new().rng(Gen::from_size_and_seed(24, 1)).tests(tests).quickcheck(law);
}

/// A random order of `0..n`.
fn permutation(n: usize, stream: &mut Stream) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    stream.shuffle(&mut order);
    order
}

/// The rows of `[n, c]` in another order: row `i` of the result is row `order[i]`.
fn reordered<X: Clone>(rows: &[X], c: usize, order: &[usize]) -> Vec<X> {
    order.iter().flat_map(|&row| rows[row * c..(row + 1) * c].to_vec()).collect()
}

/// The largest magnitude; NaN if there is one.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, &x| if x.abs() <= most { most } else { x.abs() })
}

/// Fails unless the two agree to `tolerance` times `size`, entry by entry.
fn agree(
    got: &[f64],
    truth: &[f64],
    tolerance: f64,
    size: f64,
    what: impl Fn() -> String,
) -> Result<(), Finding> {
    assert_eq!(got.len(), truth.len(), "{}: lengths", what());
    for (index, (got, truth)) in got.iter().zip(truth).enumerate() {
        ensure((got - truth).abs() <= tolerance * size, || {
            format!("{}, entry {index}: {got:e} not {truth:e}", what())
        })?;
    }
    Ok(())
}
