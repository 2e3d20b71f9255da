//! Tests in a headless browser, by the programs in `browser/` (playwright-core, with the system's Chromium). Node.js
//! reads each program from standard input, with `open.mjs` in front of it.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::third_party::environment;

/// Runs a program of `browser/`. Its arguments are `arguments` and the path of `folder` in the target directory.
/// Returns the JSON that the program prints.
pub(crate) fn look(program: &str, arguments: &[&str], folder: &str) -> Value {
    let folder = self::folder(folder);
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/browser");
    let read = |name: &str| std::fs::read_to_string(sources.join(name)).expect("a program");
    let text = read("open.mjs") + &read(program);
    // Node.js resolves the imports of a program on standard input from the working directory, so the program runs in
    // the folder with the packages.
    let mut command = Command::new("timeout");
    command.args(["300", "node", "--input-type=module", "-"]).args(arguments).arg(&folder);
    command.env("NODE_NO_WARNINGS", "1").current_dir(environment("browser"));
    let mut node =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("node runs");
    node.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("node reads the program");
    let output = node.wait_with_output().expect("node ends");
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program}: {}\n{said}{complaints}", output.status);
    serde_json::from_str(&said).unwrap_or_else(|fault| panic!("{program}: {fault}\n{said}"))
}

/// Returns the path of a folder for screenshots in the target directory.
pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name(name)
}

/// Asserts that a page logged no errors, sent requests only to `origin`, and passed the accessibility audit of each
/// view in `looks`.
pub(crate) fn is_sound(saw: &Value, origin: &str, looks: &[&str]) {
    assert_eq!(saw["complaints"], json!([]), "errors in the console");
    assert_eq!(saw["origins"], json!([origin]), "requests to other places");
    let audits = saw["violations"].as_object().expect("audits");
    for name in looks {
        assert_eq!(audits.get(*name), Some(&json!([])), "{name}: accessibility");
        assert_eq!(saw["overflow"][name], 0, "{name}: wider than the screen");
    }
    assert_eq!(audits.len(), looks.len(), "{audits:?}");
}
