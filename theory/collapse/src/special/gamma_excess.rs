//! What remains of `ln Γ` and `ψ` after their logarithms are taken off: quantities that vanish for
//! large arguments and would drown in rounding if they were formed as differences.

use nalgebra::Complex;

/// `ln Γ(x + s) − ln Γ(x) − s ln x` for `x > 0` and `x + s > 0`, about `s(s − 1)/(2x)`.
pub fn ln_gamma_excess(x: f64, s: f64) -> f64 {
    ln_gamma_excess_complex(x, Complex::new(s, 0.0)).re
}

/// The same for complex `z` with `Re(x + z) > 0`, continuous in `z`.
///
/// The recurrence `E(x, z) = E(x + 1, z) − ln(1 + z/x) + z ln(1 + 1/x)` brings both arguments to 12
/// or more; there Stirling's series gives, with `u = z/x`,
/// `(x + z − ½)(ln(1 + u) − u) + z(z − ½)/x + tail(x + z) − tail(x)`.
pub fn ln_gamma_excess_complex(x: f64, z: Complex<f64>) -> Complex<f64> {
    assert!(x > 0.0 && x + z.re > 0.0, "ln_gamma_excess: Γ({x} + {z})/Γ({x})");
    let mut shifted = Complex::new(0.0, 0.0);
    let mut x = x;
    while x < 12.0 || x + z.re < 12.0 {
        shifted += z * (1.0 / x).ln_1p() - ln_1p(z / x);
        x += 1.0;
    }
    let tail = |z: Complex<f64>| {
        let y = (z * z).inv();
        let terms = [
            1.0 / 12.0,
            -1.0 / 360.0,
            1.0 / 1260.0,
            -1.0 / 1680.0,
            1.0 / 1188.0,
            -691.0 / 360_360.0,
        ];
        terms.iter().rev().fold(Complex::new(0.0, 0.0), |sum, &term| sum * y + term) / z
    };
    let whole = Complex::new(x, 0.0);
    let stirling = (whole + z - 0.5) * ln_1p_minus_complex(z / x) + z * (z - 0.5) / x;
    shifted + stirling + (tail(whole + z) - tail(whole))
}

/// `ψ(x) − ln x` for `x > 0`, about `−1/(2x)`: recurrence up to 12, then
/// `−1/(2x) − Σ B_{2k}/(2k x^{2k})`.
pub fn digamma_excess(x: f64) -> f64 {
    assert!(x > 0.0, "digamma_excess: the argument {x} is not positive");
    let mut shifted = 0.0;
    let mut x = x;
    while x < 12.0 {
        shifted += ln_1p_minus(1.0 / x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let terms = [
        1.0 / 12.0,
        -1.0 / 120.0,
        1.0 / 252.0,
        -1.0 / 240.0,
        1.0 / 132.0,
        -691.0 / 32_760.0,
        1.0 / 12.0,
    ];
    let series = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * y);
    shifted - 0.5 / x - series
}

/// `ln(1 + u) − u` for `u > −1`, about `−u²/2`.
pub fn ln_1p_minus(u: f64) -> f64 {
    if u.abs() > 0.5 {
        return u.ln_1p() - u;
    }
    ln_1p_minus_complex(Complex::new(u, 0.0)).re
}

/// `ln(1 + u) − u`; for small `u` by `r = u/(2 + u)`, with which
/// `ln(1 + u) = 2(r + r³/3 + r⁵/5 + …)` and `u = 2r/(1 − r)`.
fn ln_1p_minus_complex(u: Complex<f64>) -> Complex<f64> {
    if u.norm_sqr() > 0.25 {
        return ln_1p(u) - u;
    }
    let r = u / (u + 2.0);
    let y = r * r;
    // |r| ≤ 1/3: the first omitted term is below (1/9)^17/37 relative.
    let series = (1..=17)
        .rev()
        .fold(Complex::new(0.0, 0.0), |sum, k| (sum + 1.0 / f64::from(2 * k + 1)) * y);
    (r * series - y / (Complex::new(1.0, 0.0) - r)) * 2.0
}

/// `ln(1 + u)` off the negative axis.
fn ln_1p(u: Complex<f64>) -> Complex<f64> {
    let modulus = 0.5 * (u.re * (2.0 + u.re) + u.im * u.im).ln_1p();
    Complex::new(modulus, u.im.atan2(1.0 + u.re))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Within a few roundings of the truth, or of the tails near 0.007 whose difference it holds.
    fn close(value: f64, truth: f64) {
        assert!((value - truth).abs() <= 4e-15 * truth.abs() + 1e-18, "{value} against {truth}");
    }

    #[test]
    fn excesses_agree_with_mpmath() {
        // mpmath, 60 digits: loggamma(x+s)-loggamma(x)-s*log(x).
        close(ln_gamma_excess(0.5, 0.5), -0.22579135264472744);
        close(ln_gamma_excess(4.5, 0.5), -0.027721438882633637);
        close(ln_gamma_excess(4.5, -1.0), 0.25131442828090605);
        close(ln_gamma_excess(500000.0, 0.5), -2.499999999999583e-07);
        close(ln_gamma_excess(3.5, 40.0), 68.33808220418311);
        close(ln_gamma_excess(1000000.0, -0.3), 1.9500005200001267e-07);
        close(ln_gamma_excess(20.0, -19.5), 19.64926009002803);
        close(ln_gamma_excess(13.0, 1e-05), -3.895394436535575e-07);
        // The same at complex s.
        let value = ln_gamma_excess_complex(0.5, Complex::new(0.0, 3.0));
        close(value.re, -4.365815393360923);
        close(value.im, 2.389260812766275);
        let value = ln_gamma_excess_complex(4.5, Complex::new(2.0, 0.25));
        close(value.re, 0.19547578930798962);
        close(value.im, 0.07228029012095183);
        let value = ln_gamma_excess_complex(500000.0, Complex::new(10.0, 300.0));
        close(value.re, -0.08990828520276255);
        close(value.im, 0.005717945214759614);
        let value = ln_gamma_excess_complex(9.5, Complex::new(-9.0, 20.0));
        close(value.re, -21.924695236032072);
        close(value.im, -5.109106863656577);
        let value = ln_gamma_excess_complex(2.0, Complex::new(0.5, 80.0));
        close(value.re, -116.32709265009254);
        close(value.im, 218.227472098966);
        // digamma(x)-log(x).
        close(digamma_excess(0.5), -1.2703628454614782);
        close(digamma_excess(1.0), -0.5772156649015329);
        close(digamma_excess(4.5), -0.11520647041674517);
        close(digamma_excess(49.5), -0.010135018848272835);
        close(digamma_excess(500000.0), -1.0000003333333333e-06);
        // log(1+u)-u.
        close(ln_1p_minus(1e-09), -4.999999996666667e-19);
        close(ln_1p_minus(-0.0001), -5.000333358335334e-09);
        close(ln_1p_minus(0.3), -0.03763573553250894);
        close(ln_1p_minus(-0.4), -0.1108256237659907);
        close(ln_1p_minus(0.5), -0.09453489189183562);
        close(ln_1p_minus(-0.9), -1.402585092994046);
        close(ln_1p_minus(7.0), -4.920558458320164);
    }
}
