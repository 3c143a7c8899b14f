//! Tests of the family as a whole.

use super::*;

/// `(id, formula, inputs, value)`: mpmath, 40 digits, rounded to the nearest f64.
#[rustfmt::skip]
const GOLDEN: [(&str, &str, &str, f64); 79] = [
    ("T1", "c(sigma)", "sigma/sigma_gamma=0.9", 0.459_043_605_026_420_8),
    ("T1", "masked fraction erf(sqrt(ln(sg/s)))", "sigma/sigma_gamma=0.9", 0.353_797_146_835_055_64),
    ("T1", "A(c)=1+c h(c)", "sigma/sigma_gamma=0.9", 1.510_114_468_007_683_5),
    ("T1", "c(sigma)", "sigma/sigma_gamma=0.6", 1.010_767_652_594_789_7),
    ("T1", "masked fraction erf(sqrt(ln(sg/s)))", "sigma/sigma_gamma=0.6", 0.687_872_351_424_902_4),
    ("T1", "A(c)=1+c h(c)", "sigma/sigma_gamma=0.6", 2.550_280_934_571_484_5),
    ("T1", "c(sigma)", "sigma/sigma_gamma=0.3", 1.551_755_653_655_520_6),
    ("T1", "masked fraction erf(sqrt(ln(sg/s)))", "sigma/sigma_gamma=0.3", 0.879_279_299_426_638_3),
    ("T1", "A(c)=1+c h(c)", "sigma/sigma_gamma=0.3", 4.076_825_777_956_517),
    ("T1", "c(sigma)", "sigma/sigma_gamma=0.05", 2.447_746_830_680_816_6),
    ("T1", "masked fraction erf(sqrt(ln(sg/s)))", "sigma/sigma_gamma=0.05", 0.985_624_737_575_356_3),
    ("T1", "A(c)=1+c h(c)", "sigma/sigma_gamma=0.05", 7.792_986_963_515_467),
    ("T1", "slope S(c)", "c=0.1", -3.273_381_574_320_613),
    ("T1", "slope S(c)", "c=0.5", 0.040_560_166_319_245_8),
    ("T1", "slope S(c)", "c=1.5", 0.725_832_111_743_521_2),
    ("T1", "c of maximal overshoot", "", 0.478_971_562_405_873_24),
    ("T1", "maximal overshoot factor", "", 1.106_190_707_299_08),
    ("T1", "one-jump threshold c0", "", 0.926_227_073_507_365_2),
    ("T1", "one-jump threshold sigma/sigma_gamma", "", 0.651_193_597_722_724_3),
    ("T1", "stability threshold c (S=-1)", "", 0.226_890_588_442_162_92),
    ("T1", "largest stable sampling bias lambda", "", 0.823_026_409_007_253_9),
    ("T1", "gradient-flow fixed point sigma_GF/sigma_gamma", "s/sigma_gamma=0.4", 0.760_627_787_281_814_6),
    ("T1", "gradient-flow fixed point sigma_GF/sigma_gamma", "s/sigma_gamma=0.8", 0.948_814_854_923_339_4),
    ("T1", "gradient-flow fixed point sigma_GF/sigma_gamma", "s/sigma_gamma=0.99", 0.999_711_933_877_863),
    ("T1", "Kesten exponent kappa (MLE)", "n=20", 2.025_851_471_412_117_6),
    ("T1", "Kesten exponent kappa (MLE)", "n=50", 2.010_134_463_418_519_4),
    ("T1", "Kesten exponent kappa (MLE)", "n=200", 2.002_508_350_766_791),
    ("T1", "E max(1,chi2_nu/nu)", "nu=19", 1.128_303_961_287_533_4),
    ("T1", "relaxation rate rho=min E(chi2/nu)^theta", "n=20", 0.986_933_271_381_884_6),
    ("T1", "balance delta*=c^2/2 with (1-1/n)A(c)=1", "n=50", 0.000_314_354_206_536_011_63),
    ("T1", "d-dim refit factor", "d=2 sigma/sigma_gamma=0.8", 1.446_287_102_628_419_4),
    ("T1", "d-dim refit factor", "d=5 sigma/sigma_gamma=0.9", 1.037_353_633_079_894_7),
    ("T1", "d=2 growth rate of ln lambda_max", "d=2 n=15", 0.039_936_502_349_267_1),
    ("T2", "water-filling q_i", "p=[0.55,0.25,0.1,0.06,0.04] gamma=0.4 i=0", 0.4),
    ("T2", "water-filling q_i", "p=[0.55,0.25,0.1,0.06,0.04] gamma=0.4 i=1", 0.333_333_333_333_333_3),
    ("T2", "water-filling q_i", "p=[0.55,0.25,0.1,0.06,0.04] gamma=0.4 i=2", 0.133_333_333_333_333_33),
    ("T2", "water-filling q_i", "p=[0.55,0.25,0.1,0.06,0.04] gamma=0.4 i=3", 0.08),
    ("T2", "water-filling q_i", "p=[0.55,0.25,0.1,0.06,0.04] gamma=0.4 i=4", 0.053_333_333_333_333_34),
    ("T2", "masked fraction 1-M", "p=[0.55,0.25,0.1,0.06,0.04] gamma=0.4", 0.25),
    ("T2", "water-filling q_i", "p=[0.5,0.3,0.1,0.06,0.04] gamma=0.3 i=0", 0.3),
    ("T2", "water-filling q_i", "p=[0.5,0.3,0.1,0.06,0.04] gamma=0.3 i=1", 0.3),
    ("T2", "water-filling q_i", "p=[0.5,0.3,0.1,0.06,0.04] gamma=0.3 i=2", 0.2),
    ("T2", "water-filling q_i", "p=[0.5,0.3,0.1,0.06,0.04] gamma=0.3 i=3", 0.12),
    ("T2", "water-filling q_i", "p=[0.5,0.3,0.1,0.06,0.04] gamma=0.3 i=4", 0.08),
    ("T2", "masked fraction 1-M", "p=[0.5,0.3,0.1,0.06,0.04] gamma=0.3", 0.5),
    ("T2", "water-filling q_i", "p=[0.9,0.1] gamma=0.8 i=0", 0.8),
    ("T2", "water-filling q_i", "p=[0.9,0.1] gamma=0.8 i=1", 0.2),
    ("T2", "masked fraction 1-M", "p=[0.9,0.1] gamma=0.8", 0.5),
    ("T2", "support-loss tau", "q0=[0.3,0.4,0.2,0.1] S=[0] gamma=0.7", 2.235_094_392_640_847_5),
    ("T2", "support-loss q_i", "q0=[0.3,0.4,0.2,0.1] S=[0] gamma=0.7 i=0", 0.7),
    ("T2", "support-loss q_i", "q0=[0.3,0.4,0.2,0.1] S=[0] gamma=0.7 i=1", 0.146_952_842_371_547_2),
    ("T2", "support-loss q_i", "q0=[0.3,0.4,0.2,0.1] S=[0] gamma=0.7 i=2", 0.096_175_052_063_441_54),
    ("T2", "support-loss q_i", "q0=[0.3,0.4,0.2,0.1] S=[0] gamma=0.7 i=3", 0.056_872_105_565_011_25),
    ("T2", "support-loss tau", "q0=[0.3,0.2,0.22,0.18,0.1] S=[0,1] gamma=0.35", 2.443_351_654_189_68),
    ("T2", "support-loss q_i", "q0=[0.3,0.2,0.22,0.18,0.1] S=[0,1] gamma=0.35 i=0", 0.35),
    ("T2", "support-loss q_i", "q0=[0.3,0.2,0.22,0.18,0.1] S=[0,1] gamma=0.35 i=1", 0.35),
    ("T2", "support-loss q_i", "q0=[0.3,0.2,0.22,0.18,0.1] S=[0,1] gamma=0.35 i=2", 0.123_184_570_336_535_51),
    ("T2", "support-loss q_i", "q0=[0.3,0.2,0.22,0.18,0.1] S=[0,1] gamma=0.35 i=3", 0.107_628_838_076_733_93),
    ("T2", "support-loss q_i", "q0=[0.3,0.2,0.22,0.18,0.1] S=[0,1] gamma=0.35 i=4", 0.069_186_591_586_730_56),
    ("T2", "K=2 chain stationary E 2q(1-q)", "n=30 gamma=0.85", 0.381_164_008_725_887_07),
    ("T2", "K=2 chain stationary E 2x(1-x)", "n=30 gamma=0.85", 0.368_458_541_768_357_5),
    ("T2", "reflecting diffusion E H=(2g-1)/ln(g/(1-g))", "gamma=0.6", 0.493_260_692_475_286_3),
    ("T2", "reflecting diffusion E H=(2g-1)/ln(g/(1-g))", "gamma=0.8", 0.432_808_512_266_689_04),
    ("T2", "reflecting diffusion E H=(2g-1)/ln(g/(1-g))", "gamma=0.95", 0.305_660_944_705_597_74),
    ("T2", "heterozygosity floor", "gamma=0.9", 0.18),
    ("T2", "entropy floor (nats)", "gamma=0.9", 0.325_082_973_391_448_26),
    ("T2", "heterozygosity floor", "gamma=0.6", 0.48),
    ("T2", "entropy floor (nats)", "gamma=0.6", 0.673_011_667_009_256_4),
    ("T2", "heterozygosity floor", "gamma=0.35", 0.665),
    ("T2", "entropy floor (nats)", "gamma=0.35", 1.096_067_328_446_855_2),
    ("T2", "filter-then-count E T, K=2", "n=20 gamma=0.8 p=0.5", 13.800_495_248_571_467),
    ("T3", "excess KL of capped context d_KL(p1||gamma)", "p1=0.95 gamma=0.9", 0.016_706_501_178_764_713),
    ("T4", "focal weight f(p)", "gamma_f=1 p=0.3", 1.061_191_841_297_780_8),
    ("T4", "focal weight f(p)", "gamma_f=2 p=0.3", 0.995_668_577_816_893_1),
    ("T4", "focal weight f(p)", "gamma_f=2 p=0.9", 0.028_964_892_818_408_736),
    ("T4", "focal fixed point for p=.9", "gamma_f=2 p=0.9", 0.694_212_805_090_128_4),
    ("T4", "masked fraction Dirichlet 1-I_g(a+1,(K-1)a)", "K=6 a=0.3 gamma=0.7", 0.217_348_594_533_438_47),
    ("T4", "gradient jump lower (1-g)sqrt(V/(V-1))", "gamma=0.9 V=8", 0.106_904_496_764_969_76),
    ("T5", "Poisson floor ln(1/gamma)", "gamma=0.7", 0.356_674_943_938_732_4),
];

