//! Recursive runs: every protocol ends, nothing depends on threads or interruptions.

use fortifai::collapse::record::{GenerationRecord, METRICS, Outcome, metric};
use fortifai::collapse::{Observer, Protocol, RunOptions, chains, open, run};
use fortifai::config::{RunConfig, resolve};
use fortifai::cpu::Cpu;
use fortifai::measure::items::{self, read_scores};
use fortifai::text::ToyWorld;
use fortifai::{Error, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two losses, two seeds, a few hundred tokens.
const TINY: &str = r#"
losses = ["ce", "tce:0.05"]
seeds = [1, 2]
generations = 2

[model]
layers = 1
heads = 2
channels = 8
context = 48

[decode]
max_new_tokens = 40

[train]
epochs = 1.0
batch = 2
warmup = 2

[toy]
train_tokens = 800
heldout_tokens = 400
"#;

fn config(more: &str) -> RunConfig {
    let layer = |text: &str| ("The test".to_owned(), text.parse().unwrap());
    resolve(&[layer(TINY), layer(more)]).unwrap()
}

fn go(config: &RunConfig, dir: &Path, options: RunOptions) -> Result<Vec<GenerationRecord>> {
    Ok(run(&Cpu::<f32>::new(), open(config)?, dir, &options, &())?.records)
}

fn options(threads: usize, jobs: usize) -> RunOptions {
    RunOptions { threads, jobs, ..RunOptions::default() }
}

/// Everything that a finished run must leave the same, byte by byte.
fn traces(dir: &Path) -> Vec<Vec<u8>> {
    let mut samples: Vec<_> =
        std::fs::read_dir(dir.join("samples")).unwrap().map(|file| file.unwrap().path()).collect();
    samples.sort();
    let files = [dir.join("metrics.jsonl"), dir.join("config.toml"), dir.join("metrics.csv")];
    files.iter().chain(&samples).map(|path| std::fs::read(path).unwrap()).collect()
}

/// Metrics that only a run with items has.
fn of_items(name: &str) -> bool {
    ["retention_", "blimp_", "choice_", "items_"].iter().any(|family| name.starts_with(family))
}

const PROTOCOLS: [&str; 5] =
    ["fractions", "replace", "accumulate", "accumulate-subsample", "mix:0.5"];

#[test]
fn every_protocol_ends_with_the_shares_it_states() {
    for protocol in PROTOCOLS {
        let config = config(&format!("protocol = \"{protocol}\""));
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("run");
        let records = go(&config, &dir, options(2, 2)).unwrap();
        let order: Vec<(String, u64, usize)> =
            records.iter().map(|r| (r.loss.clone(), r.seed, r.generation)).collect();
        let wanted: Vec<(String, u64, usize)> = chains(&config)
            .into_iter()
            .flat_map(|(loss, seed)| [0, 1].map(|g| (loss.to_string(), seed, g)))
            .collect();
        assert_eq!(order, wanted);
        for record in &records {
            let known = |name: &String| metric(name).is_some();
            assert!(record.metrics.keys().all(known));
            // Facts may not be stated at all in text this bad; the others belong to other corpora and arms.
            let elsewhere = [
                "true_fact_share",
                "heldout_bits_per_byte",
                "matched_to",
                "filter_kept_share",
                "edited_share",
            ];
            let absent: Vec<&str> = (METRICS.iter().map(|metric| metric.0))
                .filter(|name| !record.metrics.contains_key(*name) && !elsewhere.contains(name))
                .filter(|name| !of_items(name))
                // That of the real text, said once.
                .filter(|name| record.generation == 0 || *name != "heldout_5gram_nats")
                .collect();
            assert!(absent.is_empty(), "{protocol}: {absent:?}");
            let share = record.metrics["real_share"];
            let stated = match (record.generation, config.protocol) {
                (0, _) => 1.0,
                (_, Protocol::Replace) => 0.0,
                _ => 0.5,
            };
            assert!((share - stated).abs() <= 0.12, "{protocol}: {share}, stated {stated}");
            let synthetic = record.metrics["synthetic_tokens_cumulative"];
            let tokens = record.metrics["train_tokens"];
            assert!((synthetic - (1.0 - share) * tokens).abs() <= 1e-6, "{protocol}");
            assert!((record.p_histogram_real.iter().sum::<f64>() - 1.0).abs() <= 1e-9);
            assert!(!record.samples.is_empty());
        }
        for name in ["report.html", "manifest.json", "tokenizer.json", "timings.jsonl"] {
            assert!(dir.join(name).is_file(), "{name}");
        }
    }
}

#[test]
fn windows_regenerate_as_many_tokens_as_they_read() {
    let config = config(
        "protocol = \"fractions\"\n[generate]\nmode = \"windows\"\ncontext = 16\nstride = 8\n\
         [decode]\nsample = false\nbeams = 2\nrepetition_penalty = 3.0",
    );
    let folder = tempfile::tempdir().unwrap();
    let records = go(&config, &folder.path().join("run"), options(1, 1)).unwrap();
    assert_eq!(records.len(), 8);
    assert!(records.iter().all(|record| record.outcome == Outcome::Finished));
    for pair in records.chunks_exact(2) {
        let of = |g: usize, name: &str| pair[g].metrics[name];
        let synthetic = of(1, "train_tokens") * (1.0 - of(1, "real_share"));
        assert!((synthetic - of(0, "train_tokens")).abs() <= 1e-6, "{synthetic}");
        assert!(!pair[0].metrics.contains_key("empty_share"));
    }
}

#[test]
fn runs_are_the_same_for_every_number_of_threads_and_jobs() {
    let config = config("protocol = \"accumulate-subsample\"");
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for (name, threads, jobs) in [("a", 1, 1), ("b", 1, 1), ("c", 2, 1), ("d", 4, 3)] {
        let dir = folder.path().join(name);
        go(&config, &dir, options(threads, jobs)).unwrap();
        all.push(traces(&dir));
    }
    let table = 2;
    for other in &mut all {
        // The table names the run.
        other.remove(table);
    }
    assert!(all.iter().all(|other| *other == all[0]));
}

#[test]
fn a_stopped_run_goes_on_to_the_same_numbers() {
    for more in [
        "protocol = \"accumulate-subsample\"\ngenerations = 3\ninit = \"chain\"",
        "protocol = \"fractions\"\ngenerations = 3\nlosses = [\"focal:2\"]\ninit = \"base\"\n[base]\ntokens = 500",
    ] {
        let config = config(more);
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole/run");
        go(&config, &whole, options(2, 2)).unwrap();
        let dir = folder.path().join("stopped/run");
        let mut limited = RunOptions { limit: Some(2), ..options(2, 2) };
        let mut stops = 0;
        while let Err(error) = go(&config, &dir, limited.clone()) {
            assert!(matches!(error, Error::Stopped(_)), "{error}");
            assert_eq!(error.exit_code(), 75);
            limited.resume = true;
            stops += 1;
            if stops == 1 {
                // As a kill in the middle of a write leaves it.
                let path = dir.join("metrics.jsonl");
                let mut lines = std::fs::read_to_string(&path).unwrap();
                lines += "{\"loss\":\"ce\",\"se";
                std::fs::write(&path, lines).unwrap();
            }
        }
        assert!(stops >= 2, "{stops}");
        assert!(traces(&dir) == traces(&whole));
    }
}

/// A model that is there is where every seed begins: with a step too small to see, generation 0 scores as
/// it did, whether later generations go on from it or begin anew.
#[test]
fn a_chain_begins_with_the_model_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("given");
    let nats = |record: &GenerationRecord| record.metrics["heldout_nats"];
    let one = "losses = [\"ce\"]\nseeds = [7]\ngenerations = 1";
    let trained = go(&config(one), &dir, options(1, 1)).unwrap();
    let from = |more: &str| {
        config(&format!(
            "{more}\n[base]\nmodel = {dir:?}\n[train]\nlearning_rate = 1e-12\nwarmup = 0"
        ))
    };
    for init in ["chain", "base"] {
        let run = from(&format!("losses = [\"ce\"]\ninit = \"{init}\""));
        let records = go(&run, &folder.path().join(init), options(2, 2)).unwrap();
        assert_eq!(records.len(), 4);
        for record in &records {
            assert!((nats(record) - nats(&trained[0])).abs() < 1e-6, "{init}: {}", nats(record));
        }
    }
    // Another shape; several chains; no model at all.
    let mut wide = from("init = \"chain\"");
    wide.model.channels = 16;
    let mut several = from("init = \"chain\"");
    several.base.as_mut().unwrap().model = Some(folder.path().join("several"));
    go(&config("seeds = [1, 2]\ngenerations = 1"), &folder.path().join("several"), options(2, 2))
        .unwrap();
    let mut missing = from("init = \"chain\"");
    missing.base.as_mut().unwrap().model = Some(folder.path().join("missing"));
    for (bad, part) in [
        (wide, "asks for 1 layers, 2 heads, 16 channels"),
        (several, "one of several"),
        (missing, "missing"),
    ] {
        let sentence = go(&bad, &folder.path().join("bad"), options(1, 1)).unwrap_err().to_string();
        assert!(sentence.contains(part), "{sentence}");
        std::fs::remove_dir_all(folder.path().join("bad")).ok();
    }
}

