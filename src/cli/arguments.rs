//! The arguments of the command line. The comments here are the help texts.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use cursorgate_config::{Addresses, ProcessEnvironment};
use cursorgate_core::json::Pointer;

/// Signed cursor pagination, one envelope and links in front of legacy page= and offset= APIs.
///
/// cursorgate is a reverse proxy. Clients send `?limit=20&cursor=…` and receive one envelope with links; the upstream
/// keeps page=/limit=, offset=/limit= or its own way of paging. Requests for other resources pass through unchanged.
#[derive(Debug, Parser)]
#[command(
    name = "cursorgate",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "EXIT CODES:\n  0  success\n  1  failure: not healthy, no such dialect, a port that is in use\n  \
                  2  invalid arguments or an invalid configuration\n  3  a walk that lost or repeated items\n\n\
                  Begin with `cursorgate demo`."
)]
pub(super) struct Arguments {
    /// The command to run.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// A command of the program.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve a configuration.
    ///
    /// Runs in the foreground and logs to standard error. SIGHUP reads the configuration again: a valid one takes
    /// effect as a whole, and an invalid one is reported and changes nothing. SIGUSR2 starts the command again, and
    /// hands the listening sockets to the new process once it can serve. SIGTERM stops the process after
    /// server.drain_delay and its last request, or after server.shutdown_timeout. Each further SIGTERM ends one of
    /// these waits. SIGINT (Ctrl-C) stops it at once.
    #[command(after_help = "EXAMPLES:\n  cursorgate run --config /etc/cursorgate/cursorgate.toml\n  \
                            cursorgate run --listen 0.0.0.0:8080 --admin 0.0.0.0:9180\n  \
                            kill -HUP $(pidof cursorgate)     # reload")]
    Run {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        addresses: AddressArguments,
    },
    /// Explain a configuration, or report all of its mistakes.
    ///
    /// Builds the same snapshot that `run` serves, without any network access. For each route it prints the requests to
    /// the upstream, the guarantee for clients, the cost of a page, and the treatment of old clients. All mistakes are
    /// reported at once, each with its file, line and column, and a correction.
    #[command(after_help = "EXAMPLES:\n  cursorgate check cursorgate.toml\n  \
                            cursorgate check && kill -HUP $(pidof cursorgate)\n  \
                            cursorgate check --without-secrets --warnings-as-errors --format github\n  \
                            cursorgate check --live --header 'Authorization: Bearer abc'\n  \
                            cursorgate check --exchanges tests/invoices.toml\n\n\
                            EXIT CODES:\n  0  valid; there may be warnings\n  1  an exchange differs (--exchanges)\n  \
                            2  invalid, or warnings with --warnings-as-errors")]
    Check {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        options: CheckArguments,
        /// Instead, test dialects against these files of exchanges. The dialects are the built-in ones, and those of
        /// the configuration if there is one.
        #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["live", "without_secrets", "warnings_as_errors"])]
        exchanges: Vec<PathBuf>,
        #[command(flatten)]
        live: LiveArguments,
        #[command(flatten)]
        addresses: AddressArguments,
    },
    /// Describe the routes of a configuration to clients, as an OpenAPI 3.1 document in JSON.
    ///
    /// Items are described if the route names the upstream's own document (`openapi`). The admin listener serves the
    /// same at /openapi.json.
    #[command(after_help = "EXAMPLES:\n  cursorgate openapi --config cursorgate.toml > openapi.json\n  \
                            cursorgate openapi --host api.example.com\n\n\
                            EXIT CODES:\n  0  success\n  2  the configuration is invalid")]
    Openapi {
        #[command(flatten)]
        config: ConfigArguments,
        /// Describe only the routes of this host.
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
    },
    /// Write a typed client for the lists of a configuration.
    ///
    /// The client is source code without dependencies. Items have the types of the upstream's own document if the route
    /// names it (`openapi`). Files of an earlier client are replaced, except README.md, package.json, tsconfig.json and
    /// pyproject.toml. docs/clients.md shows examples.
    #[command(after_help = "EXAMPLES:\n  cursorgate sdk --lang typescript --out clients/typescript\n  \
                            cursorgate sdk cursorgate.toml --lang python --name example_directory\n\n\
                            EXIT CODES:\n  0  the client is written\n  1  no list, or a folder that can't be written\n  \
                            2  invalid arguments or an invalid configuration")]
    Sdk(SdkArguments),
    /// Make a key for cursors.
    ///
    /// Prints 32 random bytes as 43 characters of base64url, for `cursor.keys` by `env:NAME` or `file:PATH`. All
    /// processes of one load balancer need the same keys.
    #[command(after_help = "EXAMPLES:\n  (umask 077 && cursorgate keygen > cursor.key)\n  \
                            export CURSORGATE_KEY=$(cat cursor.key)\n\n\
                            To rotate: add the new key under a new id, reload everywhere; then make it signing_key,\n\
                            reload; remove the old one when its cursors may end. A running process reads new files, but\n\
                            no new environment: keys from `env:` need a restart.")]
    Keygen,
    /// Find the clients behind the hashes of the migration board, offline.
    ///
    /// Reads the values by which clients are known from standard input, one a line, and prints the hash of each. The
    /// values are those of `legacy.client`: keys as clients send them, without the scheme of `Authorization`. A line is
    /// named by its number, or by the text before a tab. Hashes are keyed by `cursor.signing_key`, so the command needs
    /// the configuration and that key.
    #[command(after_help = "EXAMPLES:\n  cursorgate client-hash < keys.txt\n  \
                            cursorgate client-hash cd2e9562c03d84da < customers.tsv\n\n\
                            EXIT CODES:\n  0  success\n  1  no line has one of the hashes\n  \
                            2  the configuration or the input is invalid")]
    ClientHash {
        /// The hashes to find. Default: all lines are printed.
        #[arg(value_name = "HASH")]
        hashes: Vec<String>,
        /// The configuration file with the signing key. Default: CURSORGATE_CONFIG, or cursorgate.toml.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Inspect cursors.
    #[command(subcommand)]
    Cursor(CursorCommand),
    /// List the built-in dialects, or show one.
    ///
    /// A dialect describes the requests and answers of a kind of upstream. Each list's route names one. Dialects of
    /// your own are tables [dialects.NAME] of the configuration; `extends = "NAME"` changes a built-in one.
    #[command(after_help = "EXAMPLES:\n  cursorgate dialects\n  cursorgate dialects drf-page")]
    Dialects {
        /// The name of the dialect to show. Default: list all.
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// List the built-in envelopes, or show one.
    ///
    /// An envelope describes the form of pages and of errors, and the names of clients' parameters. A route names one
    /// or several. Envelopes of your own are tables [envelopes.NAME] of the configuration.
    #[command(after_help = "EXAMPLES:\n  cursorgate envelopes\n  cursorgate envelopes jsonapi")]
    Envelopes {
        /// The name of the envelope to show. Default: list all.
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Explain a problem code, or list all of them.
    ///
    /// Prints the meaning of the code in a problem document, and the next steps for the client and the operator.
    #[command(after_help = "EXAMPLES:\n  cursorgate explain-code\n  cursorgate explain-code position_lost")]
    ExplainCode {
        /// The code to explain. Default: list all.
        #[arg(value_name = "CODE")]
        code: Option<String>,
    },
    /// Write a configuration to begin with.
    ///
    /// In this configuration, one list is served by cursor, its old clients pass through, and all other requests are
    /// forwarded. No file is overwritten.
    #[command(after_help = "EXAMPLES:\n  cursorgate init\n  \
                            cursorgate init --upstream https://people.internal --path /api/users --dialect drf-page")]
    Init(InitArguments),
    /// Find out how a list pages, and write its route.
    ///
    /// Sends a few dozen requests to a live list, one after the other with a pause between them. All of these only
    /// read. Each finding is printed with its evidence and its certainty. The file that is written is then checked as
    /// by `check --live`.
    #[command(after_help = "EXAMPLES:\n  cursorgate learn http://people.internal:8000/api/users\n  \
                            cursorgate learn https://api.internal/orders --header 'Authorization: Bearer {env:TOKEN}' \\\n    --out orders.toml\n  \
                            cursorgate learn http://people.internal:8000/api/users --recorded users.har --out users.toml\n  \
                            cursorgate learn http://people.internal:8000/api/users --openapi openapi.json --out users.toml\n  \
                            cursorgate learn http://people.internal:8000/api/users --out users.toml --types users.types.json\n  \
                            cursorgate learn http://search.internal/search \\\n    --body '{\"filters\":{},\"page\":{\"number\":1,\"size\":10}}'\n\n\
                            EXIT CODES:\n  0  the list is learnt\n  1  no list, no way to its next page, or a file that doesn't pass check --live\n  2  invalid arguments")]
    Learn(LearnArguments),
    /// Explain the treatment of a request, without sending it.
    ///
    /// Prints the route with the reasons that the other routes don't match, the envelope, the content of a cursor with
    /// a valid signature, and the first requests to the upstream for the page. The mode, the level and the cost of the
    /// route follow, as `check` prints them. With --live these requests, which only read, are sent.
    #[command(after_help = "EXAMPLES:\n  cursorgate explain GET '/api/users?limit=5'\n  \
                            cursorgate explain GET 'https://api.example.com/users?cursor=~AQEB…' --config cursorgate.toml\n  \
                            cursorgate explain GET '/api/users' --live --header 'Authorization: Bearer {env:TOKEN}'\n  \
                            curl --header \"$(cursorgate explain GET /api/users --sign)\" https://api.example.com/api/users\n\n\
                            EXIT CODES:\n  0  a page, or a request that passes\n  1  the request would be refused\n  \
                            2  invalid arguments or an invalid configuration")]
    Explain(ExplainArguments),
    /// Read lists to their ends, and prove that nothing is lost on the way.
    ///
    /// Follows the links and cursors of a list, and writes its items unchanged, one in each line. The state of a walk
    /// to a file is beside that file, as FILE.walk; after an interruption the same command continues from there. All
    /// requests are by GET. Links are only followed at the host of the URL.
    ///
    /// With --verify the list is also read directly, before and after the walk, and page by page at the same time, as
    /// clients do today. An item that is unchanged in both direct readings must be in the walk once; otherwise it is
    /// lost or repeated.
    #[command(
        after_help = "EXAMPLES:\n  cursorgate walk 'http://127.0.0.1:8080/api/users?cursor=start' > users.ndjson\n  \
                            cursorgate walk 'http://127.0.0.1:8080/api/users?cursor=start' \\\n    \
                            --verify http://people.internal:8000/api/users --config cursorgate.toml --report walk.html\n  \
                            cursorgate walk http://people.internal:8000/api/users --dialect drf-page --out users.ndjson\n\n\
                            EXIT CODES:\n  0  read to the end; with --verify, nothing is lost or repeated\n  1  failed, or could not be \
                            judged\n  2  invalid arguments\n  3  items are lost, repeated, altered or out of order"
    )]
    Walk(WalkArguments),
    /// Print the reference of the configuration, or explain one key.
    ///
    /// The reference is a file with every key, its documentation, and its default or an example. It is a valid
    /// configuration.
    #[command(after_help = "EXAMPLES:\n  cursorgate reference > cursorgate.toml\n  \
                            cursorgate reference page_size.max\n  cursorgate reference routes.users.verify")]
    Reference {
        /// The key to explain: its name, or the end of its path. Default: print the whole reference.
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Print a JSON Schema of the configuration, for editors.
    ///
    /// The schema has the form of draft 4, for editors that complete TOML by Taplo. `check` reports more mistakes than
    /// a schema can.
    #[command(after_help = "EXAMPLES:\n  cursorgate schema > cursorgate.schema.json\n\n\
                            In the first line of a configuration:\n  #:schema ./cursorgate.schema.json")]
    Schema,
    /// Print a script that completes commands in a shell.
    #[command(after_help = "EXAMPLES:\n  cursorgate completions bash > /etc/bash_completion.d/cursorgate\n  \
                            cursorgate completions fish > ~/.config/fish/completions/cursorgate.fish")]
    Completions {
        /// The shell for which the script is printed.
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Print a page of the manual.
    #[command(after_help = "EXAMPLES:\n  cursorgate man | man -l -\n  \
                            cursorgate man check > cursorgate-check.1")]
    Man {
        /// The command that the page describes. Default: the whole program.
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
    /// Try it: a legacy API of 1,003 users and the gateway in front of it, in this process.
    ///
    /// Prints curl commands to paste. The upstream uses any free port, the key for cursors is new in each run, and no
    /// file is written. Ctrl-C ends both servers.
    #[command(after_help = "EXAMPLES:\n  cursorgate demo\n  cursorgate demo --listen 127.0.0.1:9000")]
    Demo {
        /// The address at which the gateway listens. Default: 127.0.0.1:8080, or the next free port.
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        listen: Option<SocketAddr>,
    },
    /// Ask a running gateway whether it is ready.
    ///
    /// Requests /healthz of its admin listener, and exits with the result.
    #[command(after_help = "EXAMPLES:\n  cursorgate health --config /etc/cursorgate/cursorgate.toml\n  \
                            cursorgate health --address 127.0.0.1:9180\n\n\
                            EXIT CODES:\n  0  ready\n  1  stopping, or not running\n  2  the configuration has no [admin]")]
    Health {
        #[command(flatten)]
        config: ConfigArguments,
        /// The address of the admin listener. Default: the address in the configuration.
        #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with_all = ["config", "file"])]
        address: Option<SocketAddr>,
        #[command(flatten)]
        addresses: AddressArguments,
    },
    /// Print the status of a running gateway, as JSON.
    ///
    /// Requests /status of the admin listener, with admin.read_token or admin.token if the configuration has one.
    #[command(after_help = "EXAMPLES:\n  cursorgate status | jq .connections\n\n\
                            EXIT CODES:\n  0  printed\n  1  not running, or the token is refused\n  2  the configuration has no [admin]")]
    Status {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        addresses: AddressArguments,
    },
    /// Make a running gateway read its configuration again.
    ///
    /// Does the same as SIGHUP, waits for the result and prints the faults of the configuration. The admin listener
    /// needs a token (admin.token) for this.
    #[command(after_help = "EXAMPLES:\n  cursorgate reload --config /etc/cursorgate/cursorgate.toml\n\n\
                            EXIT CODES:\n  0  in force\n  1  not running, the token is refused, or a key needs a restart\n  \
                            2  the configuration has errors, so the earlier one stays in force; or it has no [admin]")]
    Reload {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        addresses: AddressArguments,
    },
    /// Print the version, as --version does.
    Version,
}

/// The configuration file that a command reads.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigArguments {
    /// The configuration file. Relative paths in it begin at its folder. Default: CURSORGATE_CONFIG, or
    /// cursorgate.toml.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The configuration file, as an option instead of FILE.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArguments {
    /// Returns the path of the configuration file: from the arguments, from the environment, or `cursorgate.toml`.
    pub(super) fn path(self) -> PathBuf {
        self.file.or(self.config).or_else(configured).unwrap_or_else(|| PathBuf::from("cursorgate.toml"))
    }

    /// Returns the path from the arguments or the environment, or else `cursorgate.toml` if it exists.
    pub(super) fn existing(self) -> Option<PathBuf> {
        let by_default = || Some(PathBuf::from("cursorgate.toml")).filter(|path| path.exists());
        self.file.or(self.config).or_else(configured).or_else(by_default)
    }
}

/// Returns the path in `CURSORGATE_CONFIG`; `None` if the variable is empty or missing.
pub(super) fn configured() -> Option<PathBuf> {
    std::env::var_os("CURSORGATE_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The arguments of `sdk`.
#[derive(Clone, Debug, Args)]
pub(super) struct SdkArguments {
    #[command(flatten)]
    pub(super) config: ConfigArguments,
    /// The language of the client.
    #[arg(long = "lang", value_enum, value_name = "LANGUAGE")]
    pub(super) language: SdkLanguageArgument,
    /// The folder to which the client is written. Default: sdk-typescript or sdk-python.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// The name of the client's package.
    #[arg(long, value_name = "NAME", default_value = "api-client")]
    pub(super) name: String,
}

/// A language of clients.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SdkLanguageArgument {
    /// TypeScript, for runtimes with `fetch`: browsers, Node.js from 20 on, Deno, Bun.
    Typescript,
    /// Python from 3.11 on, with only the standard library.
    Python,
}

/// The options of `check`.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckArguments {
    /// Check the form of secrets and of paths of certificates, but open neither.
    #[arg(long)]
    pub(super) without_secrets: bool,
    /// Fail also if there are only warnings.
    #[arg(long)]
    pub(super) warnings_as_errors: bool,
    /// With --warnings-as-errors, accept warnings that contain this text, any number of times.
    #[arg(long, value_name = "TEXT", requires = "warnings_as_errors")]
    pub(super) accept: Vec<String>,
    /// The format of the report.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(super) format: CheckFormat,
    /// Describe this route alone, with all lines, any number of times. Without it, more than 50 routes have a line each.
    #[arg(long, value_name = "NAME", conflicts_with = "quiet")]
    pub(super) route: Vec<String>,
    /// Describe routes with all lines, such as the reasons, clients' parameters, links, cursors, identity and limits.
    #[arg(long, short, conflicts_with = "quiet")]
    pub(super) verbose: bool,
    /// Describe no route: only report mistakes, and their number.
    #[arg(long)]
    pub(super) quiet: bool,
}

/// The options of a check that sends requests to upstreams.
#[derive(Clone, Debug, Args)]
pub(super) struct LiveArguments {
    /// Also request a few pages of each upstream, and report differences from the configuration. Then compare some 25
    /// requests of old clients for each list, straight and through the gateway's own code. All requests only read.
    #[arg(long)]
    pub(super) live: bool,
    /// A header of these requests, any number of times.
    #[arg(long, short = 'H', value_name = "NAME: VALUE", requires = "live")]
    pub(super) header: Vec<String>,
    /// The body of these requests, for lists by POST. On other lists, a GET request with this body is tried too.
    #[arg(long, value_name = "JSON", requires = "live")]
    pub(super) body: Option<String>,
    /// The path of a list whose route has parameters, such as /teams/7/items, any number of times. Without one, and
    /// without a path in the file of --old-clients, such a list isn't requested.
    #[arg(long, value_name = "PATH", requires = "live")]
    pub(super) sample: Vec<String>,
    /// The pause between two requests, in milliseconds. Default: 100.
    #[arg(long, value_name = "MILLISECONDS", requires = "live")]
    pub(super) delay: Option<u64>,
    /// Also classify the requests of old clients in this file: an access log in the common or combined format, or an
    /// HTTP archive (HAR). With --live, one GET or HEAD request for each set of parameters is sent, at most 50.
    #[arg(long, value_name = "FILE")]
    pub(super) old_clients: Option<PathBuf>,
}

/// The format of a report of `check`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum CheckFormat {
    /// Text for people: mistakes on standard error, routes on standard output.
    Text,
    /// A JSON object on standard output.
    Json,
    /// Workflow commands of GitHub Actions, which GitHub shows beside the lines of a pull request.
    Github,
}

