//! Tests of the configurations that readers copy: from the front page, the how-tos and `cursorgate init`. Each of them
//! is started in front of the framework that it is for. Requests of old clients are sent to the service and through the
//! gateway, and must get the same answers. Then the list is walked by `?cursor=start`.
//!
//! Django, FastAPI and Express are the real frameworks. The others aren't in registries that tests can reach, so
//! `recorded` answers in the forms that tests/dialects has recorded.

mod forms;
mod recorded;
mod replay;

use std::{fmt::Write as _, fs, net::SocketAddr, path::Path, process::Command};

use crate::{
    guides::{configurations, repository},
    harness::{Directory, gateway, upstream::Upstream},
    third_party::{Program, environment, python},
};
use forms::Form;
use replay::{Case, Names, replay};

/// The service behind a configuration.
enum Service {
    Real { program: Program, _directory: Option<Directory> },
    Recorded(Upstream),
}

impl Service {
    fn python(app: &str) -> Self {
        let directory = Directory::new();
        let mut command = Command::new(python());
        command.arg(sources().join(app)).arg(directory.path());
        Self::Real { program: Program::start(&mut command), _directory: Some(directory) }
    }

    fn express() -> Self {
        let mut command = Command::new("node");
        command.env("NODE_PATH", environment("express/node_modules")).arg(sources().join("express/server.js"));
        Self::Real { program: Program::start(&mut command), _directory: None }
    }

    fn recorded(form: &'static Form) -> Self {
        Self::Recorded(Upstream::start(move |exchange| recorded::answer(form, exchange)))
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Real { program, .. } => program.address,
            Self::Recorded(upstream) => upstream.address,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Real { .. } => "real",
            Self::Recorded(_) => "recorded",
        }
    }
}

fn sources() -> std::path::PathBuf {
    repository("tests/end_to_end/how_tos")
}

fn page(path: &str) -> String {
    fs::read_to_string(repository(path)).expect("the page")
}

/// Returns a block of a how-to with the lines with which all files of how-tos begin.
fn how_to(name: &str, block: usize) -> String {
    let index = page("docs/how-to/README.md");
    let page = page(&format!("docs/how-to/{name}.md"));
    format!("version = 1\n{}\n{}", configurations(&index)[0], configurations(&page)[block])
}

/// Replaces the addresses of the service, and adds the listener for operators, whose port the test chooses.
fn prepared(text: &str, address: SocketAddr) -> String {
    let mut whole = String::new();
    for line in text.lines() {
        if line.starts_with("peers = ") {
            let _ = writeln!(whole, "peers = [\"{address}\"]");
        } else if line != "tls = {}" {
            let _ = writeln!(whole, "{line}");
        }
    }
    if !whole.contains("[admin]") {
        whole.push_str("\n[admin]\naddress = \"127.0.0.1:9180\"\n");
    }
    whole
}

/// The results of the configurations of a page.
#[derive(Default)]
struct Results(Vec<String>);

impl Results {
    /// Replays old requests and walks the list.
    fn run(&mut self, what: &str, text: &str, service: &Service, names: &Names, expected: Option<&[u64]>) {
        let text = prepared(text, service.address());
        let gateway = gateway::Gateway::start_as_written(&text);
        let case = Case::new(&text, service.address(), gateway.public, names);
        let (kinds, differences) = replay(&case);
        let count = differences.len();
        println!("{what}: {} service, {kinds} kinds of old requests, {count} differences", service.kind());
        assert!(kinds >= 40, "{what}: only {kinds} kinds");
        self.0.extend(differences.into_iter().map(|difference| format!("{what}: {difference}")));
        if let Some(expected) = expected {
            match replay::walk(&case) {
                Ok(walked) if walked == expected => {}
                Ok(walked) => self.0.push(format!("{what}: the walk gives {walked:?}")),
                Err(said) => self.0.push(format!("{what}: the walk ends: {said}")),
            }
        }
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.0.is_empty(), "{}", self.0.join("\n"));
        }
    }
}

/// Returns the ids in the order of the lists: the latest first, four with each time.
fn latest_first() -> Vec<u64> {
    let mut ids: Vec<u64> = (1..=203).collect();
    ids.sort_by_key(|id| (std::cmp::Reverse(id / 4), *id));
    ids
}

#[test]
fn django_answers_old_clients_as_before() {
    let mut results = Results::default();
    let service = Service::python("django_app.py");
    results.run("django.md", &how_to("django", 0), &service, &replay::DJANGO, Some(&latest_first()));
    let readme = page("README.md");
    results.run("README.md", configurations(&readme)[0], &service, &replay::DJANGO, Some(&latest_first()));
    let own = page("docs/own-service.md");
    results.run("own-service.md", configurations(&own)[0], &service, &replay::DJANGO, Some(&latest_first()));
}

/// Each step of the page is added to the file of the step before.
#[test]
fn the_steps_of_a_migration_answer_old_clients_as_before() {
    let mut results = Results::default();
    let service = Service::python("django_app.py");
    let page = page("docs/migration.md");
    let blocks = configurations(&page);
    let forward = blocks[0].to_owned();
    results.run("migration.md, forward", &forward, &service, &replay::DJANGO, None);
    let observe = format!("{forward}\n{}", blocks[1]);
    results.run("migration.md, observe", &observe, &service, &replay::DJANGO, None);
    let replaced = |text: &str, block: &str| {
        let (table, lines) = block.trim().split_once('\n').expect("a table and its keys");
        let text = text.replace("action = \"observe\"\n", "");
        text.replacen(table, &format!("{table}\n{lines}"), 1)
    };
    let paginate = replaced(&observe, blocks[2]);
    results.run("migration.md, paginate", &paginate, &service, &replay::DJANGO, Some(&latest_first()));
    let second = format!("{paginate}\n{}", blocks[3]);
    results.run("migration.md, a second path", &second, &service, &replay::DJANGO, Some(&latest_first()));
    let announce = replaced(&second, blocks[4]);
    results.run("migration.md, announce", &announce, &service, &replay::DJANGO, Some(&latest_first()));
}

