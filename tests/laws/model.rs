//! Laws of the whole model.

use super::{agree, hold_for_all, largest, permutation, reordered};
use crate::conformance::harness::{Finding, dot, ensure, normals, stream};
use fortifai::Stream;
use fortifai::config::ModelConfig;
use fortifai::cpu::Cpu;
use fortifai::loss::Rule;
use fortifai::model::{Activations, Batch, Gpt, Layout};
use fortifai::tier::LinearShape;
use fortifai::verify::operators::classifier::{Classifier, Member, members};
use fortifai::verify::operators::model::{Case, gradients};
use fortifai_oracle::directional;
use fortifai_oracle::loss::{Denominator, LossKind};
use proptest::strategy::Strategy;

/// A small model and its batch, short enough to be printed.
#[derive(Clone, Copy, Debug)]
struct Shape {
    layers: usize,
    heads: usize,
    hs: usize,
    b: usize,
    t: usize,
    vocab: usize,
    seed: u64,
}

impl Shape {
    fn case(&self) -> Case {
        let &Self { layers, heads, hs, b, t, vocab, seed } = self;
        let config = ModelConfig {
            layers,
            heads,
            channels: heads * hs,
            context: t + seed as usize % 3,
            vocab,
        };
        Case::new(config, b, t, 0.1 + 0.4 * (seed % 64) as f64 / 64.0, seed)
    }
}

/// At least four channels: a normalised row of two numbers is (1, −1) up to the ε of the layer
/// norm, so that its gradient is a difference of almost equal numbers.
fn shapes(sequences: std::ops::Range<usize>) -> impl Strategy<Value = Shape> {
    (1..4usize, 1..4usize, 0..4usize, sequences, 1..12usize, 2..24usize, 0..1u64 << 32).prop_map(
        |(layers, heads, more, b, t, vocab, seed)| {
            let hs = 4usize.div_ceil(heads) + more;
            Shape { layers, heads, hs, b, t, vocab, seed }
        },
    )
}

fn double(case: &Case) -> Gpt<Cpu<f64>> {
    case.model(Cpu::new()).unwrap()
}

fn zeros(case: &Case) -> Vec<f64> {
    vec![0.0; case.params.len()]
}

/// Tensor by tensor, to `tolerance` of its largest entry.
fn agree_by_tensor(
    layout: &Layout,
    got: &[f64],
    truth: &[f64],
    tolerance: f64,
) -> Result<(), Finding> {
    for tensor in &layout.tensors {
        let (got, truth) = (&got[tensor.span.range()], &truth[tensor.span.range()]);
        agree(got, truth, tolerance, largest(truth), || tensor.name.clone())?;
    }
    Ok(())
}

#[test]
fn gradients_of_a_token_ignore_later_tokens() {
    hold_for_all((30, 1000), shapes(1..4), |shape| {
        let mut case = shape.case();
        let (t, n, c) = (case.t, case.tokens.len(), case.config.channels);
        let mut stream = Stream::new(shape.seed, "laws-causality", 0, 0);
        let row = stream.below(n);
        let last_of_past = row % t;
        case.mask = (0..n).map(|index| index == row).collect();
        let model = double(&case);
        let gradient = |case: &Case| {
            let (gradient, scores) =
                gradients(&model, case.batch(), &Rule::Masked, 1.0, &zeros(case)).unwrap();
            (gradient, scores.loss[row])
        };
        let before = gradient(&case);
        let positions = &before.0[model.layout.wpe.range()];
        let (past, future) = positions.split_at((last_of_past + 1) * c);
        ensure(future.iter().all(|&g| g == 0.0), || {
            format!("the loss of position {last_of_past} reaches a later one")
        })?;
        ensure(past[last_of_past * c..].iter().any(|&g| g != 0.0), || {
            format!("the loss of position {last_of_past} does not reach it")
        })?;
        // Every token that the row does not see becomes another one.
        let sees = row - last_of_past..=row;
        for index in (0..n).filter(|index| !sees.contains(index)) {
            let vocab = shape.vocab as u32;
            case.tokens[index] =
                (case.tokens[index] + 1 + stream.below(shape.vocab - 1) as u32) % vocab;
            case.targets[index] = stream.below(shape.vocab) as u32;
        }
        let after = gradient(&case);
        ensure(after.1 == before.1, || format!("loss {} not {}", after.1, before.1))?;
        agree(&after.0, &before.0, 0.0, 0.0, || "gradient".into())
    });
}

