//! The root of a continuous function inside a bracket.

use crate::refusal::Refusal;

/// Steps after which the search gives up; halving alone needs at most 1100 for any bracket of
/// finite numbers of one sign.
const STEPS: usize = 2200;

/// The root of `f` between `low` and `high`, to two units in the last place.
///
/// `f` must be continuous and change its sign over the bracket, one end of which may be its root.
/// Inverse quadratic interpolation where the last three points say that it is safe, halving
/// everywhere else, so that the bracket always shrinks. Infinite values of `f` count by their sign.
///
/// Source: Chandrupatla 1997, Advances in Engineering Software 28, 145–149.
///
/// # Errors
/// If `f` has the same sign at both ends, or is not a number somewhere.
///
/// ```
/// let two = fortifai_collapse::special::root::root(|x| x * x - 2.0, 0.0, 2.0)?;
/// assert!((two - 2f64.sqrt()).abs() <= 1e-15);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the tests of this file.
pub fn root(f: impl Fn(f64) -> f64, low: f64, high: f64) -> Result<f64, Refusal> {
    let (mut a, mut b) = (low, high);
    let (mut fa, mut fb) = (f(a), f(b));
    if fa == 0.0 || fb == 0.0 {
        return Ok(if fa == 0.0 { a } else { b });
    }
    if fa.is_nan() || fb.is_nan() || (fa > 0.0) == (fb > 0.0) {
        return Err(Refusal::new(format!(
            "The bracket [{low}, {high}] holds no change of sign: the ends are {fa} and {fb}."
        )));
    }
    let mut share = 0.5;
    for _ in 0..STEPS {
        let x = a + share * (b - a);
        let fx = f(x);
        if fx.is_nan() {
            return Err(Refusal::new(format!("The function is not a number at {x}.")));
        }
        // `c` is the end that `x` replaces: `a` and `b` bracket the root again.
        let (c, fc);
        if (fx > 0.0) == (fa > 0.0) {
            (c, fc) = (a, fa);
        } else {
            (c, fc) = (b, fb);
            (b, fb) = (a, fa);
        }
        (a, fa) = (x, fx);
        let best = if fa.abs() < fb.abs() { a } else { b };
        let least = (2.0 * f64::EPSILON * best.abs()).max(f64::MIN_POSITIVE) / (b - a).abs();
        if fa == 0.0 || least > 0.5 {
            return Ok(if fa == 0.0 { a } else { best });
        }
        let xi = (a - b) / (c - b);
        let phi = (fa - fb) / (fc - fb);
        let safe = phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi;
        share = if safe {
            let first = fa / (fb - fa) * fc / (fb - fc);
            first + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        } else {
            0.5
        };
        share = if share.is_nan() { 0.5 } else { share.clamp(least, 1.0 - least) };
    }
    Err(Refusal::new(format!("No root found in [{low}, {high}] in {STEPS} steps.")))
}

/// The same where only the lower end is known: the upper end is doubled away from it, starting at
/// `low + width`, until the sign changes.
///
/// # Errors
/// If the sign never changes, or as [`root`].
///
/// ```
/// let ten = fortifai_collapse::special::root::root_above(|x| x - 10.0, 0.0, 1.0)?;
/// assert!((ten - 10.0).abs() <= 1e-14);
/// # Ok::<(), fortifai_collapse::Refusal>(())
/// ```
/// Checked by the tests of this file.
pub fn root_above(f: impl Fn(f64) -> f64, low: f64, width: f64) -> Result<f64, Refusal> {
    let sign = f(low) > 0.0;
    let (mut left, mut width) = (low, width);
    while left + width < 1e300 {
        let right = low + width;
        if (f(right) > 0.0) != sign {
            return root(f, left, right);
        }
        (left, width) = (right, 2.0 * width);
    }
    Err(Refusal::new(format!("The function has the same sign everywhere above {low}.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    #[test]
    fn roots_are_found_to_the_last_places() {
        // mpmath, 40 digits: findroot of cos(x) = x.
        let dottie = root(|x| x.cos() - x, 0.0, 1.0).expect("a change of sign");
        assert!((dottie - 0.739_085_133_215_160_6).abs() <= 4e-16, "{dottie}");
        // A root of high order, a jump of scale, a tiny root and a pole at one end.
        for (f, low, high, truth) in [
            (&(|x: f64| (x - 1.0).powi(3)) as &dyn Fn(f64) -> f64, -5.0, 3.0, 1.0),
            (&|x: f64| x.exp() - 1e100, 0.0, 700.0, 100.0 * 10f64.ln()),
            (&|x: f64| x - 1e-200, 0.0, 1.0, 1e-200),
            (&|x: f64| x.ln() + 3.0, 0.0, 1.0, (-3f64).exp()),
        ] {
            let found = root(f, low, high).expect("a change of sign");
            assert!((found - truth).abs() <= 1e-5 * truth.abs(), "{found} against {truth}");
            let exact = truth == 1.0 || (found - truth).abs() <= 1e-15 * truth.abs();
            assert!(exact, "{found} against {truth}");
        }
    }

    #[test]
    fn brackets_without_a_root_are_refused() {
        assert!(root(|x| x * x + 1.0, -1.0, 1.0).is_err());
        assert!(root(|_| f64::NAN, -1.0, 1.0).is_err());
        assert!(root(|x| (x - 0.5).ln(), 0.0, 2.0).is_err());
        assert!(root_above(|_| 1.0, 0.0, 1.0).is_err());
        assert_eq!(root(|x| x, 0.0, 1.0), Ok(0.0));
    }

    quickcheck! {
        fn cubics_with_one_root_are_solved(root_at: i16, scale: u8) -> bool {
            let truth = f64::from(root_at) / 256.0;
            let slope = (f64::from(scale) + 1.0) / 16.0;
            let f = |x: f64| { let d = x - truth; d * d * d + slope * d };
            let found = root(f, -1000.0, 1500.0).expect("a change of sign");
            (found - truth).abs() <= 1e-13 * truth.abs().max(1.0)
        }
    }
}