/// The files of two teams are one configuration.
#[test]
fn the_files_of_several_teams_answer_old_clients_as_before() {
    let mut results = Results::default();
    let service = Service::python("django_app.py");
    let page = page("docs/configuration.md");
    let blocks = configurations(&page);
    let platform = blocks[0].replace("include = [\"routes/*.toml\", \"teams\"]", "");
    let text = format!("{platform}\n{}", blocks[1]);
    // Secrets and addresses are the test's, and Django has no token.
    let text = text.replace("file:/run/secrets/cursor.key", "env:CURSORGATE_KEY");
    let text = text
        .replace("headers = { Authorization = \"Bearer {env:PEOPLE_TOKEN}\" }", "host_header = \"people.internal\"");
    results.run("configuration.md", &text, &service, &replay::DJANGO, Some(&latest_first()));
}

#[test]
fn fastapi_answers_old_clients_as_before() {
    let mut results = Results::default();
    let service = Service::python("fastapi_app.py");
    for block in 0..2 {
        let what = format!("fastapi.md, {block}");
        results.run(&what, &how_to("fastapi", block), &service, &replay::FASTAPI, Some(&latest_first()));
    }
}

#[test]
fn express_answers_old_clients_as_before() {
    let mut results = Results::default();
    let service = Service::express();
    results.run("express.md", &how_to("express", 0), &service, &replay::EXPRESS, Some(&latest_first()));
}

/// The file that `cursorgate init` writes.
#[test]
fn the_initial_file_answers_old_clients_as_before() {
    let mut results = Results::default();
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    let written = gateway::command().arg("init").arg(&file).output().expect("it runs");
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let text = fs::read_to_string(&file).expect("it was written");
    let service = Service::recorded(&forms::BY_ID);
    results.run("init", &text, &service, &forms::BY_ID.names, Some(&(1..=203).collect::<Vec<_>>()));
}

/// The files that `cursorgate learn` writes, as in the tutorial.
#[test]
fn learned_files_answer_old_clients_as_before() {
    let mut results = Results::default();
    let services = [
        ("Django", Service::python("django_app.py"), &replay::DJANGO, "Host: people.internal"),
        ("FastAPI", Service::python("fastapi_app.py"), &replay::FASTAPI, "Accept: */*"),
        ("Express", Service::express(), &replay::EXPRESS, "Accept: */*"),
    ];
    for (name, service, names, header) in &services {
        let directory = Directory::new();
        let file = directory.file("cursorgate.toml");
        let url = format!("http://{}{}", service.address(), names.list);
        let mut command = gateway::command();
        let output = command.args(["learn", &url, "--delay", "0", "--header", header, "--out"]).arg(&file).output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {}{said}", String::from_utf8_lossy(&output.stdout));
        let text = fs::read_to_string(&file).expect("it was written");
        results.run(&format!("learn, {name}"), &text, service, names, Some(&latest_first()));
    }
}

fn each_block(name: &str, forms: &[&'static Form]) {
    let mut results = Results::default();
    let page = page(&format!("docs/how-to/{name}.md"));
    assert_eq!(configurations(&page).len(), forms.len(), "each configuration of {name}.md is run");
    for (block, form) in forms.iter().enumerate() {
        let service = Service::recorded(form);
        let mut expected = latest_first();
        if form.by_id {
            expected.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        }
        results.run(&format!("{name}.md, {block}"), &how_to(name, block), &service, &form.names, Some(&expected));
    }
}

#[test]
fn laravel_answers_old_clients_as_before() {
    each_block("laravel", &[&forms::LARAVEL, &forms::LARAVEL_RESOURCES]);
}

#[test]
fn rails_answers_old_clients_as_before() {
    each_block("rails", &[&forms::API_PAGINATION, &forms::WILL_PAGINATE]);
}

#[test]
fn spring_answers_old_clients_as_before() {
    each_block("spring", &[&forms::SPRING, &forms::SPRING_DTO, &forms::SPRING_SLICE]);
}

#[test]
fn aspnet_answers_old_clients_as_before() {
    each_block("aspnet", &[&forms::ASPNET, &forms::GRIDIFY, &forms::ODATA]);
}

#[test]
fn wordpress_answers_old_clients_as_before() {
    each_block("wordpress", &[&forms::WORDPRESS, &forms::WORDPRESS_BY_ID]);
}

#[test]
fn elasticsearch_answers_old_clients_as_before() {
    each_block("elasticsearch", &[&forms::ELASTICSEARCH, &forms::ELASTICSEARCH]);
}

#[test]
fn postgrest_answers_old_clients_as_before() {
    each_block("postgrest", &[&forms::POSTGREST, &forms::SUPABASE]);
}

/// Every how-to has a test above.
#[test]
fn every_how_to_is_run() {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file!())).expect("this file");
    for entry in fs::read_dir(repository("docs/how-to")).expect("the folder") {
        let path = entry.expect("a page").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        if name != "README" {
            let run = [format!("how_to(\"{name}\""), format!("each_block(\"{name}\"")];
            assert!(run.iter().any(|run| source.contains(run)), "{name}.md is not run");
        }
    }
}
