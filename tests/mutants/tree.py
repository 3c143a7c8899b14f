"""A package of only what the mutants need: the mutated rooms, what they stand on, and their tests.

The tests become unit tests of the same crate, so that one mutant costs one compilation and one link:
seconds where the whole project takes a minute. The mutated files keep text and path, so a mutant has
the name that it has in the project.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

COPIED = {
    "Cargo.lock": "Cargo.lock",
    "theory/oracle": "theory/oracle",
    "theory/stream": "theory/stream",
    "src/cpu": "src/cpu",
    "src/loss": "src/loss",
    "src/loss.rs": "src/loss.rs",
    "src/model": "src/model",
    "src/sample": "src/sample",
    "src/tier.rs": "src/tier.rs",
    "src/error.rs": "src/error.rs",
    "src/train": "src/train",
    "src/verify": "src/verify",
    "src/collapse/record.rs": "src/collapse/record.rs",
    "tests/conformance": "src/conformance",
    "tests/conformance.rs": "src/conformance.rs",
    "tests/laws": "src/laws",
    "tests/regressions": "regressions",
}

LIBRARY = """//! The rooms that mutants are made in, with their tests.

pub mod collapse {
    pub mod record;
}
pub mod config;
pub mod cpu;
pub mod error;
pub mod loss;
pub mod model;
pub mod sample;
pub mod tier;
pub mod train;
pub mod verify;

pub use error::{Error, Result};
pub use fortifai_stream::Stream;

#[cfg(test)]
extern crate self as fortifai;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod laws;
"""

NEEDLESS = """fortifai-collapse fortifai-kernels anyhow blake3 clap indicatif memmap2 signal-hook tokenizers
toml criterion""".split()

# What a mutant need not wait for: the planted faults test the checks, the golden vectors are files,
# and what training converges to takes longest.
LEFT_OUT = {
    "src/verify/mod.rs": r"^(pub )?(mod|use) (faults|golden\w*)\b[^;]*;\n",
    "src/conformance.rs": r"^mod faults;\n",
    "src/laws/mod.rs": r"^mod convergence;\n",
    "src/config.rs": r"^(mod (resolve|run);|pub use (resolve|run)::[^;]*;)\n",
}

# As much optimisation as pays for itself in a run of seconds.
PROFILE = """
[profile.dev.package.fortifai]
opt-level = 1
debug = false
"""

# The compiler of this package only: nothing is optimised across units, which would cost more than
# all else.
COMPILER = """#!/bin/sh
exec "$@" -C lto=off
"""

# The tests of the mutated file first, then all, and no more of them after the first that fails (libtest
# calls that unstable). The regressions that a mutant adds are taken away again: the next one meets the
# tests as they are.
RUNNER = """#!/bin/sh
export RUSTC_BOOTSTRAP=1
tests=$1
shift
check() {
    rm -rf tests/regressions
    cp -r regressions tests/regressions
    "$tests" -Zunstable-options --fail-fast "$@" || exit
}
mutated=$(grep -rl 'changed by cargo-mutants' src | head -n 1)
case $(basename "$mutated" .rs) in
'') ;;
decode | decoder) check decoder:: ;;
vectors) check panels:: decoder:: ;;
tier) check embedding:: gelu:: layernorm:: linear:: attention:: decoder:: adamw:: ;;
gpt) check model:: ;;
*) check "$(basename "$mutated" .rs)::" ;;
esac
check --skip sample:: "$@"
"""


def lay_out(into: Path) -> None:
    """Brings the package in `into` up to date; what has not changed keeps its time stamp."""
    wanted = {}
    for source, target in COPIED.items():
        source = ROOT / source
        files = [source] if source.is_file() else [f for f in source.rglob("*") if f.is_file()]
        for file in files:
            place = target if file == source else f"{target}/{file.relative_to(source)}"
            wanted[place] = file.read_bytes()
    wanted["src/config.rs"] = (ROOT / "src/config.rs").read_bytes()
    for place, lines in LEFT_OUT.items():
        wanted[place] = re.sub(lines, "", wanted[place].decode(), flags=re.M).encode()
    wanted["src/lib.rs"] = LIBRARY.encode()
    wanted["compiler"] = COMPILER.encode()
    wanted["runner"] = RUNNER.encode()
    wanted["Cargo.toml"] = manifest((ROOT / "Cargo.toml").read_text()).encode()
    (into / "tests").mkdir(parents=True, exist_ok=True)
    for room in ("src", "regressions", "theory"):
        for file in (into / room).rglob("*"):
            if file.is_file() and str(file.relative_to(into)) not in wanted:
                file.unlink()
    for place, content in wanted.items():
        place = into / place
        if not place.is_file() or place.read_bytes() != content:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    for script in ("compiler", "runner"):
        (into / script).chmod(0o755)


def manifest(text: str) -> str:
    members = 'members = ["theory/oracle", "theory/stream", "."]'
    text = re.sub(r"^(default-)?members = .*$", lambda m: (m[1] or "") + members, text, flags=re.M)
    sections = re.split(r"^(?=\[)", text, flags=re.M)
    text = "".join(s for s in sections if not s.startswith(("[[test]]", "[[bench]]", "[[bin]]")))
    for name in NEEDLESS:
        text = re.sub(rf"^{name}(\.workspace)? = .*\n", "", text, flags=re.M)
    return text + PROFILE
