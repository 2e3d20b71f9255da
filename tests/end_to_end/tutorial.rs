//! Tests of the commands in docs/tutorial.md, which lead from a URL to a verified walk while rows are added and
//! removed.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::json;

use crate::harness::{Directory, eventually, gateway::binary, http, upstream::Upstream};

/// The address of the service in the tutorial. The address of the gateway follows.
const SERVICE: &str = "127.0.0.1:8000";
const GATEWAY: &str = "127.0.0.1:8080";

/// A process that is killed at the end of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended already, so an error is ignored.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the commands of the tutorial in order.
fn commands() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tutorial.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let blocks = page.split("```").skip(1).step_by(2);
    let begins = |block: &&str| ["cursorgate ", "export ", "(umask "].iter().any(|start| block.starts_with(start));
    blocks.map(str::trim).filter(begins).map(str::to_owned).collect()
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a free port")
}

/// Starts an upstream with a list by page and a total. While `changes` is true, its rows are added and removed.
fn service(changes: &Arc<AtomicBool>) -> Upstream {
    let changes = Arc::clone(changes);
    let rows: Mutex<(u64, Vec<u64>)> = Mutex::new((0, (101..=400).map(|id| id * 10).collect()));
    Upstream::start(move |exchange| {
        if exchange.request.path().trim_end_matches('/') != "/api/users" {
            return exchange.reply("404 Not Found", &[], b"{}");
        }
        let mut state = rows.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, rows) = &mut *state;
        if changes.load(Ordering::SeqCst) {
            *turn += 1;
            match *turn % 4 {
                0 => drop(rows.drain(5..7)),
                2 => {
                    let oldest = rows[0];
                    rows.splice(0..0, [oldest - 2, oldest - 1]);
                }
                _ => {}
            }
        }
        let number = |name, usual| exchange.request.parameter(name).map_or(usual, |text| text.parse().unwrap_or(usual));
        let (page, size): (usize, usize) = (number("page", 1).max(1), number("per_page", 20).clamp(1, 60));
        let data: Vec<_> = rows.iter().skip((page - 1) * size).take(size).map(|id| json!({ "id": id })).collect();
        let body = json!({ "data": data, "meta": { "total": rows.len() } }).to_string();
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    })
}

#[test]
fn four_commands_lead_to_a_verified_walk() {
    let changes = Arc::new(AtomicBool::new(false));
    let service = service(&changes);
    let (gateway, admin) = (free_address(), free_address());
    let directory = Directory::new();
    let shell = |line: &str| {
        // Only the addresses are replaced by the test's own addresses.
        let line = line.replace(SERVICE, &service.address.to_string()).replace(GATEWAY, &gateway.to_string());
        let mut command = Command::new("sh");
        let folder = binary().parent().expect("a folder").to_owned();
        let path = std::env::join_paths(
            std::iter::once(folder)
                .chain(std::env::split_paths(&std::env::var_os("PATH").expect("a path of commands"))),
        );
        command.args(["-c", &line]).current_dir(directory.path()).env("PATH", path.expect("a path"));
        command.env("CURSORGATE_LISTEN", gateway.to_string());
        command.env("CURSORGATE_ADMIN", admin.to_string()).env_remove("CURSORGATE_CONFIG");
        command
    };
    let commands = commands();
    let [keygen, key, learn, check, run, walk] = &commands[..] else { panic!("{commands:?}") };
    let made = shell(keygen).status().expect("a shell");
    assert!(made.success(), "{keygen}");
    // Each of the commands has its own terminal.
    let shell = |line: &str| shell(&format!("{key}\nexec {line}"));
    for line in [learn, check] {
        let output = shell(line).output().expect("a shell");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{line}: {said}");
        let next = "cursorgate walk 'http://127.0.0.1:8080/api/users?cursor=start&limit=20' --verify";
        assert!(line == check || said.contains(next), "the next command is named: {said}");
    }
    let running = shell(run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell");
    let _running = Running(running);
    eventually("the gateway serves", || {
        let mut connection = http::Connection::open(gateway).ok()?;
        let answer =
            connection.request("GET", "/api/users?cursor=start&limit=1", &[("Connection", "close")], b"").ok()?;
        (answer.status == 200).then_some(())
    });
    changes.store(true, Ordering::SeqCst);
    let output = shell(walk).output().expect("a shell");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("none lost, none repeated") && said.contains("No item was lost or repeated."), "{said}");
    let by_page = said.lines().find(|line| line.starts_with("by page")).expect("a line");
    assert!(by_page.contains(" lost"), "page= loses: {said}");
    assert!(directory.file("walk.html").exists());
    assert!(service.requests().iter().all(|request| ["GET", "HEAD", "OPTIONS"].contains(&request.method.as_str())));
}
