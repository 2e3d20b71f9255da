//! The program: what it does stands in [`cursorgate::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    cursorgate::cli::main()
}
