//! Tests of the systemd units, and of the configuration that the Debian package installs with them.

use std::{fs, process::Command};

use crate::{
    check, file,
    harness::{
        Directory,
        gateway::{KEY, binary},
    },
    seconds, succeed, table, text, time_to_stop,
};

const SERVICE: &str = "deploy/systemd/cursorgate.service";
const SOCKET: &str = "deploy/systemd/cursorgate.socket";
const CONFIGURATION: &str = "deploy/debian/cursorgate.toml";
/// The folder of the service's credentials.
const CREDENTIALS: &str = "/run/credentials/cursorgate.service";
/// The highest exposure level, of 10, that `systemd-analyze security` may report. The service needs sockets, a network,
/// and the root directory of the host.
const EXPOSURE: f64 = 1.3;

/// Returns the values of a setting of a unit.
fn settings<'u>(unit: &'u str, name: &str) -> Vec<&'u str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

#[test]
fn systemd_accepts_the_units() {
    let directory = Directory::new();
    let binary = binary();
    let service = text(SERVICE).replace("/usr/bin/cursorgate", binary.to_str().expect("a path of text"));
    fs::write(directory.file("cursorgate.service"), service).expect("a file of the test");
    fs::copy(file(SOCKET), directory.file("cursorgate.socket")).expect("a file of the test");
    let units = ["cursorgate.service", "cursorgate.socket"].map(|name| directory.file(name));
    let said =
        succeed(Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).args(units));
    assert!(!said.contains("cursorgate"), "{said}");
}

#[test]
fn the_service_is_hardened() {
    let said =
        succeed(Command::new("systemd-analyze").args(["security", "--offline=true", "--no-pager"]).arg(file(SERVICE)));
    let rating = said
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for cursorgate.service: "))
        .expect("a rating")
        .1;
    println!("exposure: {rating}");
    let level: f64 = rating.split(' ').next().and_then(|level| level.parse().ok()).expect("a number");
    assert!(level <= EXPOSURE, "{said}");
}

#[test]
fn the_packaged_configuration_fits_the_units() {
    let configuration = text(CONFIGURATION);
    let (service, socket) = (text(SERVICE), text(SOCKET));
    let (is_valid, report) = check(&configuration, CREDENTIALS, &["cursor.key"], KEY);
    assert!(is_valid, "{report}");

    let parsed = table(&configuration);
    let listeners = parsed["listeners"].as_object().expect("listeners");
    let addresses: Vec<_> =
        listeners.values().map(|listener| listener["address"].as_str().expect("an address")).collect();
    assert_eq!(settings(&socket, "ListenStream"), addresses);

    let credential = settings(&service, "LoadCredential")[0].split(':').next().expect("a name");
    assert_eq!(parsed["cursor"]["keys"]["1"].as_str(), Some(format!("file:{CREDENTIALS}/{credential}").as_str()));
    assert!(time_to_stop(&configuration) < seconds(settings(&service, "TimeoutStopSec")[0]));
    assert!(settings(&service, "ExecStart")[0].ends_with("--config /etc/cursorgate/cursorgate.toml"));
}

#[test]
fn the_package_makes_the_key_that_the_service_loads() {
    let service = text(SERVICE);
    let source = settings(&service, "LoadCredential")[0].split(':').nth(1).expect("a path");
    let script = text("deploy/debian/postinst");
    assert!(script.contains(&format!("key={source}\n")), "{source}");
    assert!(text("deploy/debian/postrm").contains(&format!("rm -f {source}\n")), "{source}");
}
