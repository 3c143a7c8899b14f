//! The `fortifai` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    fortifai::cli::main()
}
