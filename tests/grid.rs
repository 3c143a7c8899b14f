//! Arms with their controls and treatments, and studies that are killed, split and merged.

use fortifai::collapse::grid::{Grid, GridOptions, Shard, carry_out};
use fortifai::collapse::record::GenerationRecord;
use fortifai::collapse::{RunOptions, view};
use fortifai::cpu::Cpu;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Two seeds and two protocols of a model that is done in no time.
const STUDY: &str = r#"
name = "tiny"

[settings]
generations = 2

[settings.model]
layers = 1
heads = 2
channels = 8
context = 48

[settings.decode]
max_new_tokens = 40

[settings.train]
epochs = 1.0
batch = 2
warmup = 2

[settings.toy]
train_tokens = 800
heldout_tokens = 400

[onset]
metric = "heldout_nats"
rise = 0.01

[[part]]
protocols = ["replace", "mix:0.5"]
losses = LOSSES
seeds = 2

[[contrast]]
name = "a mask is no worse"
arm = "random-mask@kept=tce:0.05"
against = "ce"
protocol = "replace"
measure = "onset"
"#;

fn study(losses: &[&str]) -> String {
    STUDY.replace("LOSSES", &format!("{losses:?}"))
}

const PLAIN: [&str; 3] = ["ce", "tce:0.05", "random-mask@kept=tce:0.05"];

fn carried_out(text: &str, dir: &Path, shard: Option<Shard>) -> Grid {
    let grid = Grid::parse(text, "The test").unwrap();
    let run = RunOptions { threads: 2, jobs: 2, ..RunOptions::default() };
    carry_out(&Cpu::<f32>::new(), &grid, dir, &GridOptions { run, shard }, &()).unwrap();
    grid
}

fn records(grid: &Grid, dir: &Path, arm: &str) -> Vec<GenerationRecord> {
    let all = grid.folders(dir).into_iter().flat_map(|folder| view(&folder).unwrap().records);
    all.filter(|record| record.loss == arm).collect()
}

/// What concludes a study, byte by byte.
fn tables(dir: &Path) -> Vec<Vec<u8>> {
    let names = ["metrics.csv", "contrasts.csv", "onsets.csv"];
    names.iter().map(|name| std::fs::read(dir.join(name)).unwrap()).collect()
}

fn fortifai(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fortifai"));
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn arms_take_from_their_parents_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let mut arms = PLAIN.to_vec();
    arms.extend(["ce@step=tce:0.05", "ce@sgd=0.1", "ce@temperature=1.3", "smooth:0.2"]);
    let grid = carried_out(&study(&arms), folder.path(), None);
    let of = |arm: &str| records(&grid, folder.path(), arm);
    let parents = of("tce:0.05");
    for (child, parent) in of("random-mask@kept=tce:0.05").iter().zip(&parents) {
        let kept = parent.metrics["kept_fraction_training"];
        assert_eq!(child.metrics["matched_to"], kept);
        // Some hundred draws: within five standard deviations.
        let tokens = child.metrics["train_tokens"];
        let deviation = (kept * (1.0 - kept) / tokens).sqrt();
        let measured = child.metrics["kept_fraction_training"];
        assert!((measured - kept).abs() <= 5.0 * deviation + 1e-12, "{measured} {kept}");
    }
    for ((child, parent), plain) in of("ce@step=tce:0.05").iter().zip(&parents).zip(of("ce")) {
        let factor = parent.metrics["update_norm"] / plain.metrics["update_norm"];
        assert_eq!(child.metrics["matched_to"], factor);
        let reached = child.metrics["update_norm"] / parent.metrics["update_norm"];
        assert!((reached - 1.0).abs() < 0.15, "{reached}");
    }
    let (plain, sgd) = (of("ce"), of("ce@sgd=0.1"));
    assert_eq!(sgd.len(), plain.len());
    assert!(
        sgd.iter().zip(&plain).all(|(a, b)| a.metrics["update_norm"] != b.metrics["update_norm"])
    );
    // The first generation trains alike and writes differently.
    let warm = &of("ce@temperature=1.3")[0];
    assert_eq!(warm.metrics["heldout_nats"], plain[0].metrics["heldout_nats"]);
    assert!(warm.metrics["token_entropy_nats"] > plain[0].metrics["token_entropy_nats"]);
}

