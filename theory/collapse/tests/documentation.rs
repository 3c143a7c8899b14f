//! What the pages of the closed forms must hold, read from the sources themselves.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_closed_form_has_an_example_and_says_what_checks_it() {
    let mut seen = 0;
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).expect("a source");
        for (name, page) in closed_forms(&text) {
            seen += 1;
            assert!(page.contains("/// ```\n"), "{}: {name} has no example", file.display());
            assert!(page.contains("assert"), "{}: {name} asserts nothing", file.display());
            let checked = ["uard", "Checked by"].iter().any(|word| page.contains(word));
            assert!(checked, "{}: {name} does not say what checks it", file.display());
        }
    }
    assert!(seen >= 260, "only {seen} closed forms were found");
}

/// Name and page of each public function that predicts a number or a list of them.
fn closed_forms(text: &str) -> Vec<(&str, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let public = lines.iter().enumerate().filter_map(|(at, line)| {
        let name = line.strip_prefix("pub fn ")?.split(['(', '<']).next()?;
        let signature = lines[at..].iter().take_while(|line| **line != "}").copied();
        let signature: String = signature.take(12).collect();
        let result = signature.split_once("-> Result<")?.1;
        let number = ["f64", "(f64", "Vec<f64"].iter().any(|kind| result.starts_with(kind));
        number.then_some((at, name))
    });
    let page = |at: usize| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("///"));
        let mut above: Vec<&str> = above.copied().collect();
        above.reverse();
        above.join("\n") + "\n"
    };
    public.map(|(at, name)| (name, page(at))).collect()
}

/// The files of a folder and its folders, without those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = paths.partition(|path| path.is_dir());
    let mut found: Vec<PathBuf> = folders.iter().flat_map(|folder| sources(folder)).collect();
    found.extend(files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "rs")));
    found
}
