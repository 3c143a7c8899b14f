//! Layers of settings: the defaults of a kind of corpus, the file, the command line.

use super::RunConfig;
use crate::model::preset;
use crate::{Error, Result};
use std::path::Path;
use toml::{Table, Value};

/// Defaults that every corpus shares.
const COMMON: &str = r#"
generations = 6
seeds = [1, 2, 3]
losses = ["ce", "tce:0.9", "focal:2"]
protocol = "replace"
init = "scratch"
validation = 0.05

[generate]
mode = "documents"
"#;

/// Defaults of the toy world.
const TOY: &str = r#"
documents = "file"

[model]
layers = 1
heads = 4
channels = 64
context = 64
vocab = 0

[train]
epochs = 5.0
batch = 8
warmup = 50
learning_rate = 8e-3
schedule = "linear"
beta2 = 0.99

[decode]
max_new_tokens = 63

[toy]
"#;

/// Defaults of a corpus file.
const FILE: &str = r#"
documents = "blank-line"
tokenizer = "bpe:1024"

[model]
layers = 4
heads = 4
channels = 128
context = 128
vocab = 0

[train]
epochs = 3.0
batch = 16
learning_rate = 1e-3

[decode]
max_new_tokens = 127
"#;

/// Reads a settings file.
///
/// # Errors
/// If it cannot be read or is not TOML.
pub fn parse(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => Error::input(format!(
            "There is no settings file {}; check the path given with --config.",
            path.display()
        )),
        _ => Error::reading(path, cause),
    })?;
    text.parse().map_err(|cause: toml::de::Error| {
        Error::input(format!(
            "The settings file {} is not TOML: {}.",
            path.display(),
            plain(&cause.to_string())
        ))
    })
}

/// The settings that result from the defaults and the layers, later ones winning. Each layer comes
/// with its name for errors. `model.preset` stands for the shape of that name.
///
/// # Errors
/// An unknown key, a value of the wrong type, or settings that contradict each other.
pub fn resolve(layers: &[(String, Table)]) -> Result<RunConfig> {
    let corpus = layers.iter().rev().find_map(|(_, table)| table.get("corpus"));
    let toy = corpus.is_none_or(|corpus| corpus.as_str() == Some("toy"));
    let mut merged = defaults(COMMON);
    merge(&mut merged, &defaults(if toy { TOY } else { FILE }));
    merged.insert("corpus".into(), Value::String("toy".into()));
    let mut config = None;
    for (name, table) in [("defaults".to_owned(), Table::new())].iter().chain(layers) {
        overlay(&mut merged, table)
            .and_then(|()| {
                let typed = merged.clone().try_into::<RunConfig>();
                config = Some(typed.map_err(|cause| plain(&cause.to_string()))?);
                Ok(())
            })
            .map_err(|cause| Error::input(format!("{name} cannot be used: {cause}.")))?;
    }
    let mut config = config.expect("there is always a layer");
    if config.init == super::Init::Base && config.base.is_none() {
        config.base = Some(super::BaseConfig { train: config.train.clone(), ..Default::default() });
    }
    if config.init == super::Init::Scratch && config.base.is_some() {
        return Err(Error::input(
            "The table [base] belongs to init = \"base\" or \"chain\"; leave it out or choose one of those.",
        ));
    }
    config.validate()?;
    Ok(config)
}

/// The first key in which two resolved settings differ, with both values.
pub fn difference(old: &RunConfig, new: &RunConfig) -> Option<(String, String, String)> {
    let table = |config| match Value::try_from(config) {
        Ok(Value::Table(table)) => table,
        _ => Table::new(),
    };
    first_difference("", &table(old), &table(new))
}

fn first_difference(prefix: &str, old: &Table, new: &Table) -> Option<(String, String, String)> {
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    for key in keys {
        let name = format!("{prefix}{key}");
        match (old.get(key), new.get(key)) {
            (Some(Value::Table(a)), Some(Value::Table(b))) => {
                if let Some(found) = first_difference(&format!("{name}."), a, b) {
                    return Some(found);
                }
            }
            (a, b) if a == b => {}
            (a, b) => {
                let show = |value: Option<&Value>| match value {
                    Some(value) => value.to_string(),
                    None => "(not set)".into(),
                };
                return Some((name, show(a), show(b)));
            }
        }
    }
    None
}