#[test]
fn sequences_ignore_their_neighbours() {
    // Losses bit for bit, alone and in any order; the gradients are summed in another order.
    hold_for_all((30, 1000), shapes(2..6), |shape| {
        let case = shape.case();
        let (t, b) = (case.t, shape.b);
        let model = double(&case);
        let mut stream = Stream::new(shape.seed, "laws-neighbours", 0, 0);
        for rule in [Rule::Ce, Rule::Tce(0.2), Rule::Focal(2.0)] {
            let (truth, scores) =
                gradients(&model, case.batch(), &rule, 1.0, &zeros(&case)).unwrap();
            let order = permutation(b, &mut stream);
            let moved = Case {
                tokens: reordered(&case.tokens, t, &order),
                targets: reordered(&case.targets, t, &order),
                mask: reordered(&case.mask, t, &order),
                ..case.clone()
            };
            let (gradient, after) =
                gradients(&model, moved.batch(), &rule, 1.0, &zeros(&case)).unwrap();
            let name = || format!("{rule:?}, order {order:?}");
            agree(&after.loss, &reordered(&scores.loss, t, &order), 0.0, 0.0, name)?;
            agree_by_tensor(&model.layout, &gradient, &truth, 1e-13)
                .map_err(|finding| finding.of(&name()))?;
            let alone = order[0] * t..(order[0] + 1) * t;
            let batch = Batch {
                tokens: &case.tokens[alone.clone()],
                targets: &case.targets[alone.clone()],
                mask: None,
                t,
            };
            let (_, apart) = gradients(&model, batch, &rule, 1.0, &zeros(&case)).unwrap();
            agree(&apart.loss, &scores.loss[alone], 0.0, 0.0, || format!("{rule:?}, alone"))?;
        }
        Ok(())
    });
}

#[test]
fn renaming_the_tokens_changes_nothing() {
    hold_for_all((30, 1000), shapes(1..4), |shape| {
        let case = shape.case();
        let (model, c) = (double(&case), case.config.channels);
        let order = permutation(shape.vocab, &mut Stream::new(shape.seed, "laws-names", 0, 0));
        let renamed = |tokens: &[u32]| -> Vec<u32> {
            let name = |&token| order.iter().position(|&old| old == token as usize).unwrap() as u32;
            tokens.iter().map(name).collect()
        };
        let with_names = |params: &[f64]| {
            let (wte, rest) = params.split_at(model.layout.wte.len);
            [reordered(wte, c, &order), rest.to_vec()].concat()
        };
        let moved = Case {
            tokens: renamed(&case.tokens),
            targets: renamed(&case.targets),
            params: with_names(&case.params),
            ..case.clone()
        };
        for rule in [Rule::Ce, Rule::Focal(2.0), Rule::Smoothed(0.1)] {
            let (truth, before) =
                gradients(&model, case.batch(), &rule, 1.0, &zeros(&case)).unwrap();
            let (gradient, after) =
                gradients(&double(&moved), moved.batch(), &rule, 1.0, &zeros(&case)).unwrap();
            agree(&after.loss, &before.loss, 1e-13, largest(&before.loss).max(1.0), || {
                format!("{rule:?}: loss")
            })?;
            agree_by_tensor(&model.layout, &gradient, &with_names(&truth), 1e-12)
                .map_err(|finding| finding.of(&format!("{rule:?}")))?;
        }
        Ok(())
    });
}

