//! Who sees what of whom: two users at one address, who identify themselves by each kind of credential, ask everything
//! that tells clients apart. The other user never sees anything, and a user with a renewed token or another cookie
//! finds everything again where `identity` says who that is.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use openssl::{
    hash::MessageDigest,
    pkey::{PKey, Private},
    rsa::Rsa,
    sign::Signer,
};
use serde_json::{Value, json};

use crate::{
    harness::{
        Directory, PATIENCE, eventually,
        gateway::{Gateway, free_port},
        http,
        rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration},
        upstream::{Exchange, Gate, Request, Upstream},
    },
    tls::{
        authority::{ALWAYS, Authority, Identity},
        client::Caller,
    },
};

/// A way in which clients identify themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Header,
    Bearer,
    Cookie,
    Query,
    Certificate,
    /// The certificate of a trusted proxy, which names none of its clients.
    ProxyCertificate,
    Forwarded,
    SharedKey,
    Nothing,
}

/// A row of the matrix.
struct Case {
    kind: Kind,
    /// The words of `identity`; none if `principal` identifies clients.
    identity: &'static [&'static str],
    /// The row's name in the table.
    name: &'static str,
    /// Whether the user who returns is found again.
    returns: bool,
}

const CASES: [Case; 16] = [
    Case { kind: Kind::Header, identity: &[], name: "a header", returns: true },
    Case { kind: Kind::Header, identity: &["header:X-Api-Key"], name: "a header", returns: true },
    Case { kind: Kind::Bearer, identity: &[], name: "a token, renewed", returns: false },
    Case { kind: Kind::Bearer, identity: &["jwt:sub"], name: "a token, renewed", returns: true },
    Case { kind: Kind::Bearer, identity: &["answer:/user/id"], name: "a token, renewed", returns: true },
    Case { kind: Kind::Cookie, identity: &[], name: "a cookie beside others", returns: false },
    Case { kind: Kind::Cookie, identity: &["cookie:session"], name: "a cookie beside others", returns: true },
    Case { kind: Kind::Cookie, identity: &["answer:X-User"], name: "a cookie beside others", returns: true },
    Case { kind: Kind::Query, identity: &["parameter:api_key"], name: "a key in the query", returns: true },
    Case { kind: Kind::Certificate, identity: &[], name: "a certificate beside cookies", returns: false },
    Case { kind: Kind::Certificate, identity: &["certificate"], name: "a certificate beside cookies", returns: true },
    Case {
        kind: Kind::ProxyCertificate,
        identity: &["certificate"],
        name: "the certificate of a proxy beside cookies",
        returns: false,
    },
    Case { kind: Kind::Forwarded, identity: &["header:X-Forwarded-User"], name: "a forwarded user", returns: true },
    Case { kind: Kind::SharedKey, identity: &[], name: "an application's key beside a token", returns: false },
    Case {
        kind: Kind::SharedKey,
        identity: &["jwt:sub", "header:X-Api-Key"],
        name: "an application's key beside a token",
        returns: true,
    },
    Case { kind: Kind::Nothing, identity: &[], name: "nothing", returns: true },
];

/// What a user finds of what was stored before: of its own, or of the other user.
const ASKED: [&str; 8] =
    ["page cache", "exports", "bulk results", "webhooks", "remembered items", "limits", "migration board", "live page"];

/// A cell of the table.
#[derive(Clone, Copy, Debug)]
enum Cell {
    /// Whether the user who returns, and whether the other user, is the client for whom it was stored.
    Found([bool; 2]),
    Refused,
    /// Clients are counted together.
    Together,
}

/// The users: alice, alice again with what changes from request to request, and bob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Alice,
    AliceAgain,
    Bob,
}

impl User {
    fn name(self) -> &'static str {
        if self == Self::Bob { "bob" } else { "alice" }
    }

    fn again(self) -> bool {
        self == Self::AliceAgain
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns a token of a user that is valid until this time, in seconds since 1970.
fn token(key: &PKey<Private>, user: &str, until: u64) -> String {
    signed(key, "1", user, until)
}

/// Returns a token that names its key by an id.
fn signed(key: &PKey<Private>, id: &str, user: &str, until: u64) -> String {
    let claims = json!({ "iss": "https://login.test", "sub": user, "exp": until });
    let header = json!({ "alg": "RS256", "kid": id });
    let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
    let mut signer = Signer::new(MessageDigest::sha256(), key).expect("a signer");
    format!("{message}.{}", encoded(signer.sign_oneshot_to_vec(message.as_bytes()).expect("a signature")))
}

fn keys(key: &PKey<Private>) -> String {
    set_of(&[(key, "1")])
}

/// Returns a JSON Web Key Set with these keys and their ids.
fn set_of(keys: &[(&PKey<Private>, &str)]) -> String {
    let jwk = |(key, id): &(&PKey<Private>, &str)| {
        let rsa = key.rsa().expect("an RSA key");
        let (n, e) = (encoded(rsa.n().to_vec()), encoded(rsa.e().to_vec()));
        json!({ "kty": "RSA", "kid": id, "use": "sig", "n": n, "e": e })
    };
    let of_later = json!({ "kty": "LATER", "kid": "0" });
    json!({ "keys": keys.iter().map(jwk).chain([of_later]).collect::<Vec<_>>() }).to_string()
}

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key")
}

