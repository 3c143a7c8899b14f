//! The command line: one file per command.

use std::process::ExitCode;

/// Parses the arguments, runs the command, turns an error into its exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