#[test]
fn the_key_bias_changes_nothing() {
    hold_for_all((30, 1000), shapes(1..4), |shape| {
        let case = shape.case();
        let (model, c) = (double(&case), case.config.channels);
        let (gradient, _) = gradients(&model, case.batch(), &Rule::Ce, 1.0, &zeros(&case)).unwrap();
        let mut moved = case.clone();
        let mut stream = Stream::new(shape.seed, "laws-keys", 0, 0);
        for layer in &model.layout.layers {
            let bias = layer.qkv.bias.range();
            let keys = bias.start + c..bias.start + 2 * c;
            let (ours, size) = (largest(&gradient[keys.clone()]), largest(&gradient[bias]));
            ensure(ours <= 1e-13 * size, || format!("a gradient of {ours:e} beside {size:e}"))?;
            moved.params[keys].iter_mut().for_each(|bias| *bias += stream.normal());
        }
        let logits = |model: &Gpt<Cpu<f64>>| {
            let config = &model.config;
            let mut acts = Activations::new(&model.tier, config, shape.b, case.t, false).unwrap();
            model.logits(&mut acts, &case.tokens, case.t).unwrap()
        };
        let (before, after) = (logits(&model), logits(&double(&moved)));
        agree(&after, &before, 1e-11, largest(&before).max(1.0), || "logits".into())
    });
}

#[test]
fn gradients_scale_with_the_denominator() {
    hold_for_all((30, 1000), (shapes(1..4), 1..1000u32, 0..20i32), |(shape, d, power)| {
        let case = shape.case();
        let model = double(&case);
        for rule in [Rule::Ce, Rule::Tce(0.2), Rule::Focal(0.5), Rule::Smoothed(0.1)] {
            let of = |scale: f64| {
                gradients(&model, case.batch(), &rule, scale, &zeros(&case)).unwrap().0
            };
            let (one, name) = (of(1.0), || format!("{rule:?} over {d} and 2^{power}"));
            let over = |scale: f64| one.iter().map(|g| scale * g).collect::<Vec<_>>();
            // A power of two costs no rounding.
            let exact = 2f64.powi(-power);
            agree(&of(exact), &over(exact), 0.0, 0.0, name)?;
            let scale = 1.0 / f64::from(d);
            agree_by_tensor(&model.layout, &of(scale), &over(scale), 1e-13)
                .map_err(|finding| finding.of(&name()))?;
        }
        Ok(())
    });
}

/// The last layer norm's outputs `[n, c]`: the logits of extra tokens whose table is the unit
/// matrix.
fn last_hidden(case: &Case) -> Vec<f64> {
    let ModelConfig { channels: c, vocab, .. } = case.config;
    let (wte, rest) = case.params.split_at(vocab * c);
    let unit = (0..c * c).map(|index| if index / c == index % c { 1.0 } else { 0.0 });
    let wider = Case {
        config: ModelConfig { vocab: vocab + c, ..case.config.clone() },
        params: wte.iter().copied().chain(unit).chain(rest.iter().copied()).collect(),
        ..case.clone()
    };
    let model = double(&wider);
    let b = case.tokens.len() / case.t;
    let mut acts = Activations::new(&model.tier, &model.config, b, case.t, false).unwrap();
    let logits = model.logits(&mut acts, &case.tokens, case.t).unwrap();
    logits.chunks_exact(vocab + c).flat_map(|row| row[vocab..].to_vec()).collect()
}

#[test]
fn the_tied_table_gets_the_gradients_of_both_uses() {
    // In one sequence the gradient of `wpe` at a position is that of the embedded token there, and
    // the classifier alone has the gradient of the other use.
    hold_for_all((30, 1000), shapes(1..2), |shape| {
        let case = shape.case();
        let (model, n, c) = (double(&case), case.tokens.len(), case.config.channels);
        for member in members() {
            let Member::Known(rule, _) = &member else { continue };
            let (gradient, _) = gradients(&model, case.batch(), rule, 0.25, &zeros(&case)).unwrap();
            let op = Classifier {
                shape: LinearShape { n, c, oc: shape.vocab },
                member: member.clone(),
                targets: case.targets.clone(),
                mask: case.mask.clone(),
                point: [last_hidden(&case), case.params[model.layout.wte.range()].to_vec()]
                    .concat(),
            };
            let (_, classifier) = op.rows(&model.tier, &vec![0.0; op.point.len()], 0.25).unwrap();
            let mut truth = classifier[n * c..].to_vec();
            let positions = &gradient[model.layout.wpe.range()];
            for (&token, position) in case.tokens.iter().zip(positions.chunks_exact(c)) {
                let row = &mut truth[token as usize * c..][..c];
                row.iter_mut().zip(position).for_each(|(sum, g)| *sum += g);
            }
            let got = &gradient[model.layout.wte.range()];
            agree(got, &truth, 1e-13, largest(&truth), || format!("{rule:?}"))?;
        }
        Ok(())
    });
}

