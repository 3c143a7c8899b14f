//! Tasks that wait for one another, some side by side, each with its share of the threads.

use crate::{Error, Result};
use std::sync::{Condvar, Mutex, MutexGuard};

/// Where the tasks stand.
struct State<X> {
    taken: Vec<bool>,
    results: Vec<Option<Result<X>>>,
    running: usize,
    free: usize,
    /// A task has panicked; nobody waits for it any more.
    broken: bool,
}

impl<X> State<X> {
    /// The tasks that could begin now, in order.
    fn ready(&self, waits: &[Vec<usize>]) -> Vec<usize> {
        let done = |index: &usize| self.results[*index].is_some();
        let can = |index: &usize| !self.taken[*index] && waits[*index].iter().all(done);
        (0..waits.len()).filter(can).collect()
    }
}

struct Schedule<X> {
    state: Mutex<State<X>>,
    changed: Condvar,
}

/// Notes that a task has panicked, unless it is told that it has not.
struct Watch<'a, X> {
    schedule: &'a Schedule<X>,
}

impl<X> Drop for Watch<'_, X> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.schedule.lock().broken = true;
            self.schedule.changed.notify_all();
        }
    }
}

impl<X> Schedule<X> {
    fn lock(&self) -> MutexGuard<'_, State<X>> {
        self.state.lock().expect("no task runs under the lock")
    }
}

/// Carries out the task 0, 1, … `jobs` at a time, the first that can begin first; task `i` begins once
/// those of `waits[i]` have ended, well or not. Results in order.
///
/// A task gets an equal share of the threads that are free among the tasks that could begin with it,
/// so that the last ones have all of them.
///
/// # Panics
/// If a task does, or if a task waits for one that is not before it.
pub fn carry_out<X: Send>(
    (threads, jobs): (usize, usize),
    waits: &[Vec<usize>],
    task: &(dyn Fn(usize) -> Result<X> + Sync),
) -> Vec<Result<X>> {
    for (index, waits) in waits.iter().enumerate() {
        assert!(waits.iter().all(|&other| other < index), "task {index} waits for {waits:?}");
    }
    let jobs = jobs.max(1);
    let schedule = Schedule {
        state: Mutex::new(State {
            taken: vec![false; waits.len()],
            results: waits.iter().map(|_| None).collect(),
            running: 0,
            free: threads.max(1),
            broken: false,
        }),
        changed: Condvar::new(),
    };
    let work = || {
        let mut state = schedule.lock();
        loop {
            let ready = state.ready(waits);
            let Some(&index) = ready.first() else {
                if state.broken || state.taken.iter().all(|&taken| taken) {
                    return;
                }
                state = schedule.changed.wait(state).expect("no task runs under the lock");
                continue;
            };
            let beginning = ready.len().min(jobs - state.running);
            let share = state.free / beginning;
            state.taken[index] = true;
            state.running += 1;
            state.free -= share;
            drop(state);
            let watch = Watch { schedule: &schedule };
            let result = with_threads(share.max(1), || task(index));
            drop(watch);
            state = schedule.lock();
            state.results[index] = Some(result);
            state.running -= 1;
            state.free += share;
            schedule.changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(waits.len()) {
            scope.spawn(work);
        }
    });
    let state = schedule.state.into_inner().expect("all workers are done");
    state.results.into_iter().map(|result| result.expect("every task was taken")).collect()
}

/// Runs something on a pool of so many threads.
fn with_threads<X: Send>(threads: usize, work: impl FnOnce() -> Result<X> + Send) -> Result<X> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|cause| {
        Error::environment(format!(
            "No {threads} threads can be started: {cause}. Lower --threads."
        ))
    })?;
    pool.install(work)
}

#[cfg(test)]
mod tests {
    use super::carry_out;
    use crate::Error;
    use proptest::prelude::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Every task waits for some of those before it.
    fn waits() -> impl Strategy<Value = Vec<Vec<usize>>> {
        prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..3), 0..12)
            .prop_map(|all| {
                let before = |(index, chosen): (usize, Vec<prop::sample::Index>)| match index {
                    0 => Vec::new(),
                    _ => chosen.iter().map(|choice| choice.index(index)).collect(),
                };
                all.into_iter().enumerate().map(before).collect()
            })
    }

    proptest! {
        #[test]
        fn every_task_runs_once_and_after_what_it_waits_for(
            waits in waits(), jobs in 1_usize..5, threads in 1_usize..5,
        ) {
            let ended = Mutex::new(Vec::new());
            let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let results = carry_out((threads, jobs), &waits, &|index| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let before = ended.lock().unwrap().clone();
                assert!(waits[index].iter().all(|other| before.contains(other)));
                std::thread::yield_now();
                ended.lock().unwrap().push(index);
                now.fetch_sub(1, Ordering::SeqCst);
                if index % 3 == 2 { Err(Error::stopped()) } else { Ok(index) }
            });
            prop_assert!(most.into_inner() <= jobs);
            prop_assert_eq!(ended.into_inner().unwrap().len(), waits.len());
            for (index, result) in results.into_iter().enumerate() {
                prop_assert_eq!(result.ok(), (index % 3 != 2).then_some(index));
            }
        }
    }

    #[test]
    fn the_last_task_has_all_threads() {
        let shares =
            carry_out((4, 2), &[vec![], vec![], vec![0, 1]], &|_| Ok(rayon::current_num_threads()));
        let shares: Vec<usize> = shares.into_iter().map(Result::unwrap).collect();
        assert_eq!(shares, [2, 2, 4]);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_ends_the_wait_for_what_panicked() {
        let _ = carry_out((2, 2), &[vec![], vec![0]], &|index| {
            assert!(index > 0, "the first task fails");
            Ok(())
        });
    }
}
