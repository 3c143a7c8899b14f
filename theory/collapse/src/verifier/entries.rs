//! The table of V1 to V6.

use super::{
    acceptance, contraction, hard_mean, hard_slope, majority_threshold, odds_factor, purity,
    purity_after, regression_acceptance, regression_step, shrinking_ratio, shrunk_std_dev,
    shrunk_std_dev_after, soft_acceptance, soft_mean, soft_mean_after, soft_std_dev_after,
    stationary_variance, stationary_variance_corrected,
};
use crate::inputs::Inputs;
use crate::prediction::{Digits, Entry, Input, Kind};
use crate::refusal::Refusal;

const THETA: Input =
    Input { name: "theta", meaning: "mean of the model, data unit", example: "1.3" };
const CENTER: Input =
    Input { name: "c", meaning: "what the verifier believes, data unit", example: "0.2" };
const RADIUS: Input = Input { name: "r", meaning: "accepted distance, data unit", example: "0.9" };
const SIGMA: Input = Input { name: "sigma", meaning: "standard deviation", example: "1" };
const TAU: Input = Input { name: "tau", meaning: "width of the soft verifier", example: "1.5" };
const ACCEPTED: Input =
    Input { name: "m", meaning: "accepted samples per generation", example: "40" };
const ROUNDS: Input = Input { name: "t", meaning: "rounds", example: "10" };
const DELTA: Input =
    Input { name: "delta", meaning: "length of the error, label unit", example: "0.6" };
const WRONG: Input = Input { name: "p", meaning: "share of wrong labels", example: "0.3" };
const RIGHT_KEPT: Input =
    Input { name: "phi", meaning: "acceptance of right labels", example: "0.8" };
const WRONG_KEPT: Input =
    Input { name: "psi", meaning: "acceptance of wrong labels", example: "0.5" };