/// Parses an address. The error contains the remedy.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.rsplit_once(':') {
        Some(("unix", _)) => "a unix socket is set in the configuration, as `address` of a listener".to_owned(),
        Some(("", port)) => format!("write 0.0.0.0:{port} for every address of this machine, or 127.0.0.1:{port}"),
        Some(("localhost", port)) => format!("names are not resolved: write 127.0.0.1:{port}"),
        _ => "write an IP address and a port, such as 127.0.0.1:8080 or [::]:8080; names are not resolved".to_owned(),
    })
}

/// Addresses that replace those in the configuration.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct AddressArguments {
    /// The address at which clients connect. It replaces the address of the only listener.
    #[arg(long, value_name = "ADDRESS", value_parser = address, env = "CURSORGATE_LISTEN")]
    listen: Option<SocketAddr>,
    /// The address at which operators connect. It replaces admin.address.
    #[arg(long, value_name = "ADDRESS", value_parser = address, env = "CURSORGATE_ADMIN")]
    admin: Option<SocketAddr>,
}

impl AddressArguments {
    /// Returns the environment of this process, in which these addresses replace the configured ones.
    pub(super) fn environment(self) -> ProcessEnvironment {
        ProcessEnvironment { addresses: Addresses { listen: self.listen, admin: self.admin } }
    }
}

