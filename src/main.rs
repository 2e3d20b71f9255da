//! The program. [`cursorgate::cli`] has its commands.

use std::process::ExitCode;

/// The allocator keeps the large buffers of pages for reuse, and returns them to the system when they stay unused.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cursorgate::cli::main()
}
