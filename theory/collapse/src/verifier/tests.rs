//! Tests of the room above.

use super::truncated::Truncated;
use super::*;
use crate::stats::{Z_LIMIT, mean, z_statistic};
use crate::trial;
use fortifai_stream::Stream;

#[test]
fn every_entry_predicts_its_example() {
    trial::examples_are_predicted(FAMILY.entries);
}

#[test]
fn closed_forms_agree_with_mpmath() {
    let at: &[(&str, f64)] = &[("theta", 1.3), ("c", 0.2), ("r", 0.9), ("sigma", 1.0)];
    let rho = "rho(u)=1-2u phi(u)/(2Phi(u)-1)";
    // Every truth: mpmath, 40 digits, at the decimal inputs.
    let table: &[trial::Row] = &[
        ("M(theta)", at, 0.453_115_422_157_332_36),
        ("acceptance", at, 0.397_990_158_612_717_7),
        ("M'(theta)=Var acc", at, 0.207_977_138_798_937_3),
        (rho, &[("u", 0.05)], 0.000_833_055_588_629_848),
        (rho, &[("u", 0.9)], 0.242_018_041_655_182_73),
        (rho, &[("u", 3.0)], 0.973_336_924_662_541_5),
        // quad over x and over e in [−r, r] of x·e and x² under both normal laws.
        (
            "M(δ) = δρ(u)(σ²+δ²)/(σ²+ρ(u)δ²), u = r/√(σ²+δ²)",
            &[("delta", 0.6), ("sigma", 1.0), ("r", 0.9)],
            0.140_261_442_774_957_64,
        ),
        (
            "2Φ(r/√(σ²+δ²)) − 1",
            &[("delta", 0.6), ("sigma", 1.0), ("r", 0.9)],
            0.559_733_717_662_857_6,
        ),
        ("(ρσ²/m)/(1−ρ²)", &[("m", 40.0), ("r", 0.9), ("sigma", 1.0)], 0.006_426_891_646_511_089),
        ("u: u² = 2 ln t + 6 ln u − ln 2π", &[("t", 1000.0)], 4.596_701_842_012_214),
        ("purity", &[("p", 0.3), ("phi", 0.8), ("psi", 0.5)], 0.788_732_394_366_197_2),
    ];
    for (formula, inputs, truth) in table {
        let value = trial::predict(FAMILY.entries, formula, inputs).expect(formula);
        assert!((value - truth).abs() <= 1e-13 * truth, "{formula}: {value} against {truth}");
    }
}

#[test]
fn accepted_samples_have_the_moments_of_the_window_wherever_it_lies() {
    // Each branch of the sampler: the normal, the uniform and the exponential proposal. 12 means and
    // 12 variances at |z| ≤ 6.5: false alarm 2e-9 in all.
    for (index, (middle, half)) in
        [(0.0, 0.4), (0.7, 0.9), (-0.3, 2.5), (1.4, 1.3), (3.0, 0.5), (-6.0, 2.0)]
            .iter()
            .enumerate()
    {
        for scale in [1.0, 0.3] {
            let rule = Rule::Hard { center: 2.0 + scale * middle, radius: scale * half };
            let law = Verified { mean: 2.0, std_dev: scale, refit_std_dev: false, rule };
            let mut stream = Stream::new(11, "accepted", index as u64, scale.to_bits());
            let window = Truncated::new(*middle, *half);
            let draws: Vec<f64> = (0..20_000)
                .map(|_| (law.sample(1.0, &mut stream) - 2.0) / scale - middle)
                .collect();
            assert!(draws.iter().all(|v| v.abs() <= half * (1.0 + 1e-12)), "{middle} {half}");
            let z = z_statistic(&draws, window.offset, window.variance);
            assert!(z.abs() <= Z_LIMIT, "{middle} {half}: {z}");
            let squares: Vec<f64> = draws.iter().map(|v| (v - window.offset).powi(2)).collect();
            let spread = window.fourth_cumulant + 2.0 * window.variance.powi(2);
            let z = z_statistic(&squares, window.variance, spread);
            assert!(z.abs() <= Z_LIMIT, "{middle} {half}: {z}");
        }
    }
}

#[test]
fn accepted_rows_follow_the_map_of_infinite_data() {
    use crate::model::Model;
    use crate::regression::Linear;
    // 40 fits to 5,000 rows in two dimensions; the fit's bias is of order 1/5000.
    let start = VerifiedLinear::new(Linear::new(&[0.6, 0.8], 0.5, 0.0), &[0.0, 0.0], 0.7);
    let lengths: Vec<f64> = (0..40)
        .map(|item| {
            let mut pool = start.pool();
            start.draw(&mut pool, 5_000, 1.0, &mut Stream::new(3, "rows", 0, item));
            let fit = start.fit(&pool).expect("5,000 rows").linear.weights;
            fit[0] * 0.6 + fit[1] * 0.8
        })
        .collect();
    let truth = regression_step(1.0, 0.5, 0.7).expect("inside the domain");
    let error = (crate::stats::variance(&lengths) / 40.0).sqrt();
    // Student's t with 39 degrees of freedom exceeds 9 with probability 5e-11.
    assert!((mean(&lengths) - truth).abs() <= 9.0 * error, "{} {truth}", mean(&lengths));
}

#[test]
fn refusals_name_the_value_and_the_condition() {
    let said = hard_mean(1.0, 0.0, -0.5, 1.0).expect_err("r < 0").to_string();
    assert_eq!(said, "r = -0.5, but r from 1e-100 to 1e100 is needed.");
    assert!(purity(0.3, 0.0, 0.0).is_err());
    assert!(purity(0.0, 0.0, 0.5).is_err());
    assert!(shrinking_ratio(2).is_err());
    assert!(stationary_variance(0, 1.0, 1.0).is_err());
    assert!(stationary_variance(10, 100.0, 1.0).is_err());
}

#[test]
fn guards_pass_and_reject_every_planted_mistake() {
    trial::guards_pass(GUARDS);
}

#[test]
fn guards_do_not_depend_on_the_number_of_threads() {
    trial::guards_repeat(GUARDS);
}

#[test]
fn figures_show_simulations_on_their_lines() {
    // The lines of infinite data are followed within 5 % by 400 to 2,000 samples.
    trial::figures_agree(FIGURES, 0.05);
}
