//! Tests of the build script, which puts the commit into a release build. They compile and run it as Cargo does.

use std::{fs, path::Path, process::Command};

use crate::{file, harness::Directory, succeed};

/// Returns the output of the build script for a package in `folder`.
fn said(script: &Path, folder: &Path, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(script);
    command.current_dir(folder).env_remove("CURSORGATE_COMMIT");
    command.env("CARGO_MANIFEST_DIR", folder).env("PROFILE", "release").envs(environment.iter().copied());
    succeed(&mut command)
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let author = ["-c", "user.name=tests", "-c", "user.email=tests@example.com"];
    succeed(Command::new("git").current_dir(folder).args(author).args(arguments)).trim().to_owned()
}

#[test]
fn a_release_build_in_a_repository_knows_its_commit() {
    let directory = Directory::new();
    let script = directory.file("build-script");
    succeed(Command::new("rustc").args(["--edition", "2024", "-o"]).arg(&script).arg(file("build.rs")));
    let (package, inner) = (directory.file("package"), directory.file("package/vendored"));
    fs::create_dir_all(&inner).expect("folders of the test");
    let commits = |text: &str| text.contains("CURSORGATE_COMMIT=");
    assert!(!commits(&said(&script, &package, &[])), "no repository");

    git(&package, &["init", "--quiet"]);
    assert!(!commits(&said(&script, &package, &[])), "no commit");
    git(&package, &["commit", "--quiet", "--allow-empty", "--message", "first"]);
    let first = git(&package, &["rev-parse", "--short=12", "HEAD"]);
    let text = said(&script, &package, &[]);
    assert!(text.contains(&format!("cargo::rustc-env=CURSORGATE_COMMIT={first}\n")), "{text}");
    // Cargo runs the script again when one of these files changes. If a file is missing, Cargo runs the script in
    // every build, so all files must exist.
    let watched = text.lines().filter_map(|line| line.strip_prefix("cargo::rerun-if-changed="));
    let watched: Vec<_> = watched.filter(|path| *path != "build.rs").map(|path| package.join(path)).collect();
    let contents = || watched.iter().map(|path| fs::read(path).expect("a file that is watched")).collect::<Vec<_>>();
    let before = contents();
    git(&package, &["commit", "--quiet", "--allow-empty", "--message", "second"]);
    assert_ne!(before, contents(), "a commit changes what is watched");
    assert!(!said(&script, &package, &[]).contains(&first));

    let tree = directory.file("tree");
    git(&package, &["worktree", "add", "--quiet", "--detach", tree.to_str().expect("a path")]);
    assert!(commits(&said(&script, &tree, &[])), "a worktree");

    assert!(!commits(&said(&script, &inner, &[])), "a package within another repository");
    assert!(!commits(&said(&script, &package, &[("PROFILE", "debug")])), "a debug build");
    assert!(
        !said(&script, &package, &[("CURSORGATE_COMMIT", "abc")]).contains("rustc-env"),
        "the commit is given by the environment"
    );
    assert!(!commits(&said(&script, &package, &[("PATH", "")])), "no git");
}
