//! How evenly the mass of a token histogram is spread, and where it goes as a tail is lost.

use super::histogram::Histogram;

/// Deciles of the real text's mass, the most frequent tokens first.
pub const DECILES: usize = 10;

fn shares(histogram: &Histogram) -> Option<Vec<f64>> {
    let total = histogram.total() as f64;
    (total > 0.0).then(|| histogram.counts().iter().map(|&count| count as f64 / total).collect())
}

/// Simpson's index `Σ p²`: the chance that two tokens drawn with replacement are the same. `None`
/// without tokens.
///
/// Source: Simpson 1949, Nature 163, 688.
pub fn simpson(histogram: &Histogram) -> Option<f64> {
    Some(shares(histogram)?.iter().map(|p| p * p).sum())
}

/// Hill's number of order `q ≥ 0`, `(Σ p^q)^(1/(1−q))`: how many equally frequent tokens would be as
/// diverse. Order 0 counts types, order 1 is `exp(entropy)`, order 2 is one over Simpson's index.
/// `None` without tokens.
///
/// Source: Hill 1973, Ecology 54, 427–432.
pub fn hill(histogram: &Histogram, q: f64) -> Option<f64> {
    if q == 1.0 {
        return Some(histogram.entropy_nats()?.exp());
    }
    let present = shares(histogram)?.into_iter().filter(|p| *p > 0.0);
    Some(present.map(|p| p.powf(q)).sum::<f64>().powf(1.0 / (1.0 - q)))
}

/// The Gini coefficient of the counts of all tokens of the vocabulary, those at 0 too:
/// `Σ_i (2i − n − 1) x_i / (n Σ x)` over ascending counts `x_1 … x_n`. 0 where all are equal, near 1
/// where one token has everything. `None` without tokens.
pub fn gini(histogram: &Histogram) -> Option<f64> {
    let mut counts = histogram.counts().to_vec();
    counts.sort_unstable();
    let n = counts.len() as f64;
    let weighted: f64 = (counts.iter().enumerate())
        .map(|(i, &count)| (2.0 * (i + 1) as f64 - n - 1.0) * count as f64)
        .sum();
    (histogram.total() > 0).then(|| weighted / (n * histogram.total() as f64))
}

/// Zipf's exponent: minus the slope of the least-squares line through `(ln rank, ln count)` of the
/// tokens that occur, the most frequent first. A lost tail makes it steeper. `None` for fewer than two
/// types.
pub fn zipf_exponent(histogram: &Histogram) -> Option<f64> {
    let mut counts: Vec<u64> = histogram.counts().iter().copied().filter(|c| *c > 0).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    if counts.len() < 2 {
        return None;
    }
    let points = || {
        counts.iter().enumerate().map(|(i, &count)| (((i + 1) as f64).ln(), (count as f64).ln()))
    };
    let n = counts.len() as f64;
    let (x, y) = points().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / n, sum.1 + point.1 / n));
    let (xy, xx) = points().fold((0.0, 0.0), |sum, point| {
        let dx = point.0 - x;
        (sum.0 + dx * (point.1 - y), sum.1 + dx * dx)
    });
    Some(-xy / xx)
}

/// The share of `other`'s tokens in each decile of `real`: tokens sorted by their frequency in `real`,
/// ties by number, are cut into ten groups that hold a tenth of its mass each, a token belonging where
/// its mass begins. The last entry is the rarest tenth, those that `real` never has among them. Without
/// loss all are about those of `real` itself. `None` without tokens on either side.
pub fn decile_mass(real: &Histogram, other: &Histogram) -> Option<[f64; DECILES]> {
    let (p, q) = (shares(real)?, shares(other)?);
    if p.len() != q.len() {
        return None;
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| real.counts()[b].cmp(&real.counts()[a]).then(a.cmp(&b)));
    let (mut masses, mut before) = ([0.0; DECILES], 0u64);
    for token in order {
        let decile = (before as f64 / real.total() as f64 * DECILES as f64) as usize;
        masses[decile.min(DECILES - 1)] += q[token];
        before += real.counts()[token];
    }
    Some(masses)
}

/// Total variation `½ Σ |p − q|`, from 0 to 1. `None` where either side holds no token or the
/// vocabularies differ.
pub fn total_variation(a: &Histogram, b: &Histogram) -> Option<f64> {
    let (p, q) = (shares(a)?, shares(b)?);
    (p.len() == q.len()).then(|| 0.5 * p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>())
}

/// Jensen–Shannon divergence `½ KL(p ‖ m) + ½ KL(q ‖ m)` with `m = (p + q)/2`, in nats, from 0 to
/// `ln 2`. No floor is needed. `None` as [`total_variation`].
///
/// Source: Lin 1991, IEEE Transactions on Information Theory 37, 145–151.
pub fn jensen_shannon_nats(a: &Histogram, b: &Histogram) -> Option<f64> {
    let (p, q) = (shares(a)?, shares(b)?);
    (p.len() == q.len()).then(|| p.iter().zip(&q).map(|(p, q)| shared(*p, *q)).sum())
}

fn shared(p: f64, q: f64) -> f64 {
    let m = 0.5 * (p + q);
    let part = |p: f64| if p > 0.0 { 0.5 * p * (p / m).ln() } else { 0.0 };
    part(p) + part(q)
}