#[test]
fn two_do_not_work_in_one_directory() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let config = config("losses = [\"ce\"]\nseeds = [1]");
    let limit = RunOptions { limit: Some(1), ..options(1, 1) };
    assert!(go(&config, &dir, limit).is_err());
    let records = || std::fs::read(dir.join("metrics.jsonl")).unwrap();
    let before = records();
    let alone = fortifai::store::RunDir::open(&dir).unwrap().alone().unwrap();
    let resume = RunOptions { resume: true, ..options(1, 1) };
    let sentence = go(&config, &dir, resume.clone()).unwrap_err().to_string();
    assert!(sentence.contains("at work"), "{sentence}");
    assert!(records() == before);
    drop(alone);
    go(&config, &dir, resume).unwrap();
}

#[test]
fn a_record_that_was_lost_is_made_again() {
    let config = config("protocol = \"accumulate\"\ngenerations = 3\nseeds = [1]");
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole/run");
    go(&config, &whole, options(1, 1)).unwrap();
    let dir = folder.path().join("cut/run");
    let limit = RunOptions { limit: Some(2), ..options(1, 1) };
    assert!(go(&config, &dir, limit).is_err());
    // Killed after the weights were written and before the record was.
    let path = dir.join("metrics.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap();
    let first = lines.lines().next().unwrap().to_owned() + "\n";
    std::fs::write(&path, first).unwrap();
    go(&config, &dir, RunOptions { resume: true, ..options(1, 1) }).unwrap();
    assert!(traces(&dir) == traces(&whole));
}

#[test]
fn divergence_is_recorded_and_ends_its_chain_only() {
    let config = config("generations = 3\n[train]\nlearning_rate = 1e30\nwarmup = 0");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let records = go(&config, &dir, options(2, 2)).unwrap();
    assert_eq!(records.len(), 4);
    for record in &records {
        assert_eq!((record.outcome, record.generation), (Outcome::Diverged, 0));
        assert!(record.metrics.values().all(|value| value.is_finite()));
    }
    assert!(dir.join("report.html").is_file());
    // Nothing is left to do.
    let again = go(&config, &dir, RunOptions { resume: true, ..options(1, 1) }).unwrap();
    assert_eq!(again, records);
}

#[test]
fn another_setting_is_refused_when_a_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let base = config("seeds = [1]\nlosses = [\"ce\"]");
    go(&base, &dir, options(1, 1)).unwrap();
    let before = traces(&dir);
    let resume = RunOptions { resume: true, ..options(1, 1) };
    let other = config("seeds = [1]\nlosses = [\"ce\"]\n[train]\nbatch = 3");
    let sentence = go(&other, &dir, resume).unwrap_err().to_string();
    assert!(sentence.contains("train.batch = 2, but 3"), "{sentence}");
    let sentence = go(&base, &dir, options(1, 1)).unwrap_err().to_string();
    assert!(sentence.contains("--resume"), "{sentence}");
    assert!(traces(&dir) == before);
}

