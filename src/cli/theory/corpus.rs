//! `fortifai theory corpus`: how a text would decline if it were rewritten from its own n-grams.

use super::plot::writable;
use crate::cli::{Common, say, say_json};
use crate::report::theory;
use crate::text::{Tokenizer, TokenizerKind, encode_documents, read_documents};
use crate::{Error, Result};
use clap::{Args, ValueEnum};
use fortifai_collapse::figure::{Point, Series};
use fortifai_collapse::ngram::corpus::{
    Claim, Compared, Decline, Generation, Question, Writing, decline,
};
use std::path::PathBuf;

/// Predict and simulate the decline of a text that is rewritten from its own n-grams.
///
/// Generation 0 is the n-gram model counted from the text; each later one is counted from as many
/// tokens as the text has, written by the one before. Beside the simulated vocabulary, entropy,
/// contexts and n-grams stand their predictions, with what these assume.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fortifai theory corpus book.txt --order 2
  fortifai theory corpus book.txt --order 3 --tokenizer char --generations 20 -o book.svg
  fortifai theory corpus book.txt --order 2 --writing path --json
      one long text per generation, instead of every context prompted as often as in the text")]
pub struct Arguments {
    /// Text file, or .jsonl file with a member \"text\"
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Length of an n-gram: 1 for words alone, 2 for pairs
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(1..=16))]
    order: u8,
    /// What a token is
    #[arg(long, value_name = "word|char|byte", default_value = "word")]
    tokenizer: Kind,
    /// Generations after the text
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    generations: u16,
    /// Simulated repetitions
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    replicates: u32,
    /// How a generation is written: every context as often as in the text, or as one long text
    #[arg(long, value_name = "stack|path", default_value = "stack")]
    writing: Way,
    /// Seed of the random numbers
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// SVG file to be drawn
    #[arg(short = 'o', long = "out", value_name = "FILE.svg")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Word,
    Char,
    Byte,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    Stack,
    Path,
}

/// A quantity's name, and where it stands in a generation.
type Quantity = (&'static str, fn(&Generation) -> &Compared);

const QUANTITIES: [Quantity; 4] = [
    ("vocabulary", |generation| &generation.vocabulary),
    ("entropy, nats", |generation| &generation.entropy_nats),
    ("contexts", |generation| &generation.contexts),
    ("n-grams", |generation| &generation.ngrams),
];

/// Runs the command.
pub fn execute(arguments: &Arguments) -> Result<()> {
    if let Some(out) = &arguments.out {
        writable(out, "svg")?;
    }
    let text = tokens(arguments)?;
    let asked = Question {
        order: usize::from(arguments.order),
        generations: usize::from(arguments.generations),
        replicates: u64::from(arguments.replicates),
        seed: arguments.seed,
        writing: match arguments.writing {
            Way::Stack => Writing::Stack,
            Way::Path => Writing::Path,
        },
    };
    let found = arguments.common.on_threads(|| {
        decline(&text, &asked).map_err(|refusal| Error::input(refusal.to_string()))
    })?;
    say(&table(&found));
    if let Some(out) = &arguments.out {
        let drawn: Vec<_> = curves(&found).into_iter().map(theory::draw_curve).collect();
        theory::write_svg(&drawn, out)?;
        say(&format!("{}\n", out.display()));
    }
    if arguments.common.json {
        let mut line = serde_json::to_value(&found).expect("plain data");
        line["exit_code"] = serde_json::json!(0);
        line["file"] = serde_json::json!(arguments.out);
        say_json(&line);
    }
    Ok(())
}

fn tokens(arguments: &Arguments) -> Result<Vec<u32>> {
    let documents = read_documents(&arguments.file, None)?;
    let kind = match arguments.tokenizer {
        Kind::Word => TokenizerKind::Word,
        Kind::Char => TokenizerKind::Char,
        Kind::Byte => TokenizerKind::Byte,
    };
    let tokenizer = Tokenizer::train(&kind, &documents)?;
    let stream = encode_documents(&tokenizer, &documents)?;
    // The end tokens at both ends are no text; those between documents part them.
    Ok(stream[1..stream.len() - 1].to_vec())
}

fn table(found: &Decline) -> String {
    let Decline { order, tokens, replicates, claims, generations, .. } = found;
    let mut text =
        format!("{tokens} tokens, n-grams of length {order}, {replicates} repetitions\n");
    text += &format!("{:>10}", "generation");
    for (name, _) in QUANTITIES {
        text += &format!("  {:>10} {:>12}", name, "predicted");
    }
    text += "\n";
    for generation in generations {
        text += &format!("{:>10}", generation.generation);
        for (_, of) in QUANTITIES {
            let compared = of(generation);
            text += &format!("  {:>13.4} {:>12.4}", compared.mean, compared.predicted);
        }
        text += "\n";
    }
    for Claim { quantity, formula, assumption, kind } in claims {
        text += &format!("{quantity}: {formula} ({kind}; {assumption})\n");
    }
    text
}

/// One picture per quantity.
fn curves(found: &Decline) -> Vec<theory::Curve> {
    let curve = |(name, of): Quantity| {
        let at = |generation: &Generation| generation.generation as f64;
        let line = found.generations.iter().map(|g| (at(g), of(g).predicted)).collect();
        let points = found.generations.iter().map(|g| {
            let Compared { mean, standard_error, .. } = *of(g);
            Point { x: at(g), mean, standard_error }
        });
        let series = Series { label: String::new(), line, points: points.collect() };
        theory::Curve {
            title: format!("The text's {name}"),
            caption: "Line: predicted. Marks: simulated, with two standard errors.".into(),
            x: "generation".into(),
            y: name.into(),
            log_y: false,
            series: vec![series],
        }
    };
    QUANTITIES.into_iter().map(curve).collect()
}
