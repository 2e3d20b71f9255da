//! Tests of the addresses of webhooks: a name is resolved, and its addresses are checked, at each request. Certificates
//! must match the name.

use std::net::{Ipv4Addr, SocketAddr};

use openssl::ssl::SslVersion;
use serde_json::{Value, json};

use super::{
    CLIENTS, ONE, active, delivery, export, get, post,
    receiver::{self, Receiver},
    register, services, start, verify,
};
use crate::{
    harness::{
        Directory,
        dns::DnsServer,
        eventually,
        gateway::Gateway,
        list::{PLAIN, serve, users},
        metric,
        upstream::Upstream,
    },
    tls::{
        authority::{ALWAYS, Authority},
        server::{Greeting, Secure},
    },
};

/// An endpoint is refused if its name resolves to an address that is not permitted.
///
/// Row: A39
#[test]
fn a_name_with_an_address_that_is_not_permitted_is_refused() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let dns = DnsServer::start(&[Ipv4Addr::LOCALHOST]);
    let keys = format!("resolvers = [\"{}\"]", dns.address);
    let tables = services(&directory, &[receiver.port()], &keys, CLIENTS);
    let tables = tables.replace("networks = [\"127.0.0.1\"]\n", "");
    let gateway = Gateway::start(&format!("{}{tables}", PLAIN.configuration(upstream.address)));
    for host in ["hooks.test", "localhost"] {
        let url = format!("http://{host}:{}/", receiver.port());
        let endpoint = register(&gateway, &[ONE], &url, &["export.completed"]);
        for addresses in [
            &[Ipv4Addr::LOCALHOST][..],
            &[Ipv4Addr::new(169, 254, 169, 254)],
            &[Ipv4Addr::new(10, 0, 0, 1)],
            &[Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::LOCALHOST],
        ] {
            dns.change(Some(addresses));
            let refused = verify(&gateway, &[ONE], &endpoint);
            assert_eq!(refused.outcome(), "409 webhook_unverified", "{host} {addresses:?}");
            assert!(refused.text().contains("an address that is not permitted"), "{refused:?}");
            assert!(!refused.text().contains("169.254"), "the answer tells no addresses: {refused:?}");
        }
    }
    assert!(metric(&gateway, "cursorgate_webhook_attempts_total{end=\"forbidden\"}") >= 8);
    assert_eq!(receiver.received().len(), 0);
    for url in [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/",
        "http://2130706433/",
    ] {
        let url = url.replacen("1/", &format!("1:{}/", receiver.port()), 1);
        let refused = post(&gateway, "/webhooks", &[ONE], &json!({ "url": url, "events": ["export.completed"] }));
        assert_eq!(refused.outcome(), "422 webhook_url_refused", "{url}");
    }
}

/// The address is checked at each attempt, and an event is never sent to an address that is not permitted.
///
/// Row: A39
#[test]
fn a_name_that_changes_is_checked_again() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let within = Upstream::start_at(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), receiver.port())), |exchange| {
        exchange.reply("200 OK", &[], b"")
    });
    let dns = DnsServer::start(&[Ipv4Addr::LOCALHOST]);
    let keys = format!("attempts = 3\nresolvers = [\"{}\"]", dns.address);
    let tables = services(&directory, &[receiver.port()], &keys, CLIENTS);
    let gateway = Gateway::start(&format!("{}{tables}", PLAIN.configuration(upstream.address)));
    let url = format!("http://hooks.test:{}/", receiver.port());
    let endpoint = active(&gateway, &[ONE], &url, &["export.completed"]);
    dns.change(Some(&[Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)]));
    export(&gateway, &[ONE]);
    let dead = delivery(&gateway, &endpoint.path, &[ONE], "dead");
    assert_eq!(dead["error"], "forbidden", "{dead}");
    assert_eq!((receiver.events().len(), within.count()), (0, 0));
    dns.change(Some(&[Ipv4Addr::LOCALHOST]));
    let again = format!("{}/deliveries/{}/redeliver", endpoint.path, dead["id"].as_str().expect("an id"));
    assert_eq!(post(&gateway, &again, &[ONE], &Value::Null).status, 202);
    delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    assert_eq!(receiver.events()[0].request.header("host"), Some(&*format!("hooks.test:{}", receiver.port())));
    dns.change(None);
    export(&gateway, &[ONE]);
    let unreached = delivery(&gateway, &endpoint.path, &[ONE], "dead");
    assert_eq!(unreached["error"], "unreached", "{unreached}");
    assert_eq!(get(&gateway, &endpoint.path, &[ONE])["state"], "active");
}

/// A receiver needs a certificate of a trusted authority for the name in the URL.
///
/// Row: A39
#[test]
fn a_certificate_has_the_name_of_the_url() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, authority) = (Directory::new(), Authority::new("receivers"));
    let (ca, secret) = (authority.file(&directory, "ca.pem"), directory.file("secret"));
    std::fs::write(&secret, receiver::SECRET).expect("a file");
    let dns = DnsServer::start(&[Ipv4Addr::LOCALHOST]);
    for (names, is_trusted, end) in
        [(["hooks.test"], true, "delivered"), (["other.test"], true, "dead"), (["hooks.test"], false, "dead")]
    {
        let identity = authority.issue(&names, ALWAYS);
        let server = Secure::start(Greeting::Certificate(identity, SslVersion::TLS1_2, SslVersion::TLS1_3));
        let port = server.address.port();
        let ca = if is_trusted { format!("ca = {ca:?}") } else { String::new() };
        let keys = format!("attempts = 3\nresolvers = [\"{}\"]\n{ca}", dns.address);
        let endpoint = format!(
            "[services.webhooks.endpoints.audit]\nurl = \"https://hooks.test:{port}/audit\"\n\
             events = [\"export.completed\"]\nsecret = \"file:{}\"\n",
            secret.display()
        );
        let own = Directory::new();
        let tables = services(&own, &[port], &keys, &endpoint).replace("http = true\n", "");
        let gateway = Gateway::start(&format!("{}{tables}", PLAIN.configuration(upstream.address)));
        export(&gateway, &[ONE]);
        let sample = format!("cursorgate_webhook_deliveries_total{{end=\"{end}\"}}");
        eventually("the end of the delivery", || (metric(&gateway, &sample) == 1).then_some(()));
        let requests = server.requests();
        match end {
            "delivered" => {
                assert_eq!(requests, ["POST /audit HTTP/1.1"]);
                assert_eq!(server.names(), [Some("hooks.test".to_owned())]);
            }
            _ => assert_eq!(requests, Vec::<String>::new(), "{names:?} {is_trusted}"),
        }
    }
}

/// One client may register many endpoints of a host that doesn't want them, and many clients can, too.
#[test]
fn a_host_is_not_flooded_with_challenges() {
    let (upstream, directory, receiver) = (Upstream::start(serve(users(3))), Directory::new(), Receiver::start());
    receiver.echo();
    let gateway = start(&upstream, &directory, &receiver, "");
    let answers: Vec<String> = (0..16)
        .map(|number| {
            let token = format!("Bearer {number}");
            let headers = [("Authorization", token.as_str())];
            let endpoint = register(&gateway, &headers, &receiver.url("/hook"), &["export.completed"]);
            post(&gateway, &format!("{}/verify", endpoint.path), &headers, &Value::Null).outcome()
        })
        .collect();
    let refused = answers.iter().filter(|outcome| *outcome == "429 rate_limited").count();
    assert!(answers[..10].iter().all(|outcome| outcome == "200") && refused >= 1, "{answers:?}");
}
