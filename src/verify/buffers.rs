//! Buffers with guard bands: what an operator writes beside its outputs is noticed, what it reads
//! beside its inputs is NaN.

use super::operator::{Finding, What, ensure};
use crate::cpu::Real;
use crate::tier::{Span, Tier};

/// Elements behind every activation buffer and around every span of an arena.
const GUARD: usize = 5;
/// Elements of the longest vector that a kernel reads at once.
const VECTOR: usize = 8;
/// What guards hold where backward adds: a sum with a NaN would hide. Exact in bf16 too.
const MARK: f64 = 12288.0;

/// An activation buffer of these numbers with NaN behind them.
pub fn act<T: Tier>(tier: &T, values: &[f64]) -> Result<T::Act, Finding> {
    guarded(tier, values, f64::NAN)
}

/// An activation buffer full of NaN, for outputs and workspaces.
pub fn blank<T: Tier>(tier: &T, len: usize) -> Result<T::Act, Finding> {
    act(tier, &vec![f64::NAN; len])
}

/// A buffer of statistics or scratch, full of NaN.
pub fn blank_wide<T: Tier>(tier: &T, len: usize) -> Result<T::Wide, Finding> {
    let mut wide = tier.wide(len + GUARD)?;
    tier.upload_wide(&mut wide, &vec![T::Number::of(f64::NAN); len + GUARD])?;
    Ok(wide)
}

/// Several of them.
pub fn blanks_wide<T: Tier, const K: usize>(
    tier: &T,
    lens: [usize; K],
) -> Result<[T::Wide; K], Finding> {
    let all = lens.iter().map(|&len| blank_wide(tier, len)).collect::<Result<Vec<_>, _>>()?;
    Ok(all.try_into().unwrap_or_else(|_| unreachable!("one buffer per length")))
}

/// Several blank activation buffers.
pub fn blanks<T: Tier, const K: usize>(tier: &T, lens: [usize; K]) -> Result<[T::Act; K], Finding> {
    let acts = lens.iter().map(|&len| blank(tier, len)).collect::<Result<Vec<_>, _>>()?;
    Ok(acts.try_into().unwrap_or_else(|_| unreachable!("one buffer per length")))
}

/// An activation buffer that backward adds to.
pub fn gradient_act<T: Tier>(tier: &T, start: &[f64]) -> Result<T::Act, Finding> {
    guarded(tier, start, MARK)
}

/// The first `len` numbers of a buffer made here; fails if its guard was written to.
pub fn read<T: Tier>(tier: &T, act: &T::Act, len: usize) -> Result<Vec<f64>, Finding> {
    front(wide(tier.download_act(act, len + GUARD)?), len)
}

/// The same of statistics or scratch.
pub fn read_wide<T: Tier>(tier: &T, from: &T::Wide, len: usize) -> Result<Vec<f64>, Finding> {
    front(wide(tier.download_wide(from, len + GUARD)?), len)
}

fn front(mut numbers: Vec<f64>, len: usize) -> Result<Vec<f64>, Finding> {
    ensure(untouched(&numbers[len..]), What::Guard, || {
        format!("written behind {len} numbers: {:?}", &numbers[len..])
    })?;
    numbers.truncate(len);
    Ok(numbers)
}

/// Numbers get into an activation buffer as the embedding of one channel.
fn guarded<T: Tier>(tier: &T, values: &[f64], guard: f64) -> Result<T::Act, Finding> {
    let n = values.len() + GUARD;
    let mut act = tier.act(n)?;
    // x + (−0) is x for every x.
    let mut numbers = vec![T::Number::of(-0.0)];
    numbers.extend(values.iter().map(|&value| T::Number::of(value)));
    numbers.resize(n + 1, T::Number::of(guard));
    let mut table = tier.param(n + 1)?;
    tier.upload(&mut table, Span { start: 0, len: n + 1 }, &numbers)?;
    let tokens: Vec<u32> = (0..n as u32).collect();
    let (wte, wpe) = (Span { start: 1, len: n }, Span { start: 0, len: 1 });
    tier.embedding_forward(&mut act, &tokens, &vec![0; n], &table, wte, wpe, 1)?;
    Ok(act)
}

fn untouched(guard: &[f64]) -> bool {
    guard.iter().all(|x| x.is_nan()) || guard.iter().all(|&x| x == MARK)
}

pub(crate) fn wide<R: Real>(numbers: Vec<R>) -> Vec<f64> {
    numbers.into_iter().map(Real::wide).collect()
}

/// A parameter arena under construction, with guards between its spans.
pub struct Arena {
    numbers: Vec<f64>,
    spans: Vec<Span>,
    guard: f64,
}

impl Arena {
    /// For parameters: reading beyond a span gives NaN.
    pub fn of_parameters() -> Self {
        Self { numbers: vec![f64::NAN; GUARD], spans: Vec::new(), guard: f64::NAN }
    }

    /// For gradients: adding beyond a span is noticed by [`Arena::read`].
    pub fn of_gradients() -> Self {
        Self { numbers: vec![MARK; GUARD], spans: Vec::new(), guard: MARK }
    }

    /// Appends a tensor: one that is a multiple of eight long begins at such a multiple, so that a
    /// kernel that reads vectors may do so, any other where it happens to.
    pub fn push(&mut self, values: &[f64]) -> Span {
        if values.len().is_multiple_of(VECTOR) {
            let start = self.numbers.len().next_multiple_of(VECTOR);
            self.numbers.resize(start, self.guard);
        }
        let span = Span { start: self.numbers.len(), len: values.len() };
        self.numbers.extend(values);
        self.numbers.resize(self.numbers.len() + GUARD, self.guard);
        self.spans.push(span);
        span
    }

    /// The arena on the tier.
    pub fn upload<T: Tier>(&self, tier: &T) -> Result<T::Param, Finding> {
        let numbers: Vec<_> = self.numbers.iter().map(|&value| T::Number::of(value)).collect();
        let mut param = tier.param(numbers.len())?;
        tier.upload(&mut param, Span { start: 0, len: numbers.len() }, &numbers)?;
        Ok(param)
    }

    /// All tensors one after another; fails if a guard was written to.
    pub fn read<T: Tier>(&self, tier: &T, param: &T::Param) -> Result<Vec<f64>, Finding> {
        let whole = Span { start: 0, len: self.numbers.len() };
        let mut numbers = wide(tier.download(param, whole)?);
        let mut tensors = Vec::new();
        for span in &self.spans {
            tensors.extend_from_slice(&numbers[span.range()]);
            numbers[span.range()].fill(self.guard);
        }
        ensure(untouched(&numbers), What::Guard, || {
            "written outside the spans of an arena".into()
        })?;
        Ok(tensors)
    }
}