#[test]
fn the_stop_flag_ends_a_run_within_a_step() {
    struct StopAt(std::sync::Arc<AtomicBool>);
    impl Observer for StopAt {
        fn stage(&self, _: usize, _: usize, _: fortifai::collapse::Stage) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let options = options(1, 1);
    let observer = StopAt(options.stop.clone());
    let prepared = open(&config("")).unwrap();
    let dir = folder.path().join("run");
    let error = run(&Cpu::<f32>::new(), prepared, &dir, &options, &observer).unwrap_err();
    assert_eq!(error.exit_code(), 75);
    assert!(!dir.join("metrics.jsonl").exists());
}

/// The toy world's own questions and pairs as files of items.
fn toy_items(dir: &Path) -> String {
    let world = ToyWorld::standard();
    let words = |tokens: &[u32]| world.tokenizer().decode(tokens);
    let questions: Vec<serde_json::Value> = world
        .fact_questions()
        .iter()
        .map(|question| {
            serde_json::json!({
                "context": words(&question.context),
                "sentence_true": words(&question.answer_true),
                "sentence_false": words(&question.answer_false),
            })
        })
        .collect();
    let pairs = world.agreement_pairs();
    let pairs = pairs.iter().map(|pair| {
        let (good, bad) = (words(&pair.good), words(&pair.bad));
        serde_json::json!({ "sentence_good": good, "sentence_bad": bad }).to_string() + "\n"
    });
    std::fs::write(dir.join("facts.json"), serde_json::to_string(&questions).unwrap()).unwrap();
    std::fs::write(dir.join("agreement.jsonl"), pairs.collect::<String>()).unwrap();
    format!(
        "[evaluate]\nretention = \"{0}/facts.json\"\nsplits = 3\nblimp = [\"{0}/agreement.jsonl\"]",
        dir.display()
    )
}

#[test]
fn items_are_measured_in_every_generation_and_their_scores_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&toy_items(folder.path()));
    let dir = folder.path().join("run");
    let records = go(&config, &dir, options(2, 2)).unwrap();
    assert_eq!(records.len(), 8);
    for record in &records {
        let of = |name: &str| record.metrics[name];
        assert!(record.metrics.keys().all(|name| metric(name).is_some()));
        // The same questions by another way.
        assert_eq!(of("retention_accuracy"), of("facts_accuracy"));
        assert_eq!(of("blimp_agreement"), of("agreement_accuracy"));
        assert_eq!(of("items_cut"), 0.0);
        let splits: f64 = (0..3).map(|j| of(&format!("retention_split_{j}"))).sum();
        assert!(splits.is_finite());
        let arm: fortifai::collapse::Arm = record.loss.parse().unwrap();
        let chain = fortifai::collapse::chain_name(&arm, record.seed);
        let file = dir.join(format!("items/{chain}-gen{}.jsonl", record.generation));
        let scores = read_scores(&file).unwrap();
        let metrics = items::metrics(&scores);
        assert!(metrics.iter().all(|(name, value)| of(name) == *value) && metrics.len() == 7);
    }
    let manifest = std::fs::read_to_string(dir.join("manifest.json")).unwrap();
    assert!(manifest.contains("facts.json") && manifest.contains("agreement.jsonl"));

    // Neither threads nor an interruption alter a bit.
    let other = folder.path().join("again");
    let mut limited = RunOptions { limit: Some(3), ..options(1, 1) };
    while go(&config, &other, limited.clone()).is_err() {
        limited.resume = true;
    }
    let mut names: Vec<_> = std::fs::read_dir(dir.join("items"))
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names.len(), 8);
    for name in names {
        let read = |run: &Path| std::fs::read(run.join("items").join(&name)).unwrap();
        assert!(read(&dir) == read(&other), "{name:?}");
    }

    // The files are part of the run: another content is refused when it goes on.
    let path = folder.path().join("agreement.jsonl");
    let pairs = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, pairs.lines().next().unwrap()).unwrap();
    let resume = RunOptions { resume: true, ..options(1, 1) };
    let sentence = go(&config, &dir, resume).unwrap_err().to_string();
    assert!(sentence.contains("agreement.jsonl has changed"), "{sentence}");
}
