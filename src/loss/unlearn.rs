//! The loss of text that is marked as flawed: `−ln(1 − p)` pushes its probability down.

use super::{RowLoss, RowStats};

/// Where the gradient is held: `p/(1 − p)` up to here, which `p` reaches at 10/11.
const MOST_ODDS: f64 = 10.0;

/// `−weight·ln(1 − p)` with gradient coefficient `a = −weight·p/(1 − p)`.
///
/// The loss is bounded below by 0, but its gradient grows without bound as `p` nears 1. Beyond odds of
/// 10 the coefficient stays at `−10·weight`, and the value goes on as the integral of that,
/// `ln 11 + 10·ln(p·11/10)`, so that value and gradient belong together.
///
/// Source of the loss: Welleck and others 2020, arXiv 1908.04319.
pub fn unlearn(row: RowStats<f64>, weight: f64) -> RowLoss<f64> {
    let odds = row.p / row.q;
    let (f, slope) = match odds <= MOST_ODDS {
        true => (-libm::log(row.q), odds),
        false => {
            let log_edge = libm::log(MOST_ODDS / (1.0 + MOST_ODDS));
            (libm::log1p(MOST_ODDS) + MOST_ODDS * (-row.nll - log_edge), MOST_ODDS)
        }
    };
    RowLoss { f: weight * f, a: -weight * slope, b: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(p: f64) -> RowStats<f64> {
        RowStats { p, q: 1.0 - p, nll: -p.ln(), uniform_nll: 0.0, kept: true }
    }

    #[test]
    fn values_and_gradients_equal_those_worked_out_by_hand() {
        // p = 1/2: −ln ½ and −1. p = 3/4: ln 4 and −3.
        let half = unlearn(row(0.5), 1.0);
        assert!((half.f - std::f64::consts::LN_2).abs() < 1e-15 && (half.a + 1.0).abs() < 1e-15);
        let most = unlearn(row(0.75), 0.1);
        assert!((most.f - 0.1 * 4f64.ln()).abs() < 1e-15 && (most.a + 0.3).abs() < 1e-15);
        assert_eq!(unlearn(row(0.0), 1.0).f, 0.0);
    }

    #[test]
    fn the_gradient_is_held_and_belongs_to_the_value() {
        let top = unlearn(RowStats { q: 0.0, nll: 0.0, ..row(1.0) }, 2.0);
        assert!(top.f.is_finite() && top.a == -20.0);
        // −p f'(p) = a, on both sides of the edge.
        for p in [0.2, 0.9, 0.95, 0.999] {
            let h = 1e-6;
            let slope = (unlearn(row(p + h), 1.0).f - unlearn(row(p - h), 1.0).f) / (2.0 * h);
            assert!((-p * slope - unlearn(row(p), 1.0).a).abs() < 1e-4, "{p}");
        }
        let edge = 10.0 / 11.0;
        let (below, above) = (unlearn(row(edge - 1e-9), 1.0), unlearn(row(edge + 1e-9), 1.0));
        assert!((below.f - above.f).abs() < 1e-7);
    }
}