fn defaults(text: &str) -> Table {
    text.parse().expect("the built-in defaults are TOML")
}

/// Lays `over` on top; a preset first becomes the shape it stands for.
fn overlay(under: &mut Table, over: &Table) -> std::result::Result<(), String> {
    let mut over = over.clone();
    if let Some(Value::Table(model)) = over.get_mut("model")
        && let Some(name) = model.remove("preset")
    {
        let name = name.as_str().unwrap_or_default().to_owned();
        let shape = preset(&name, 1).map_err(|cause| cause.to_string().replace(['.'], ""))?;
        let sizes = [
            ("layers", shape.layers),
            ("heads", shape.heads),
            ("channels", shape.channels),
            ("context", shape.context),
        ];
        for (key, size) in sizes {
            model.entry(key).or_insert(Value::Integer(size as i64));
        }
    }
    merge(under, &over);
    Ok(())
}

fn merge(under: &mut Table, over: &Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// A parser's message as part of a sentence: one line, no full stop.
fn plain(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let text = words.join(" ");
    // The parser puts the key behind the sentence.
    match text.rsplit_once(". in `") {
        Some((sentence, key)) => format!("{sentence} (in {})", key.replace('`', "")),
        None => text.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{difference, resolve};

    fn layer(text: &str) -> (String, toml::Table) {
        ("The settings file a.toml".into(), text.parse().unwrap())
    }

    #[test]
    fn later_layers_win_and_the_result_reads_back() {
        let config = resolve(&[
            layer("generations = 4\n[model]\npreset = \"small\"\n[train]\nepochs = 1.0"),
            layer("generations = 2\n[train]\nbatch = 8\n[decode]\ntop_k = 5"),
        ])
        .unwrap();
        assert_eq!((config.generations, config.train.batch, config.decode.top_k), (2, 8, 5));
        assert_eq!((config.train.epochs, config.model.channels), (1.0, 384));
        let text = toml::to_string(&config).unwrap();
        let back = resolve(&[("x".into(), text.parse().unwrap())]).unwrap();
        assert_eq!(config, back);
        assert!(difference(&config, &back).is_none());
        let other = resolve(&[("x".into(), text.parse().unwrap()), layer("[train]\nbatch = 9")]);
        let (key, old, new) = difference(&config, &other.unwrap()).unwrap();
        assert_eq!((key.as_str(), old.as_str(), new.as_str()), ("train.batch", "8", "9"));
    }

    #[test]
    fn bad_settings_are_refused_by_name() {
        for (text, words) in [
            ("generatoins = 3", "generatoins"),
            ("[train]\nepoch = 3", "epoch"),
            ("[train]\nbatch = 99999999999", "batch"),
            ("[train]\nepochs = 1e300", "epochs"),
            ("[model]\nlayers = 4294967296000", "layers"),
            ("[model]\nheads = 3", "heads"),
            ("generations = 4294967295", "generations"),
            ("[decode]\ntemperature = 1e-40", "temperature"),
            ("[model]\npreset = \"huge\"", "huge"),
            ("losses = [\"tce:2\"]", "outside [0, 1]"),
            ("protocol = \"mix:2\"", "outside [0, 1]"),
            ("heldout = \"x\"", "heldout"),
            ("[generate]\nmode = \"windows\"\ncontext = 64\nstride = 8", "do not fit"),
            ("[generate]\nmode = \"documents\"\nstride = 8", "windows"),
            ("[decode]\nbeams = 4", "beams"),
            ("protocol = \"fractions\"\nsynthetic_tokens = 5", "fractions"),
            ("seeds = []", "seeds"),
            ("[base]\ntokens = 5", "init"),
        ] {
            let sentence = resolve(&[layer(text)]).unwrap_err().to_string();
            assert!(sentence.contains(words), "{words:?} is not in {sentence:?}");
        }
    }
}