/// Returns the time, in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "tokens end by the gateway's own clock")]
fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Returns the user of a request as the upstream knows it, which here doesn't verify tokens.
fn user_at_upstream(kind: Kind, request: &Request) -> Option<String> {
    let of_token = || {
        let payload = request.header("authorization")?.strip_prefix("Bearer ")?.split('.').nth(1)?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        Some(claims["sub"].as_str()?.to_owned())
    };
    let header = |name| request.header(name).map(str::to_owned);
    match kind {
        Kind::Header => header("x-api-key"),
        Kind::Bearer => of_token(),
        Kind::Cookie => {
            let cookies = header("cookie")?;
            cookies.split("; ").find_map(|cookie| cookie.strip_prefix("session=").map(str::to_owned))
        }
        Kind::Query => request.parameter("api_key").map(str::to_owned),
        Kind::Certificate | Kind::ProxyCertificate => {
            header("x-client-subject")?.strip_prefix("CN=").map(str::to_owned)
        }
        Kind::Forwarded => header("x-forwarded-user"),
        Kind::SharedKey => header("x-api-key").filter(|key| key == "app").and_then(|_| of_token()),
        Kind::Nothing => Some("everybody".to_owned()),
    }
}

/// An answer: its status, its head and its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{fault}: {} {}", self.head, self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns whether the answer contains something of a user.
    fn shows(&self, name: &str) -> bool {
        self.body.contains(&format!("of {name}"))
    }
}

trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

/// A gateway in front of an upstream whose clients identify themselves in one way.
struct World {
    kind: Kind,
    gateway: Gateway,
    secure: Option<SocketAddr>,
    ca: PathBuf,
    upstream: Upstream,
    key: PKey<Private>,
    /// The time of the start, in seconds since 1970.
    began: u64,
    certificates: [Identity; 2],
    _folder: Directory,
}

impl World {
    fn new(case: &Case) -> Self {
        let kind = case.kind;
        let rows = Rows::default();
        for name in ["alice", "bob", "everybody"] {
            rows.change_of(name, |own| {
                own.extend((1..=40).map(|id| Row { id, score: id * 10, note: format!("of {name}") }));
            });
        }
        let upstream = Upstream::start(move |exchange: &mut Exchange| {
            let Some(user) = user_at_upstream(kind, &exchange.request) else {
                return exchange.reply("401 Unauthorized", &[("Content-Type", "application/json")], b"{}");
            };
            if exchange.request.path() == "/me" {
                let body = json!({ "user": { "id": user } }).to_string();
                return exchange.reply("200 OK", &[("X-User", &user)], body.as_bytes());
            }
            exchange.request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            exchange.request.headers.push(("Authorization".to_owned(), user));
            rows.answer(exchange)
        });
        let folder = Directory::new();
        let key = rsa();
        std::fs::write(folder.file("jwks.json"), keys(&key)).expect("a file");
        let authority = Authority::new("root");
        let ca = authority.file(&folder, "ca.pem");
        let (certificate, of_server) = authority.issue(&["api.test"], ALWAYS).files(&folder, "api");
        let by_certificate = matches!(kind, Kind::Certificate | Kind::ProxyCertificate);
        let secure = by_certificate.then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let mut server = format!(
            "[server]\nidentity_answer = {{ upstream = \"legacy\", path = \"/me\" }}\ntokens = {{ keys = {:?} }}\n",
            folder.file("jwks.json")
        );
        match kind {
            Kind::Certificate => server += "client_subject = \"X-Client-Subject\"\n",
            Kind::ProxyCertificate => {
                server += "client_subject = \"X-Client-Subject\"\ntrusted_proxies = [\"127.0.0.1\"]\n";
            }
            Kind::Forwarded => {
                server += "trusted_proxies = [\"127.0.0.1\"]\nforwarded_headers = [\"X-Forwarded-User\"]\n";
            }
            _ => {}
        }
        let listener = secure.map_or_else(String::new, |address| {
            format!(
                "[listeners.secure]\naddress = \"{address}\"\n[listeners.secure.tls]\ncertificate = {certificate:?}\n\
                 key = \"file:{}\"\nclients = {{ ca = {ca:?} }}\n",
                of_server.display()
            )
        });
        let private = if kind == Kind::Query { "parameters = { private = [\"api_key\"] }\n" } else { "" };
        let route = format!(
            "{BY_SCORE}\nmode = \"seek\"\npage_cache = {{ ttl = \"60s\", private = true }}\nold_clients = \"none\"\n{private}"
        );
        let services = format!(
            "[defaults]\nidentity = {:?}\n[routes.limited]\npath = \"/limited\"\nupstream = \"legacy\"\naction = \"forward\"\n\
             rate_limit = {{ requests = 2, per = \"1h\" }}\n[services.bulk]\n[services.live]\nroutes = [\"users\"]\n\
             [services.exports]\ndirectory = {:?}\n[services.webhooks]\ndirectory = {:?}\nhttp = true\n\
             networks = [\"127.0.0.1\"]\nports = [9]\n[services.webhooks.clients]\nauthorize = \"/users?limit=1\"\n",
            case.identity,
            folder.file("exports"),
            folder.file("webhooks"),
        );
        let old = format!(
            "[routes.old]\npath = \"/old\"\nupstream_path = \"/users\"\nupstream = \"legacy\"\ndialect = \"rows\"\n\
             order = [\"-score\", \"id\"]\nfields = {{ id = {{ type = \"number\", nulls = \"none\" }}, \
             score = {{ type = \"number\", nulls = \"none\" }} }}\nold_clients = \"pass\"\n{private}"
        );
        let text = format!("{server}{listener}{services}{old}{}", configuration(upstream.address, BY_OFFSET, &route));
        let certificates = ["alice", "bob"].map(|name| authority.issue(&[name], ALWAYS));
        let (began, gateway) = (seconds(), Gateway::start(&text));
        Self { kind, gateway, secure, ca, upstream, key, began, certificates, _folder: folder }
    }

