//! What can be said on the command line. The texts here are the help texts.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand};

/// Signed cursor pagination, one envelope and links in front of legacy page= and offset= APIs.
///
/// cursorgate is a reverse proxy. Clients send `?limit=20&cursor=…` and get one envelope with links; the upstream goes
/// on speaking page=/limit=, offset=/limit= or whatever it speaks. What is no list passes through untouched.
#[derive(Debug, Parser)]
#[command(
    name = "cursorgate",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "EXIT CODES:\n  0  it is as asked\n  1  it is not: not healthy, no such dialect, a port that is taken\n  \
                  2  the arguments or the configuration are wrong\n\n\
                  Begin with `cursorgate demo`."
)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve, as a configuration says.
    ///
    /// Runs in the foreground and logs to standard error. SIGHUP reads the configuration again: a good one is put in
    /// force as a whole, a bad one is reported and changes nothing. SIGTERM stops: /healthz says 503,
    /// after server.drain_delay there are no new connections, and the process leaves when the last request is done, or
    /// when server.shutdown_timeout is over; each further SIGTERM ends one of these waits. SIGINT (Ctrl-C) stops at
    /// once.
    #[command(after_help = "EXAMPLES:\n  cursorgate run --config /etc/cursorgate/cursorgate.toml\n  \
                            kill -HUP $(pidof cursorgate)     # reload")]
    Run {
        /// The configuration file. Relative paths in it are taken from its folder.
        #[arg(long, short, value_name = "PATH", default_value = "cursorgate.toml")]
        config: PathBuf,
    },
    /// Say what a configuration means, or everything that is wrong with it.
    ///
    /// Builds the very snapshot that `run` would serve, and touches no network. For each route it prints how the
    /// upstream is asked, what is promised to clients, what a page costs, and what becomes of old clients. All mistakes
    /// are reported at once, each with file, line, column and what would be right.
    #[command(after_help = "EXAMPLES:\n  cursorgate check --config cursorgate.toml\n  \
                            cursorgate check && kill -HUP $(pidof cursorgate)\n\n\
                            EXIT CODES:\n  0  it can be served; there may be warnings\n  2  it can't")]
    Check {
        /// The configuration file.
        #[arg(long, short, value_name = "PATH", default_value = "cursorgate.toml")]
        config: PathBuf,
    },
    /// Describe the routes of a configuration to clients, as an OpenAPI 3.1 document in JSON.
    ///
    /// Parameters, bodies, headers and problems of every list, as they are served. What a list holds is described where
    /// its route names the upstream's own document (`openapi`). The admin listener has the same at /openapi.json.
    #[command(after_help = "EXAMPLES:\n  cursorgate openapi --config cursorgate.toml > openapi.json\n  \
                            cursorgate openapi --host api.example.com\n\n\
                            EXIT CODES:\n  0  it is described\n  2  the configuration can't be served")]
    Openapi {
        /// The configuration file.
        #[arg(long, short, value_name = "PATH", default_value = "cursorgate.toml")]
        config: PathBuf,
        /// Only what this host has, where routes are told apart by hosts.
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
    },
    /// Make a key for cursors.
    ///
    /// Prints 32 random bytes as 43 characters of base64url, which is what `cursor.keys` takes from `env:NAME` or
    /// `file:PATH`. All processes behind one balancer need the same keys.
    #[command(after_help = "EXAMPLES:\n  export CURSORGATE_KEY=$(cursorgate keygen)\n  \
                            umask 077 && cursorgate keygen > cursor.key\n\n\
                            To rotate: add the new key under a new id, reload everywhere; then make it signing_key,\n\
                            reload; remove the old one when its cursors may end. A running process sees new files, and\n\
                            no new environment: keys from `env:` need a restart.")]
    Keygen,
    /// Look into cursors.
    #[command(subcommand)]
    Cursor(CursorCommand),
    /// List the built-in dialects, or show one.
    ///
    /// A dialect says how a kind of upstream is asked and read. Routes name one; your own go under [dialects.NAME], and
    /// `extends = "NAME"` takes a built-in one and changes some of it.
    #[command(after_help = "EXAMPLES:\n  cursorgate dialects\n  cursorgate dialects drf-page")]
    Dialects {
        /// The dialect to show, as it is written.
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Print the reference of the configuration, or explain one key.
    ///
    /// The reference is a commented file with every key, its default or an example, and what it does. It loads as it stands.
    #[command(after_help = "EXAMPLES:\n  cursorgate reference > cursorgate.toml\n  \
                            cursorgate reference page_size.max\n  cursorgate reference routes.users.verify")]
    Reference {
        /// The key to explain: its name, or the end of its path.
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Print a JSON Schema of the configuration, for editors.
    ///
    /// It is draft 4, which the editors take that complete TOML by Taplo. `check` reports more than a schema can say.
    #[command(after_help = "EXAMPLES:\n  cursorgate schema > cursorgate.schema.json\n\n\
                            In the first line of a configuration:\n  #:schema ./cursorgate.schema.json")]
    Schema,
    /// Try it: a legacy API of 1,003 users and the gateway in front of it, in this process.
    ///
    /// Prints three curl lines that work as pasted. The upstream takes any free port, the cursors' key is made for this
    /// run, and nothing is written anywhere. Ctrl-C ends both.
    #[command(after_help = "EXAMPLES:\n  cursorgate demo\n  cursorgate demo --listen 127.0.0.1:9000")]
    Demo {
        /// Where the gateway listens; without this on 127.0.0.1:8080, or on the next port that is free.
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
    },
    /// Ask a running gateway whether it is ready.
    ///
    /// Asks /healthz of its admin listener and says so by its exit code: for health checks of containers, where there
    /// is no curl.
    #[command(after_help = "EXAMPLES:\n  cursorgate health --config /etc/cursorgate/cursorgate.toml\n  \
                            cursorgate health --address 127.0.0.1:9180\n\n\
                            EXIT CODES:\n  0  ready\n  1  stopping, or not there\n  2  the configuration has no [admin]")]
    Health {
        /// The configuration file, which says where the admin listener is.
        #[arg(long, short, value_name = "PATH", default_value = "cursorgate.toml")]
        config: PathBuf,
        /// Where the admin listener is; no configuration is read then.
        #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
        address: Option<SocketAddr>,
    },
}

/// A command about cursors.
#[derive(Debug, Subcommand)]
pub(super) enum CursorCommand {
    /// Show what a cursor says.
    ///
    /// With a configuration its signature is verified first, and what it says is shown only where that is good. Without
    /// one only its form is looked at. Nothing is sent anywhere.
    #[command(after_help = "EXAMPLES:\n  cursorgate cursor inspect --config cursorgate.toml AQEB…\n\n\
                            EXIT CODES:\n  0  its signature is good\n  1  it is not, or could not be verified")]
    Inspect {
        /// The configuration file whose keys verify the cursor.
        #[arg(long, short, value_name = "PATH")]
        config: Option<PathBuf>,
        /// The cursor, as it stands in a body or link.
        #[arg(value_name = "CURSOR", allow_hyphen_values = true)]
        token: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent_and_every_option_is_explained() {
        let mut command = Arguments::command();
        command.clone().debug_assert();
        let mut waiting = vec![&mut command];
        while let Some(command) = waiting.pop() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            waiting.extend(command.get_subcommands_mut());
        }
    }
}
