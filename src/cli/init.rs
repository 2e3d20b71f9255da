//! `cursorgate init`: writes a first configuration.

use super::target::NoFiles;
use super::{Failure, arguments::InitArguments, report};
use cursorgate_config as config;

/// The template of the configuration, with placeholders for the arguments.
const TEMPLATE: &str = include_str!("init/cursorgate.toml");

/// Writes the configuration, and prints the next commands.
pub(super) fn run(arguments: &InitArguments) -> Result<(), Failure> {
    let text = text(arguments)?;
    let path = arguments.file.display();
    report::create(&arguments.file, &text, false)?;
    report::output(&format!(
        "{path} is written. Next:\n\n{}  \
         cursorgate check {path}\n  \
         cursorgate run {path}\n",
        key_command()
    ))
}

/// Returns the lines with the commands that set the key of cursors. They are empty if a key is already set: with another
/// key, cursors that were signed with the first key would be refused. The key is in a file, so that another terminal gets
/// the same one.
pub(super) fn key_command() -> &'static str {
    match std::env::var_os("CURSORGATE_KEY") {
        Some(_) => "",
        None => "  (umask 077 && cursorgate keygen > cursor.key)\n  export CURSORGATE_KEY=$(cat cursor.key)\n",
    }
}

/// Returns the text of the configuration with these arguments, after a check of the text.
fn text(arguments: &InitArguments) -> Result<String, Failure> {
    let InitArguments { upstream, path, dialect, .. } = arguments;
    let (peer, tls) = peer(upstream)?;
    // The name is the last segment of the path that isn't a parameter.
    let name = path.split('/').rfind(|segment| !segment.is_empty() && !segment.starts_with('{')).unwrap_or("list");
    let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    // The path is replaced last, because its parameters may have the same names as other placeholders. Test:
    // `a_parameter_of_the_path_may_have_any_name`.
    let text = TEMPLATE
        .replace("{tls}", if tls { "tls = {}\n" } else { "" })
        .replace("{name}", &name)
        .replace("{peer}", &format!("{peer:?}"))
        .replace("{dialect}", &format!("{dialect:?}"))
        .replace("{path}", &format!("{path:?}"));
    let (_, diagnostics) =
        config::load_text(&arguments.file.to_string_lossy(), &text, &config::WithoutSecrets(&NoFiles));
    if diagnostics.has_errors() {
        report::diagnostics(&diagnostics);
        return Err(Failure::mistaken("the file was not written"));
    }
    Ok(text)
}

/// Returns the peer of a URL as `host:port`, and `true` if the URL begins with `https://`.
fn peer(url: &str) -> Result<(String, bool), Failure> {
    let (tls, rest) = match url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        None => (false, url),
        Some((scheme, _)) => {
            return Err(Failure::mistaken(format!(
                "--upstream must begin with http:// or https://: {scheme}:// is unknown"
            )));
        }
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        let message =
            format!("--upstream has no path: write --upstream {}, and the path in --path", url.trim_end_matches(path));
        return Err(Failure::mistaken(message));
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = match (has_port, tls) {
        (true, _) => "",
        (false, true) => ":443",
        (false, false) => ":80",
    };
    Ok((format!("{authority}{port}"), tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_url() {
        for (url, expected) in [
            ("http://127.0.0.1:8000", Some(("127.0.0.1:8000", false))),
            ("http://people.internal/", Some(("people.internal:80", false))),
            ("https://people.internal", Some(("people.internal:443", true))),
            ("https://[::1]:8443", Some(("[::1]:8443", true))),
            ("people.internal:8000", Some(("people.internal:8000", false))),
            ("ftp://people.internal", None),
            ("https://people.internal/api", None),
        ] {
            assert_eq!(peer(url).ok(), expected.map(|(peer, tls)| (peer.to_owned(), tls)), "{url}");
        }
    }

    #[test]
    fn a_parameter_of_the_path_may_have_any_name() {
        for name in ["name", "dialect", "peer", "tls"] {
            let arguments = InitArguments {
                file: "cursorgate.toml".into(),
                upstream: "http://127.0.0.1:8000".to_owned(),
                path: format!("/teams/{{{name}}}/users"),
                dialect: "page-limit".to_owned(),
            };
            let text = text(&arguments).unwrap();
            assert!(text.contains(&format!("[routes.users]\npath = \"/teams/{{{name}}}/users\"\n")), "{text}");
        }
    }
}
