//! `/config`: the configuration in force as it was written, without its secrets, and the files that it was read from,
//! as JSON, or as TOML with `?format=toml`.

use serde::Serialize;

use super::access::JSON;
use crate::{lifecycle::snapshot::Snapshot, runtime::clock};

/// The path of the report on the configuration.
pub(super) const CONFIG_PATH: &str = "/config";

/// The content type of TOML, as registered with IANA.
const TOML: &str = "application/toml";

#[derive(Serialize)]
struct ConfigReport<T> {
    /// The time at which the configuration was loaded (RFC 3339).
    loaded: String,
    /// The files that were read, including files of keys.
    files: Vec<String>,
    configuration: T,
}

/// Returns the content type and the text of the report. `query` is the query of the request.
#[expect(clippy::expect_used, reason = "JSON has strings, numbers, and maps whose keys are strings")]
pub(super) fn render(snapshot: &Snapshot, query: Option<&str>) -> (&'static str, String) {
    let source = &snapshot.source;
    let loaded = clock::rfc3339(source.loaded);
    let files: Vec<String> = source.files.iter().map(|path| path.display().to_string()).collect();
    if query.unwrap_or_default().split('&').any(|pair| pair == "format=toml") {
        // A line break in the name of a file would end the comment, so `Debug` escapes it.
        let files: String = files.iter().map(|file| format!("# from {file:?}\n")).collect();
        return (TOML, format!("# loaded {loaded}\n{files}\n{}", source.written.toml()));
    }
    let report = ConfigReport { loaded, files, configuration: source.written.json() };
    (JSON, serde_json::to_string(&report).expect("a configuration is JSON") + "\n")
}
