//! Kernel files through the host's C++ compiler, against the shim.

use super::{Unit, cache};
use crate::{KernelError, Result, sources};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The compiler: its command and what it calls itself.
#[derive(Clone, Debug)]
pub(crate) struct Compiler {
    command: Vec<String>,
    pub version: String,
}

/// C++17 as the kernels are written in it: no contraction into fused operations that the source
/// does not ask for, and one type's bits may be read as another's, as compilers for devices allow.
const OPTIONS: [&str; 8] = [
    "-std=c++17",
    "-O2",
    "-fPIC",
    "-shared",
    "-pthread",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
    "-DFORTIFAI_HOST",
];

impl Compiler {
    /// `$CXX`, else the first of `c++`, `g++` and `clang++` that answers.
    pub fn find() -> Result<Self> {
        static FOUND: OnceLock<Result<Compiler>> = OnceLock::new();
        let asked = || std::env::var("CXX").ok().filter(|command| !command.trim().is_empty());
        let find = || match asked() {
            Some(command) => Self::answers(&command).ok_or_else(|| {
                KernelError::NoCompiler(format!(
                    "The kernels cannot be compiled for the CPU: CXX names {command:?}, which does \
                     not answer to --version; name a C++17 compiler or unset CXX."
                ))
            }),
            None => {
                ["c++", "g++", "clang++"].into_iter().find_map(Self::answers).ok_or_else(|| {
                    KernelError::NoCompiler(
                    "The kernels cannot be compiled for the CPU: none of c++, g++ and clang++ is \
                     installed; install one (apt-get install g++) or name one with CXX."
                        .to_owned(),
                )
                })
            }
        };
        FOUND.get_or_init(find).clone()
    }

    fn answers(command: &str) -> Option<Self> {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let output =
            Command::new(&command[0]).args(&command[1..]).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().next().filter(|_| output.status.success())?.to_owned();
        Some(Self { command, version })
    }

    /// The shared library of a kernel file.
    pub fn compile(&self, unit: &Unit) -> Result<PathBuf> {
        let extra = std::env::var("FORTIFAI_HOST_CXXFLAGS").unwrap_or_default();
        let options: Vec<&str> = (OPTIONS.into_iter())
            .chain(unit.define())
            .chain(extra.split_whitespace())
            .chain(["-I."])
            .collect();
        let shim = sources::shim()?;
        let rest = (shim.iter().flat_map(|(name, text)| [name.as_str(), text]))
            .chain(self.command.iter().map(String::as_str))
            .chain([self.version.as_str(), std::env::consts::ARCH])
            .chain(options.iter().copied());
        let name = format!("{}-{}.so", unit.name, unit.key(rest));
        cache::cached(&name, |library| {
            let room = library.parent().expect("a file stands in a folder");
            for (name, text) in unit.includes.iter().chain(&shim) {
                cache::write(&room.join(name), text.as_bytes())?;
            }
            cache::write(&room.join(unit.name), unit.text.as_bytes())?;
            self.run(unit.name, &options, room, library)
        })
    }

    /// In the folder of the files, so that messages and the shim's findings say `layernorm.cu:17`.
    fn run(&self, name: &str, options: &[&str], room: &Path, library: &Path) -> Result<()> {
        let words = self.command[1..].iter().map(String::as_str).chain(options.iter().copied());
        let words: Vec<&str> = words.collect();
        let output = Command::new(&self.command[0])
            .current_dir(room)
            // A sanitizer is preloaded for the kernels, not for their compiler.
            .env_remove("LD_PRELOAD")
            .args(&words)
            .args(["-x", "c++", name, "-o"])
            .arg(library)
            .output();
        let log = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(cause) => cause.to_string(),
        };
        let compiler = format!("{} {}", self.command[0], words.join(" "));
        Err(KernelError::Compile { source_name: name.to_owned(), compiler, log })
    }
}