    fn credentials(&self, user: User) -> Vec<(&'static str, String)> {
        let name = user.name();
        let bearer =
            format!("Bearer {}", token(&self.key, name, self.began + if user.again() { 7_200 } else { 3_600 }));
        match self.kind {
            Kind::Header => vec![("X-Api-Key", name.to_owned())],
            Kind::Bearer => vec![("Authorization", bearer)],
            Kind::Cookie if user.again() => vec![("Cookie", format!("_ga=2; session={name}; theme=dark"))],
            Kind::Cookie => vec![("Cookie", format!("session={name}; _ga=1"))],
            Kind::Certificate | Kind::ProxyCertificate => vec![("Cookie", format!("_ga={}", u8::from(user.again())))],
            Kind::Forwarded => vec![("X-Forwarded-User", name.to_owned())],
            Kind::SharedKey => vec![("X-Api-Key", "app".to_owned()), ("Authorization", bearer)],
            Kind::Query | Kind::Nothing => Vec::new(),
        }
    }

    /// Returns a target with the user's key, if the key is in the query.
    fn target(&self, user: User, target: &str) -> String {
        if self.kind != Kind::Query {
            return target.to_owned();
        }
        format!("{target}{}api_key={}", if target.contains('?') { '&' } else { '?' }, user.name())
    }

    fn open(&self, user: User, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Box<dyn Line> {
        let mut request =
            format!("{method} {} HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n", self.target(user, target));
        for (name, value) in self.credentials(user) {
            write!(request, "{name}: {value}\r\n").expect("a string");
        }
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").expect("a string");
        }
        if !body.is_empty() {
            write!(request, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()).expect("a string");
        }
        let mut line: Box<dyn Line> = match self.secure {
            Some(address) => {
                let identity = Some(&self.certificates[usize::from(user == User::Bob)]);
                let caller = Caller { identity, ..Caller::new(&self.ca, "api.test") };
                Box::new(caller.connect(address).expect("a connection").0)
            }
            None => {
                let stream = TcpStream::connect(self.gateway.public).expect("a connection");
                stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
                Box::new(stream)
            }
        };
        line.write_all(format!("{request}\r\n{body}").as_bytes()).expect("it is sent");
        line
    }

