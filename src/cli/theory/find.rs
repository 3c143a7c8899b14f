//! Names on the command line: an id, a family, a guard's or figure's own name, or a word of it.

use crate::{Error, Result};
use fortifai_collapse::{Entry, FAMILIES, Family, Figure, Guard};

/// The families of the given name, or all.
pub fn families(name: Option<&str>) -> Result<Vec<&'static Family>> {
    let Some(name) = name else { return Ok(FAMILIES.iter().collect()) };
    let found: Vec<&Family> =
        FAMILIES.iter().filter(|family| has_words(family.name, name)).collect();
    match found.is_empty() {
        false => Ok(found),
        true => {
            let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
            Err(Error::input(format!(
                "No family is called {name:?}; there are: {}.",
                names.join(", ")
            )))
        }
    }
}

/// The entries of an id, or else those in whose name or formula the words stand.
pub fn entries(name: &str) -> Result<Vec<&'static Entry>> {
    let all = || FAMILIES.iter().flat_map(|family| family.entries.iter().copied().flatten());
    let found = first_found([
        all().filter(|entry| entry.id.eq_ignore_ascii_case(name)).collect(),
        all().filter(|entry| entry.formula == name).collect(),
        all().filter(|entry| has_words(entry.name, name)).collect(),
        all().filter(|entry| has_words(entry.formula, name)).collect(),
        in_family(name, |family| family.entries),
    ]);
    found.ok_or_else(|| {
        let known = all().flat_map(|entry| [entry.id, entry.name]);
        unknown("prediction", name, known, "fortifai theory list")
    })
}

/// The guards of all names, without repetition and in the order of the theory; all without names.
pub fn guards(names: &[String]) -> Result<Vec<&'static Guard>> {
    let all = || FAMILIES.iter().flat_map(|family| family.guards.iter().copied().flatten());
    chosen(
        names,
        all().collect(),
        |guard| guard.name,
        |name| {
            let found = first_found([
                all().filter(|guard| guard.name.eq_ignore_ascii_case(name)).collect(),
                all().filter(|guard| covered(guard.covers, name)).collect(),
                in_family(name, |family| family.guards),
                all().filter(|guard| has_words(guard.name, name)).collect(),
                all().filter(|guard| has_words(guard.about, name)).collect(),
            ]);
            found.ok_or_else(|| {
                let known =
                    all().flat_map(|guard| guard.covers.iter().copied().chain([guard.name]));
                unknown("check", name, known, "fortifai theory list --json")
            })
        },
    )
}

/// The figures of all names, likewise.
pub fn figures(names: &[String]) -> Result<Vec<&'static Figure>> {
    let all = || FAMILIES.iter().flat_map(|family| family.figures.iter().copied().flatten());
    chosen(
        names,
        all().collect(),
        |figure| figure.name,
        |name| {
            let found = first_found([
                all().filter(|figure| figure.name.eq_ignore_ascii_case(name)).collect(),
                all().filter(|figure| covered(figure.covers, name)).collect(),
                in_family(name, |family| family.figures),
                all().filter(|figure| has_words(figure.name, name)).collect(),
                all().filter(|figure| has_words(figure.title, name)).collect(),
            ]);
            found.ok_or_else(|| {
                let known =
                    all().flat_map(|figure| figure.covers.iter().copied().chain([figure.name]));
                unknown("figure", name, known, "fortifai theory list")
            })
        },
    )
}

/// Every item of `all` that any of the names finds. Items are told apart by their own names: the
/// tables are constants, whose addresses mean nothing.
fn chosen<X>(
    names: &[String],
    all: Vec<&'static X>,
    own_name: impl Fn(&X) -> &'static str,
    find: impl Fn(&str) -> Result<Vec<&'static X>>,
) -> Result<Vec<&'static X>> {
    if names.is_empty() {
        return Ok(all);
    }
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        found.extend(find(name)?.into_iter().map(&own_name));
    }
    Ok(all.into_iter().filter(|item| found.contains(&own_name(item))).collect())
}

fn in_family<X>(
    name: &str,
    tables: impl Fn(&'static Family) -> &'static [&'static [X]],
) -> Vec<&'static X> {
    let families = FAMILIES.iter().filter(|family| has_words(family.name, name));
    families.flat_map(|family| tables(family).iter().copied().flatten()).collect()
}

fn covered(covers: &[&str], name: &str) -> bool {
    covers.iter().any(|id| id.eq_ignore_ascii_case(name))
}

fn first_found<X, const N: usize>(attempts: [Vec<X>; N]) -> Option<Vec<X>> {
    attempts.into_iter().find(|found| !found.is_empty())
}

/// Whether every word of `wanted` stands in `text`, in upper or lower case.
fn has_words(text: &str, wanted: &str) -> bool {
    let text = text.to_lowercase();
    let mut words = wanted.split_whitespace().peekable();
    words.peek().is_some() && words.all(|word| text.contains(&word.to_lowercase()))
}

/// "No prediction is called …", with the nearest known names.
fn unknown(what: &str, name: &str, known: impl Iterator<Item = &'static str>, list: &str) -> Error {
    let wanted = name.to_lowercase();
    let mut near: Vec<(usize, &str)> =
        known.map(|known| (distance(&known.to_lowercase(), &wanted), known)).collect();
    near.sort();
    near.dedup();
    let near: Vec<&str> = near.into_iter().take(4).map(|(_, name)| name).collect();
    let nearest = match near.is_empty() {
        true => String::new(),
        false => format!(" The nearest names are: {}.", near.join(", ")),
    };
    Error::input(format!("No {what} is called {name:?}.{nearest} `{list}` shows all."))
}

/// Levenshtein's distance: insertions, deletions and replacements between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        for (a, b, d) in [("", "", 0), ("abc", "abc", 0), ("abc", "axc", 1), ("abc", "", 3)] {
            assert_eq!((distance(a, b), distance(b, a)), (d, d), "{a} {b}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn words_are_found_in_any_order_and_case() {
        assert!(has_words("Expected standard deviation", "DEVIATION expected"));
        assert!(!has_words("Expected variance", "variance of"));
        assert!(!has_words("anything", " "));
    }
}