/// The arguments of `init`.
#[derive(Clone, Debug, Args)]
pub(super) struct InitArguments {
    /// The file to write.
    #[arg(value_name = "FILE", default_value = "cursorgate.toml")]
    pub(super) file: PathBuf,
    /// The service that serves the list: http:// or https://, its host and its port.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub(super) upstream: String,
    /// The path of the list.
    #[arg(long, value_name = "PATH", default_value = "/api/users")]
    pub(super) path: String,
    /// The dialect of the service. `cursorgate dialects` lists all dialects.
    #[arg(long, value_name = "NAME", default_value = "page-limit")]
    pub(super) dialect: String,
}

/// The arguments of `learn`.
#[derive(Clone, Debug, Args)]
pub(super) struct LearnArguments {
    /// The URL of the list, which begins with http:// or https://. Its parameters that don't page are filters, and
    /// every request has them.
    #[arg(value_name = "URL")]
    pub(super) url: String,
    /// The file to which the configuration is written. No file is overwritten.
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// The file to which the types of the items are written, as an OpenAPI document without a value of any item. The
    /// route of --out names it, for typed fields in GraphQL, tools and clients. No file is overwritten.
    #[arg(long, value_name = "FILE")]
    pub(super) types: Option<PathBuf>,
    /// Learn from recorded exchanges, and send nothing: an HTTP archive (HAR), a file of exchanges as for `check
    /// --exchanges`, or a folder of these; any number of times.
    #[arg(long, value_name = "FILE", conflicts_with = "header")]
    pub(super) recorded: Vec<PathBuf>,
    /// The OpenAPI document of the upstream, in JSON or YAML. Its names are tried first, and its differences from the
    /// answers are reported.
    #[arg(long, value_name = "FILE")]
    pub(super) openapi: Option<PathBuf>,
    /// A header of every request; its value may be `env:NAME` or `file:PATH`, or contain these in braces. This option
    /// may be given several times.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub(super) header: Vec<String>,
    /// Send POST requests with this JSON body: only for lists that are read by POST.
    #[arg(long, value_name = "JSON")]
    pub(super) body: Option<String>,
    /// Print the evidence of every finding, and not only of those that no request has shown.
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// The largest number of requests to learn the list. Default: 40. The check of the file sends up to 260 more.
    #[arg(long, value_name = "NUMBER")]
    pub(super) requests: Option<usize>,
    /// The pause between two requests, in milliseconds. Default: 100.
    #[arg(long, value_name = "MILLISECONDS")]
    pub(super) delay: Option<u64>,
    /// The largest offset that is requested, in items. Default: 10000.
    #[arg(long, value_name = "ITEMS")]
    pub(super) depth: Option<u64>,
}

