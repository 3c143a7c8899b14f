//! Tests of the engine, with a model that remembers what it was shown.

use super::*;

/// Draws its own number; is fitted to the list of all numbers drawn.
#[derive(Clone, Debug, PartialEq)]
struct Ledger {
    generation: usize,
    seen: Vec<usize>,
}

impl Model for Ledger {
    type Pool = Vec<usize>;
    fn pool(&self) -> Vec<usize> {
        Vec::new()
    }
    fn draw(&self, pool: &mut Vec<usize>, count: usize, bias: f64, _: &mut Stream) {
        let mark = if bias == 1.0 { 0 } else { 100 };
        pool.extend(std::iter::repeat_n(self.generation + mark, count));
    }
    fn subsample(
        &self,
        pool: &Vec<usize>,
        count: usize,
        with_replacement: bool,
        stream: &mut Stream,
    ) -> Vec<usize> {
        let mut order = pool.clone();
        stream.shuffle(&mut order);
        if with_replacement { vec![order[0]; count] } else { order[..count].to_vec() }
    }
    fn fit(&self, pool: &Vec<usize>) -> Result<Self, Refusal> {
        let mut seen = pool.clone();
        seen.sort_unstable();
        Ok(Self { generation: self.generation + 1, seen })
    }
}

const TRUTH: Ledger = Ledger { generation: 0, seen: Vec::new() };

fn seen(recursion: &Recursion, generation: usize) -> Vec<usize> {
    last(&TRUTH, recursion, generation, 1, 0).expect("inside the domain").seen
}

#[test]
fn each_protocol_shows_a_generation_the_data_it_promises() {
    let run = |protocol, generation| seen(&Recursion::new(protocol, 4), generation);
    assert_eq!(run(Protocol::Replace, 3), [2, 2, 2, 2]);
    assert_eq!(run(Protocol::Accumulate, 3), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(run(Protocol::FreshReal { share: 0.25 }, 3), [0, 2, 2, 2]);
    assert_eq!(run(Protocol::FixedReal { share: 0.75 }, 3), [0, 0, 0, 2]);
    assert_eq!(run(Protocol::CoinReal { share: 0.0 }, 3), [2, 2, 2, 2]);
    assert_eq!(run(Protocol::CoinReal { share: 1.0 }, 3), [0, 0, 0, 0]);
    let budget =
        |budget, with_replacement| run(Protocol::AccumulateBudget { budget, with_replacement }, 3);
    assert_eq!(budget(12, false), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(budget(99, false).len(), 12);
    assert_eq!(budget(5, false).len(), 5);
    assert_eq!(budget(99, true).len(), 99);
}

#[test]
fn a_coin_shows_real_samples_as_often_as_it_says() {
    // Binomial(8000, 0.3) at |z| ≤ 6.5: false alarm 1e-10.
    let real: usize = (0..2_000)
        .map(|item| {
            let recursion = Recursion::new(Protocol::CoinReal { share: 0.3 }, 4);
            let model = last(&TRUTH, &recursion, 2, 5, item).expect("inside the domain");
            model.seen.iter().filter(|&&generation| generation == 0).count()
        })
        .sum();
    let z = (real as f64 - 2_400.0) / (8_000.0f64 * 0.21).sqrt();
    assert!(z.abs() <= 6.5, "{z}");
}

#[test]
fn bias_touches_synthetic_data_from_its_generation_on() {
    let biased = |from| Recursion::replace(2).biased(0.9, from);
    assert_eq!(seen(&biased(1), 1), [100, 100]);
    assert_eq!(seen(&biased(2), 1), [0, 0]);
    assert_eq!(seen(&biased(2), 2), [101, 101]);
    let mixed = Recursion::new(Protocol::FreshReal { share: 0.5 }, 2).biased(0.9, 1);
    assert_eq!(seen(&mixed, 2), [0, 101]);
}

#[test]
fn blocks_grow_as_scheduled() {
    let schedule = Schedule::Blocks(vec![4, 9, 3]);
    let blocks = Recursion::accumulate(schedule.clone()).blocks(3).expect("three blocks");
    assert_eq!(blocks, [(4, 4), (9, 13), (3, 16)]);
    assert_eq!(seen(&Recursion::accumulate(schedule.clone()), 3).len(), 16);
    assert_eq!(Recursion::replace(5).blocks(2).expect("constant"), [(5, 5), (5, 5)]);
    assert!(Recursion::replace(schedule.clone()).blocks(4).is_err());
    assert!(chain(&TRUTH, &Recursion::replace(schedule), 4, 1, 0).is_err());
    let coin = Recursion::new(Protocol::CoinReal { share: 0.1 }, 5);
    assert!(coin.blocks(1).expect_err("mixed").to_string().contains("only Replace"));
}

#[test]
fn chains_do_not_depend_on_their_length_and_stop_when_told() {
    let budget = Protocol::AccumulateBudget { budget: 3, with_replacement: false };
    let recursion = Recursion::new(budget, 4);
    let run = |t| chain(&TRUTH, &recursion, t, 3, 9).expect("inside the domain");
    assert_eq!(run(6)[..4], run(3)[..]);
    let mut numbers = Vec::new();
    let end = observe(&TRUTH, &recursion, usize::MAX, 3, 9, |generation| {
        numbers.push((generation.number, generation.pool.len()));
        if generation.number == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(numbers, [(0, 0), (1, 4), (2, 8)]);
    assert_eq!(end.expect("inside the domain"), run(2)[2]);
}

#[test]
fn what_cannot_be_run_is_refused() {
    let refused = |recursion: Recursion| chain(&TRUTH, &recursion, 2, 1, 0).is_err();
    assert!(refused(Recursion::new(Protocol::FreshReal { share: 0.3 }, 4)));
    assert!(refused(Recursion::new(Protocol::CoinReal { share: 2.0 }, 4)));
    assert!(refused(Recursion::replace(0)));
    assert!(refused(Recursion::replace(4).biased(-1.0, 1)));
    assert!(refused(Recursion::replace(4).biased(f64::INFINITY, 1)));
}
