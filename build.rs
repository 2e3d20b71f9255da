//! Tells release builds the commit that they are built from, for `--version` and `cursorgate_build_info`.

use std::{env, path::Path, process::Command};

/// The option of git for the length of a commit. `deploy/dist.sh` uses the same length.
const DIGITS: &str = "--short=12";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CURSORGATE_COMMIT");
    // `make dist` and the image set the commit, because their sources aren't a repository. Debug builds leave it out,
    // because each commit would compile the package again.
    if env::var_os("CURSORGATE_COMMIT").is_some() || env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    let Some(commit) = own_commit() else { return };
    // A missing file would count as changed in every build.
    let watched = ["HEAD", "logs/HEAD"].map(|name| git(&["rev-parse", "--git-path", name]));
    let [Some(head), Some(log)] = watched else { return };
    if !Path::new(&head).exists() || !Path::new(&log).exists() {
        return;
    }
    println!("cargo::rerun-if-changed={head}\ncargo::rerun-if-changed={log}");
    println!("cargo::rustc-env=CURSORGATE_COMMIT={commit}");
}

/// Returns the commit of this package's repository; `None` if the package is within another repository.
fn own_commit() -> Option<String> {
    let folder = Path::new(&env::var_os("CARGO_MANIFEST_DIR")?).canonicalize().ok()?;
    let top = Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
    if folder == top { git(&["rev-parse", DIGITS, "HEAD"]) } else { None }
}

/// Returns the first line that git prints; `None` if git isn't installed, fails or prints nothing.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.trim_end();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
