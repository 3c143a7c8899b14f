use super::{Piece, Pool, Protocol, Source, carve};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Ten generations of synthetic units beside some real ones.
fn pools() -> impl Strategy<Value = (Vec<usize>, Vec<Vec<usize>>, u64)> {
    let units = || prop::collection::vec(1usize..60, 1..80);
    (units(), prop::collection::vec(units(), 9), 0u64..50)
}

fn units(pieces: &[Piece]) -> Vec<(Source, usize)> {
    let of = |piece: &Piece| piece.units.iter().map(|&u| (piece.source, u)).collect::<Vec<_>>();
    pieces.iter().flat_map(of).collect()
}

fn of_source(pieces: &[Piece], source: Source) -> Vec<usize> {
    units(pieces).into_iter().filter(|unit| unit.0 == source).map(|unit| unit.1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_unit_is_taken_twice_and_generation_zero_is_real(
        (real, synthetic, seed) in pools(), g in 0usize..10, alpha in 0.0f64..=1.0
    ) {
        let budget = real.iter().sum();
        let pool = Pool { real: &real, synthetic: &synthetic, generations: 10, budget, seed };
        for protocol in [
            Protocol::Fractions, Protocol::Replace, Protocol::Accumulate,
            Protocol::AccumulateSubsample, Protocol::Mix(alpha.into()),
            Protocol::Fresh(alpha.into()),
        ] {
            let plan = protocol.plan(g, &pool);
            let all = units(&plan);
            let distinct: BTreeSet<_> = all.iter().collect();
            prop_assert_eq!(distinct.len(), all.len());
            prop_assert!(plan.iter().all(|piece| piece.units.is_sorted()));
            if g == 0 {
                prop_assert!(all.iter().all(|unit| unit.0 == Source::Real));
            }
            for share in [0.0, 0.1, 0.5] {
                let (kept, cut) = carve(&plan, share);
                let mut both = [units(&kept), units(&cut)].concat();
                both.sort_unstable();
                let mut sorted = all.clone();
                sorted.sort_unstable();
                prop_assert_eq!(both, sorted);
            }
        }
    }

    #[test]
    fn fractions_use_every_real_unit_once_and_share_alike((real, synthetic, seed) in pools()) {
        let total: usize = real.iter().sum();
        let longest = *real.iter().max().unwrap();
        let pool = Pool { real: &real, synthetic: &synthetic, generations: 10, budget: 0, seed };
        let mut seen = Vec::new();
        for g in 0..10 {
            let plan = Protocol::Fractions.plan(g, &pool);
            let own = of_source(&plan, Source::Real);
            let tokens: usize = own.iter().map(|&unit| real[unit]).sum();
            prop_assert!(tokens.abs_diff(total / 10) <= longest + 1);
            seen.extend(own);
            if g > 0 {
                let old = of_source(&plan, Source::Synthetic(g - 1));
                prop_assert_eq!(old.len(), synthetic[g - 1].len());
            }
        }
        prop_assert_eq!(seen, (0..real.len()).collect::<Vec<_>>());
    }

    #[test]
    fn budgets_are_met_to_within_one_unit(
        (real, synthetic, seed) in pools(), g in 1usize..10, alpha in 0.0f64..=1.0
    ) {
        let total: usize = real.iter().sum();
        let pool = Pool { real: &real, synthetic: &synthetic, generations: 10, budget: total, seed };
        let drawn = pool.tokens(&Protocol::AccumulateSubsample.plan(g, &pool));
        prop_assert!(drawn >= total && drawn < total + 60, "{drawn} of {total}");
        let mix = Protocol::Mix(alpha.into()).plan(g, &pool);
        let real_part: usize = of_source(&mix, Source::Real).iter().map(|&unit| real[unit]).sum();
        let wanted = (alpha * total as f64).round() as usize;
        prop_assert!(real_part >= wanted && real_part < wanted + 60);
        let again = Protocol::Mix(alpha.into()).plan(g - 1, &pool);
        if g > 1 {
            prop_assert_eq!(of_source(&mix, Source::Real), of_source(&again, Source::Real));
        }
        let all = pool.tokens(&Protocol::Accumulate.plan(g, &pool));
        let older: usize = synthetic[..g].iter().flatten().sum();
        prop_assert_eq!(all, total + older);
    }
}

#[test]
fn fresh_text_is_other_text_every_time_and_lasts_to_the_end() {
    let real = vec![1; 600];
    let synthetic = vec![vec![1; 300]; 6];
    let fresh: Protocol = "fresh:0.5..0.1".parse().unwrap();
    // 1 + 0.5 + 0.4 + 0.3 + 0.2 + 0.1 budgets.
    let budget = fresh.budget(600, 6);
    assert_eq!((budget, fresh.real_tokens(budget, 6)), (240, 600));
    let pool = Pool { real: &real, synthetic: &synthetic, generations: 6, budget, seed: 0 };
    let plans: Vec<Vec<Piece>> = (0..6).map(|g| fresh.plan(g, &pool)).collect();
    let seen: Vec<usize> = plans.iter().flat_map(|plan| of_source(plan, Source::Real)).collect();
    assert_eq!(seen, (0..600).collect::<Vec<_>>());
    for (g, share) in [(1, 0.5), (3, 0.3), (5, 0.1)] {
        assert_eq!(of_source(&plans[g], Source::Real).len() as f64, share * budget as f64);
        assert_eq!(pool.tokens(&plans[g]), budget);
        // The same schedule with the same text every time.
        let mix = "mix:0.5..0.1".parse::<Protocol>().unwrap().plan(g, &pool);
        assert_eq!(of_source(&mix, Source::Real).len() as f64, share * budget as f64);
    }
}

#[test]
fn the_real_share_of_fractions_is_one_over_generation_plus_one() {
    let real = vec![1; 600];
    let synthetic: Vec<Vec<usize>> = (0..5).map(|g| vec![1; 100 * (g + 1)]).collect();
    let pool = Pool { real: &real, synthetic: &synthetic, generations: 6, budget: 0, seed: 0 };
    for g in 0..6 {
        let plan = Protocol::Fractions.plan(g, &pool);
        let own = of_source(&plan, Source::Real).len() as f64;
        assert_eq!(own / pool.tokens(&plan) as f64, 1.0 / (g + 1) as f64);
    }
}

#[test]
fn names_round_trip_and_bad_ones_say_what_would_do() {
    for name in [
        "fractions",
        "replace",
        "accumulate",
        "accumulate-subsample",
        "mix:0.25",
        "mix:0.5..0",
        "fresh:0.1",
    ] {
        assert_eq!(name.parse::<Protocol>().unwrap().to_string(), name);
    }
    for (name, words) in [
        ("mix", "Unknown protocol"),
        ("mix:", "not a number"),
        ("mix:1.5", "outside [0, 1]"),
        ("mix:NaN", "outside [0, 1]"),
        ("Replace", "mix:0.5"),
    ] {
        let sentence = name.parse::<Protocol>().unwrap_err().to_string();
        assert!(sentence.contains(words), "{sentence}");
    }
}
