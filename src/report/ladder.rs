//! The rungs of kernels as bars, naive to best.

use super::number::short;
use super::scale::Scale;
use super::svg::Svg;
use fortifai_kernels::Precision;
use fortifai_kernels::bench::{Bound, Entry, Report};

const WIDTH: f64 = 640.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 500.0;
/// Kernels whose ladders are drawn.
const DRAWN: [&str; 4] =
    ["matmul", "attention_forward", "attention_backward", "classifier_forward_backward"];

/// The ladders of the matrix product, of attention and of the loss, one picture below the other.
pub fn picture(report: &Report) -> String {
    let ladders = report.ladders();
    let drawn = ladders.iter().filter(|ladder| DRAWN.contains(&ladder[0].kernel));
    let pictures: Vec<Svg> = drawn.map(|ladder| bars(report, ladder)).collect();
    let about = match report.host {
        true => "Times of the CPU shim, which say nothing about a GPU.".to_owned(),
        false => format!("Medians on {}; longer is faster.", report.device),
    };
    Svg::stack(&pictures.iter().collect::<Vec<_>>(), &about)
}

fn bars(report: &Report, rungs: &[&Entry]) -> Svg {
    let first = rungs[0];
    let precision = match first.precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    };
    let shape: Vec<String> =
        first.shape.iter().map(|(letter, size)| format!("{letter} {size}")).collect();
    let title = format!("{} {} {precision}", first.kernel, first.variant);
    let mut svg = Svg::new(WIDTH, 0.0, &title);
    let (unit, per) = match first.bound {
        Bound::Memory => ("GB/s", 1e-9),
        Bound::Arithmetic => ("TFLOP/s", 1e-12),
    };
    let top = svg.heading(&title, &format!("{}; {unit}, and times naive", shape.join(", "))) + 12.0;
    let speed = |entry: &Entry| {
        let work = if entry.bound == Bound::Memory { entry.bytes } else { entry.flops };
        work as f64 * per / (entry.times.median_ms * 1e-3)
    };
    let fastest = rungs.iter().map(|entry| speed(entry)).fold(0.0, f64::max);
    let scale = Scale::exact(0.0, fastest, LEFT, RIGHT);
    for (place, entry) in rungs.iter().enumerate() {
        let y = top + 24.0 * place as f64;
        let speed = speed(entry);
        let length = scale.at(speed) - LEFT;
        let share = report.share(entry).map(|share| format!(", {:.0} %", 100.0 * share));
        let ratio = first.times.median_ms / entry.times.median_ms;
        let label = format!("{}{}, {ratio:.1} ×", short(speed), share.unwrap_or_default());
        let hover = format!("{}: {:.4} ms", entry.rung, entry.times.median_ms);
        svg.text("label", "end", (LEFT - 8.0, y + 13.0), entry.rung);
        svg.bar(&format!("f{}", 1 + place % 7), (LEFT, y), (length.max(1.0), 17.0), &hover);
        svg.text("tick", "start", (LEFT + length.max(1.0) + 6.0, y + 13.0), &label);
    }
    svg.fit(top + 24.0 * rungs.len() as f64);
    svg
}

#[cfg(test)]
mod tests {
    use super::super::demo::assert_balanced;
    use super::*;
    use fortifai_kernels::bench::Times;

    fn rung(rung: &'static str, time_ms: f64) -> Entry {
        Entry {
            kernel: "matmul",
            variant: "square nn".into(),
            rung,
            precision: Precision::Bf16,
            shape: vec![("m", 64), ("n", 64), ("k", 64)],
            times: Times { median_ms: time_ms, p5_ms: time_ms, p95_ms: time_ms, runs: 20 },
            bytes: 24_576,
            flops: 524_288,
            bound: Bound::Arithmetic,
            memory_bytes: 8192,
            error: 0.0,
        }
    }

    #[test]
    fn every_rung_has_its_bar_and_its_ratio() {
        let report = Report {
            device: "GPU".into(),
            host: false,
            compute_capability: (9, 0),
            multiprocessors: 132,
            memory_bytes: 1 << 30,
            copy_bytes_per_s: 1e12,
            peak: None,
            entries: vec![rung("naive", 8.0), rung("tiled", 2.0), rung("mma", 0.25)],
            refused: Vec::new(),
            failed: Vec::new(),
        };
        let text = picture(&report);
        assert_balanced(&text);
        assert_eq!(text.matches("<rect class=\"f").count(), 3);
        assert!(text.contains("32.0 ×") && text.contains("mma: 0.2500 ms"), "{text}");
    }
}
