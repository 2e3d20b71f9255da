//! The head of the description: the name of the API, its servers, and the credentials of clients.

use cursorgate_config::settings::{ApiSettings, SchemeCredentials, SecurityScheme, Settings};
use cursorgate_core::json::Document;

#[derive(Debug)]
pub(super) struct DocumentHead {
    pub(super) title: String,
    version: String,
    description: String,
    pub(super) servers: Vec<String>,
    /// The security schemes by name, in OpenAPI's form.
    security: Vec<(String, Document)>,
}

impl DocumentHead {
    pub(super) fn compile(settings: &Settings) -> Self {
        let ApiSettings { title, version, description, servers, security_schemes } = settings.api.clone();
        let description = description.unwrap_or_else(|| {
            "Lists are read by cursor: a page names the next one and the one before, in its body and in `Link`. Cursors are \
             opaque, and valid for the list that they come from. Credentials pass to the upstream, which checks them."
                .to_owned()
        });
        let usual = || vec![settings.server.public_url.clone().unwrap_or_else(|| "/".to_owned())];
        Self {
            title: title.unwrap_or_else(|| "APIs through cursorgate".to_owned()),
            version: version.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            description,
            servers: if servers.is_empty() { usual() } else { servers },
            security: security_schemes.iter().map(|(name, scheme)| (name.clone(), describe(scheme))).collect(),
        }
    }

    /// Returns the member `info`. The paragraphs in `further` are appended to the description.
    pub(super) fn info(&self, further: &[String]) -> Document {
        let paragraphs: Vec<&str> = std::iter::once(&self.description).chain(further).map(String::as_str).collect();
        Document::object([
            ("title", self.title.as_str().into()),
            ("version", self.version.as_str().into()),
            ("description", paragraphs.join("\n\n").into()),
        ])
    }

    pub(super) fn servers(&self) -> Document {
        let server = |url: &String| Document::object([("url", url.as_str().into())]);
        Document::Array(self.servers.iter().map(server).collect())
    }

    /// Returns the security schemes, and the requirement that a request meets at least one of them; `None` without
    /// schemes.
    pub(super) fn security(&self) -> Option<(Document, Document)> {
        let one_of =
            self.security.iter().map(|(name, _)| Document::object([(name.as_str(), Document::Array(Vec::new()))]));
        let schemes = Document::Object(self.security.clone());
        (!self.security.is_empty()).then(|| (schemes, Document::Array(one_of.collect())))
    }
}

/// Returns a security scheme in OpenAPI's form (OpenAPI 3.1, section 4.8.27).
fn describe(scheme: &SecurityScheme) -> Document {
    let text = |text: &String| Document::from(text.as_str());
    let mut members: Vec<(&str, Document)> = match &scheme.credentials {
        SchemeCredentials::Key { name, place } => {
            vec![("type", "apiKey".into()), ("name", text(name)), ("in", place.word().into())]
        }
        SchemeCredentials::Http { scheme, bearer_format } => {
            let mut members = vec![("type", "http".into()), ("scheme", text(scheme))];
            members.extend(bearer_format.iter().map(|format| ("bearerFormat", text(format))));
            members
        }
        SchemeCredentials::MutualTls => vec![("type", "mutualTLS".into())],
        SchemeCredentials::OAuth2(flows) => {
            let flows = flows.iter().map(|(name, flow)| {
                let urls = [
                    ("authorizationUrl", &flow.authorization_url),
                    ("tokenUrl", &flow.token_url),
                    ("refreshUrl", &flow.refresh_url),
                ];
                let mut members: Vec<(&str, Document)> =
                    urls.into_iter().filter_map(|(name, url)| Some((name, text(url.as_ref()?)))).collect();
                let scopes = flow.scopes.iter().map(|(name, description)| (name.as_str(), text(description)));
                members.push(("scopes", Document::object(scopes)));
                (*name, Document::object(members))
            });
            vec![("type", "oauth2".into()), ("flows", Document::object(flows))]
        }
        SchemeCredentials::OpenIdConnect { url } => {
            vec![("type", "openIdConnect".into()), ("openIdConnectUrl", text(url))]
        }
    };
    members.extend(scheme.description.iter().map(|description| ("description", text(description))));
    Document::object(members)
}
