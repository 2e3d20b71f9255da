//! Tests of the reports on configurations. Each `config/NAME.toml` is loaded, its dialects are compiled, and the report
//! is compared with `config/NAME.txt`. `UPDATE_SNAPSHOTS=1` rewrites these files.

#![expect(clippy::expect_used, reason = "a test without its cases fails")]

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use cursorgate_config::{self as config, Addresses, Environment};
use cursorgate_translate::upstream::{Costs, Dialect};

/// The environment variables of the cases: two valid keys, a copy of the first one with a line end, and values with
/// faults.
const VARIABLES: &[(&str, &str)] = &[
    ("KEY", "nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE"),
    ("NEWER_KEY", "Yw8rTq1ZbLx6Vn3Ks0PdMf5Hc9Gj2Ea7RuIoXt4BvNk"),
    ("KEY_AGAIN", "nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE\n"),
    ("SHORT_KEY", "CANARY-14bytes"),
    ("SHORT_TOKEN", "CANARY-15-bytes"),
    ("SAMPLE_KEY", "CANARYCANARYCANARYCANARYCANARYCANARY"),
    ("ODD", "an odd value"),
    ("TWO_LINES", "CANARY\nCANARY"),
];

/// The environment of the cases: these variables, and the files in the folder of the cases.
struct Cases;

impl Environment for Cases {
    fn variable(&self, name: &str) -> Option<String> {
        VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(folder().join(path))
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<String>> {
        let entries = std::fs::read_dir(folder().join(path))?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

fn names(extension: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder of cases");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Returns the report on a configuration. Asserts that the report shows no secret.
fn report(name: &str, text: &str) -> String {
    let (settings, mut diagnostics) = config::load_text(name, text, &Cases);
    let settings = settings.expect("settings, as far as they can be read");
    if diagnostics.has_errors() {
        Dialect::check_all(&settings, &mut diagnostics);
    } else {
        let mut costs = Costs::default();
        for list in settings.routes.iter().filter_map(|route| route.list.as_ref()) {
            if let Some(dialect) = Dialect::compile(list, &mut diagnostics) {
                costs.check(&dialect, list, &mut diagnostics);
            }
        }
        settings.own_dialects.iter().for_each(|dialect| Dialect::check(dialect, &mut diagnostics));
    }
    let (errors, warnings) = diagnostics.counts();
    let report = format!("{}{errors} errors, {warnings} warnings\n", diagnostics.render(false));
    for secret in ["CANARY", "hunter2"] {
        assert!(!report.contains(secret), "{name} shows a secret:\n{report}");
        assert!(!diagnostics.render(true).contains(secret), "{name} shows a secret in color");
    }
    report
}

#[test]
fn the_report_on_each_case_matches_its_snapshot() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let cases = names("toml");
    let mut differing = Vec::new();
    let mut faulty = 0;
    for case in &cases {
        let text = std::fs::read_to_string(folder().join(format!("{case}.toml"))).expect("a case");
        let report = report(&format!("{case}.toml"), &text);
        faulty += usize::from(report.contains("-->"));
        let expected = folder().join(format!("{case}.txt"));
        if update {
            std::fs::write(&expected, &report).expect("the folder of cases");
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != report {
            differing.push(format!("{case}:\n{report}"));
        }
    }
    assert!(differing.is_empty(), "UPDATE_SNAPSHOTS=1 accepts these:\n\n{}", differing.join("\n"));
    assert!(faulty >= 20, "the cases of faults are read");
    let leftover: Vec<String> = names("txt").into_iter().filter(|name| !cases.contains(name)).collect();
    assert!(leftover.is_empty(), "reports without a case: {leftover:?}");
}

/// The environment of a process: in a container or not, with or without addresses from the command line.
struct Process {
    addresses: Addresses,
    is_container: bool,
}

impl Environment for Process {
    fn variable(&self, name: &str) -> Option<String> {
        Cases.variable(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Cases.read(path)
    }

    fn addresses(&self) -> Addresses {
        self.addresses
    }

    fn is_container(&self) -> bool {
        self.is_container
    }
}

#[test]
fn listeners_of_a_container_can_be_reached() {
    let written = "[listeners.public]\naddress = \"127.0.0.1:8080\"\n[admin]\naddress = \"127.0.0.1:9180\"\n";
    let chosen = Addresses {
        listen: Some(SocketAddr::from(([10, 0, 0, 1], 80))),
        admin: Some(SocketAddr::from(([10, 0, 0, 1], 81))),
    };
    for (listeners, addresses, listen, admin, warnings) in [
        ("", Addresses::default(), "0.0.0.0:8080", None, 0),
        (written, Addresses::default(), "127.0.0.1:8080", Some("127.0.0.1:9180"), 1),
        ("", chosen, "10.0.0.1:80", Some("10.0.0.1:81"), 0),
        // The single expected warning is about the admin listener, which has no token.
        (written, chosen, "10.0.0.1:80", Some("10.0.0.1:81"), 1),
    ] {
        let text = format!(
            "version = 1\n{listeners}[upstreams.people]\npeers = [\"people.internal:8000\"]\n\
             [routes.all]\npath = \"/{{*rest}}\"\nupstream = \"people\"\naction = \"forward\"\n"
        );
        let (settings, diagnostics) =
            config::load_text("container.toml", &text, &Process { addresses, is_container: true });
        let settings = settings.expect("settings");
        assert_eq!(diagnostics.counts(), (0, warnings), "{}", diagnostics.render(false));
        assert_eq!(settings.listeners[0].address.to_string(), listen);
        assert_eq!(settings.admin.map(|admin| admin.address.to_string()).as_deref(), admin);
    }
    // `--listen` is only suggested for a single listener.
    for (more, is_named) in [("", true), ("[listeners.more]\naddress = \"127.0.0.1:8081\"\n", false)] {
        let text = format!("version = 1\n[listeners.public]\naddress = \"127.0.0.1:8080\"\n{more}");
        let process = Process { addresses: Addresses::default(), is_container: true };
        let (_, diagnostics) = config::load_text("container.toml", &text, &process);
        let said = diagnostics.render(false);
        assert!(said.contains("can't be reached from outside of this container"), "{said}");
        assert_eq!(said.contains("--listen"), is_named, "{said}");
    }
}

#[test]
fn links_to_another_port_of_this_machine_are_warned_of() {
    let warned = |public_url: &str, listen: &str, is_container: bool| {
        let addresses = Addresses { listen: Some(listen.parse().expect("an address")), admin: None };
        let text = format!("version = 1\n[server]\npublic_url = \"{public_url}\"\n");
        let (_, diagnostics) = config::load_text("port.toml", &text, &Process { addresses, is_container });
        diagnostics.render(false).contains("and --listen has port 8082")
    };
    assert!(warned("http://127.0.0.1:8080", "127.0.0.1:8082", false));
    assert!(warned("http://localhost:8080/v2", "0.0.0.0:8082", false));
    assert!(!warned("http://127.0.0.1:8080", "0.0.0.0:8080", false), "the same port");
    assert!(!warned("https://api.example.com:8080", "127.0.0.1:8082", false), "another machine, a proxy perhaps");
    assert!(!warned("http://localhost", "127.0.0.1:8082", false), "a proxy at port 80 perhaps");
    assert!(!warned("http://127.0.0.1:8080", "0.0.0.0:8082", true), "the container is published at a port of its own");
}