/// The arguments of `explain`.
#[derive(Clone, Debug, Args)]
pub(super) struct ExplainArguments {
    /// The method of the request (default: GET), and its URL at the gateway, or its path and query.
    #[arg(num_args = 1..=2, required = true, value_names = ["METHOD", "URL"])]
    request: Vec<String>,
    /// The configuration file. Default: CURSORGATE_CONFIG, or cursorgate.toml.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A header of the request; its value may be `env:NAME` or `file:PATH`, or contain these in braces. This option may
    /// be given several times.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub(super) header: Vec<String>,
    /// The body of a POST request.
    #[arg(long, value_name = "JSON")]
    pub(super) body: Option<String>,
    /// Send the upstream requests for the page, and show what each answer proves.
    #[arg(long)]
    pub(super) live: bool,
    /// Instead, print a permit, which is signed by admin.explain_key: a header with which the gateway explains a
    /// client's request for this path, at /explanations of its admin listener.
    #[arg(long, conflicts_with = "live")]
    pub(super) sign: bool,
    /// The time for which the permit is valid, in minutes from 1 to 15.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=15), requires = "sign")]
    pub(super) minutes: u64,
    /// Describe the route with all lines, as `check --verbose` does.
    #[arg(long, short)]
    pub(super) verbose: bool,
    /// The format of the explanation.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(super) format: ExplainFormat,
}

