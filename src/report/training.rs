//! Training curves: all generations of a loss one after the other.

use super::Figure;
use super::scale::Scale;
use super::svg::{Plot, Svg};
use super::view::{Chain, Study};

/// Points drawn per chain; longer curves are thinned evenly.
const POINTS: usize = 240;

/// One figure for every loss that has training points.
pub fn figures(study: &Study) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (i, series) in study.series.iter().enumerate() {
        let traces: Vec<Trace> = series.chains.iter().map(trace).collect();
        let losses = traces.iter().flat_map(|t| t.loss.iter().chain(&t.validation)).map(|p| p.1);
        let steps = traces.iter().flat_map(|t| t.loss.iter().chain(&t.validation)).map(|p| p.0);
        let last = steps.fold(0.0, f64::max);
        let title = format!("{}: training", series.label);
        let mut svg = Svg::new(480.0, 270.0, &title);
        let top = svg.heading(&title, "nats per token, all generations one after the other") + 26.0;
        let plot = Plot { left: 46.0, top, right: 470.0, bottom: 226.0 };
        let values: Vec<f64> = losses.collect();
        let Some(y) = Scale::fitting(&values, plot.bottom, plot.top) else { continue };
        let x = Scale::exact(0.0, last.max(1.0), plot.left, plot.right);
        svg.y_axis(plot, &y, 4);
        svg.x_axis(
            plot,
            &x,
            &x.ticks(5),
            if y.log { "step (vertical: log scale)" } else { "step" },
        );
        let seed = if traces.len() > 5 { "seed many" } else { "seed" };
        let seed = if traces.len() == 1 { "mean" } else { seed };
        for trace in &traces {
            let place = |p: &(f64, f64)| (x.at(p.0), y.at(p.1));
            let line: Vec<_> = thin(&trace.loss).iter().map(place).collect();
            svg.path(&format!("{seed} s{}", series.colour), &line);
        }
        let first = &traces[0];
        for &(start, generation) in &first.starts {
            svg.line("zero", (x.at(start), plot.top), (x.at(start), plot.bottom));
            if first.starts.len() <= 12 {
                let place = (x.at(start) + 3.0, plot.top - 2.0);
                svg.text("tick", "start", place, &format!("{generation}"));
            }
        }
        for point in thin(&first.validation) {
            let hover = format!("validation, seed {}: {:.4} nats", first.seed, point.1);
            svg.mark(series.colour, (x.at(point.0), y.at(point.1)), &hover);
        }
        let caption = format!(
            "Lines: training loss, one per seed; marks: cross entropy on validation text, seed {}; \
             dotted: a new generation begins. A training loss that falls from generation to \
             generation while validation rises is collapse at work: synthetic text is easy.",
            first.seed
        );
        let name = format!("training_{i}_{}", super::slug(&series.label));
        figures.push(Figure { name, svg, caption });
    }
    figures
}

struct Trace {
    seed: u64,
    loss: Vec<(f64, f64)>,
    validation: Vec<(f64, f64)>,
    starts: Vec<(f64, usize)>,
}

fn trace(chain: &Chain) -> Trace {
    let mut trace = Trace { seed: chain.seed, loss: vec![], validation: vec![], starts: vec![] };
    let mut before = 0.0;
    for record in &chain.records {
        trace.starts.push((before, record.generation));
        for point in &record.training {
            let step = before + point.step as f64;
            if point.loss_nats.is_finite() {
                trace.loss.push((step, point.loss_nats));
            }
            if let Some(nats) = point.validation_nats.filter(|nats| nats.is_finite()) {
                trace.validation.push((step, nats));
            }
        }
        before += record.training.last().map_or(0.0, |point| point.step as f64);
    }
    trace
}

fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.iter().enumerate().filter(|(i, _)| i % stride == 0 || *i == last);
    kept.map(|(_, point)| *point).collect()
}

#[cfg(test)]
mod tests {
    use super::super::demo::{self, assert_balanced};
    use super::*;

    #[test]
    fn curves_are_drawn_thinned_and_finite() {
        let mut run = demo::run(&["ce", "tce:0.9"], 0..2, 3);
        run.records[0].training[0].loss_nats = f64::NAN;
        run.records[0].training[1].validation_nats = Some(f64::INFINITY);
        let runs = [run];
        let figures = figures(&Study::new(&runs));
        assert_eq!(figures.len(), 2);
        for figure in figures {
            let text = figure.svg.file("");
            assert!(!text.contains("NaN") && !text.contains("inf"));
            assert_balanced(&text);
        }
        let long: Vec<_> = (0..1000).map(|i| (i as f64, 1.0)).collect();
        assert!(thin(&long).len() <= POINTS + 1 && thin(&long).last() == Some(&(999.0, 1.0)));
    }

    #[test]
    fn a_run_without_training_points_has_no_figure() {
        let mut run = demo::run(&["ce"], 0..1, 1);
        run.records[0].training.clear();
        assert!(figures(&Study::new(&[run])).is_empty());
    }
}