    fn ask_with(&self, user: User, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut line = self.open(user, method, target, headers, body);
        let mut bytes = Vec::new();
        // The end of a TLS connection may be an error.
        let _ = line.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {target}: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn ask(&self, user: User, method: &str, target: &str) -> Answer {
        self.ask_with(user, method, target, &[], "")
    }

    fn metric(&self, sample: &str) -> u64 {
        let metrics = http::get(self.gateway.admin, "/metrics");
        let value = metrics.text().lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or(0)
    }

    /// Asks for a page and returns whether it came from the cache. The page is the user's own.
    fn page(&self, user: User, target: &str) -> bool {
        let page = self.ask(user, "GET", target);
        assert_eq!(page.status, 200, "{:?} {user:?}: {}", self.kind, page.body);
        self.is_own(user, &page);
        page.header("cache-status").is_some_and(|status| status.contains("hit"))
    }

    /// Asserts that an answer with rows has those of the user, and none of others.
    fn is_own(&self, user: User, answer: &Answer) {
        let own = if self.kind == Kind::Nothing { "everybody" } else { user.name() };
        let foreign = ["alice", "bob", "everybody"].into_iter().filter(|name| *name != own);
        assert!(answer.shows(own), "{:?} {user:?}: {} {}", self.kind, answer.head, answer.body);
        foreign.for_each(|name| assert!(!answer.shows(name), "{:?} {user:?} sees {name}: {}", self.kind, answer.body));
    }

    fn page_cache(&self) -> [bool; 2] {
        assert!(!self.page(User::Alice, "/users?limit=3"));
        [self.page(User::AliceAgain, "/users?limit=3"), self.page(User::Bob, "/users?limit=3")]
    }

    fn live(&self) -> [bool; 2] {
        let mut open = Vec::new();
        let mut join = |user| {
            let mut line = self.open(user, "GET", "/users/live?limit=3", &[("Accept", "text/event-stream")], "");
            let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
            let text = loop {
                let count = line.read(&mut part).expect("an event");
                bytes.extend_from_slice(&part[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if count == 0 || text.contains("of alice") || text.contains("of bob") || text.contains("of everybody") {
                    break text;
                }
            };
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            self.is_own(user, &Answer { status: 200, head: head.to_owned(), body: body.to_owned() });
            open.push(line);
            self.metric("cursorgate_live_pages")
        };
        let counts = [User::Alice, User::AliceAgain, User::Bob].map(&mut join);
        assert_eq!(counts[0], 1, "{:?}", self.kind);
        [counts[1] == counts[0], counts[2] == counts[1]]
    }

    fn exports(&self) -> Option<[bool; 2]> {
        let begun = self.ask_with(User::Alice, "POST", "/users/exports", &[], "{}");
        // Without credentials, everybody would find it. A job has no certificate after a restart.
        if matches!(self.kind, Kind::Nothing | Kind::Certificate | Kind::ProxyCertificate) {
            assert_eq!(begun.status, 422, "{}", begun.body);
            return None;
        }
        assert_eq!(begun.status, 202, "{:?}: {}", self.kind, begun.body);
        let id = begun.json()["id"].as_str().expect("an id").to_owned();
        let job = format!("/users/exports/{id}");
        eventually("the end of the export", || {
            let status = self.ask(User::Alice, "GET", &job).json();
            status["finishedAt"].is_string().then(|| assert_eq!(status["state"], "completed", "{status}"))
        });
        let find = |user: User| {
            let lists = self.ask(user, "GET", "/users/exports").body.contains(&id);
            let reads = self.ask(user, "GET", &job).status == 200;
            let result = self.ask(user, "GET", &format!("{job}/result"));
            if result.status == 200 {
                self.is_own(User::Alice, &result);
            }
            assert!(lists == reads && reads == (result.status == 200), "{:?} {user:?}", self.kind);
            reads
        };
        let found = [find(User::AliceAgain), find(User::Bob)];
        let removes = |user| self.ask(user, "DELETE", &job).status == 204;
        assert_eq!([removes(User::Bob), removes(User::AliceAgain)], [found[1], found[0]], "{:?}", self.kind);
        Some(found)
    }

    fn bulk(&self) -> [bool; 2] {
        let run = |user| {
            // The path is the same for all, and so is the body: only the client differs.
            let path = if self.kind == Kind::Query { "/users?limit=4&api_key=KEY" } else { "/users?limit=4" };
            let path = path.replace("KEY", User::name(user));
            let body = json!({ "operations": [{ "method": "GET", "path": path }] }).to_string();
            let before = self.asked().len();
            let answer = self.ask_with(user, "POST", "/bulk", &[("Idempotency-Key", "\"import-1\"")], &body);
            assert_eq!(answer.status, 200, "{:?} {user:?}: {}", self.kind, answer.body);
            self.is_own(user, &answer);
            self.asked().len() == before
        };
        assert!(!run(User::Alice));
        [run(User::AliceAgain), run(User::Bob)]
    }

    fn webhooks(&self) -> Option<[bool; 2]> {
        let body = json!({ "url": "http://127.0.0.1:9/hook", "events": ["export.completed"] }).to_string();
        let made = self.ask_with(User::Alice, "POST", "/webhooks", &[], &body);
        match self.kind {
            Kind::Nothing => assert_eq!(made.status, 400, "{}", made.body),
            // The key isn't passed to the path that authorizes.
            Kind::Query => assert_eq!(made.status, 401, "{}", made.body),
            _ => assert_eq!(made.status, 201, "{:?}: {}", self.kind, made.body),
        }
        if made.status != 201 {
            return None;
        }
        let id = made.json()["id"].as_str().expect("an id").to_owned();
        let finds = |user| {
            let lists = self.ask(user, "GET", "/webhooks").body.contains(&id);
            assert_eq!(self.ask(user, "GET", &format!("/webhooks/{id}")).status == 200, lists, "{:?}", self.kind);
            lists
        };
        Some([finds(User::AliceAgain), finds(User::Bob)])
    }

    fn remembered(&self) -> [bool; 2] {
        let first = self.ask_with(User::Alice, "GET", "/users?limit=5", &[("Cache-Control", "no-store")], "");
        let cursor = first.json()["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
        let finds = |user: User| {
            let target = format!("/users?limit=5&cursor={cursor}");
            let before = self.asked().len();
            let page = self.ask_with(user, "GET", &target, &[("Cache-Control", "no-store")], "");
            // The path of an item has no key, so this upstream refuses the look-up.
            if self.kind == Kind::Query && page.status == 401 {
                return false;
            }
            assert_eq!(page.status, 200, "{:?} {user:?}: {}", self.kind, page.body);
            self.is_own(user, &page);
            // Whoever has no remembered item looks it up by its id.
            let requests = self.asked();
            !requests[before..]
                .iter()
                .any(|request| request.path().rsplit('/').next().is_some_and(|id| id.parse::<u64>().is_ok()))
        };
        [finds(User::AliceAgain), finds(User::Bob)]
    }

    /// Returns the requests for the list and its items so far.
    fn asked(&self) -> Vec<Request> {
        self.upstream.requests().into_iter().filter(|request| request.path() != "/me").collect()
    }

    /// Returns `None` if the board counts all clients together.
    fn board(&self) -> Option<[bool; 2]> {
        let clients = || {
            let report = http::get(self.gateway.admin, "/migration").json();
            let routes = report["routes"].as_array().expect("routes").clone();
            let route = routes.into_iter().find(|route| route["route"] == "old").expect("the route");
            route["clients"].as_array().map(Vec::len)
        };
        let mut counts = vec![clients()?];
        for user in [User::Alice, User::AliceAgain, User::Bob] {
            let answer = self.ask(user, "GET", "/old?offset=0&limit=2");
            assert_eq!(answer.status, 200, "{:?} {user:?}: {}", self.kind, answer.body);
            self.is_own(user, &answer);
            counts.push(clients()?);
        }
        // A client that nobody names is in no line of its own.
        let is_named = counts[1] > counts[0];
        Some([is_named && counts[2] == counts[1], is_named && counts[3] == counts[2]])
    }

    fn limits(&self) -> [bool; 2] {
        let passes = |user| self.ask(user, "GET", "/limited").status != 429;
        assert!(passes(User::Alice) && passes(User::Alice) && !passes(User::Alice), "{:?}", self.kind);
        [!passes(User::AliceAgain), !passes(User::Bob)]
    }
}

/// The cells of a row: whether the user who returns, and the other user, are the client for whom it was stored.
fn row(case: &Case) -> [Cell; 8] {
    let world = World::new(case);
    let unless_refused = |found: Option<[bool; 2]>| found.map_or(Cell::Refused, Cell::Found);
    [
        Cell::Found(world.page_cache()),
        unless_refused(world.exports()),
        Cell::Found(world.bulk()),
        unless_refused(world.webhooks()),
        Cell::Found(world.remembered()),
        Cell::Found(world.limits()),
        world.board().map_or(Cell::Together, Cell::Found),
        // Polls go on for a moment, and the others count requests.
        Cell::Found(world.live()),
    ]
}

/// Row: A22
#[test]
fn nobody_sees_what_is_of_another_client_and_everybody_finds_its_own() {
    let mut table =
        format!("| client | `identity` | {} |\n|---|---|{}\n", ASKED.join(" | "), "---|".repeat(ASKED.len()));
    let mut wrong = Vec::new();
    let rows: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = CASES.iter().map(|case| scope.spawn(move || row(case))).collect();
        running.into_iter().map(|one| one.join().expect("the row is asked")).collect()
    });
    for (case, cells) in CASES.iter().zip(rows) {
        let words: Vec<String> = case.identity.iter().map(|word| format!("`{word}`")).collect();
        write!(table, "| {} | {} |", case.name, if words.is_empty() { "–".to_owned() } else { words.join(", ") })
            .expect("a string");
        for (asked, cell) in ASKED.iter().zip(cells) {
            let [again, other] = match cell {
                Cell::Found(found) => found,
                Cell::Refused => {
                    table += " refused |";
                    continue;
                }
                Cell::Together => {
                    table += " together |";
                    continue;
                }
            };
            let is_public = case.kind == Kind::Nothing;
            if again != case.returns || other != is_public {
                wrong.push(format!("{}, {:?}, {asked}: again {again}, other {other}", case.name, case.identity));
            }
            table += match (again, other) {
                (_, true) => " all |",
                (true, false) => " yes |",
                (false, false) => " no |",
            };
        }
        table += "\n";
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{wrong:#?}\n{table}");
    assert!(include_str!("../../docs/identity.md").contains(&table), "docs/identity.md has another table");
}

/// A service that says at `/me` whose credentials a request has, and that can revoke them.
struct Service {
    gateway: Gateway,
    upstream: Upstream,
    state: Arc<Mutex<ServiceState>>,
    _folder: Directory,
}

#[derive(Default)]
struct ServiceState {
    revoked: Vec<&'static str>,
    /// The answer at `/me`; `None` for the user.
    me: Option<(&'static str, &'static str)>,
    /// The gate for which an answer at `/me` waits.
    gate: Option<Gate>,
}

impl Service {
    /// Starts a service whose users have the tokens `NAME-NUMBER`.
    fn start(server: &str) -> Self {
        let rows = Rows::default();
        for name in ["alice", "bob"] {
            rows.change_of(name, |own| {
                own.extend((1..=8).map(|id| Row { id, score: id * 10, note: format!("of {name}") }));
            });
        }
        let state: Arc<Mutex<ServiceState>> = Arc::default();
        let shared = Arc::clone(&state);
        let upstream = Upstream::start(move |exchange: &mut Exchange| {
            let token = exchange.request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
            let token = token.unwrap_or_default().to_owned();
            let (is_revoked, me, gate) = {
                let state = shared.lock().expect("no panic");
                (state.revoked.iter().any(|revoked| *revoked == token), state.me, state.gate.clone())
            };
            let user = token.split('-').next().filter(|name| ["alice", "bob"].contains(name)).map(str::to_owned);
            let Some(user) = user.filter(|_| !is_revoked) else {
                let headers = [("WWW-Authenticate", "Bearer realm=\"people\"")];
                return exchange.reply("401 Unauthorized", &headers, b"{}");
            };
            if exchange.request.path() == "/me" {
                gate.iter().for_each(Gate::wait);
                let body = json!({ "id": user, "roles": [user] }).to_string();
                let (status, body) = me.unwrap_or(("200 OK", &body));
                return exchange.reply(status, &[("Content-Type", "application/json")], body.as_bytes());
            }
            exchange.request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            exchange.request.headers.push(("Authorization".to_owned(), user));
            rows.answer(exchange)
        });
        let folder = Directory::new();
        let route = format!(
            "{BY_SCORE}\npage_cache = {{ ttl = \"60s\", private = true }}\nold_clients = \"none\"\n\
             identity = [\"answer:/id\"]\n"
        );
        let text = format!(
            "[server]\nidentity_answer = {{ upstream = \"legacy\", path = \"/me?fields=id\", ttl = \"1s\" }}\n{server}\
             [services.exports]\ndirectory = {:?}\n{}",
            folder.file("exports"),
            configuration(upstream.address, BY_OFFSET, &route)
        );
        Self { gateway: Gateway::start(&text), upstream, state, _folder: folder }
    }

    fn change(&self, change: impl FnOnce(&mut ServiceState)) {
        change(&mut self.state.lock().expect("no panic"));
    }

    fn ask(&self, method: &str, target: &str, token: &str) -> http::Response {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Authorization", bearer.as_str()), ("Cookie", "_ga=1"), ("User-Agent", "u")];
        headers.extend([("X-Tenant-Id", "t"), ("Content-Type", "application/json")]);
        self.gateway.send(method, target, &headers, if method == "POST" { b"{}" } else { b"" })
    }

    fn page(&self, token: &str) -> (String, bool) {
        let page = self.ask("GET", "/users?limit=3", token);
        assert_eq!(page.status, 200, "{token}: {}", page.text());
        let hit = page.header("cache-status").is_some_and(|status| status.contains("hit"));
        (page.text().to_owned(), hit)
    }

    /// Returns the requests that asked who a client is.
    fn asked(&self) -> Vec<Request> {
        self.upstream.requests().into_iter().filter(|request| request.path() == "/me").collect()
    }

    /// Begins an export, and returns its path once it has ended.
    fn export(&self, token: &str) -> String {
        let begun = self.ask("POST", "/users/exports", token);
        assert_eq!(begun.status, 202, "{}", begun.text());
        let job = format!("/users/exports/{}", begun.json()["id"].as_str().expect("an id"));
        eventually("the end of the export", || {
            let status = self.ask("GET", &job, token).json();
            status["finishedAt"].is_string().then(|| assert_eq!(status["state"], "completed", "{status}"))
        });
        job
    }
}

/// Row: A22
#[test]
fn revoked_credentials_open_no_export() {
    let service = Service::start("");
    let job = service.export("alice-1");
    let result = format!("{job}/result");
    let opened = |token| {
        let result = service.ask("GET", &result, token);
        if result.status == 200 {
            assert!(result.text().contains("of alice") && !result.text().contains("of bob"));
        }
        result.status
    };
    assert_eq!((opened("alice-1"), opened("alice-2"), opened("bob-1"), opened("mallory-1")), (200, 200, 404, 401));

    service.change(|state| state.revoked = vec!["alice-1"]);
    eventually("the end of what was said before", || (opened("alice-1") == 401).then_some(()));
    for (method, target) in [("GET", "/users/exports"), ("GET", &job), ("DELETE", &job), ("POST", "/users/exports")] {
        let refused = service.ask(method, target, "alice-1");
        assert_eq!(refused.outcome(), "401 credentials_refused", "{method} {target}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"people\""));
    }
    // The user itself isn't gone: another token of hers opens it.
    assert_eq!(opened("alice-3"), 200);
    service.change(|state| state.me = Some(("403 Forbidden", "{}")));
    assert_eq!(service.ask("GET", &job, "alice-4").outcome(), "403 credentials_refused");

    // Nothing is opened while nobody says whose credentials these are.
    for answer in [
        ("503 Service Unavailable", "{}"),
        ("500 Internal Server Error", "{}"),
        ("302 Found", "{}"),
        ("404 Not Found", r#"{"id":"alice"}"#),
    ] {
        service.change(|state| state.me = Some(answer));
        assert_eq!(service.ask("GET", &result, "alice-5").outcome(), "502 upstream_unavailable", "{answer:?}");
    }
    for body in ["", "[]", r#"{"id":null}"#, r#"{"id":["alice"]}"#, r#"{"name":"alice"}"#, "{"] {
        service.change(|state| state.me = Some(("200 OK", body)));
        let token = format!("alice-6{}", body.len());
        assert_eq!(service.ask("GET", &result, &token).status, 404, "{body}: nobody is named");
    }
    service.change(|state| state.me = None);
    assert_eq!((opened("alice-5"), service.ask("DELETE", &job, "alice-5").status), (200, 204));
}

/// Row: A22
#[test]
fn an_answer_names_only_the_credentials_for_which_it_was_given() {
    let service = Service::start("");
    let of_alice = service.page("alice-1");
    assert!(of_alice.0.contains("of alice") && !of_alice.1);
    assert_eq!(service.page("alice-2"), (of_alice.0.clone(), true));
    let of_bob = service.page("bob-1");
    assert!(of_bob.0.contains("of bob") && !of_bob.0.contains("of alice") && !of_bob.1);

    // The request has the credentials, and nothing else of the client's request.
    for request in service.asked() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/me?fields=id"));
        assert_eq!(request.header("cookie"), Some("_ga=1"));
        for name in ["x-tenant-id", "user-agent", "x-forwarded-for", "x-request-id", "via"] {
            assert_eq!(request.header(name), None, "{name}");
        }
    }

    // If nobody says who it is, a client has its own pages, and sees none of others.
    for (at, answer) in
        [("503 Service Unavailable", "{}"), ("502 Bad Gateway", ""), ("200 OK", "{}")].iter().enumerate()
    {
        service.change(|state| state.me = Some(*answer));
        for name in ["alice", "bob"] {
            let token = format!("{name}-down{at}");
            let page = service.page(&token);
            assert!(page.0.contains(&format!("of {name}")) && !page.1, "{token}: nothing is shared");
        }
    }
    // What was stored meanwhile isn't the named client's either.
    service.change(|state| state.me = None);
    assert!(!service.page("bob-down0").0.contains("of alice"));
    let repeated = [("Authorization", "Bearer alice-1"), ("Authorization", "Bearer bob-1")];
    assert_eq!(service.gateway.send("GET", "/users?limit=3", &repeated, b"").outcome(), "400 request_invalid");
}

#[test]
fn concurrent_requests_with_the_same_credentials_ask_once() {
    let service = Service::start("");
    let gate = Gate::default();
    service.change(|state| state.gate = Some(gate.clone()));
    std::thread::scope(|scope| {
        for limit in 1..=6 {
            let service = &service;
            scope.spawn(move || service.ask("GET", &format!("/users?limit={limit}"), "alice-1").status);
        }
        eventually("all requests are there", || {
            (service.gateway.metric("cursorgate_requests_in_flight") >= Some(6)).then_some(())
        });
        assert_eq!(service.asked().len(), 1);
        gate.open();
    });
    assert_eq!(service.asked().len(), 1);
    // A refusal is remembered too, for a moment; a failure isn't.
    service.change(|state| state.gate = None);
    for _ in 0..3 {
        assert_eq!(service.ask("GET", "/users?limit=3", "mallory-1").status, 401);
    }
    assert!(service.asked().len() < 4, "{}", service.asked().len());
    let before = service.asked().len();
    service.change(|state| state.me = Some(("503 Service Unavailable", "{}")));
    for _ in 0..3 {
        service.page("bob-1");
    }
    assert!(service.asked().len() >= before + 3);
}

/// A list that the operator extends: headers that say nothing about a person.
///
/// Row: A22
#[test]
fn a_header_that_is_called_impersonal_names_nobody() {
    let rows = Rows::count(5);
    let own = rows.clone();
    let upstream = Upstream::start(move |exchange: &mut Exchange| own.answer(exchange));
    for (impersonal, is_one) in [("", false), ("impersonal = [\"X-Request-Source\"]", true)] {
        let folder = Directory::new();
        let route = format!("{BY_SCORE}\npage_cache = {{ ttl = \"60s\", private = true }}\nold_clients = \"none\"\n");
        let text = format!(
            "[defaults]\n{impersonal}\n[services.bulk]\n[services.exports]\ndirectory = {:?}\n{}",
            folder.file("exports"),
            configuration(upstream.address, BY_OFFSET, &route)
        );
        let gateway = Gateway::start(&text);
        let ask = |method: &str, target: &str, source: &str, body: &str| {
            let mut headers = vec![("Authorization", "Bearer a"), ("X-Request-Source", source)];
            headers.push(("Content-Type", "application/json"));
            headers.extend((target == "/bulk").then_some(("Idempotency-Key", "\"one\"")));
            gateway.send(method, target, &headers, body.as_bytes())
        };
        ask("GET", "/users?limit=2", "web", "");
        let page = ask("GET", "/users?limit=2", "app", "");
        let hit = page.header("cache-status").is_some_and(|status| status.contains("hit"));
        assert_eq!(hit, is_one, "{impersonal}");
        let operations = r#"{"operations":[{"method":"GET","path":"/users?limit=1"}]}"#;
        assert_eq!(ask("POST", "/bulk", "web", operations).status, 200);
        let before = upstream.count();
        assert_eq!(ask("POST", "/bulk", "app", operations).status, 200);
        assert_eq!(upstream.count() == before, is_one, "{impersonal}");
        // The export comes last, because it goes on with requests to the upstream.
        let begun = ask("POST", "/users/exports", "web", "{}");
        assert_eq!(begun.status, 202, "{}", begun.text());
        let job = format!("/users/exports/{}", begun.json()["id"].as_str().expect("an id"));
        assert_eq!(ask("GET", &job, "app", "").status == 200, is_one, "{impersonal}");
    }
}

/// An issuer that publishes its keys.
struct Issuer {
    upstream: Upstream,
    set: Arc<Mutex<Option<String>>>,
}

impl Issuer {
    fn start(set: &str) -> Self {
        let set = Arc::new(Mutex::new(Some(set.to_owned())));
        let shared = Arc::clone(&set);
        let upstream = Upstream::start(move |exchange: &mut Exchange| match &*shared.lock().expect("no panic") {
            Some(set) => exchange.reply("200 OK", &[("Content-Type", "application/json")], set.as_bytes()),
            None => exchange.reply("503 Service Unavailable", &[], b""),
        });
        Self { upstream, set }
    }

    /// Changes the keys; `None` if the issuer fails.
    fn publish(&self, set: Option<&str>) {
        *self.set.lock().expect("no panic") = set.map(str::to_owned);
    }
}

/// Starts a gateway that has the keys of tokens from an issuer. Returns also its upstream.
fn with_keys_of(issuer: &Issuer, more: &str) -> (Gateway, Upstream) {
    let rows = Rows::count(5);
    let upstream = Upstream::start(move |exchange: &mut Exchange| rows.answer(exchange));
    let route = format!(
        "{BY_SCORE}\npage_cache = {{ ttl = \"60s\", private = true }}\nold_clients = \"none\"\nidentity = [\"jwt:sub\"]\n"
    );
    let text = format!(
        "[server]\ntokens = {{ keys = \"http://{}/jwks.json?v=1\"{more} }}\n{}",
        issuer.upstream.address,
        configuration(upstream.address, BY_OFFSET, &route)
    );
    (Gateway::start(&text), upstream)
}

/// Returns whether two tokens are those of one client, who has a page of this size.
fn are_one(gateway: &Gateway, limit: u32, one: &str, other: &str) -> bool {
    let page = |token: &str| {
        let bearer = format!("Bearer {token}");
        let page = gateway.send("GET", &format!("/users?limit={limit}"), &[("Authorization", bearer.as_str())], b"");
        assert_eq!(page.status, 200, "{}", page.text());
        page.header("cache-status").is_some_and(|status| status.contains("hit"))
    };
    page(one);
    page(other)
}

/// Row: A22
#[test]
fn the_keys_of_tokens_are_read_from_their_url_and_rotate() {
    let (first, second, forger) = (rsa(), rsa(), rsa());
    let issuer = Issuer::start(&set_of(&[(&first, "1")]));
    let (gateway, _upstream) = with_keys_of(&issuer, "");
    let until = |more| seconds() + 3_600 + more;
    let of = |key, id, user| signed(key, id, user, until(0));
    let renewed = |key, id, user| signed(key, id, user, until(60));
    // The first request waits for the keys.
    assert!(are_one(&gateway, 1, &of(&first, "1", "alice"), &renewed(&first, "1", "alice")));
    assert!(!are_one(&gateway, 1, &of(&first, "1", "alice"), &of(&first, "1", "bob")));
    assert_eq!(issuer.upstream.requests()[0].target, "/jwks.json?v=1");
    assert_eq!(issuer.upstream.requests()[0].header("authorization"), None);

    // A key that the issuer doesn't publish names nobody, whatever its id is, and costs no more than a request.
    for id in ["1", "2", "3"] {
        assert!(!are_one(&gateway, 2, &of(&forger, id, "alice"), &renewed(&forger, id, "alice")), "{id}");
        assert!(!are_one(&gateway, 1, &of(&first, "1", "alice"), &of(&forger, id, "alice")), "{id}");
    }
    assert!(issuer.upstream.count() <= 3, "{}", issuer.upstream.count());

    // The first token with a new key makes the gateway read the URL again, and both keys hold.
    issuer.publish(Some(&set_of(&[(&second, "2"), (&first, "1")])));
    let mut limit = 10;
    eventually("the new key", || {
        // Each try has pages of its own, because a client that nobody names finds its own pages.
        limit += 1;
        let (one, other) = (of(&second, "2", "alice"), renewed(&second, "2", "alice"));
        are_one(&gateway, limit, &one, &other).then_some(())
    });
    assert!(are_one(&gateway, 1, &of(&first, "1", "alice"), &renewed(&second, "2", "alice")));
    assert_eq!(gateway.metric("cursorgate_token_keys"), Some(2));
    assert!(gateway.metric(r#"cursorgate_token_key_reads_total{result="loaded"}"#) >= Some(2));
    assert!(!are_one(&gateway, 1, &of(&first, "1", "alice"), &of(&forger, "2", "alice")));
}

#[test]
fn keys_of_tokens_are_used_while_their_issuer_is_away_but_not_for_ever() {
    let key = rsa();
    let issuer = Issuer::start(&set_of(&[(&key, "1")]));
    let (gateway, _upstream) = with_keys_of(&issuer, ", refresh = \"1s\", keep = \"4s\"");
    let one = signed(&key, "1", "alice", seconds() + 3_600);
    let other = signed(&key, "1", "alice", seconds() + 3_660);
    assert!(are_one(&gateway, 1, &one, &other));
    let failed = r#"cursorgate_token_key_reads_total{result="failed"}"#;
    for fault in [None, Some("{"), Some(r#"{"keys":[]}"#), Some(&*"[".repeat(300 << 10))] {
        issuer.publish(fault);
        let before = gateway.metric(failed);
        eventually("a read that fails", || (gateway.metric(failed) > before).then_some(()));
        issuer.publish(Some(&set_of(&[(&key, "1")])));
        assert!(are_one(&gateway, 1, &one, &other), "the keys from before are used");
        let loaded = r#"cursorgate_token_key_reads_total{result="loaded"}"#;
        let before = gateway.metric(loaded);
        eventually("a read", || (gateway.metric(loaded) > before).then_some(()));
    }
    issuer.publish(None);
    eventually("the end of the keys", || (gateway.metric("cursorgate_token_keys") == Some(0)).then_some(()));
    assert!(!are_one(&gateway, 2, &one, &other), "no token is verified");
    issuer.publish(Some(&set_of(&[(&key, "1")])));
    eventually("the keys", || (gateway.metric("cursorgate_token_keys") == Some(1)).then_some(()));
    assert!(are_one(&gateway, 3, &one, &other));
    assert!(gateway.log().iter().any(|line| line.contains("server.tokens.keep")));
}
