//! What the conformance checks share: an operator as the textbook and as a tier has it, guarded
//! buffers, the adjoint identity, and the comparison with single-precision textbook errors.

use fortifai::Stream;
use fortifai::cpu::Real;
use fortifai::tier::{Span, Tier};
use fortifai_oracle::{Dual, Scalar, constants, directional, tangents};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// One operator at one shape: a differentiable map from a flat point to flat outputs.
pub trait Operator {
    /// Operator and shape, for messages.
    fn label(&self) -> String;
    /// Names and lengths of the input tensors, in the order of the point.
    fn inputs(&self) -> Vec<(&'static str, usize)>;
    /// Names and lengths of the output tensors.
    fn outputs(&self) -> Vec<(&'static str, usize)>;
    /// Where the operator is evaluated.
    fn point(&self, stream: &mut Stream) -> Vec<f64> {
        normals(stream, total(&self.inputs()))
    }
    /// The gradient of the outputs that backward starts from; zero where backward takes none.
    fn cotangent(&self, stream: &mut Stream) -> Vec<f64> {
        normals(stream, total(&self.outputs()))
    }
    /// The outputs by definition.
    fn textbook<S: Scalar>(&self, point: &[S]) -> Vec<S>;
    /// Forward and backward on a tier. Gradients that backward adds to begin at `start`.
    fn run<T: Tier>(&self, tier: &T, point: &[f64], cotangent: &[f64], start: &[f64]) -> Ran;
    /// Names of the branches that this point visits.
    fn branches(&self, _point: &[f64]) -> Vec<&'static str> {
        Vec::new()
    }
}

/// What [`Operator::run`] found.
pub struct Ran {
    /// All outputs.
    pub outputs: Vec<f64>,
    /// The gradient of all inputs, without what it was added to.
    pub gradient: Vec<f64>,
}

/// Sum of the lengths of named tensors.
pub fn total(tensors: &[(&'static str, usize)]) -> usize {
    tensors.iter().map(|(_, len)| len).sum()
}

/// The consecutive parts of a flat slice.
pub fn parts<const K: usize, X>(flat: &[X], lens: [usize; K]) -> [&[X]; K] {
    assert_eq!(flat.len(), lens.iter().sum::<usize>(), "parts: length of the whole");
    let mut start = 0;
    lens.map(|len| {
        start += len;
        &flat[start - len..start]
    })
}

/// `a − b`, element by element.
pub fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    assert_eq!(a.len(), b.len(), "minus: lengths");
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Standard normal numbers.
pub fn normals(stream: &mut Stream, len: usize) -> Vec<f64> {
    (0..len).map(|_| stream.normal()).collect()
}

/// The stream of a seed.
pub fn stream(seed: u64) -> Stream {
    Stream::new(seed, "conformance", 0, 0)
}

/// Whether `EXTENSIVE=1` asks for more cases.
pub fn extensive() -> bool {
    std::env::var_os("EXTENSIVE").is_some_and(|value| value != "0")
}

/// Runs the check on `cases` values of the strategy (15 times as many if extensive), the same ones
/// in every run, and shrinks the first that fails.
pub fn for_all<S: Strategy>(
    cases: u32,
    strategy: S,
    check: impl Fn(S::Value) -> Result<(), String>,
) {
    let cases = if extensive() { 15 * cases } else { cases };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&strategy, |value| check(value).map_err(TestCaseError::fail));
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

// Guarded buffers.

/// Elements behind every activation buffer and around every span of an arena.
const GUARD: usize = 5;
/// What guards hold where backward adds: a sum with a NaN would hide.
const MARK: f64 = 12345.0;

/// An activation buffer of these numbers with NaN behind them.
pub fn act<T: Tier>(tier: &T, values: &[f64]) -> T::Act {
    guarded(tier, values, f64::NAN)
}

/// An activation buffer full of NaN, for outputs and workspaces.
pub fn blank<T: Tier>(tier: &T, len: usize) -> T::Act {
    act(tier, &vec![f64::NAN; len])
}

/// An activation buffer that backward adds to.
pub fn gradient_act<T: Tier>(tier: &T, start: &[f64]) -> T::Act {
    guarded(tier, start, MARK)
}

/// The first `len` numbers of a buffer made here; fails if its guard was written to.
pub fn read<T: Tier>(tier: &T, act: &T::Act, len: usize) -> Vec<f64> {
    let numbers = wide(tier.download_act(act, len + GUARD).unwrap());
    assert!(untouched(&numbers[len..]), "written behind {len} activations: {:?}", &numbers[len..]);
    numbers[..len].to_vec()
}

/// Numbers get into an activation buffer as the embedding of one channel.
fn guarded<T: Tier>(tier: &T, values: &[f64], guard: f64) -> T::Act {
    let n = values.len() + GUARD;
    let mut act = tier.act(n).unwrap();
    // x + (−0) is x for every x.
    let mut numbers = vec![T::Number::of(-0.0)];
    numbers.extend(values.iter().map(|&value| T::Number::of(value)));
    numbers.resize(n + 1, T::Number::of(guard));
    let mut table = tier.param(n + 1).unwrap();
    tier.upload(&mut table, Span { start: 0, len: n + 1 }, &numbers).unwrap();
    let tokens: Vec<u32> = (0..n as u32).collect();
    let (wte, wpe) = (Span { start: 1, len: n }, Span { start: 0, len: 1 });
    tier.embedding_forward(&mut act, &tokens, &vec![0; n], &table, wte, wpe, 1).unwrap();
    act
}

fn untouched(guard: &[f64]) -> bool {
    guard.iter().all(|x| x.is_nan()) || guard.iter().all(|&x| x == MARK)
}

fn wide<R: Real>(numbers: Vec<R>) -> Vec<f64> {
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

    /// Appends a tensor.
    pub fn push(&mut self, values: &[f64]) -> Span {
        let span = Span { start: self.numbers.len(), len: values.len() };
        self.numbers.extend(values);
        self.numbers.resize(self.numbers.len() + GUARD, self.guard);
        self.spans.push(span);
        span
    }

    /// The arena on the tier.
    pub fn upload<T: Tier>(&self, tier: &T) -> T::Param {
        let numbers: Vec<_> = self.numbers.iter().map(|&value| T::Number::of(value)).collect();
        let mut param = tier.param(numbers.len()).unwrap();
        tier.upload(&mut param, Span { start: 0, len: numbers.len() }, &numbers).unwrap();
        param
    }

    /// All tensors one after another; fails if a guard was written to.
    pub fn read<T: Tier>(&self, tier: &T, param: &T::Param) -> Vec<f64> {
        let whole = Span { start: 0, len: self.numbers.len() };
        let mut numbers = wide(tier.download(param, whole).unwrap());
        let mut tensors = Vec::new();
        for span in &self.spans {
            tensors.extend_from_slice(&numbers[span.range()]);
            numbers[span.range()].fill(self.guard);
        }
        assert!(untouched(&numbers), "written outside the spans of an arena");
        tensors
    }
}

// Double precision: values and the adjoint identity.

/// The checks of one operator in `f64`, with the worst errors and the branches seen so far.
#[derive(Default)]
pub struct Record {
    seen: RefCell<BTreeMap<&'static str, usize>>,
    worst: RefCell<Worst>,
}

#[derive(Default)]
struct Worst {
    cases: usize,
    value: f64,
    adjoint: f64,
}

impl Record {
    /// Forward equals the textbook to `1e-12·max(1, |value|)`, and for random `u` and `v`
    /// `|⟨v, J u⟩ − ⟨Jᵀ v, u⟩| ≤ 1e-13·(Σ|v_i (J u)_i| + Σ|(Jᵀ v)_j u_j|)`.
    pub fn check<O: Operator, T: Tier>(&self, op: &O, tier: &T, seed: u64) -> Result<(), String> {
        let name = || format!("{}, seed {seed}", op.label());
        let mut stream = stream(seed);
        let point = op.point(&mut stream);
        let v = op.cotangent(&mut stream);
        let u = normals(&mut stream, point.len());
        let start = normals(&mut stream, point.len());
        let truth = op.textbook::<f64>(&point);
        let moved = tangents(&op.textbook(&directional(&point, &u)));
        let Ran { outputs, gradient } = op.run(tier, &point, &v, &start);
        for branch in op.branches(&point) {
            *self.seen.borrow_mut().entry(branch).or_default() += 1;
        }
        let mut worst = self.worst.borrow_mut();
        worst.cases += 1;
        let mut places = op.outputs().into_iter().flat_map(|(name, len)| vec![name; len]);
        assert_eq!(outputs.len(), truth.len(), "{}: number of outputs", name());
        for (index, (&got, &truth)) in outputs.iter().zip(&truth).enumerate() {
            let place = places.next().unwrap_or("beyond");
            let error = (got - truth).abs() / truth.abs().max(1.0);
            worst.value = worst.value.max(error);
            ensure(error <= 1e-12, || format!("{}: {place} {index}: {got} not {truth}", name()))?;
        }
        let (left, left_size) = dot(&v, &moved);
        let (right, right_size) = dot(&gradient, &u);
        let (error, size) = ((left - right).abs(), left_size + right_size);
        if size > 0.0 {
            worst.adjoint = worst.adjoint.max(error / size);
        }
        ensure(error <= 1e-13 * size, || {
            format!("{}: ⟨v, Ju⟩ = {left:e} but ⟨Jᵀv, u⟩ = {right:e}, sizes {size:e}", name())
        })
    }

    /// Prints the worst errors; fails if one of these branches was not visited.
    pub fn finish(&self, operator: &str, branches: &[&str]) {
        let (seen, worst) = (self.seen.borrow(), self.worst.borrow());
        println!(
            "{operator}: f64, {} cases, worst value {:.1e}, worst adjoint {:.1e}, branches {seen:?}",
            worst.cases, worst.value, worst.adjoint
        );
        for branch in branches {
            assert!(seen.contains_key(branch), "{operator}: no case visits {branch:?}: {seen:?}");
        }
    }
}

/// `Ok` or the message; a NaN in the comparison has already made `holds` false.
pub fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

/// `Σ a_i b_i` and `Σ |a_i b_i|`.
pub fn dot(a: &[f64], b: &[f64]) -> (f64, f64) {
    assert_eq!(a.len(), b.len(), "dot: lengths");
    a.iter().zip(b).fold((0.0, 0.0), |(sum, size), (a, b)| (sum + a * b, size + (a * b).abs()))
}

// Single precision: no worse than twice the textbook.

/// Largest errors of one tensor over many cases.
#[derive(Clone, Copy, Default)]
struct Errors {
    cases: usize,
    ours: f64,
    textbook: f64,
    largest: f64,
}

/// Errors against the `f64` textbook, ours beside those of the textbook in `f32`.
#[derive(Default)]
pub struct Budget {
    tensors: BTreeMap<String, Errors>,
}

impl Budget {
    /// Outputs and gradients of one operator at one point, all inputs rounded to `f32`. The
    /// textbook's gradients come from dual numbers over `f32`, one input at a time.
    pub fn check<O: Operator, T: Tier>(&mut self, op: &O, tier: &T, seed: u64) {
        let mut stream = stream(seed);
        let single = |x: &f64| f64::from(*x as f32);
        let point: Vec<f64> = op.point(&mut stream).iter().map(single).collect();
        let v: Vec<f64> = op.cotangent(&mut stream).iter().map(single).collect();
        let Ran { outputs, gradient } = op.run(tier, &point, &v, &vec![0.0; point.len()]);
        let textbook = op.textbook::<f32>(&constants(&point));
        let truth = op.textbook::<f64>(&point);
        self.add_tensors("", &op.outputs(), &outputs, &wide(textbook), &truth);
        let truth = gradient_by_definition::<f64, O>(op, &point, &v);
        let textbook = gradient_by_definition::<f32, O>(op, &point, &v);
        self.add_tensors("d", &op.inputs(), &gradient, &wide(textbook), &truth);
    }

    fn add_tensors(
        &mut self,
        prefix: &str,
        tensors: &[(&'static str, usize)],
        ours: &[f64],
        textbook: &[f64],
        truth: &[f64],
    ) {
        let mut start = 0;
        for (name, len) in tensors {
            let range = start..start + len;
            let name = format!("{prefix}{name}");
            self.add(&name, &ours[range.clone()], &textbook[range.clone()], &truth[range]);
            start += len;
        }
    }

    /// One tensor of one case.
    pub fn add(&mut self, name: &str, ours: &[f64], textbook: &[f64], truth: &[f64]) {
        assert_eq!((ours.len(), textbook.len()), (truth.len(), truth.len()), "{name}: lengths");
        let errors = self.tensors.entry(name.into()).or_default();
        errors.cases += 1;
        for ((ours, textbook), truth) in ours.iter().zip(textbook).zip(truth) {
            let error = (ours - truth).abs();
            // A NaN must not vanish in a maximum.
            errors.ours = if error.is_nan() { f64::INFINITY } else { errors.ours.max(error) };
            errors.textbook = errors.textbook.max((textbook - truth).abs());
            errors.largest = errors.largest.max(truth.abs());
        }
    }

    /// For every tensor: at least 32 cases, and
    /// `max |ours − truth| ≤ 2·max |textbook − truth| + 1 ulp of the largest value`.
    pub fn finish(&self, operator: &str) {
        let mut failures = Vec::new();
        for (name, errors) in &self.tensors {
            let ulp = f64::from((errors.largest as f32).next_up()) - errors.largest;
            let allowed = 2.0 * errors.textbook + ulp;
            println!(
                "{operator} {name}: f32, {} cases, ours {:.2e}, textbook {:.2e}, largest {:.2e}, \
                 used {:.2}",
                errors.cases,
                errors.ours,
                errors.textbook,
                errors.largest,
                errors.ours / allowed,
            );
            assert!(errors.cases >= 32, "{operator} {name}: only {} cases", errors.cases);
            let holds = errors.ours <= allowed;
            if !holds {
                failures.push(format!("{name}: {:e} exceeds {allowed:e}", errors.ours));
            }
        }
        assert!(failures.is_empty(), "{operator}: worse than twice the textbook: {failures:#?}");
    }
}

/// `Jᵀ v` one input at a time, by dual numbers over `B`.
fn gradient_by_definition<B, O: Operator>(op: &O, point: &[f64], v: &[f64]) -> Vec<B>
where
    B: Scalar + num_dual::DualNum,
{
    let constant = |value: f64| <B as Scalar>::from_f64(value);
    let mut duals: Vec<Dual<B>> =
        point.iter().map(|&x| Dual::new(constant(x), constant(0.0))).collect();
    let v: Vec<B> = constants(v);
    (0..point.len())
        .map(|j| {
            duals[j].eps = constant(1.0);
            let outputs = op.textbook(&duals);
            duals[j].eps = constant(0.0);
            B::dot(&v, &outputs.iter().map(|output| output.eps).collect::<Vec<_>>())
        })
        .collect()
}
