//! `cursorgate completions`, `cursorgate man` and `cursorgate --version`: descriptions of the commands for shells and
//! for `man`.

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use super::{Failure, arguments::Arguments, report};
use cursorgate_config::diagnostic::nearest;

const NAME: &str = "cursorgate";

/// The commit that the program was built from; `unknown` if the build did not set it.
pub(super) const COMMIT: &str = match option_env!("CURSORGATE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Returns the program's description for clap, with its full version.
pub(super) fn command() -> Command {
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let text = format!(
        "{}\ncommit   {COMMIT}\nbuild    {build}, {}-{}\nTLS      {} ({})",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        openssl::version::version(),
        openssl::version::platform().trim_start_matches("platform: "),
    );
    // Clap needs a string that lives as long as the process, so the string is leaked. A process calls this function at
    // most twice.
    Arguments::command().long_version(&*text.leak())
}

/// Prints the full version.
pub(super) fn version() -> Result<(), Failure> {
    report::output(&command().render_long_version())
}

/// Prints the script for command completion in a shell.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), NAME, &mut script);
    report::output(&String::from_utf8_lossy(&script))
}

/// Prints the manual page about the program, or about one command.
pub(super) fn page(of: Option<&str>) -> Result<(), Failure> {
    let mut program = command();
    program.build();
    let about = match of {
        None => program,
        Some(name) => {
            let names: Vec<&str> = program.get_subcommands().map(Command::get_name).collect();
            let Some(command) = program.find_subcommand(name) else {
                let hint = nearest(name, names.iter().copied()).map(|near| format!(" did you mean {near:?}?"));
                let message = format!("there is no command {name:?}.{}", hint.unwrap_or_default());
                return Err(Failure::failed(format!("{message} commands: {}", names.join(", "))));
            };
            command.clone()
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(about).render(&mut page)?;
    report::output(&String::from_utf8_lossy(&page))
}
