//! The keys of `[openapi]`.

use crate::{
    key::{Key, NamedTexts, named_tables, named_texts, sub_table, table, text, texts, word, words},
    schema::Schema,
    settings::{CredentialPlace, SecurityScheme},
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of `[openapi]`.
    API: ApiKeys => #[derive(Debug, Clone)] ApiSettings {
        /// The name of the API in its OpenAPI description. Default: "APIs through cursorgate".
        pub title: Key<String> => text(syntax::name).example(r#""Example's directory""#);

        /// The version of the API. Default: the version of cursorgate.
        pub version: Key<String> => text(syntax::name).example(r#""2.1""#);

        /// The description of the API, in CommonMark. Default: a paragraph about cursors.
        pub description: Key<String> => text(syntax::lines).example(r#""People and teams of Example Inc.""#);

        /// The URLs at which clients find the API, the preferred one first. Default: `server.public_url`. Routes with
        /// `public_url` or `hosts` have URLs of their own instead.
        pub servers: Key<Vec<String>> as Vec<String> = servers =>
            texts(&Schema::Text(syntax::base_url)).example(r#"["https://api.example.com", "https://staging.example.com"]"#);

        /// The credentials that clients send, each as a security scheme of OpenAPI. A request needs one of them.
        /// Upstreams check them.
        pub security_schemes: Key<Spanned> as Vec<(String, SecurityScheme)> => named_tables(
            &Schema::Table(SecuritySchemeKeys::KEYS),
            "write [openapi.security_schemes.NAME]",
        ).named("token", "");
    }
}

fn servers(key: &Key<Vec<String>>, table: &Spanned) -> Vec<String> {
    key.or_empty(table).iter().map(|url| url.trim_end_matches('/').to_owned()).collect()
}

words! {
    /// The kind of a security scheme.
    enum SecurityKind {
        /// A key in a header, a query parameter or a cookie. It needs `name` and `in`.
        ApiKey = "apiKey",
        /// An authentication scheme of HTTP. It needs `scheme`.
        Http = "http",
        /// A client certificate.
        MutualTls = "mutualTLS",
        /// OAuth 2. It needs `flows`.
        OAuth2 = "oauth2",
        /// OpenID Connect. It needs `open_id_connect_url`.
        OpenIdConnect = "openIdConnect",
    }
}

table! {
    /// The keys of `security_schemes.NAME` of `[openapi]`.
    SECURITY_SCHEME: SecuritySchemeKeys {
        /// The kind of the scheme. It decides which of the other keys are needed.
        kind("type"): Key<SecurityKind> => word().sample(r#""http""#);

        /// The description of the scheme for people, such as the place where they get a token.
        description: Key<String> => text(syntax::lines).example(r#""A token from https://example.com/tokens""#);

        /// The authentication scheme of `type = "http"`: the first word of `Authorization`, such as "bearer".
        scheme: Key<String> => text(syntax::name).sample(r#""bearer""#);

        /// The form of the tokens of `scheme = "bearer"`, as a hint for people.
        bearer_format: Key<String> => text(syntax::line).example(r#""JWT""#);

        /// The name of the header, query parameter or cookie of `type = "apiKey"`.
        name: Key<String> => text(syntax::name).example(r#""X-Api-Key""#);

        /// The place of the key of `type = "apiKey"`.
        place("in"): Key<CredentialPlace> => word().example(r#""header""#);

        /// The flows of `type = "oauth2"`: at least one.
        flows: Key<Spanned> => sub_table(FlowsKeys::KEYS)
            .example(r#"{ client_credentials = { token_url = "https://id.example.com/token" } }"#);

        /// The address of the discovery document of `type = "openIdConnect"`.
        open_id_connect_url: Key<String> =>
            text(syntax::url).example(r#""https://id.example.com/.well-known/openid-configuration""#);
    }
}

table! {
    /// The keys of `flows` of a security scheme.
    FLOWS: FlowsKeys {
        /// The implicit flow. It needs `authorization_url`.
        implicit: Key<Spanned> => sub_table(FlowKeys::KEYS)
            .example(r#"{ authorization_url = "https://id.example.com/authorize" }"#);

        /// The flow by the user's password. It needs `token_url`.
        password: Key<Spanned> => sub_table(FlowKeys::KEYS)
            .example(r#"{ token_url = "https://id.example.com/token" }"#);

        /// The flow by client credentials. It needs `token_url`.
        client_credentials: Key<Spanned> => sub_table(FlowKeys::KEYS)
            .example(r#"{ token_url = "https://id.example.com/token" }"#);

        /// The flow by an authorization code. It needs `authorization_url` and `token_url`.
        authorization_code: Key<Spanned> => sub_table(FlowKeys::KEYS)
            .example(r#"{ authorization_url = "https://id.example.com/authorize", token_url = "https://id.example.com/token" }"#);
    }
}

fn scopes(key: &Key<NamedTexts>, table: &Spanned) -> Vec<(String, String)> {
    key.or_empty(table).into_iter().map(|(name, text)| (name.value, text.value)).collect()
}

table! {
    /// The keys of a flow of a security scheme.
    FLOW: FlowKeys => #[derive(Debug, Clone, PartialEq, Eq)] OAuthFlow {
        /// The URL of the authorization endpoint, where a user permits the access.
        pub authorization_url: Key<String> => text(syntax::url).example(r#""https://id.example.com/authorize""#);

        /// The URL of the token endpoint, which issues tokens.
        pub token_url: Key<String> => text(syntax::url).example(r#""https://id.example.com/token""#);

        /// The URL at which tokens are renewed.
        pub refresh_url: Key<String> => text(syntax::url).example(r#""https://id.example.com/refresh""#);

        /// The names of the scopes, each with a description. Default: none.
        pub scopes: Key<NamedTexts> as Vec<(String, String)> = scopes =>
            named_texts(&Schema::Text(syntax::line), "write scopes = { \"users:read\" = \"Read users\" }")
                .example(r#"{ "users:read" = "Read users" }"#);
    }
}
