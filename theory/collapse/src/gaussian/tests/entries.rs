//! The entries against digits that were computed elsewhere.

use super::super::{FAMILY, METRICS};
use crate::inputs::{Inputs, Value};
use crate::prediction::Entry;
use fortifai_stream::Stream;

fn entries() -> impl Iterator<Item = &'static Entry> {
    let rooms = [FAMILY.entries, METRICS.entries, crate::conservation::FAMILY.entries];
    rooms.into_iter().flatten().copied().flatten()
}

/// Inputs as one would write them: `n=20 divisor=n-1`.
fn read(text: &str) -> Inputs {
    let mut inputs = Inputs::default();
    for pair in text.split(' ') {
        let (name, value) = pair.split_once('=').expect("name=value");
        inputs.set(name, value.parse::<Value>().expect("a value"));
    }
    inputs
}

fn check(id: &str, formula: &str, inputs: &str, truth: f64) {
    let found: Vec<_> =
        entries().filter(|entry| entry.id == id && entry.formula == formula).collect();
    let [entry] = found[..] else { panic!("{} entries {id} {formula}", found.len()) };
    let prediction = entry.predict(&read(inputs)).expect("inside the domain");
    let error = (prediction.value - truth).abs();
    let close = error <= entry.digits.tolerance() * truth.abs();
    assert!(close, "{prediction} against {truth}, {:e} relative", error / truth.abs());
}

#[test]
fn entries_agree_with_mpmath() {
    // mpmath, 40 digits, rounded to the nearest f64.
    for (id, formula, inputs, truth) in GOLDEN {
        check(id, formula, inputs, truth);
    }
}

#[test]
fn entries_agree_with_mpmath_at_other_inputs() {
    // mpmath, 60 digits; the expression stands beside each.
    for (id, formula, inputs, truth) in MORE {
        check(id, formula, inputs, truth);
    }
}

#[test]
fn every_example_is_inside_the_domain() {
    for entry in entries() {
        let prediction = entry.predict(&entry.example()).expect("the example");
        assert!(prediction.value.is_finite(), "{prediction}");
    }
}

