//! `[openapi]`

use crate::config::{
    diagnostic::Located,
    key::{Key, NamedTexts, named_tables, named_texts, sub_table, table, text, texts, word, words},
    schema::Schema,
    settings::CredentialPlace,
    spanned::Spanned,
    syntax,
};

table! {
    /// `[openapi]`
    API: ApiKeys {
        /// The name of the API. Default: "APIs through cursorgate".
        title: Key<String> => text(syntax::name).example(r#""Example's directory""#);

        /// The version of the API. Default: that of cursorgate.
        version: Key<String> => text(syntax::name).example(r#""2.1""#);

        /// The description of the API, in CommonMark. Default: a paragraph about cursors.
        description: Key<String> => text(syntax::lines).example(r#""People and teams of Example Inc.""#);

        /// The URLs at which clients find the API, the first one first. Default: `server.public_url`. Routes with a `public_url`
        /// or `hosts` of their own have these.
        servers: Key<Vec<Located<String>>> =>
            texts(&Schema::Text(syntax::base_url)).example(r#"["https://api.example.com", "https://staging.example.com"]"#);

        /// The credentials that clients send, each a security scheme of OpenAPI, of which a request needs one. Upstreams check
        /// them; here they are only described. Default: none are described.
        security_schemes: Key<Spanned> => named_tables(
            &Schema::Table(SecuritySchemeKeys::KEYS),
            "write [openapi.security_schemes.NAME]",
        ).named("token", "");
    }
}

words! {
    /// The kind of a security scheme.
    enum SecurityKind {
        /// A key in a header, a parameter of the query or a cookie: `name`, `in`.
        ApiKey = "apiKey",
        /// An authentication scheme of HTTP: `scheme`.
        Http = "http",
        /// A client certificate.
        MutualTls = "mutualTLS",
        /// OAuth 2: `flows`.
        OAuth2 = "oauth2",
        /// OpenID Connect: `open_id_connect_url`.
        OpenIdConnect = "openIdConnect",
    }
}

table! {
    /// `security_schemes.NAME` of `[openapi]`
    SECURITY_SCHEME: SecuritySchemeKeys {
        /// The kind of the scheme.
        kind("type"): Key<SecurityKind> => word().sample(r#""http""#);

        /// A description for people.
        description: Key<String> => text(syntax::lines).example(r#""A token from https://example.com/tokens""#);

        /// The authentication scheme of `type = "http"`, as it stands in `Authorization`.
        scheme: Key<String> => text(syntax::name).sample(r#""bearer""#);

        /// The form of the tokens of `scheme = "bearer"`.
        bearer_format: Key<String> => text(syntax::line).example(r#""JWT""#);

        /// The name of the header, parameter or cookie of `type = "apiKey"`.
        name: Key<String> => text(syntax::name).example(r#""X-Api-Key""#);

        /// Its place.
        place("in"): Key<CredentialPlace> => word().example(r#""header""#);

        /// The flows of `type = "oauth2"`.
        flows: Key<Spanned> => sub_table(FlowsKeys::KEYS)
            .example(r#"{ client_credentials = { token_url = "https://id.example.com/token" } }"#);

        /// The discovery document of `type = "openIdConnect"`.
        open_id_connect_url: Key<String> =>
            text(syntax::url).example(r#""https://id.example.com/.well-known/openid-configuration""#);
    }
}

table! {
    /// `flows` of a security scheme
    FLOWS: FlowsKeys {
        /// The implicit flow: `authorization_url`.
        implicit: Key<Spanned> => sub_table(FlowKeys::KEYS)
            .example(r#"{ authorization_url = "https://id.example.com/authorize" }"#);

        /// The password flow: `token_url`.
        password: Key<Spanned> => sub_table(FlowKeys::KEYS)
            .example(r#"{ token_url = "https://id.example.com/token" }"#);

        /// The flow by client credentials: `token_url`.
        client_credentials: Key<Spanned> => sub_table(FlowKeys::KEYS)
            .example(r#"{ token_url = "https://id.example.com/token" }"#);

        /// The flow by an authorization code: `authorization_url`, `token_url`.
        authorization_code: Key<Spanned> => sub_table(FlowKeys::KEYS)
            .example(r#"{ authorization_url = "https://id.example.com/authorize", token_url = "https://id.example.com/token" }"#);
    }
}

table! {
    /// A flow of a security scheme
    FLOW: FlowKeys {
        /// The address at which users agree.
        authorization_url: Key<String> => text(syntax::url).example(r#""https://id.example.com/authorize""#);

        /// The address that gives tokens.
        token_url: Key<String> => text(syntax::url).example(r#""https://id.example.com/token""#);

        /// The address that renews tokens.
        refresh_url: Key<String> => text(syntax::url).example(r#""https://id.example.com/refresh""#);

        /// The scopes, each with a description. Default: none.
        scopes: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::line), "write scopes = { \"users:read\" = \"Read users\" }")
                .example(r#"{ "users:read" = "Read users" }"#);
    }
}