/// A member of the family with a parameter of its own, clear of the probabilities by far more than
/// their rounding.
fn random_loss(kind: usize, parameter: f64, probabilities: &[f64]) -> (Rule, LossKind) {
    let mut at = parameter;
    while probabilities.iter().any(|p| (p - at).abs() <= 1e-9) {
        at += 1e-8;
    }
    match kind {
        0 => (Rule::Ce, LossKind::Ce),
        1 => (Rule::Tce(at), LossKind::Tce { gamma: at }),
        2 => (Rule::Focal(5.0 * at), LossKind::Focal { gamma: 5.0 * at }),
        3 => (Rule::FocalDetached(5.0 * at), LossKind::FocalDetached { gamma: 5.0 * at }),
        4 => (Rule::Linear(at), LossKind::Linear { gamma: at }),
        5 => (Rule::DropLow(at), LossKind::DropLow { q: at }),
        6 => (Rule::Masked, LossKind::RandomMask),
        _ => (Rule::Smoothed(at), LossKind::LabelSmoothing { epsilon: at }),
    }
}

#[test]
fn random_models_have_the_slope_of_the_oracle() {
    let shapes = (1..5usize, 1..5usize, 1..9usize, 1..5usize, 1..24usize, 1..48usize);
    // A threshold among the probabilities is more likely to be small.
    let losses = (0..8usize, (0.0..1.0f64).prop_map(|x| x * x), proptest::bool::ANY);
    let strategy = (shapes, losses, 0..1u64 << 32).prop_map(|(shape, loss, seed)| {
        let (layers, heads, hs, b, t, vocab) = shape;
        (Shape { layers, heads, hs, b, t, vocab, seed }, loss)
    });
    hold_for_all((50, 1000), strategy, |(shape, (kind, parameter, by_kept))| {
        let case = shape.case();
        let (model, n) = (double(&case), case.tokens.len());
        let (_, scores) = gradients(&model, case.batch(), &Rule::Ce, 1.0, &zeros(&case)).unwrap();
        let (rule, kind) = random_loss(kind, parameter, &scores.probability);
        let (_, scores) = gradients(&model, case.batch(), &rule, 1.0, &zeros(&case)).unwrap();
        let kept = (0..n).filter(|&row| match kind {
            LossKind::Tce { .. } | LossKind::DropLow { .. } | LossKind::RandomMask => {
                scores.kept[row]
            }
            _ => true,
        });
        let (denominator, d) = match by_kept {
            true => (Denominator::Kept, kept.count()),
            false => (Denominator::All, n),
        };
        let scale = if d == 0 { 0.0 } else { 1.0 / d as f64 };
        let mut stream = stream(shape.seed);
        let (u, start) =
            (normals(&mut stream, case.params.len()), normals(&mut stream, case.params.len()));
        let dual = case.loss(&directional(&case.params, &u), kind, denominator);
        let loss = scale * scores.loss.iter().sum::<f64>();
        let name = || format!("{rule:?} over {denominator:?}");
        ensure((loss - dual.re).abs() <= 1e-12 * dual.re.abs().max(1.0), || {
            format!("{}: loss {loss} not {}", name(), dual.re)
        })?;
        let (gradient, _) = gradients(&model, case.batch(), &rule, scale, &start).unwrap();
        let gradient: Vec<f64> =
            gradient.iter().zip(&start).map(|(sum, start)| sum - start).collect();
        let (slope, size) = dot(&gradient, &u);
        ensure((slope - dual.eps).abs() <= 1e-10 * (size + dual.eps.abs()), || {
            format!("{}: slope {slope:e} not {:e}, size {size:e}", name(), dual.eps)
        })
    });
}