#[test]
fn any_numbers_are_answered_by_a_number_or_a_refusal() {
    let numbers = [
        0.0, 1.0, 2.0, 3.0, 4.0, 9.0, 20.0, 1e3, 1e6, 1e15, -1.0, 0.2, 0.5, 0.999, 1.5, 1e-300,
        1e300,
    ];
    let mut stream = Stream::new(1, "any-numbers", 0, 0);
    let mut faults = Vec::new();
    let rates = crate::rates::entries().filter(|entry| entry.id != "B1");
    for entry in entries().chain(rates) {
        let mut answers = Vec::new();
        for _ in 0..40 {
            // Half of the inputs are those of the example.
            let mut inputs = entry.example();
            for input in entry.inputs {
                if stream.below(2) == 0 {
                    let number = numbers[stream.below(numbers.len())];
                    let list = matches!(inputs.get(input.name), Some(Value::List(_)));
                    let value =
                        if list { Value::List(vec![number]) } else { Value::Number(number) };
                    inputs.set(input.name, value);
                }
            }
            if let Ok(prediction) = entry.predict(&inputs) {
                answers.push(prediction);
            }
        }
        assert!(!answers.is_empty(), "{} {}", entry.id, entry.formula);
        faults.extend(answers.into_iter().filter(|answer| !answer.value.is_finite()));
    }
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn an_entry_is_named_by_id_and_formula() {
    let names: Vec<_> = entries().map(|entry| (entry.id, entry.formula)).collect();
    for (at, name) in names.iter().enumerate() {
        assert!(!names[..at].contains(name), "{name:?} twice");
    }
}

#[test]
fn divisors_are_words_or_numbers() {
    let rate = |formula: &str, inputs: &str| {
        let entry = entries().find(|entry| entry.formula == formula).expect("an entry");
        entry.predict(&read(inputs)).map(|prediction| prediction.value)
    };
    let power = |divisor: &str| {
        rate("E sigma_t^(2s)", &format!("n=8 t=6 s=0.3 divisor={divisor}")).expect("inside")
    };
    assert_eq!(power("n-1"), power("7"));
    assert_eq!(power("n"), power("8"));
    assert!(power("9") < power("8"));
    let unbiased = "rate E ln(sigma_t^2/sigma_{t-1}^2) = psi(nu/2)-ln(nu/2)";
    assert_eq!(rate(unbiased, "n=8 divisor=7"), rate(unbiased, "n=8"));
    let said = rate(unbiased, "n=8 divisor=n").expect_err("another formula").to_string();
    assert!(said.contains("divisor = 8, but the divisor 7 of this formula is needed."), "{said}");
    assert!(rate(unbiased, "n=8 divisor=half").is_err());
    assert!(rate(unbiased, "n=8 t=1").is_err());
}

const GOLDEN: [(&str, &str, &str, f64); 66] = [
    ("G1", "c4(n)", "n=2", 0.7978845608028654),
    ("G1", "c4(n)", "n=3", 0.886226925452758),
    ("G1", "c4(n)", "n=5", 0.9399856029866251),
    ("G1", "c4(n)", "n=10", 0.9726592741215883),
    ("G1", "c4(n)", "n=100", 0.9974779760712635),
    ("G1", "c4(n)", "n=1000", 0.9997497811015132),
    ("G1", "E sigma_t/sigma_{t-1} for the MLE = c4(n) sqrt((n-1)/n)", "n=2", 0.5641895835477563),
    ("G1", "E sigma_t/sigma_{t-1} for the MLE = c4(n) sqrt((n-1)/n)", "n=10", 0.9227456080530871),
    ("G1", "E sigma_t/sigma_{t-1} for the MLE = c4(n) sqrt((n-1)/n)", "n=100", 0.9924780549814448),
    ("G1", "E sigma_t^4 (unbiased)=(1+2/nu)^t", "n=20 t=15", 4.48730311319406),
    ("G1", "E sigma_t^(2s)", "n=8 t=6 s=0.3 divisor=7", 0.8328666760712644),
    (
        "G2",
        "rate E ln(sigma_t^2/sigma_{t-1}^2) = psi(nu/2)-ln(nu/2)",
        "n=2 divisor=n-1",
        -1.2703628454614782,
    ),
    (
        "G2",
        "rate E ln(sigma_t^2/sigma_{t-1}^2) = psi(nu/2)-ln(nu/2)",
        "n=3 divisor=n-1",
        -0.5772156649015329,
    ),
    (
        "G2",
        "rate E ln(sigma_t^2/sigma_{t-1}^2) = psi(nu/2)-ln(nu/2)",
        "n=10 divisor=n-1",
        -0.11520647041674517,
    ),
    (
        "G2",
        "rate E ln(sigma_t^2/sigma_{t-1}^2) = psi(nu/2)-ln(nu/2)",
        "n=100 divisor=n-1",
        -0.010135018848272835,
    ),
    ("G2", "same, MLE: psi(nu/2)-ln(n/2)", "n=10 divisor=n", -0.22056698607457148),
    ("G2", "same, MLE: psi(nu/2)-ln(n/2)", "n=100 divisor=n", -0.020185354701774277),
    ("G2", "Var per generation of ln sigma^2 = psi1(nu/2)", "n=2", 4.934802200544679),
    ("G2", "Var per generation of ln sigma^2 = psi1(nu/2)", "n=10", 0.24872510303901038),
    ("G2", "Var per generation of ln sigma^2 = psi1(nu/2)", "n=100", 0.02040745504687999),
    ("G3", "Var mu_t MLE =1-(1-1/n)^t", "n=20 t=15 sigma0=1", 0.5367087698402466),
    ("G4", "E W2^2 MLE = 2(1-b^t)", "n=20 t=15", 0.8824152625041145),
    ("G4", "E W2^2 unbiased = t/n+2(1-c4^t)", "n=20 t=15", 1.1080745956068518),
    ("G5", "E KL(N_t||N_0) unbiased", "n=20 t=15", 0.7766544165265922),
    ("G5", "E KL(N_0||N_t) unbiased", "n=20 t=15", 2.7722454649923787),
    ("G5", "E KL(N_0||N_t) MLE", "n=20 t=15", 6.178741859012498),
    ("G5", "E KL(N_t||N_0) MLE", "n=20 t=15", 0.7863541244332212),
    ("G6", "n=3,t=2: P(sigma_2^2>y)=2 sqrt(y) K1(2 sqrt y)", "y=0.3", 0.5625698569242199),
    ("G6", "P(sigma_t>eps), Gil-Pelaez", "n=10 t=20 eps=0.5", 0.345874479154794),
    ("G6", "Chernoff bound P(sigma_t>eps)", "n=10 t=100 eps=0.1", 0.37388067249567614),
    ("G6", "Suresh bound exp(-t/(4n-1))/eps", "n=10 t=100 eps=0.1", 0.7698824246074543),
    ("G7", "E ln det per generation (unbiased)", "d=3 n=12", -0.6081625333421952),
    ("G7", "E det factor prod (nu-i)/nu", "d=3 n=12", 0.743801652892562),
    ("G7", "E det^(1/2) factor", "d=3 n=12", 0.7998212878811772),
    ("G7", "Lyapunov exponent i of Sigma_t", "d=4 n=10 i=1", -0.11520647041674517),
    ("G7", "Lyapunov exponent i of Sigma_t", "d=4 n=10 i=2", -0.2479597283444736),
    ("G7", "Lyapunov exponent i of Sigma_t", "d=4 n=10 i=3", -0.4009207561310309),
    ("G7", "Lyapunov exponent i of Sigma_t", "d=4 n=10 i=4", -0.5812930616778069),
    ("G7", "E tr Sigma_t^2, Sigma0=I3, unbiased", "d=3 n=12 t=5", 10.285344394011835),
    ("G7", "E (tr Sigma_t)^2, Sigma0=I3, unbiased", "d=3 n=12 t=5", 14.010872332366766),
    ("G8", "accumulate MLE prod(1-1/(n k^2))", "n=6 t=8", 0.7623201299100205),
    ("G8", "accumulate MLE limit sin(pi/sqrt n)/(pi/sqrt n)", "n=2", 0.358187786013244),
    ("G8", "accumulate MLE limit sin(pi/sqrt n)/(pi/sqrt n)", "n=6", 0.7475294898545399),
    ("G8", "accumulate MLE limit sin(pi/sqrt n)/(pi/sqrt n)", "n=100", 0.983631643083466),
    ("G8", "accumulate divisor N-1 prod_{k=2}^t(1-1/(k(kn-1)))", "n=6 t=8", 0.9092829497214517),
    ("G8", "accumulate divisor N-1 limit", "n=2", 0.6666666666666666),
    ("G8", "accumulate divisor N-1 limit", "n=6", 0.8914676597658249),
    ("G8", "accumulate divisor N-1 limit", "n=100", 0.9935471215410256),
    ("G8", "E sigma_t^4 accumulate MLE", "n=6 t=8", 0.9578308203053353),
    ("G8", "blocks prod(1-n_k/N_k^2)", "blocks=[4,9,3,12,5]", 0.6878246524537733),
    ("G9", "budget subsample limit", "n=6 B=4", 0.6503225556758567),
    ("G10", "fresh stratified D*", "n=15 alpha=0.2", 0.16129032258064516),
    ("G10", "per-sample D*", "n=15 alpha=0.2", 0.16556291390728478),
    ("G10", "fixed real D_f", "n=15 alpha=0.2", 0.12903225806451613),
    (
        "G10",
        "alpha keeping half the variance (root of n a(2-a)+1-a=2)",
        "n=100",
        0.005037879512554279,
    ),
    ("G11", "fresh+bias D*", "n=15 alpha=0.2 lambda=0.7", 0.08038585209003216),
    ("G11", "fresh+bias V*", "n=15 alpha=0.2 lambda=0.7", 0.4180064308681672),
    (
        "G11",
        "critical sampling variance lambda*=exp(ln(nu/2)-psi(nu/2))",
        "n=12",
        1.098180746300194,
    ),
    ("G11", "n_e known sigma", "n=15 alpha=0.2 lambda=0.7", 7.105263157894737),
    ("M4", "KL(N(m,s2)||N(0,s1))", "m=0.7 s1=1 s2=0.4", 0.7412907318741551),
    ("M4", "Hellinger^2", "m=0.7 s1=1 s2=0.4", 0.25277222936600807),
    ("M4", "TV equal means", "s1=1 s2=0.4", 0.41497879797906523),
    ("M4", "W1 equal means", "s1=1 s2=0.4", 0.4787307364817192),
    ("M4", "W2^2", "m=0.7 s1=1 s2=0.4", 0.85),
    ("M4", "TV general", "m=0.7 s1=1 s2=0.4", 0.5191579525535754),
    ("M4", "entropy N(0,s^2)", "s=0.4", 0.5026478013305177),
];

const MORE: [(&str, &str, &str, f64); 57] = [
    // sqrt(2/(n-1))*gamma(n/2)/gamma((n-1)/2)
    ("G1", "c4(n)", "n=1000000", 0.9999997499997813),
    // (2/m)^s gamma(nu/2+s)/gamma(nu/2), to the t
    ("G1", "E sigma_t^(2s)", "n=1000000 t=1000000 s=0.5 divisor=n", 0.47236631655762024),
    // the same
    ("G1", "E sigma_t^(2s)", "n=5 t=3 s=-1.9 divisor=6.5", 712454.5747459531),
    // E sigma^4 - (E sigma^2)^2
    ("G1", "Var sigma_t^2", "n=7 t=4 divisor=n", 0.6294753279428033),
    // (6/4)^4
    ("G1", "E 1/sigma_t^2 = (m/(n-3))^t", "n=7 t=4 divisor=n-1", 5.0625),
    // digamma(nu/2)+log(2/m)
    (
        "G2",
        "rate E ln(sigma_t^2/sigma_{t-1}^2) = psi(nu/2)-ln(nu/2)",
        "n=1000000 divisor=999999",
        -1.000001333335e-06,
    ),
    // the same
    ("G2", "same, MLE: psi(nu/2)-ln(n/2)", "n=1000000 divisor=n", -2.0000018333353332e-06),
    // psi(1,nu/2)
    ("G2", "Var per generation of ln sigma^2 = psi1(nu/2)", "n=1000000", 2.000004000007333e-06),
    // (2*log(10)-zeta(1/2)/sqrt(2*pi)*sqrt(psi(1,9/2)))/|rate|
    (
        "G2",
        "E T ~ (2 ln(1/eps) + 0.5826 sqrt(psi1(nu/2)))/|rate|",
        "n=10 eps=0.1 divisor=n",
        22.196091769611552,
    ),
    // 9*t/n
    (
        "G3",
        "Var mu_t = sigma0^2 (1/n) sum_{k<t} ((n-1)/m)^k",
        "n=12 t=9 sigma0=3 divisor=n-1",
        6.75,
    ),
    // 2*(1-b^t)
    ("G4", "E W2^2 MLE = 2(1-b^t)", "n=1000000 t=3", 4.499997937499297e-06),
    // t/n+2*(1-c4^t)
    ("G4", "E W2^2 unbiased = t/n+2(1-c4^t)", "n=3 t=400", 135.33333333333334),
    // (r^t+(r/n)(r^t-1)/(r-1)-1+t*rate)/2
    ("G5", "E KL(N_0||N_t) unbiased", "n=100000 t=2", 2.000096670600145e-05),
    // the same
    ("G5", "E KL(N_0||N_t) MLE", "n=4 t=9", 174759.0450425704),
    // (t/n-t*rate)/2
    ("G5", "E KL(N_t||N_0) unbiased", "n=100000 t=2", 2.0000133335000018e-05),
    // quad of exp(K(z)-z*log(eps^2))/z on Re z = 0.4
    ("G6", "P(sigma_t>eps), Gil-Pelaez", "n=10 t=200 eps=0.5", 0.0009017276870222108),
    // erfc(eps/sqrt(2))
    ("G6", "P(sigma_t>eps), Gil-Pelaez", "n=2 t=1 eps=0.3", 0.7641771556220948),
    // exp(-eps^2)
    ("G6", "P(sigma_t>eps), Gil-Pelaez", "n=3 t=1 eps=6", 2.3195228302435696e-16),
    // exp(-eps^2)
    ("G6", "P(sigma_t>eps), Gil-Pelaez", "n=3 t=1 eps=0.001", 0.9999990000005),
    // gammainc(500, 500*eps^2, inf, regularized)
    ("G6", "P(sigma_t>eps), Gil-Pelaez", "n=1001 t=1 eps=1.02", 0.18237710667497545),
    // gammainc(500, 500.5*eps^2, inf, regularized)
    ("G6", "P(sigma_t>eps), any divisor", "n=1001 t=1 eps=0.95 divisor=n", 0.9867466707893574),
    // quad on Re z = 2.3
    ("G6", "P(sigma_t>eps), Gil-Pelaez", "n=10 t=3 eps=2", 0.014698854133941043),
    // quad on Re z = 0.42
    ("G6", "P(sigma_t>eps), Gil-Pelaez", "n=10 t=20 eps=0.9", 0.17429303154774745),
    // 2*sqrt(y)*besselk(1,2*sqrt(y))
    ("G6", "n=3,t=2: P(sigma_2^2>y)=2 sqrt(y) K1(2 sqrt y)", "y=40", 1.4724797865226568e-05),
    // at the root of t*(digamma(nu/2+s)-log(nu/2)) = log(eps^2)
    ("G6", "Chernoff bound P(sigma_t>eps)", "n=20 t=300 eps=0.2", 0.08093899422006917),
    // sum digamma((n-i)/2) + d*log(2/nu)
    ("G7", "E ln det per generation (unbiased)", "d=5 n=100000", -0.00015000416680500522),
    // prod gamma((n-i)/2+s)/gamma((n-i)/2) (2/m)^(ds)
    ("G7", "E det^s factor, divisor m", "d=4 n=9 s=-1.5 divisor=n", 184.528125),
    // sum psi(1,(n-i)/2)
    ("G7", "Var ln det per generation = sum psi1((nu+1-i)/2)", "d=4 n=9", 1.4994725347858116),
    // digamma(4)-digamma(5/2)
    ("G7", "psi(nu/2) - psi((nu+1-d)/2)", "d=4 n=9", 0.5529610277865573),
    // the product
    ("G8", "accumulate MLE prod(1-1/(n k^2))", "n=3 t=5000", 0.5351663965577025),
    // the product
    ("G8", "accumulate divisor N-1 prod_{k=2}^t(1-1/(k(kn-1)))", "n=3 t=5000", 0.7806007228570526),
    // prod (1-1/(nk^2))^2+2(n-1+(1-1/k)^2)/(n^2k^2)
    ("G8", "E sigma_t^4 accumulate MLE", "n=2 t=60000", 0.6493847628570688),
    // 1 - the product
    ("G8", "Var mu_t = 1 - prod(1-1/(n k^2))", "n=1000000 t=7", 1.5117964501591426e-06),
    // digamma(5/2)+log(2/6) + double integrals of log f_k over chi2_5 and chi2_1
    ("G8", "E ln sigma_t^2 accumulate MLE", "n=6 t=3", -0.508562509560105),
    // the product
    ("G9", "(1-1/n) prod_{k=2}^t (1-(1+(n-1)/B)/(n k^2))", "n=6 B=4 t=50", 0.6551696182199752),
    // (1-1/n)/2, the limit c -> 1
    ("G9", "budget subsample limit", "n=7 B=1", 0.42857142857142855),
    // the recursion
    ("G9", "pool variance, budget drawn without replacement", "n=6 B=9 t=300", 0.731268701271003),
    // the recursion
    ("G10", "fresh stratified V_t", "n=15 alpha=0.2 t=7", 0.842567552866303),
    // 1-1/(n*a*(2-a)+1-a)
    ("G10", "fresh stratified V*", "n=1000 alpha=0.000001", 0.0019950109750558743),
    // (1-r^t)/(1-r)/n, r = 0.64*14/15
    ("G10", "per-sample D_t", "n=15 alpha=0.2 t=4", 0.14448488169876544),
    // (1-0.8/6.2)*2/3
    ("G10", "fixed real V*", "n=15 alpha=0.2", 0.5806451612903226),
    // ((2n-1)-sqrt((2n-1)^2-4n))/(2n)
    (
        "G10",
        "alpha keeping half the variance (root of n a(2-a)+1-a=2)",
        "n=1000000",
        5.00000375000375e-07,
    ),
    // 4000 steps of the recursion
    ("G11", "fresh+bias V*", "n=40 alpha=0.05 lambda=0.99", 0.689778733315417),
    // 0.1*sum 0.8^k
    (
        "G11",
        "Var mu_t = (lambda/n) sum_{k<t} (lambda (n-1)/m)^k",
        "n=9 lambda=0.9 t=6 divisor=n",
        0.368928,
    ),
    // log(lambda)+digamma(4)+log(2/9)
    (
        "G11",
        "rate ln lambda + psi(nu/2) + ln(2/m)",
        "n=9 lambda=0.9 divisor=n",
        -0.3533202440022999,
    ),
    // |P(I)-Q(I)| with the roots of the quadratic
    ("M4", "TV general", "m=-0.3 s1=0.5 s2=2", 0.5855003440993017),
    // the same
    ("M4", "TV general", "m=0.0001220703125 s1=1 s2=1.000244140625", 0.00012544165147864827),
    // the same
    ("M4", "TV general", "m=30 s1=1 s2=2", 1.0),
    // the same
    ("M4", "TV equal means", "s1=1 s2=1.00000095367431640625", 4.6152231052125114e-07),
    // erf(m/(2*s*sqrt(2)))
    ("M4", "TV equal sd 2Phi(|m|/2s)-1", "m=0.0001 s=2", 1.9947114017993808e-05),
    // log(s1/s2)+(s2^2+m^2)/(2*s1^2)-1/2
    (
        "M4",
        "KL(N(m,s2)||N(0,s1))",
        "m=0.00048828125 s1=3 s2=3.0001220703125",
        1.4901138737873654e-08,
    ),
    // 1-sqrt(2*s1*s2/(s1^2+s2^2))*exp(-m^2/(4*(s1^2+s2^2)))
    ("M4", "Hellinger^2", "m=0.00048828125 s1=3 s2=3.0001220703125", 3.725138712328559e-09),
    // s*sqrt(2/pi)*exp(-m^2/(2*s^2))+m*erf(m/(s*sqrt(2))), s = 0.6
    ("M4", "W1 general E|m+(s2-s1)Z|", "m=0.7 s1=1 s2=0.4", 0.7720569162607369),
    // 7-2*sum(sqrt(eig(A*B)))
    ("M4", "Bures tr A+tr B-2 sum sqrt eig(AB)", "A=[2,0.5,0.5,1] B=[1,0,0,3]", 0.8088528704428806),
    // 3/4*8/9*2/3*11/12*4/5
    ("U1", "E v_t/v_0 = prod_k (1-1/n_k)", "blocks=[4,9,3,12,5]", 0.32592592592592595),
    // prod(1-1/(3k^2))
    (
        "U1",
        "E v_t/v_0, replaced, n_k = round(n k^exponent)",
        "n=3 exponent=2 t=400",
        0.5355762944119535,
    ),
    // prod(1-n_k/N_k^2)
    (
        "U1",
        "E v_t/v_0, accumulated, n_k = round(n ratio^(k-1))",
        "n=3 ratio=2 t=12",
        0.5869679099294928,
    ),
];