#[test]
fn treatments_leave_as_much_text_as_there_was_and_say_what_they_did() {
    let folder = tempfile::tempdir().unwrap();
    let arms = [
        "ce",
        "tce:0.05",
        "random-mask@kept=tce:0.05",
        "ce+surplexity=0.5",
        "ce+verify=0.5",
        "ce+verify=0.5+unlearn=0.1",
        "ce+edit=0.001",
        "ce+real=0.618",
        "ce+grammar",
    ];
    let grid = carried_out(&study(&arms), folder.path(), None);
    let of = |arm: &str| records(&grid, folder.path(), arm);
    let plain = of("ce");
    for arm in ["ce+surplexity=0.5", "ce+verify=0.5", "ce+verify=0.5+unlearn=0.1"] {
        for (record, plain) in of(arm).iter().zip(&plain) {
            let kept = record.metrics["filter_kept_share"];
            assert!((kept - 0.5).abs() < 0.05, "{arm}: {kept}");
            if record.generation == 1 {
                let ratio = record.metrics["train_tokens"] / plain.metrics["train_tokens"];
                assert!((0.9..1.1).contains(&ratio), "{arm}: {ratio}");
            }
        }
    }
    let differs = |a: &str, b: &str| {
        let (a, b) = (of(a), of(b));
        a.iter()
            .zip(&b)
            .filter(|(a, _)| a.generation == 1)
            .all(|(a, b)| a.metrics["heldout_nats"] != b.metrics["heldout_nats"])
    };
    assert!(differs("ce+surplexity=0.5", "ce") && differs("ce+verify=0.5", "ce"));
    assert!(differs("ce+verify=0.5+unlearn=0.1", "ce+verify=0.5"));
    assert!(differs("ce+edit=0.001", "ce"));
    assert!(of("ce+edit=0.001").iter().all(|record| record.metrics["edited_share"] > 0.5));
    assert!(of("ce+grammar").iter().all(|record| record.metrics["filter_kept_share"] < 0.5));
    // Only the mixture has a real part to weigh.
    let (weighed, of_mix) = (of("ce+real=0.618"), |r: &&GenerationRecord| {
        let share = r.metrics["real_share"];
        share > 0.0 && share < 1.0
    });
    let mixed: Vec<_> = weighed.iter().filter(of_mix).collect();
    assert_eq!(mixed.len(), 2);
    for record in mixed {
        let same = |other: &&GenerationRecord| {
            other.seed == record.seed && other.generation == 1 && of_mix(other)
        };
        let other = plain.iter().find(same).unwrap();
        assert!(record.metrics["heldout_nats"] != other.metrics["heldout_nats"]);
    }
}

#[test]
fn two_shards_and_a_merge_are_the_whole_study() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    std::fs::write(&file, study(&PLAIN)).unwrap();
    let (file, whole, parts) =
        (file.to_str().unwrap(), folder.path().join("whole"), folder.path().join("parts"));
    let (whole_name, parts_name) = (whole.to_str().unwrap(), parts.to_str().unwrap());
    assert!(
        fortifai(&["collapse", "--grid", file, "--out", whole_name]).status().unwrap().success()
    );
    for shard in ["0/2", "1/2"] {
        let arguments = ["collapse", "--grid", file, "--out", parts_name, "--shard", shard];
        assert!(fortifai(&arguments).status().unwrap().success());
    }
    assert!(fortifai(&["report", parts_name]).status().unwrap().success());
    assert_eq!(tables(&whole), tables(&parts));
    // Run again, everything is there: nothing is computed.
    let timings = |dir: &Path| -> Vec<u8> {
        let folder = Grid::read(&dir.join("grid.toml")).unwrap().folders(dir).swap_remove(0);
        std::fs::read(folder.join("timings.jsonl")).unwrap()
    };
    let before = timings(&whole);
    assert!(
        fortifai(&["collapse", "--grid", file, "--out", whole_name]).status().unwrap().success()
    );
    assert_eq!(timings(&whole), before);
}

#[test]
fn a_study_that_is_killed_ten_times_ends_with_the_same_tables() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    std::fs::write(&file, study(&PLAIN)).unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let arguments = |dir: &Path| {
        let words =
            ["collapse", "--resume", "--jobs", "2", "--grid", file.to_str().unwrap(), "--out"];
        words
            .iter()
            .map(|word| (*word).to_owned())
            .chain([dir.display().to_string()])
            .collect::<Vec<_>>()
    };
    let start = std::time::Instant::now();
    let run = |dir: &Path| {
        let words = arguments(dir);
        fortifai(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(run(&whole).status().unwrap().success());
    let long = start.elapsed().as_secs_f64();
    let mut moments = fortifai::Stream::new(1, "kills", 0, 0);
    for _ in 0..10 {
        let mut child = run(&killed).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(0.3 * long * moments.uniform()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(run(&killed).status().unwrap().success());
    assert_eq!(tables(&killed), tables(&whole));
}

#[test]
fn sigterm_ends_a_study_with_75_and_the_same_command_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    // Long enough to be still at it.
    std::fs::write(&file, study(&PLAIN).replace("epochs = 1.0", "epochs = 60.0")).unwrap();
    let out = folder.path().join("out");
    let words = ["collapse", "--grid", file.to_str().unwrap(), "--out", out.to_str().unwrap()];
    for signal in ["TERM", "USR1"] {
        let mut child = fortifai(&words).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(400));
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(75), "{signal}");
    }
}

