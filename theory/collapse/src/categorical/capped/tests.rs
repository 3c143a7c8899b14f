//! Tests of the room above.

use super::*;
use quickcheck::quickcheck;

const LAW: [f64; 5] = [0.5, 0.25, 0.15, 0.07, 0.03];

#[test]
fn water_filling_agrees_with_mpmath() {
    // By rational algebra (and mpmath): law, threshold, capped law, masked share 1 − M.
    let cases: [(&[f64], f64, &[f64], f64); 3] = [
        (
            &[0.55, 0.25, 0.1, 0.06, 0.04],
            0.4,
            &[0.4, 1.0 / 3.0, 2.0 / 15.0, 0.08, 0.8 / 15.0],
            0.25,
        ),
        (&[0.5, 0.3, 0.1, 0.06, 0.04], 0.3, &[0.3, 0.3, 0.2, 0.12, 0.08], 0.5),
        (&[0.9, 0.1], 0.8, &[0.8, 0.2], 0.5),
    ];
    for (law, gamma, truth, masked) in cases {
        let fit = capped_fit(&Categorical::new(law), gamma).expect("a large enough support");
        for (q, truth) in fit.law.probabilities.iter().zip(truth) {
            assert!((q - truth).abs() <= 1e-14, "{q} against {truth}");
        }
        assert!((1.0 - fit.kept - masked).abs() <= 1e-14, "{}", fit.kept);
    }
    assert_eq!(capped_fit(&Categorical::new(&[0.5, 0.5, 0.0]), 0.4), None);
    let tight = capped_fit(&Categorical::new(&[0.6, 0.3, 0.1]), 1.0 / 3.0);
    assert_eq!(tight.expect("K γ = 1").law.probabilities, [1.0 / 3.0; 3]);
    let free = capped_fit(&Categorical::new(&LAW), 0.6).expect("nothing is capped");
    assert_eq!((free.law.probabilities.as_slice(), free.kept), (&LAW[..], 1.0));
}

#[test]
fn gradient_descent_on_tce_ends_at_the_capped_law() {
    // Steps of η = 0.01 leave a sliding mode of width O(η): tolerance 2η. Logits move by
    // p_j m_j − M q_j with m_j = [q_j ≤ γ] and M = Σ p m.
    let p = [0.55, 0.25, 0.1, 0.06, 0.04];
    let descend = |gamma: f64| -> Vec<f64> {
        let mut z = [0.0f64; 5];
        let softmax = |z: &[f64; 5]| {
            let e = z.map(f64::exp);
            let total: f64 = e.iter().sum();
            e.map(|e| e / total)
        };
        for _ in 0..60_000 {
            let q = softmax(&z);
            let kept: [f64; 5] = std::array::from_fn(|j| if q[j] <= gamma { p[j] } else { 0.0 });
            let share: f64 = kept.iter().sum();
            (0..5).for_each(|j| z[j] += 0.01 * (kept[j] - share * q[j]));
        }
        softmax(&z).to_vec()
    };
    let off = |gamma: f64, truth: &[f64]| -> f64 {
        descend(gamma).iter().zip(truth).fold(0.0, |worst, (q, t)| (q - t).abs().max(worst))
    };
    let fit = capped_fit(&Categorical::new(&p), 0.4).expect("a large enough support");
    assert!(off(0.4, &fit.law.probabilities) <= 0.02);
    // Power: renormalising min(p, γ) is another law.
    let clipped = p.map(|p| p.min(0.4));
    let total: f64 = clipped.iter().sum();
    assert!(off(0.4, &clipped.map(|q| q / total)) > 0.02);
}

quickcheck! {
    fn capped_laws_satisfy_the_optimality_conditions(weights: Vec<u8>, level: u8) -> bool {
        let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        if total == 0.0 {
            return true;
        }
        let law: Vec<f64> = weights.iter().map(|&w| f64::from(w) / total).collect();
        let gamma = (f64::from(level) + 1.0) / 256.0;
        let data = Categorical::new(&law);
        let Some(CappedFit { law: fit, kept }) = capped_fit(&data, gamma) else {
            return (data.alive() as f64) * gamma < 1.0;
        };
        let q = &fit.probabilities;
        let normed = (q.iter().sum::<f64>() - 1.0).abs() <= 1e-12;
        // Uncapped: q = p/M. Capped: q = γ ≤ p/M.
        let optimal = law.iter().zip(q).all(|(&p, &q)| {
            let below = (q * kept - p).abs() <= 1e-12 && q <= gamma * (1.0 + 1e-12);
            let capped = q == gamma && p >= kept * gamma * (1.0 - 1e-12);
            below || capped
        });
        normed && optimal
    }
}
