use super::*;
use crate::config::ModelConfig;
use crate::cpu::Cpu;
use crate::text::TokenizerKind;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

fn byte() -> Tokenizer {
    Tokenizer::train(&TokenizerKind::Byte, &[]).unwrap()
}

/// Every byte has the probability `1/L`, but `a` has `2/L`, whatever stands before: `L = 258`.
fn unigram(context: usize) -> Gpt<Cpu<f64>> {
    let config = ModelConfig { layers: 1, heads: 1, channels: 1, context, vocab: 257 };
    let mut model = Gpt::zeros(Cpu::new(), config).unwrap();
    let mut params = vec![0.0; model.layout.len];
    // The last layer norm gives 1, so that the logits are the token embeddings.
    params[model.layout.lnf.bias.start] = 1.0;
    params[model.layout.wte.start + usize::from(b'a')] = 2f64.ln();
    model.set_params(&params).unwrap();
    model
}

fn near(ours: &[f64], truth: &[f64]) -> bool {
    ours.len() == truth.len() && ours.iter().zip(truth).all(|(a, b)| (a - b).abs() <= 1e-12)
}

const QUESTIONS: &str = r#"
[
  {"context": "q", "sentence_true": "aaaa", "sentence_false": "b", "location": 3},
  {"context": "q", "sentence_true": "ab", "sentence_false": "ba", "location": 7, "more": 1},
  {"context": "q", "sentence_true": "bb", "sentence_false": "aa", "location": 9}
]
"#;

#[test]
fn retention_is_scored_as_worked_out_by_hand() {
    let folder = Folder::new();
    let path = folder.write("q.json", QUESTIONS);
    let files = ItemFiles { retention: Some(path), splits: Some(2), ..ItemFiles::default() };
    let scores = Items::load(&files, &byte()).unwrap().score(&unigram(16)).unwrap();
    let (a, l) = (2f64.ln(), 258f64.ln());
    // With the space, five tokens against two: the mean is over two, the sum over all.
    assert!(near(&scores[0].sums, &[4.0 * a - 5.0 * l, -2.0 * l]));
    assert!(near(&scores[0].means, &[0.5 * a - l, -l]));
    assert_eq!((scores[0].right_by_mean, scores[0].right), (Some(true), false));
    assert_eq!((scores[0].tokens.as_slice(), scores[0].cut), (&[5, 2][..], false));
    // The second is a tie by the sum but for rounding, the third is wrong.
    assert!(near(&scores[1].sums, &[a - 3.0 * l; 2]));
    assert_eq!((scores[2].right_by_mean, scores[2].right), (Some(false), false));
    assert_eq!(scores.iter().map(|score| score.split).collect::<Vec<_>>(), [0, 1, 1].map(Some));
    let metrics = metrics(&scores);
    assert_eq!(metrics["retention_split_0"], 1.0);
    assert_eq!(metrics["items_cut"], 0.0);
    assert_eq!(metrics.len(), 5);
}

#[test]
fn minimal_pairs_are_scored_by_their_whole_sentences_and_ties_are_wrong() {
    let folder = Folder::new();
    let pairs = [("aab", "abb"), ("ab", "ba"), ("b", "ba"), ("bb", "a")];
    let lines = pairs.map(|(good, bad)| {
        format!("{{\"sentence_good\": \"{good}\", \"sentence_bad\": \"{bad}\", \"UID\": \"x\"}}\n")
    });
    let path = folder.write("some pairs.jsonl", &lines.concat());
    let files = ItemFiles { blimp: vec![path], ..ItemFiles::default() };
    let scores = Items::load(&files, &byte()).unwrap().score(&unigram(16)).unwrap();
    let (a, l) = (2f64.ln(), 258f64.ln());
    assert!(near(&scores[0].sums, &[2.0 * a - 3.0 * l, a - 3.0 * l]));
    let right: Vec<bool> = scores.iter().map(|score| score.right).collect();
    assert_eq!(right, [true, false, true, false]);
    assert!(scores.iter().all(|score| score.means.is_empty() && score.right_by_mean.is_none()));
    let all = accuracies(&scores);
    let only = Accuracy { metric: "blimp_some_pairs".into(), items: 4, right: 2 };
    assert_eq!((all.as_slice(), only.share()), (&[only.clone()][..], 0.5));
}

