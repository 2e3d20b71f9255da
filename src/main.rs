//! The program: what it does stands in [`cursorgate::cli`].

use std::process::ExitCode;

/// Keeps the large buffers of pages warm, and gives them back when they are not needed any more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cursorgate::cli::main()
}