impl ExplainArguments {
    /// Returns the method of the request in upper case.
    pub(super) fn method(&self) -> String {
        match self.request.as_slice() {
            [method, _] => method.to_ascii_uppercase(),
            _ => "GET".to_owned(),
        }
    }

    pub(super) fn url(&self) -> &str {
        self.request.last().map_or("", String::as_str)
    }

    /// Returns the path of the configuration file: from the arguments, from the environment, or `cursorgate.toml`.
    pub(super) fn config(&self) -> PathBuf {
        self.config.clone().or_else(configured).unwrap_or_else(|| PathBuf::from("cursorgate.toml"))
    }
}

/// The format of an explanation.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ExplainFormat {
    /// Text for people.
    Text,
    /// A JSON object.
    Json,
}

/// The arguments of `walk`.
#[derive(Clone, Debug, Args)]
pub(super) struct WalkArguments {
    /// The URLs of the lists, which begin with http:// or https://. Their parameters, such as a limit and filters, are
    /// in all requests.
    #[arg(value_name = "URL", required = true)]
    pub(super) urls: Vec<String>,
    /// The file for the items; for several lists, the folder for their files. No file is overwritten. Default: standard
    /// output.
    #[arg(long, short, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// A header of every request; its value may be `env:NAME` or `file:PATH`, or contain these in braces. This option
    /// may be given several times.
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    pub(super) header: Vec<String>,
    /// The built-in dialect with which a list is read directly from its upstream: the list of --verify, or without it
    /// the lists themselves.
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    pub(super) dialect: Option<String>,
    /// The configuration with a route for the direct list, whose dialect, order, TLS settings and headers are used.
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The place of the id in an item: a name or a JSON Pointer. Default: the place in the configuration, or id.
    #[arg(long, value_name = "FIELD")]
    pub(super) id: Option<String>,
    /// Compare the walk with direct readings of the list at this URL.
    #[arg(long, value_name = "DIRECT_URL")]
    pub(super) verify: Option<String>,
    /// The file for the result as an HTML page.
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub(super) report: Option<PathBuf>,
    /// The largest number of lists that are walked at the same time.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = at_least_one)]
    pub(super) parallel: usize,
    /// The pause between two requests of a walk, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    pub(super) delay: u64,
    /// The largest number of retries of a request. A request is retried if it has no answer, or 429, 502, 503 or 504.
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub(super) retries: u32,
}