#[test]
fn endings_are_scored_by_the_sum_and_by_the_byte() {
    let folder = Folder::new();
    let path = folder.write(
        "c.jsonl",
        "{\"ctx\": \"q\", \"endings\": [\"b\", \"aaaa\", \"bé\"], \"label\": \"1\"}\n\n\
         {\"ctx\": \"q\", \"endings\": [\"b\", \"aaaa\"], \"label\": 0}\n",
    );
    let files = ItemFiles { choice: Some(path), ..ItemFiles::default() };
    let scores = Items::load(&files, &byte()).unwrap().score(&unigram(16)).unwrap();
    let (a, l) = (2f64.ln(), 258f64.ln());
    let sums = [-2.0 * l, 4.0 * a - 5.0 * l, -4.0 * l];
    assert!(near(&scores[0].sums, &sums));
    assert!(near(&scores[0].means, &[sums[0], sums[1] / 4.0, sums[2] / 3.0]));
    assert_eq!((scores[0].right, scores[0].right_by_mean), (false, Some(true)));
    let metrics = metrics(&scores);
    assert_eq!((metrics["choice_accuracy"], metrics["choice_normalised_accuracy"]), (0.5, 0.5));
}

#[test]
fn of_what_is_too_long_the_last_tokens_are_read() {
    let folder = Folder::new();
    let path = folder
        .write("q.json", r#"{"context": "q", "sentence_true": "aa", "sentence_false": "abcdef"}"#);
    let item = retention(&path).unwrap().remove(0);
    let encoded = encode(&byte(), &path, 0, &item, None).unwrap();
    let read = |context: usize| -> Vec<(Vec<u32>, usize, bool)> {
        let sequences = encoded.sequences(256, context);
        sequences.map(|answer| (answer.tokens, answer.scored, answer.cut)).collect()
    };
    let (yes, no) = (vec![256, 113, 32, 97, 97], vec![256, 113, 32, 97, 98, 99, 100, 101, 102]);
    assert_eq!(read(8), [(yes.clone(), 3, false), (no.clone(), 7, false)]);
    assert_eq!(read(7), [(yes.clone(), 3, false), (no[1..].to_vec(), 7, true)]);
    // Where the answer alone is too long, its first token is what is left of the context.
    assert_eq!(read(4), [(yes, 3, false), (no[4..].to_vec(), 4, true)]);
    let files = ItemFiles { retention: Some(path), ..ItemFiles::default() };
    let scores = Items::load(&files, &byte()).unwrap().score(&unigram(4)).unwrap();
    assert!(scores[0].cut && scores[0].tokens == [3, 4]);
    assert_eq!(metrics(&scores)["items_cut"], 1.0);
}

/// A random model's scores: all together, item by item, and on other numbers of threads.
#[test]
fn an_item_has_the_same_bits_in_every_company() {
    let folder = Folder::new();
    let config = ModelConfig { layers: 2, heads: 2, channels: 16, context: 70, vocab: 257 };
    let model = Gpt::new(Cpu::<f32>::new(), config, 3).unwrap();
    let question = |n: usize| {
        let (context, yes, no) = ("c".repeat(1 + 7 * n % 60), "y".repeat(1 + n), "n".repeat(9));
        format!(
            "{{\"context\": \"{context}\", \"sentence_true\": \"{yes}\", \"sentence_false\": \"{no}\"}}\n"
        )
    };
    let score = |name: &str, content: &str| {
        let retention = Some(folder.write(name, content));
        let files = ItemFiles { retention, ..ItemFiles::default() };
        Items::load(&files, &byte()).unwrap().score(&model).unwrap()
    };
    let questions: Vec<String> = (0..40).map(question).collect();
    let together = score("all.jsonl", &questions.concat());
    assert!(together.iter().any(|score| score.cut) && !together.iter().all(|score| score.cut));
    for (together, question) in together.iter().zip(&questions) {
        let alone = ItemScore { item: together.item, ..score("one.jsonl", question).remove(0) };
        assert_eq!(lines(&[alone]), lines(std::slice::from_ref(together)));
    }
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let again = pool.install(|| score("all.jsonl", &questions.concat()));
        assert_eq!(lines(&again), lines(&together));
    }
}