fn entries() -> impl Iterator<Item = &'static Entry> {
    FAMILY.entries.iter().copied().flatten()
}

#[test]
fn closed_forms_agree_with_mpmath() {
    for (id, formula, written, truth) in GOLDEN {
        let entry = entries().find(|entry| (entry.id, entry.formula) == (id, formula));
        let entry = entry.unwrap_or_else(|| panic!("no entry {id} {formula}"));
        let mut inputs = Inputs::default();
        for pair in written.split_whitespace() {
            let (name, value) = pair.split_once('=').expect("name=value");
            inputs.set(name, value.parse().expect("a value"));
        }
        let given: Vec<&str> = inputs.names().collect();
        let wanted: Vec<&str> = entry.inputs.iter().map(|input| input.name).collect();
        assert!(wanted.iter().all(|name| given.contains(name)), "{formula}: {wanted:?}");
        let value = entry.predict(&inputs).expect(formula).value;
        let error = ((value - truth) / truth).abs();
        assert!(error <= entry.digits.tolerance(), "{formula} at {written}: {value}, not {truth}");
        assert!(error <= 1e-12, "{formula} at {written}: {value} is {error:e} from {truth}");
    }
}

#[test]
fn every_entry_can_be_predicted_and_is_named_once() {
    let mut names = Vec::new();
    for entry in entries() {
        let prediction = entry.predict(&entry.example()).unwrap_or_else(|said| panic!("{said}"));
        assert!(prediction.value.is_finite(), "{prediction}");
        assert!(!entry.name.is_empty() && !entry.formula.is_empty());
        names.push((entry.id, entry.formula));
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(all, names.len());
}

#[test]
fn guards_pass_and_refuse_planted_mistakes() {
    // One seed; with EXTENSIVE set, ten more.
    let seeds = if std::env::var_os("EXTENSIVE").is_some() { 11 } else { 1 };
    for guard in FAMILY.guards.iter().copied().flatten() {
        for seed in 1..=seeds {
            let plan = crate::Plan { seed, replicates: guard.replicates };
            let outcomes = (guard.run)(&plan);
            assert!(outcomes.iter().any(|outcome| outcome.mistakes.len() > 1), "{}", guard.name);
            for outcome in outcomes {
                assert!(outcome.passed, "{} with seed {seed}: {outcome:?}", guard.name);
                let missed = outcome.mistakes.iter().find(|mistake| !mistake.rejected);
                assert!(missed.is_none(), "{} with seed {seed}: {outcome:?}", guard.name);
            }
        }
    }
}

#[test]
fn thresholds_outside_their_domain_are_refused_by_name_and_value() {
    let said = capped_fit(&[0.5, 0.5], 1.5).expect_err("above 1").to_string();
    assert_eq!(said, "gamma = 1.5, but 0 < gamma ≤ 1 is needed.");
    for gamma in [0.0, -0.1, 1.5, f64::NAN] {
        for entry in entries().filter(|entry| entry.inputs.iter().any(|i| i.name == "gamma")) {
            let mut inputs = entry.example();
            inputs.set("gamma", Value::Number(gamma));
            let said = entry.predict(&inputs).expect_err(entry.formula).to_string();
            assert!(said.contains("gamma = "), "{said}");
            assert!(said.contains(&gamma.to_string()), "{said}");
        }
    }
}

#[test]
fn figures_are_drawn_with_few_replicates() {
    for figure in FAMILY.figures.iter().copied().flatten() {
        for series in (figure.series)(&crate::Plan { seed: 1, replicates: 10 }) {
            assert!(series.line.len() > 1 && series.points.len() > 1, "{}", figure.name);
            let finite = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
            assert!(series.line.iter().all(finite), "{}", figure.name);
            let drawn = series.points.iter().all(|point| finite(&(point.x, point.mean)));
            assert!(drawn, "{} {}", figure.name, series.label);
        }
    }
}
#[test]
fn stationary_tails_agree_with_another_solution() {
    // numpy and scipy: the density of Lindley's equation on [0, 18] or [0, 36] by panels of 0.3
    // and 16 Gauss–Legendre nodes, untilted; its truncation is below 1e-14, its digits are 1e-12.
    for (n, m, r, truth) in [
        (20, 20.0, 1.5f64.exp(), 0.034_043_303_310_862_08),
        (20, 19.0, 4.0, 0.210_325_698_284_210_83),
        (5, 5.0, 3.0, 0.051_059_420_206_231_37),
    ] {
        let value = passage::stationary_tail(n, m, r).expect("inside the domain");
        assert!((value - truth).abs() <= 1e-11 * truth, "{n} {m} {r}: {value}, not {truth}");
    }
}