/// As [`jensen_shannon_nats`], of the pairs of neighbouring tokens within documents. `None` where
/// either side has no pair.
pub fn bigram_jensen_shannon_nats(a: &[&[u32]], b: &[&[u32]]) -> Option<f64> {
    let (a, b) = (bigrams(a), bigrams(b));
    let (n, m) =
        (a.iter().map(|x| x.1).sum::<u64>() as f64, b.iter().map(|x| x.1).sum::<u64>() as f64);
    if n == 0.0 || m == 0.0 {
        return None;
    }
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while i < a.len() || j < b.len() {
        let left = a.get(i).map_or(u64::MAX, |x| x.0);
        let right = b.get(j).map_or(u64::MAX, |x| x.0);
        let (here, there) = (left <= right, right <= left);
        let p = if here { a[i].1 as f64 / n } else { 0.0 };
        let q = if there { b[j].1 as f64 / m } else { 0.0 };
        sum += shared(p, q);
        i += usize::from(here);
        j += usize::from(there);
    }
    Some(sum)
}

/// Distinct pairs in rising order with how often they occur.
fn bigrams(documents: &[&[u32]]) -> Vec<(u64, u64)> {
    let mut pairs: Vec<u64> = (documents.iter().flat_map(|tokens| tokens.windows(2)))
        .map(|pair| u64::from(pair[0]) << 32 | u64::from(pair[1]))
        .collect();
    pairs.sort_unstable();
    let mut counted: Vec<(u64, u64)> = Vec::new();
    for pair in pairs {
        match counted.last_mut().filter(|last| last.0 == pair) {
            Some(last) => last.1 += 1,
            None => counted.push((pair, 1)),
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tokens: &[u32]) -> Histogram {
        Histogram::from_tokens(4, tokens).unwrap()
    }

    fn near(a: Option<f64>, b: f64) {
        assert!((a.unwrap() - b).abs() < 1e-14, "{a:?} {b}");
    }

    #[test]
    fn evenness_equals_the_values_worked_out_by_hand() {
        let even = of(&[0, 1, 2, 3]);
        let odd = of(&[0, 0, 0, 1]);
        near(simpson(&even), 0.25);
        near(simpson(&odd), 10.0 / 16.0);
        near(hill(&even, 0.0), 4.0);
        near(hill(&even, 1.0), 4.0);
        near(hill(&odd, 2.0), 1.6);
        near(gini(&even), 0.0);
        // Counts 0 0 1 3: (−3·0 − 1·0 + 1·1 + 3·3)/(4·4).
        near(gini(&odd), 10.0 / 16.0);
        // The line through (0, ln 3) and (ln 2, 0).
        near(zipf_exponent(&odd), 3f64.ln() / 2f64.ln());
        near(zipf_exponent(&even), 0.0);
        assert_eq!(zipf_exponent(&of(&[1])), None);
        assert_eq!((simpson(&of(&[])), gini(&of(&[])), hill(&of(&[]), 2.0)), (None, None, None));
    }

    #[test]
    fn distances_equal_the_values_worked_out_by_hand() {
        let (a, b) = (of(&[0, 1]), of(&[0, 0, 0, 1]));
        near(total_variation(&a, &b), 0.25);
        near(total_variation(&a, &of(&[2, 3])), 1.0);
        near(jensen_shannon_nats(&a, &of(&[2, 3])), 2f64.ln());
        // m = (5/8, 3/8).
        let js = 0.5 * (0.5 * 0.8f64.ln() + 0.5 * (4.0f64 / 3.0).ln())
            + 0.5 * (0.75 * 1.2f64.ln() + 0.25 * (2.0f64 / 3.0).ln());
        near(jensen_shannon_nats(&a, &b), js);
        near(jensen_shannon_nats(&a, &a), 0.0);
    }

    #[test]
    fn bigrams_of_the_same_text_are_no_distance_apart_and_of_strangers_all_of_it() {
        let (a, b): ([&[u32]; 2], [&[u32]; 1]) = ([&[0, 1, 2], &[3]], [&[2, 1, 0]]);
        near(bigram_jensen_shannon_nats(&a, &a), 0.0);
        near(bigram_jensen_shannon_nats(&a, &b), 2f64.ln());
        // Pairs 01 12 against 01 10: m is ½ at 01, ¼ elsewhere.
        near(bigram_jensen_shannon_nats(&a, &[&[0, 1, 0]]), 0.5 * 2f64.ln());
        assert_eq!(bigram_jensen_shannon_nats(&a, &[&[1]]), None);
    }

    #[test]
    fn a_lost_tail_shows_in_the_last_deciles() {
        // Token 0 has 5 of 10, token 1 has 3, tokens 2 and 3 one each: masses begin at 0, 5, 8, 9.
        let real = of(&[0, 0, 0, 0, 0, 1, 1, 1, 2, 3]);
        let masses = decile_mass(&real, &real).unwrap();
        assert_eq!(masses, [0.5, 0.0, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0, 0.1, 0.1]);
        let lost = decile_mass(&real, &of(&[0, 0, 1, 1])).unwrap();
        assert_eq!((lost[0], lost[5], lost[8], lost[9]), (0.5, 0.5, 0.0, 0.0));
    }
}
