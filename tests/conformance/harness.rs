//! What the conformance tests add to the library of checks: random shapes that shrink, and verdicts
//! that panic.

pub use fortifai::verify::adjoint::Record;
pub use fortifai::verify::budget::Budget;
use fortifai::verify::buffers;
pub use fortifai::verify::buffers::Arena;
pub use fortifai::verify::operator::{Finding, Operator, What, dot, minus, normals, stream};

use fortifai::tier::Tier;
use proptest::strategy::Strategy;
use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner,
};

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/conformance.txt");

/// Whether `EXTENSIVE=1` asks for more cases.
pub fn extensive() -> bool {
    std::env::var_os("EXTENSIVE").is_some_and(|value| value != "0")
}

/// Runs the check on `cases` values of the strategy (15 times as many if extensive), the same ones
/// in every run, and shrinks the first that fails; its seed is kept in `tests/regressions` and tried
/// first from then on.
pub fn for_all<S: Strategy>(
    cases: u32,
    strategy: S,
    check: impl Fn(S::Value) -> Result<(), Finding>,
) {
    let config = Config {
        cases: if extensive() { 15 * cases } else { cases },
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner
        .run(&strategy, |value| check(value).map_err(|found| TestCaseError::fail(found.message)));
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// `Ok` or the finding; a NaN in the comparison has already made `holds` false.
pub fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), Finding> {
    fortifai::verify::operator::ensure(holds, What::Value, message)
}

/// An activation buffer of these numbers with NaN behind them.
pub fn act<T: Tier>(tier: &T, values: &[f64]) -> T::Act {
    buffers::act(tier, values).unwrap()
}

/// An activation buffer full of NaN, for outputs and workspaces.
pub fn blank<T: Tier>(tier: &T, len: usize) -> T::Act {
    buffers::blank(tier, len).unwrap()
}

/// Statistics or scratch, full of NaN.
pub fn blank_wide<T: Tier>(tier: &T, len: usize) -> T::Wide {
    buffers::blank_wide(tier, len).unwrap()
}

/// The first `len` numbers of one made here; fails if its guard was written to.
pub fn read_wide<T: Tier>(tier: &T, wide: &T::Wide, len: usize) -> Vec<f64> {
    buffers::read_wide(tier, wide, len).unwrap()
}

/// The first `len` numbers of a buffer made here; fails if its guard was written to.
pub fn read<T: Tier>(tier: &T, act: &T::Act, len: usize) -> Vec<f64> {
    buffers::read(tier, act, len).unwrap()
}

/// Prints the worst errors; fails if one of these branches was not visited.
pub fn finish(record: &Record, operator: &str, branches: &[&str]) {
    let (seen, worst) = (record.branches(), record.worst());
    println!(
        "{operator}: f64, {} cases, worst value {:.1e}, worst adjoint {:.1e}, branches {seen:?}",
        worst.cases, worst.value, worst.adjoint
    );
    for branch in branches {
        assert!(seen.contains_key(branch), "{operator}: no case visits {branch:?}: {seen:?}");
    }
}

/// Fails where a tensor has fewer than 32 cases or is worse than twice the textbook.
pub fn finish_budget(budget: &Budget, operator: &str) {
    let mut failures = Vec::new();
    for used in budget.used() {
        println!("{operator} {used:?}");
        assert!(used.cases >= 32, "{operator} {}: only {} cases", used.tensor, used.cases);
        let holds = used.used <= 1.0;
        if !holds {
            failures.push(used);
        }
    }
    assert!(failures.is_empty(), "{operator}: worse than twice the textbook: {failures:#?}");
}