impl WalkArguments {
    /// Returns whether the lists themselves are read directly from their upstreams.
    pub(super) fn is_direct(&self) -> bool {
        self.verify.is_none() && (self.dialect.is_some() || self.config.is_some())
    }

    /// Returns the place of the id in an item, as a JSON Pointer.
    pub(super) fn id_text(&self) -> String {
        let named = self.id.as_deref().unwrap_or("id");
        if named.starts_with('/') { named.to_owned() } else { format!("/{}", named.replace('~', "~0")) }
    }

    /// Returns the place of the id in an item, as a compiled pointer.
    pub(super) fn id_place(&self) -> Result<Pointer, String> {
        Pointer::parse(&self.id_text()).map_err(|error| format!("--id: {error}"))
    }
}

/// Parses a number that is at least 1.
fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a number, at least 1".to_owned())
}

/// A command about cursors.
#[derive(Debug, Subcommand)]
pub(super) enum CursorCommand {
    /// Show the contents of a cursor.
    ///
    /// With a configuration, the signature is verified first, and the contents are only shown if it is valid. Without a
    /// configuration, only the format is checked. No network is used.
    #[command(after_help = "EXAMPLES:\n  cursorgate cursor inspect --config cursorgate.toml '~AQEB…'\n\n\
                            EXIT CODES:\n  0  the signature is valid\n  1  it is not, or was not verified")]
    Inspect {
        /// The configuration file whose keys verify the cursor. Default: CURSORGATE_CONFIG, or cursorgate.toml if there is one.
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The cursor, or a link that contains it.
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
