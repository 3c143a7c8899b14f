//! Quadrature: Gauss and Legendre's rule on panels, and the trapezium rule under a normal weight.

use std::sync::OnceLock;

const ORDER: usize = 16;

/// Points and weights of the 16-point rule on each of `panels` equal parts of `[low, high]`: exact
/// for polynomials of degree 31, and to rounding for functions that a panel shows as such.
///
/// ```
/// use fortifai_collapse::special::legendre;
/// let sixth: f64 = legendre::points(0.0, 1.0, 1).map(|(x, w)| w * x.powi(5)).sum();
/// assert!((sixth - 1.0 / 6.0).abs() < 1e-15);
/// ```
pub fn points(low: f64, high: f64, panels: usize) -> impl Iterator<Item = (f64, f64)> {
    let half = 0.5 * (high - low) / panels as f64;
    (0..panels).flat_map(move |panel| {
        let middle = low + (2 * panel + 1) as f64 * half;
        rule().iter().map(move |&(x, weight)| (middle + half * x, half * weight))
    })
}

/// `E f(X)` for `X ~ N(0, 1)` by the trapezium rule with step 1/8 up to ±12: to rounding for every
/// `f` that is bounded on the real line and analytic within distance 2 of it (the error is below
/// `e^(−2·2π·8 + 2)`, [Trefethen, Weideman 2014]).
///
/// ```
/// use fortifai_collapse::special::legendre::normal_expectation;
/// assert!((normal_expectation(|x| x * x) - 1.0).abs() < 1e-14);
/// ```
///
/// [Trefethen, Weideman 2014]: https://doi.org/10.1137/130932132
pub fn normal_expectation(f: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 0.125;
    let weight = |x: f64| STEP * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let pair = |k: i32| {
        let x = STEP * f64::from(k);
        weight(x) * (f(x) + f(-x))
    };
    weight(0.0) * f(0.0) + (1..=96).map(pair).sum::<f64>()
}

/// The roots of the 16th Legendre polynomial by Newton's method, with their weights
/// `2/((1 − x²) P′(x)²)`.
fn rule() -> &'static [(f64, f64); ORDER] {
    static RULE: OnceLock<[(f64, f64); ORDER]> = OnceLock::new();
    RULE.get_or_init(|| {
        std::array::from_fn(|index| {
            let order = ORDER as f64;
            let mut x = -(std::f64::consts::PI * (index as f64 + 0.75) / (order + 0.5)).cos();
            let mut slope = 0.0;
            for _ in 0..8 {
                let (mut before, mut value) = (1.0, x);
                for k in 2..=ORDER {
                    let k = k as f64;
                    (before, value) =
                        (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
                }
                slope = order * (x * value - before) / (x * x - 1.0);
                x -= value / slope;
            }
            (x, 2.0 / ((1.0 - x * x) * slope * slope))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{normal_expectation, points};

    #[test]
    fn the_rule_integrates_what_it_says() {
        for degree in 0..=31 {
            let integral: f64 = points(-1.0, 2.0, 1).map(|(x, w)| w * x.powi(degree)).sum();
            let truth = (2f64.powi(degree + 1) - (-1f64).powi(degree + 1)) / f64::from(degree + 1);
            assert!((integral - truth).abs() <= 1e-13 * truth.abs(), "{degree}: {integral}");
        }
        let exponential: f64 = points(0.0, 40.0, 16).map(|(x, w)| w * (-x).exp()).sum();
        assert!((exponential - (1.0 - (-40f64).exp())).abs() <= 1e-14, "{exponential}");
    }

    #[test]
    fn normal_expectations_agree_with_algebra() {
        // E cos X = e^(−1/2), E X⁴ = 3.
        assert!((normal_expectation(f64::cos) - (-0.5f64).exp()).abs() <= 1e-15);
        assert!((normal_expectation(|x| x.powi(4)) - 3.0).abs() <= 1e-13);
    }
}