#[test]
fn questions_are_parted_as_in_the_authors_code_or_by_their_lines() {
    let folder = Folder::new();
    let path = folder.write("q.json", QUESTIONS);
    let parts = |n: usize, count: usize| -> Vec<usize> {
        let item = retention(&path).unwrap().remove(0);
        let parts = Splits::Count(count).assign(&vec![item; n], &path).unwrap();
        parts.into_iter().map(|part| part.unwrap().unwrap()).collect()
    };
    for (n, count) in [(7, 3), (4975, 6), (6, 6), (5, 1)] {
        let mut wanted = Vec::new();
        for j in 0..count {
            wanted.extend((j * n / count..(j + 1) * n / count).map(|_| j));
        }
        assert_eq!(parts(n, count), wanted, "{n} in {count}");
    }
    let by_lines = |lines: &[u64]| {
        let items = retention(&path).unwrap();
        Splits::new(None, Some(lines)).unwrap().assign(&items, &path)
    };
    assert_eq!(by_lines(&[3, 7, 9]).unwrap(), [Some(Some(0)), Some(Some(1)), None]);
    assert_eq!(by_lines(&[4, 8, 100]).unwrap(), [None, Some(Some(0)), Some(Some(1))]);
    assert!(
        by_lines(&[10, 11]).unwrap_err().to_string().contains("lies in the lines from 10 to 11")
    );
    for bad in [&[3u64][..], &[3, 3], &[5, 4]] {
        assert!(Splits::new(None, Some(bad)).is_err(), "{bad:?}");
    }
    // The item numbers are those of the file, whatever is left out.
    let split_lines = Some(vec![4, 8, 100]);
    let files = ItemFiles { retention: Some(path), split_lines, ..ItemFiles::default() };
    let scores = Items::load(&files, &byte()).unwrap().score(&unigram(16)).unwrap();
    let places: Vec<_> = scores.iter().map(|score| (score.item, score.split)).collect();
    assert_eq!(places, [(1, Some(0)), (2, Some(1))]);
}

#[test]
fn arrays_and_lines_are_both_read() {
    let folder = Folder::new();
    let array = retention(&folder.write("a.json", QUESTIONS)).unwrap();
    let inner = QUESTIONS.trim().trim_matches(['[', ']']).replace("},", "}");
    let lines = retention(&folder.write("a.jsonl", &format!("\u{feff}{inner}"))).unwrap();
    assert_eq!((array.len(), array[1].location), (3, Some(7)));
    assert_eq!(array, lines);
}

