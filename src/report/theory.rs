//! The theory as pictures and one page: predictions as lines, simulations as points, and every
//! formula with its domain, its source and what its checks found.

mod page;

use super::number::{cut, short};
use super::scale::Scale;
use super::svg::{Plot, Svg};
use crate::{Error, Result};
use fortifai_collapse::check::Report;
use fortifai_collapse::figure::{Point, Series};
use fortifai_collapse::{Family, Figure, Plan};
use std::path::Path;

/// A family with what was simulated for it.
pub struct Chapter {
    /// The family.
    pub family: &'static Family,
    /// What its checks found.
    pub report: Report,
    /// Its figures.
    pub figures: Vec<Drawn>,
}

/// What is drawn: predictions as lines, simulations as points.
pub struct Curve {
    /// The heading.
    pub title: String,
    /// What to notice.
    pub caption: String,
    /// The horizontal axis.
    pub x: String,
    /// The vertical axis.
    pub y: String,
    /// Whether it is logarithmic.
    pub log_y: bool,
    /// Predictions with their simulations.
    pub series: Vec<Series>,
}

/// A drawn figure.
pub struct Drawn {
    caption: String,
    svg: Svg,
}

/// Computes and draws a figure.
pub fn draw(figure: &Figure, plan: &Plan) -> Drawn {
    draw_curve(Curve {
        title: figure.title.into(),
        caption: figure.caption.into(),
        x: figure.x.into(),
        y: figure.y.into(),
        log_y: figure.log_y,
        series: (figure.series)(plan),
    })
}

/// Draws what has been computed.
pub fn draw_curve(curve: Curve) -> Drawn {
    Drawn { svg: picture(&curve), caption: curve.caption }
}

/// Writes figures below each other into one SVG file.
///
/// # Errors
/// A file that cannot be written.
pub fn write_svg(figures: &[Drawn], path: &Path) -> Result<()> {
    let captions: Vec<&str> = figures.iter().map(|drawn| drawn.caption.as_str()).collect();
    let pictures: Vec<&Svg> = figures.iter().map(|drawn| &drawn.svg).collect();
    save(path, &Svg::stack(&pictures, &captions.join(" ")))
}

/// Writes the page.
///
/// # Errors
/// A file that cannot be written.
pub fn write_page(chapters: &[Chapter], seed: u64, path: &Path) -> Result<()> {
    save(path, &page::page(chapters, seed))
}

fn save(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|cause| Error::writing(path, cause))
}

/// Lines for predictions, marks with bars of two standard errors for simulations.
fn picture(curve: &Curve) -> Svg {
    const WIDTH: f64 = 520.0;
    let Curve { title, x: across, y: up, log_y, series, .. } = curve;
    let mut svg = Svg::new(WIDTH, 350.0, title);
    let top = svg.heading(title, &format!("{up} by {across}")) + 14.0;
    let longest = series.iter().map(|s| s.label.chars().count().min(24)).max().unwrap_or(0);
    let right = WIDTH - 26.0 - 6.6 * longest as f64;
    let plot = Plot { left: 52.0, top, right, bottom: 306.0 };

    let shown = |y: f64| y.is_finite() && (!log_y || y > 0.0);
    let lines = series.iter().flat_map(|s| s.line.iter().copied());
    let points = series.iter().flat_map(|s| &s.points);
    let bars = points.clone().flat_map(|point| {
        let (low, high) = ends(point);
        [(point.x, low), (point.x, point.mean), (point.x, high)]
    });
    let all: Vec<(f64, f64)> =
        lines.chain(bars).filter(|(x, y)| x.is_finite() && shown(*y)).collect();
    let ys: Vec<f64> = all.iter().map(|(_, y)| *y).collect();
    let y = match log_y {
        true => Scale::logarithmic(&ys, plot.bottom, plot.top),
        false => Scale::linear(ys, plot.bottom, plot.top),
    };
    let x = Scale::linear(all.iter().map(|(x, _)| *x), plot.left, plot.right);
    let (Some(x), Some(y)) = (x, y) else {
        svg.text("sub", "start", (plot.left, top + 20.0), "No finite value to be drawn.");
        return svg;
    };
    svg.y_axis(plot, &y, 5);
    let name = if y.log { format!("{across} (vertical: log scale)") } else { across.clone() };
    svg.x_axis(plot, &x, &x.ticks(6), &name);

    let mut labels = Vec::new();
    for (index, series) in series.iter().enumerate() {
        let colour = index % 8;
        let line: Vec<(f64, f64)> = series
            .line
            .iter()
            .filter(|(_, v)| shown(*v))
            .map(|(u, v)| (x.at(*u), y.at(*v)))
            .collect();
        svg.path(&format!("mean s{colour}"), &line);
        let mut last = line.last().copied();
        for point in series.points.iter().filter(|point| shown(point.mean)) {
            let place = (x.at(point.x), y.at(point.mean));
            let (low, high) = ends(point);
            let low = if shown(low) { y.at(low) } else { plot.bottom };
            svg.line(&format!("whisker s{colour}"), (place.0, low), (place.0, y.at(high)));
            let hover = format!(
                "{}: {across} {} gives {} ± {}",
                series.label,
                short(point.x),
                short(point.mean),
                short(point.standard_error)
            );
            svg.mark(colour, place, &hover);
            last = last.filter(|last| last.0 >= place.0).or(Some(place));
        }
        if let Some((_, y)) = last.filter(|_| !series.label.is_empty()) {
            labels.push((colour, y, cut(&series.label, 24)));
        }
    }
    svg.end_labels(plot, &labels);
    svg
}

/// Two standard errors to either side.
fn ends(point: &Point) -> (f64, f64) {
    (point.mean - 2.0 * point.standard_error, point.mean + 2.0 * point.standard_error)
}

#[cfg(test)]
mod tests;