/// What the entries of a section share: id, claim, source, domain and digits.
struct Section(&'static str, Kind, &'static str, &'static str, Digits);

const V1: Section = Section(
    "V1",
    Kind::Exact,
    "derived here; setting of arXiv 2510.16657 and arXiv 2406.07515",
    "r, sigma > 0, |theta − c| ≤ 1e6 sigma; infinite data, known sigma",
    Digits::Special,
);
const V2: Section = Section(
    "V2",
    Kind::Asymptotic,
    "derived here",
    "m → ∞; m ≥ 1, r, sigma > 0; known sigma",
    Digits::Special,
);
const V3: Section = Section(
    "V3",
    Kind::Exact,
    "derived here; setting of arXiv 2510.16657",
    "sigma, r > 0, delta ≥ 0; Gaussian inputs of any covariance, infinite data",
    Digits::Special,
);
const V4: Section =
    Section("V4", Kind::Exact, "derived here", "tau, sigma > 0; infinite data", Digits::Elementary);
const V5: Section = Section(
    "V5",
    Kind::Exact,
    "derived here",
    "r, s > 0; theta = c, infinite data, t ≤ 1000000",
    Digits::Special,
);
const V6: Section = Section(
    "V6",
    Kind::Exact,
    "elementary; threshold as in Feng et al. 2024, arXiv 2406.07515",
    "probabilities, some labels accepted",
    Digits::Elementary,
);

const fn entry(
    section: Section,
    name: &'static str,
    formula: &'static str,
    inputs: &'static [Input],
    value: fn(&Inputs) -> Result<f64, Refusal>,
) -> Entry {
    let Section(id, kind, source, domain, digits) = section;
    Entry { id, name, formula, kind, source, domain, digits, inputs, value }
}

/// The closed forms of V1 to V6.
pub const ENTRIES: &[Entry] = &[
    entry(
        V1,
        "mean after one round, hard verifier",
        "M(theta)",
        &[THETA, CENTER, RADIUS, SIGMA],
        |inputs| {
            let [theta, c, r, sigma] = numbers(inputs, ["theta", "c", "r", "sigma"])?;
            hard_mean(theta, c, r, sigma)
        },
    ),
    entry(
        V1,
        "share of accepted samples, hard verifier",
        "acceptance",
        &[THETA, CENTER, RADIUS, SIGMA],
        |inputs| {
            let [theta, c, r, sigma] = numbers(inputs, ["theta", "c", "r", "sigma"])?;
            acceptance(theta, c, r, sigma)
        },
    ),
    entry(
        V1,
        "slope of the map, the variance of accepted samples over that of all",
        "M'(theta)=Var acc",
        &[THETA, CENTER, RADIUS, SIGMA],
        |inputs| {
            let [theta, c, r, sigma] = numbers(inputs, ["theta", "c", "r", "sigma"])?;
            hard_slope(theta, c, r, sigma)
        },
    ),
    entry(
        V1,
        "rate of convergence to the verifier's belief",
        "rho(u)=1-2u phi(u)/(2Phi(u)-1)",
        &[Input { name: "u", meaning: "r/sigma", example: "0.9" }],
        |inputs| contraction(inputs.number("u")?),
    ),
    entry(
        V2,
        "stationary variance of the mean about the verifier's belief",
        "(ρσ²/m)/(1−ρ²)",
        &[ACCEPTED, RADIUS, SIGMA],
        |inputs| {
            let [r, sigma] = numbers(inputs, ["r", "sigma"])?;
            stationary_variance(inputs.count("m")?, r, sigma)
        },
    ),
    entry(
        V2,
        "stationary variance of the mean with its next term",
        "V + κ4 (ρV² + Vσ²/2m)/((1−ρ²)σ⁴), V = (ρσ²/m)/(1−ρ²)",
        &[ACCEPTED, RADIUS, SIGMA],
        |inputs| {
            let [r, sigma] = numbers(inputs, ["r", "sigma"])?;
            stationary_variance_corrected(inputs.count("m")?, r, sigma)
        },
    ),
    entry(
        V3,
        "error of linear regression after one round, hard verifier of the label",
        "M(δ) = δρ(u)(σ²+δ²)/(σ²+ρ(u)δ²), u = r/√(σ²+δ²)",
        &[DELTA, SIGMA, RADIUS],
        |inputs| {
            let [delta, sigma, r] = numbers(inputs, ["delta", "sigma", "r"])?;
            regression_step(delta, sigma, r)
        },
    ),
    entry(
        V3,
        "share of accepted rows, hard verifier of the label",
        "2Φ(r/√(σ²+δ²)) − 1",
        &[DELTA, SIGMA, RADIUS],
        |inputs| {
            let [delta, sigma, r] = numbers(inputs, ["delta", "sigma", "r"])?;
            regression_acceptance(delta, sigma, r)
        },
    ),
    entry(
        V4,
        "mean after one round, soft verifier",
        "(θτ² + cσ²)/(τ² + σ²)",
        &[THETA, CENTER, TAU, SIGMA],
        |inputs| {
            let [theta, c, tau, sigma] = numbers(inputs, ["theta", "c", "tau", "sigma"])?;
            soft_mean(theta, c, tau, sigma)
        },
    ),
    entry(
        V4,
        "mean after t rounds, soft verifier, sigma known",
        "θ_t = c + (θ−c) (τ²/(τ²+σ²))^t",
        &[THETA, CENTER, TAU, SIGMA, ROUNDS],
        |inputs| {
            let [theta, c, tau, sigma] = numbers(inputs, ["theta", "c", "tau", "sigma"])?;
            soft_mean_after(theta, c, tau, sigma, inputs.count("t")?)
        },
    ),
    entry(
        V4,
        "standard deviation after t rounds, soft verifier, sigma refitted",
        "s_t = (1/σ0² + t/τ²)^(−1/2)",
        &[Input { name: "sigma0", ..SIGMA }, TAU, ROUNDS],
        |inputs| {
            let [sigma0, tau] = numbers(inputs, ["sigma0", "tau"])?;
            soft_std_dev_after(sigma0, tau, inputs.count("t")?)
        },
    ),
    entry(
        V4,
        "share of accepted samples, soft verifier",
        "τ/√(τ²+σ²) exp(−(θ−c)²/(2(τ²+σ²)))",
        &[THETA, CENTER, TAU, SIGMA],
        |inputs| {
            let [theta, c, tau, sigma] = numbers(inputs, ["theta", "c", "tau", "sigma"])?;
            soft_acceptance(theta, c, tau, sigma)
        },
    ),
    entry(
        V5,
        "standard deviation after one round, hard verifier, sigma refitted",
        "s' = s √ρ(r/s)",
        &[Input { name: "s", ..SIGMA }, RADIUS],
        |inputs| {
            let [s, r] = numbers(inputs, ["s", "r"])?;
            shrunk_std_dev(s, r)
        },
    ),
    entry(
        V5,
        "standard deviation after t rounds, hard verifier, sigma refitted",
        "s_t: t times s' = s √ρ(r/s)",
        &[Input { name: "s0", ..SIGMA }, RADIUS, ROUNDS],
        |inputs| {
            let [s0, r] = numbers(inputs, ["s0", "r"])?;
            shrunk_std_dev_after(s0, r, inputs.count("t")?)
        },
    ),
    entry(
        Section("V5", Kind::Asymptotic, "derived here", "t → ∞; t ≥ 3", Digits::Special),
        "r over the standard deviation after many rounds, hard verifier, sigma refitted",
        "u: u² = 2 ln t + 6 ln u − ln 2π",
        &[Input { name: "t", meaning: "rounds", example: "1000" }],
        |inputs| shrinking_ratio(inputs.count("t")?),
    ),
    entry(
        V6,
        "share of right labels among the accepted ones",
        "purity",
        &[WRONG, RIGHT_KEPT, WRONG_KEPT],
        |inputs| {
            let [p, phi, psi] = numbers(inputs, ["p", "phi", "psi"])?;
            purity(p, phi, psi)
        },
    ),
    entry(
        V6,
        "share of right labels after t rounds",
        "(1−p)φ^t/((1−p)φ^t + pψ^t)",
        &[WRONG, RIGHT_KEPT, WRONG_KEPT, ROUNDS],
        |inputs| {
            let [p, phi, psi] = numbers(inputs, ["p", "phi", "psi"])?;
            purity_after(p, phi, psi, inputs.count("t")?)
        },
    ),
    entry(
        V6,
        "factor of the odds of a right label per round",
        "φ/ψ",
        &[RIGHT_KEPT, WRONG_KEPT],
        |inputs| odds_factor(inputs.number("phi")?, inputs.number("psi")?),
    ),
    entry(
        V6,
        "largest share of wrong labels with a right majority among the accepted ones",
        "φ/(φ+ψ)",
        &[RIGHT_KEPT, WRONG_KEPT],
        |inputs| majority_threshold(inputs.number("phi")?, inputs.number("psi")?),
    ),
];

fn numbers<const N: usize>(inputs: &Inputs, names: [&str; N]) -> Result<[f64; N], Refusal> {
    let mut values = [0.0; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = inputs.number(name)?;
    }
    Ok(values)
}
