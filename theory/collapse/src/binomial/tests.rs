//! Tests of the room above.

use super::*;
use fortifai_stream::Stream;

#[test]
fn weights_agree_with_mpmath() {
    // mpmath, 40 digits: binomial(2000, k) p^k (1-p)^(2000-k) at p = 3/10, k = 600 and 400;
    // binomial(50, 0) at p = 1/50.
    for (n, p, k, truth) in [
        (2000, 0.3, 600, 0.019_463_338_987_300_134),
        (2000, 0.3, 400, 9.945_543_762_881_063e-25),
        (50, 0.02, 0, 0.364_169_680_087_117_1),
    ] {
        let value = law(n, p)[k];
        assert!((value - truth).abs() <= 1e-12 * truth, "{n} {p} {k}: {value} against {truth}");
    }
    let near = mass_near_the_mode(2000, 0.3, 600);
    assert!((near - 0.019_463_338_987_300_134).abs() <= 1e-12 * near, "{near}");
}

#[test]
fn certain_trials_have_certain_counts() {
    assert_eq!(law(3, 0.0), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(law(3, 1.0), [0.0, 0.0, 0.0, 1.0]);
    let mut stream = Stream::new(1, "binomial", 0, 0);
    assert_eq!(draw(1000, 0.0, &mut stream), 0);
    assert_eq!(draw(1000, 1.0, &mut stream), 1000);
    assert_eq!(draw(0, 0.5, &mut stream), 0);
}

#[test]
fn every_draw_is_dealt_out() {
    let mut stream = Stream::new(1, "binomial", 0, 1);
    for n in [0, 1, 3, 50, 100_000] {
        let mut counts = [0; 40];
        let weights: Vec<f64> = (0..40).map(|i| f64::from(i % 3)).collect();
        multinomial(n, &weights, &mut stream, |index, count| counts[index] += count);
        assert_eq!(counts.iter().sum::<u64>(), n);
        assert!(counts.iter().step_by(3).all(|&count| count == 0));
    }
    let taken = draws_without_replacement(&[5, 0, 7], 12, &mut stream);
    assert_eq!(taken, [5, 0, 7]);
}
