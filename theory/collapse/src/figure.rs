//! What is drawn of a prediction: its line, and the simulated points beside it.

use crate::check::Plan;
use crate::stats::{mean, variance};

/// A figure of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its name on the command line, such as `"gaussian-variance"`.
    pub name: &'static str,
    /// The sections it shows, such as `["G1", "G8"]`.
    pub covers: &'static [&'static str],
    /// The heading: what one sees, in one line.
    pub title: &'static str,
    /// What to notice, in one or two sentences.
    pub caption: &'static str,
    /// The horizontal axis, with its unit.
    pub x: &'static str,
    /// The vertical axis, with its unit.
    pub y: &'static str,
    /// Whether the vertical axis is logarithmic.
    pub log_y: bool,
    /// Replicates per point at default size.
    pub replicates: u64,
    /// Computes it.
    pub series: fn(&Plan) -> Vec<Series>,
}

/// One prediction with its simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is, in a word or two.
    pub label: String,
    /// The predicted curve.
    pub line: Vec<(f64, f64)>,
    /// The simulated points.
    pub points: Vec<Point>,
}

/// A simulated mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// The mean of the replicates.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl Point {
    /// The mean of independent samples, with its standard error.
    ///
    /// # Panics
    /// If there are fewer than two.
    pub fn of(x: f64, samples: &[f64]) -> Self {
        let standard_error = (variance(samples) / samples.len() as f64).sqrt();
        Self { x, mean: mean(samples), standard_error }
    }
}