#[test]
fn shards_that_begin_at_the_same_moment_all_work() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("study.toml");
    std::fs::write(&file, study(&["ce"]).split("[[contrast]]").next().unwrap()).unwrap();
    for round in 0..3 {
        let out = folder.path().join(format!("out{round}"));
        let shards: Vec<_> = (0..4)
            .map(|index| {
                let shard = format!("{index}/4");
                let words = ["collapse", "--threads", "1", "--shard", &shard, "--grid"];
                let mut command = fortifai(&words);
                command.arg(&file).arg("--out").arg(&out).spawn().unwrap()
            })
            .collect();
        for mut shard in shards {
            assert!(shard.wait().unwrap().success());
        }
        assert!(fortifai(&["report"]).arg(&out).status().unwrap().success());
    }
}

#[test]
fn what_a_kill_or_a_report_leaves_behind_does_not_end_a_cell() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, begun) = (folder.path().join("whole"), folder.path().join("begun"));
    let text = study(&PLAIN);
    let file = folder.path().join("study.toml");
    std::fs::write(&file, &text).unwrap();
    let run =
        |out: &Path| fortifai(&["collapse", "--grid"]).arg(&file).arg("--out").arg(out).status();
    assert!(run(&whole).unwrap().success());
    let grid = Grid::parse(&text, "The test").unwrap();
    let cells = grid.folders(&begun);
    // One killed before its settings were on disk; one stopped before its matched arm, and reported.
    std::fs::create_dir_all(cells[0].join("checkpoints")).unwrap();
    std::fs::write(cells[0].join("manifest.json"), "{}").unwrap();
    let copied = Command::new("cp").arg("-r").arg(&grid.folders(&whole)[1]).arg(&cells[1]).status();
    assert!(copied.unwrap().success());
    let metrics = cells[1].join("metrics.jsonl");
    let lines = std::fs::read_to_string(&metrics).unwrap();
    let free = lines.split_inclusive('\n').filter(|line| !line.contains("\"loss\":\"random-mask"));
    std::fs::write(&metrics, free.collect::<String>()).unwrap();
    std::fs::remove_dir_all(cells[1].join("checkpoints")).unwrap();
    assert!(fortifai(&["report"]).arg(&cells[1]).status().unwrap().success());
    assert!(run(&begun).unwrap().success());
    assert_eq!(tables(&begun), tables(&whole));
    // A study and a single run do not share a folder.
    let single = ["collapse", "--generations", "1", "--out", begun.to_str().unwrap()];
    assert_eq!(fortifai(&single).status().unwrap().code(), Some(2));
    assert_eq!(run(&cells[1]).unwrap().code(), Some(2));
    assert_eq!(tables(&begun), tables(&whole));
    // Other questions after the fact are answered, and called that.
    let other = text.replace("measure = \"onset\"", "measure = \"heldout_nats\"");
    std::fs::write(&file, other).unwrap();
    assert!(run(&begun).unwrap().success());
    let page = std::fs::read_to_string(begun.join("report.html")).unwrap();
    assert!(page.contains("were changed after the study had begun"));
    let page = std::fs::read_to_string(whole.join("report.html")).unwrap();
    assert!(!page.contains("were changed after the study had begun"));
}

#[test]
fn a_dry_run_of_a_study_says_what_is_left_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("study.toml"), folder.path().join("out"));
    std::fs::write(&file, study(&PLAIN)).unwrap();
    let dry = || {
        let mut command = fortifai(&["collapse", "--dry-run", "--json", "--grid"]);
        let output =
            command.arg(&file).arg("--out").arg(&out).stdout(Stdio::piped()).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().last().unwrap();
        serde_json::from_str::<serde_json::Value>(line).unwrap()
    };
    let before = dry();
    assert_eq!((&before["generations"], &before["finished"]), (&24.into(), &0.into()));
    assert!(before["time_s"].as_f64().unwrap() > 0.0 && !out.exists());
    assert!(
        fortifai(&["collapse", "--grid"])
            .arg(&file)
            .arg("--out")
            .arg(&out)
            .status()
            .unwrap()
            .success()
    );
    let after = dry();
    assert_eq!((&after["finished"], after["time_s"].as_f64()), (&24.into(), Some(0.0)));
}
