//! The built-in dialects and envelopes: the files of `config/dialects` and `config/envelopes`.

/// Returns the name and the TOML text of every built-in dialect, sorted by name.
pub fn preset_dialects() -> impl Iterator<Item = (&'static str, &'static str)> {
    DIALECTS.iter().copied()
}

/// Returns the name of a built-in dialect by the file name that diagnostics show, such as
/// `config/dialects/stripe.toml`; `None` for other files.
#[must_use]
pub fn preset_of_file(file: &str) -> Option<&'static str> {
    let name = file.strip_prefix("config/dialects/")?.strip_suffix(".toml")?;
    preset_dialects().map(|(known, _)| known).find(|known| *known == name)
}

/// Returns the name and the JSON text of every built-in envelope, sorted by name.
pub fn preset_envelopes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ENVELOPES.iter().copied()
}

/// The name and the text of the file with the form of errors for `errors = "flat"`.
pub(super) const FLAT_ERRORS: (&str, &str) =
    ("config/errors/flat.json", include_str!("../../../config/errors/flat.json"));

/// The name of the envelope of inner requests. No envelope of a configuration can have this name, because the names of
/// its envelopes have no colon.
pub const CONNECTION: &str = "inner:connection";

/// The name and the text of the file with the envelope [`CONNECTION`].
pub(super) const CONNECTION_FILE: (&str, &str) =
    ("config/services/connection.json", include_str!("../../../config/services/connection.json"));

macro_rules! dialect {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../config/dialects/", $name, ".toml")))
    };
}

macro_rules! envelope {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../config/envelopes/", $name, ".json")))
    };
}

const DIALECTS: &[(&str, &str)] = &[
    dialect!("airtable"),
    dialect!("api-pagination"),
    dialect!("batch-post"),
    dialect!("bitbucket-cloud"),
    dialect!("bitbucket-server"),
    dialect!("ckan"),
    dialect!("ckan-datastore"),
    dialect!("confluence-cloud-v1"),
    dialect!("confluence-v1"),
    dialect!("datasette"),
    dialect!("dataverse"),
    dialect!("directus"),
    dialect!("drf-cursor"),
    dialect!("drf-limit-offset"),
    dialect!("drf-page"),
    dialect!("elasticsearch"),
    dialect!("elasticsearch-search-after"),
    dialect!("fastapi-pagination"),
    dialect!("fastapi-pagination-limit-offset"),
    dialect!("feathers"),
    dialect!("github"),
    dialect!("gitlab"),
    dialect!("gitlab-keyset"),
    dialect!("google-aip"),
    dialect!("graphql-connection"),
    dialect!("gridify"),
    dialect!("hubspot"),
    dialect!("hubspot-search"),
    dialect!("jira"),
    dialect!("jira-cloud"),
    dialect!("json-server-0.17"),
    dialect!("json-server-1"),
    dialect!("kaminari"),
    dialect!("kubernetes"),
    dialect!("laravel"),
    dialect!("laravel-cursor"),
    dialect!("laravel-simple"),
    dialect!("mediawiki"),
    dialect!("microsoft-graph"),
    dialect!("mongoose-paginate"),
    dialect!("nestjs-paginate"),
    dialect!("notion"),
    dialect!("notion-list"),
    dialect!("odata-v4"),
    dialect!("offset-limit"),
    dialect!("ogc-features"),
    dialect!("opensearch"),
    dialect!("opensearch-search-after"),
    dialect!("page-limit"),
    dialect!("pagy"),
    dialect!("postgrest"),
    dialect!("postgrest-range"),
    dialect!("redmine"),
    dialect!("salesforce-list-view"),
    dialect!("sap-odata-v2"),
    dialect!("sharepoint"),
    dialect!("shopify"),
    dialect!("sieve"),
    dialect!("slack"),
    dialect!("socrata"),
    dialect!("solr-cursor-mark"),
    dialect!("spring-data"),
    dialect!("spring-hateoas"),
    dialect!("strapi-4"),
    dialect!("strapi-5"),
    dialect!("stripe"),
    dialect!("whole-list"),
    dialect!("wordpress"),
    dialect!("zendesk-cursor"),
];

const ENVELOPES: &[(&str, &str)] = &[
    envelope!("aip"),
    envelope!("bare"),
    envelope!("batch"),
    envelope!("drf"),
    envelope!("hal"),
    envelope!("jsonapi"),
    envelope!("odata"),
    envelope!("ogc"),
    envelope!("page-info"),
    envelope!("relay"),
    envelope!("standard"),
    envelope!("stripe"),
];