#[test]
fn malformed_files_are_refused_with_file_line_member_and_remedy() {
    type Reader = fn(&Path) -> Result<Vec<Item>>;
    let (kr, pairs, many): (Reader, Reader, Reader) = (retention, minimal_pairs, choice);
    let good = r#"{"context":"a","sentence_true":"b","sentence_false":"c","location":1}"#;
    let cases: [(Reader, String, &[&str]); 20] = [
        (kr, String::new(), &["holds no items"]),
        (kr, "[\n]".into(), &["holds no items"]),
        (kr, "7".into(), &["line 1: a JSON object is needed, not 7", "one array of objects"]),
        (
            kr,
            format!("[\n{good},\n {{\"context\": \n}}]"),
            &["line 4: this is not JSON (expected value)"],
        ),
        (kr, format!("[{good}\n{good}]"), &["line 2: a comma"]),
        (kr, format!("[{good}"), &["line 1: a comma or the array's closing bracket"]),
        (kr, format!("[{good},"), &["closing bracket is missing"]),
        (kr, format!("[{good}]\n\nx"), &["line 3: something follows the array"]),
        (
            kr,
            format!("[{good},\n\n{}]", good.replace("sentence_true", "true")),
            &["line 3: the member \"sentence_true\" is missing", "context, sentence_true"],
        ),
        (kr, good.replace("\"b\"", "5"), &["\"sentence_true\" must be a text, not 5"]),
        (kr, good.replace("\"b\"", "\" \""), &["\"sentence_true\" is blank"]),
        (kr, good.replace("1}", "-1}"), &["\"location\" must be the number of a line, not -1"]),
        (
            pairs,
            "{\"sentence_good\":\"a\"}".into(),
            &["line 1: the member \"sentence_bad\" is missing"],
        ),
        (pairs, "{\"sentence_good\":\"a\",\n".into(), &["line 1: this is not JSON (EOF"]),
        (many, "{\"ctx\":\"a\",\"endings\":\"b\",\"label\":0}".into(), &["list of two texts"]),
        (many, "{\"ctx\":\"a\",\"endings\":[\"b\"],\"label\":0}".into(), &["list of two texts"]),
        (
            many,
            "{\"ctx\":\"a\",\"endings\":[\"b\",\"\"],\"label\":0}".into(),
            &["entry 1 of the member"],
        ),
        (
            many,
            "{\"ctx\":\"a\",\"endings\":[\"b\",\"c\"],\"label\":2}".into(),
            &["from 0 to 1, not 2"],
        ),
        (many, "{\"ctx\":\"a\",\"endings\":[\"b\",\"c\"],\"label\":\"\"}".into(), &["from 0 to 1"]),
        (many, "{\"ctx\":\"a\",\"endings\":[\"b\",\"c\"]}".into(), &["\"label\" is missing"]),
    ];
    let folder = Folder::new();
    for (read, content, words) in cases {
        let error = read(&folder.write("bad.json", &content)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let sentence = error.to_string();
        for word in words.iter().chain(&["bad.json"]) {
            assert!(sentence.contains(word), "{word:?} is not in {sentence:?}");
        }
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let pair = || vec![PathBuf::from("a/x.jsonl"), PathBuf::from("b/x.jsonl")];
    let retention = Some(PathBuf::from("q.json"));
    let none = ItemFiles::default;
    for (files, words) in [
        (none(), "No items"),
        (ItemFiles { blimp: pair(), ..none() }, "blimp_x"),
        (
            ItemFiles { blimp: pair()[..1].to_vec(), splits: Some(2), ..none() },
            "belong to retention",
        ),
        (ItemFiles { retention: retention.clone(), splits: Some(0), ..none() }, "1 or more"),
        (
            ItemFiles { retention, splits: Some(2), split_lines: Some(vec![1, 2]), ..none() },
            "Both splits",
        ),
    ] {
        let sentence = files.validate().unwrap_err().to_string();
        assert!(sentence.contains(words), "{words:?} is not in {sentence:?}");
    }
    let folder = Folder::new();
    let path = folder.write("q.json", QUESTIONS);
    let files = ItemFiles { retention: Some(path.clone()), splits: Some(4), ..none() };
    let sentence = Items::load(&files, &byte()).unwrap_err().to_string();
    assert!(sentence.contains("3 items, fewer than the 4 splits"), "{sentence}");
    let words = Tokenizer::from_words(["q", "aaaa"]).unwrap();
    let files = ItemFiles { retention: Some(path), ..none() };
    let sentence = Items::load(&files, &words).unwrap_err().to_string();
    assert!(sentence.contains("item 0") && sentence.contains("\"b\" is not"), "{sentence}");
}

fn scored(measure: &str, item: usize, sums: [f64; 2], right: bool) -> ItemScore {
    ItemScore {
        measure: measure.into(),
        item,
        split: None,
        answer: 0,
        right,
        right_by_mean: None,
        sums: sums.to_vec(),
        means: Vec::new(),
        tokens: vec![1, 1],
        cut: false,
    }
}

#[test]
fn scores_are_read_back_with_the_bits_that_were_written() {
    let folder = Folder::new();
    let sums = [[0.1 + 0.2, -1.0 / 3.0], [f64::MIN_POSITIVE / 3.0, -12.000_000_000_000_002]];
    let scores = [0, 1].map(|item| scored("blimp_x", item, sums[item], true));
    let path = folder.write("s.jsonl", &lines(&scores));
    assert_eq!(read_scores(&path).unwrap(), scores);
    let lost = folder.write("n.jsonl", &lines(&[scored("blimp_x", 0, [f64::NAN, -1.0], false)]));
    assert!(read_scores(&lost).unwrap()[0].sums[0].is_nan());
    let bad = folder.write("bad.jsonl", "{\"measure\": 3}\n");
    let sentence = read_scores(&bad).unwrap_err().to_string();
    assert!(
        sentence.contains("bad.jsonl, line 1") && sentence.contains("--items-out"),
        "{sentence}"
    );
    let none = folder.write("none.jsonl", "\n");
    assert!(read_scores(&none).unwrap_err().to_string().contains("holds no item scores"));
}

#[test]
fn nan_is_wrong_wherever_it_stands() {
    let nan = f64::NAN;
    for (scores, first) in [
        (vec![-1.0, -2.0, -3.0], true),
        (vec![-1.0, -1.0, -3.0], false),
        (vec![nan, -2.0], false),
        (vec![-1.0, nan], false),
    ] {
        assert_eq!(accuracy::ranked_first(&scores, 0), first, "{scores:?}");
    }
}

#[test]
fn two_models_are_compared_on_the_items_that_only_one_got_right() {
    // Of eight items both get one, A alone one, B alone five, neither one: p = 14/64.
    let outcomes = |right: [bool; 8]| -> Vec<ItemScore> {
        let items = right.into_iter().enumerate();
        items.map(|(item, right)| scored("blimp_x", item, [-1.0, -2.0], right)).collect()
    };
    let a = outcomes([true, true, false, false, false, false, false, false]);
    let b = outcomes([true, false, true, true, true, true, true, false]);
    let all = paired(&a, &b).unwrap();
    let only = &all[0];
    assert_eq!((all.len(), only.metric.as_str(), only.items), (1, "blimp_x", 8));
    assert_eq!((only.right_a, only.right_b), (2, 6));
    assert_eq!((only.only_a, only.only_b), (1, 5));
    assert!((only.p_value - 14.0 / 64.0).abs() <= 1e-12);
    assert!(paired(&a, &b[..7]).unwrap_err().to_string().contains("8 item scores"));
    assert!(paired(&a, &b[1..]).unwrap_err().to_string().contains("item 0 of blimp_x"));
}
