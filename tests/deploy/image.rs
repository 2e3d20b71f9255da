//! Tests of the Dockerfile and of its build context, without a container engine. `image.sh` builds the image.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    time::SystemTime,
};

use serde_json::Value;

use crate::{file, harness::Directory, harness::gateway::binary, succeed, text};

/// Returns the paths that `.dockerignore` keeps in the build context. Everything else is excluded.
fn kept() -> Vec<String> {
    let listed = text(".dockerignore");
    let mut lines = listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"), "a list of what is kept");
    lines.map(|line| line.strip_prefix('!').expect("a path that is kept").to_owned()).collect()
}

/// Copies a file or a folder, as `COPY` does.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().expect("a folder")).expect("a folder of the test");
    succeed(Command::new("cp").arg("--recursive").args([from, to]));
}

/// Returns the kind and the name of each target of the workspace in a folder, apart from tests and benchmarks.
fn targets(folder: &Path) -> BTreeSet<String> {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline", "--manifest-path"]);
    let output = metadata.arg(folder.join("Cargo.toml")).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parsed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = parsed["packages"].as_array().expect("packages").iter();
    let targets = packages.flat_map(|package| package["targets"].as_array().expect("targets"));
    let built = targets.filter(|target| !["test", "bench"].contains(&target["kind"][0].as_str().expect("a kind")));
    built.map(|target| format!("{} {}", target["kind"], target["name"])).collect()
}

#[test]
fn the_build_context_of_the_image_is_a_complete_workspace() {
    let directory = Directory::new();
    for path in kept() {
        copy(&file(&path), &directory.file(&path));
    }
    assert_eq!(targets(directory.path()), targets(&file("")));
}

/// Returns the files of the repository from which the libraries next to the program were last compiled, sources and
/// included files, as the compiler's dependency files list them.
fn compiled() -> BTreeSet<String> {
    let folder = binary().with_file_name("deps");
    let lists = fs::read_dir(&folder).expect("the folder of the build").filter_map(|entry| Some(entry.ok()?.path()));
    // Only the newest build of each library counts, which is the one that the program contains. Builds for tests and
    // for clippy produce no `.rlib`.
    let mut newest: BTreeMap<String, (SystemTime, String)> = BTreeMap::new();
    for path in lists {
        let library = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".d")?.rsplit_once('-'));
        let Some((name, _)) = library.filter(|(name, _)| name.starts_with("cursorgate")) else { continue };
        let list = fs::read_to_string(&path).expect("a dependency file");
        let Some((_, files)) = list.lines().next().and_then(|line| line.split_once(".d: ")) else { continue };
        let built = fs::metadata(&path).and_then(|data| data.modified()).expect("the time of a file");
        let is_newer = newest.get(name).is_none_or(|(earlier, _)| *earlier < built);
        if is_newer && list.lines().any(|line| line.contains(".rlib: ")) {
            newest.insert(name.to_owned(), (built, files.to_owned()));
        }
    }
    let root = fs::canonicalize(file("")).expect("the repository");
    // Paths such as `crates/config/src/../../../config/demo.toml` are shortened. Files in Cargo's own folder are not in
    // the repository, so they are left out.
    let files = newest.values().flat_map(|(_, files)| files.split(' '));
    let whole = files.filter_map(|path| fs::canonicalize(root.join(path)).ok());
    let inside = whole.filter_map(|path| Some(path.strip_prefix(&root).ok()?.display().to_string()));
    inside.filter(|path| !path.starts_with("target/")).collect()
}

#[test]
fn the_context_has_every_file_that_the_program_is_made_of() {
    // A program that was built elsewhere has no dependency file, so there is nothing to compare.
    if std::env::var_os("CURSORGATE_BIN").is_some() {
        return;
    }
    let (kept, compiled) = (kept(), compiled());
    assert!(compiled.len() > 200 && compiled.iter().any(|path| path.starts_with("config/")), "{compiled:?}");
    for path in &compiled {
        assert!(kept.iter().any(|kept| Path::new(path).starts_with(kept)), "{path} is left out by .dockerignore");
    }
}

#[test]
fn sources_of_copies_are_in_the_context() {
    let dockerfile = text("Dockerfile");
    let copies: Vec<_> = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY ")).collect();
    assert!(copies.len() >= 3, "{copies:?}");
    let kept = kept();
    for copy in copies.iter().filter(|copy| !copy.starts_with("--from=")) {
        let sources: Vec<_> = copy.split(' ').collect();
        for source in &sources[..sources.len() - 1] {
            assert!(*source == "." || kept.iter().any(|kept| Path::new(source).starts_with(kept)), "{source}");
        }
    }
    // The build script requires this path. The release must be built by the compiler of the checks, so both files name
    // the same version.
    assert!(dockerfile.contains("WORKDIR /var/tmp/cursorgate/source\n"));
    assert!(text("deploy/build.sh").contains("\nROOT=/var/tmp/cursorgate\n"));
    let toolchain = text("rust-toolchain.toml");
    let version =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).expect("a version").trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM docker.io/library/rust:{version}-bookworm@sha256:")), "{version}");
}

/// Runs `deploy/profile.sh` in a copy of the repository. Returns its options; `None` if it fails.
fn profile_options(repository: &Directory) -> Option<String> {
    let output = Command::new(repository.file("deploy/profile.sh")).arg(repository.path()).output().expect("it starts");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("text"))
}

/// The context has the inputs of the build script: without the profile, the image would have another binary than the
/// archive.
#[test]
fn a_build_uses_the_profile_that_is_checked_in() {
    let kept = kept();
    for path in ["deploy/profile.sh", "benches/profile"] {
        assert!(kept.iter().any(|kept| kept == path), "{path} is left out by .dockerignore");
    }
    assert!(text("deploy/build.sh").contains("$(deploy/profile.sh \"$ROOT\")"));

    let repository = Directory::new();
    for path in ["deploy/profile.sh", "benches/profile"] {
        copy(&file(path), &repository.file(path));
    }
    let record: Value = serde_json::from_str(&text("benches/profile/record.json")).expect("JSON");
    let unpacked = repository.file(&format!("{}.profdata", record["sha256"].as_str().expect("a checksum")));
    let options = profile_options(&repository).expect("the profile is whole");
    assert_eq!(options, format!("-Cprofile-use={}\u{1f}-Cllvm-args=-no-pgo-warn-mismatch", unpacked.display()));
    // The magic number of LLVM's indexed profiles.
    assert!(fs::read(&unpacked).expect("a file").starts_with(b"\xfflprofi\x81"));

    let packed = repository.file("benches/profile/cursorgate.profdata.xz");
    let mut bytes = fs::read(&packed).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&packed, bytes).expect("a file");
    assert_eq!(profile_options(&repository), None, "a damaged profile would give other bytes");

    fs::remove_file(&packed).expect("a file");
    assert_eq!(profile_options(&repository).as_deref(), Some(""), "a missing profile costs only speed");
}

/// A tag may name other bytes tomorrow, so each image of others is named by its digest too.
#[test]
fn images_of_others_have_digests() {
    let (dockerfile, compose) = (text("Dockerfile"), text("deploy/compose/compose.yaml"));
    let bases = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")?.split(' ').next());
    let services = compose.lines().filter_map(|line| line.trim().strip_prefix("image: "));
    let others: Vec<_> = bases.chain(services.filter(|image| *image != "cursorgate")).collect();
    assert_eq!(others.len(), 4, "{others:?}");
    for image in others {
        let digest = image.split_once("@sha256:").map(|(_, digest)| digest);
        let is_digest = |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(digest.is_some_and(is_digest), "{image}");
    }
}
