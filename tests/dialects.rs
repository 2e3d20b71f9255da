//! Tests of the built-in dialects by their contracts. `dialects/NAME.toml` contains exchanges from the vendor's
//! documentation: the exact bytes of the request for a fetch, and the facts that must be read from the answer.
//! docs/dialects.md describes the format, which `cursorgate check --exchanges` also reads.

#![expect(clippy::unwrap_used, reason = "a test says by a panic that it fails")]

use std::{collections::BTreeSet, path::Path};

use cursorgate_config::{self as config, ProcessEnvironment};
use cursorgate_core::pagination::fetch::Fetch;
use cursorgate_translate::upstream::hold;

macro_rules! contracts {
    ($($test:ident: $name:literal,)*) => {
        const CONTRACTS: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                check($name);
            }
        )*
    };
}

contracts! {
    airtable: "airtable",
    api_pagination: "api-pagination",
    batch_post: "batch-post",
    bitbucket_cloud: "bitbucket-cloud",
    bitbucket_server: "bitbucket-server",
    ckan: "ckan",
    ckan_datastore: "ckan-datastore",
    confluence_cloud_v1: "confluence-cloud-v1",
    confluence_v1: "confluence-v1",
    datasette: "datasette",
    dataverse: "dataverse",
    directus: "directus",
    drf_cursor: "drf-cursor",
    drf_limit_offset: "drf-limit-offset",
    drf_page: "drf-page",
    elasticsearch: "elasticsearch",
    elasticsearch_search_after: "elasticsearch-search-after",
    fastapi_pagination: "fastapi-pagination",
    fastapi_pagination_limit_offset: "fastapi-pagination-limit-offset",
    feathers: "feathers",
    github: "github",
    gitlab: "gitlab",
    gitlab_keyset: "gitlab-keyset",
    google_aip: "google-aip",
    graphql_connection: "graphql-connection",
    gridify: "gridify",
    hubspot: "hubspot",
    hubspot_search: "hubspot-search",
    jira: "jira",
    jira_cloud: "jira-cloud",
    json_server_0_17: "json-server-0.17",
    json_server_1: "json-server-1",
    kaminari: "kaminari",
    kubernetes: "kubernetes",
    laravel: "laravel",
    laravel_cursor: "laravel-cursor",
    laravel_simple: "laravel-simple",
    mediawiki: "mediawiki",
    microsoft_graph: "microsoft-graph",
    mongoose_paginate: "mongoose-paginate",
    nestjs_paginate: "nestjs-paginate",
    notion: "notion",
    notion_list: "notion-list",
    odata_v4: "odata-v4",
    offset_limit: "offset-limit",
    ogc_features: "ogc-features",
    opensearch: "opensearch",
    opensearch_search_after: "opensearch-search-after",
    page_limit: "page-limit",
    pagy: "pagy",
    postgrest: "postgrest",
    postgrest_range: "postgrest-range",
    redmine: "redmine",
    salesforce_list_view: "salesforce-list-view",
    sap_odata_v2: "sap-odata-v2",
    sharepoint: "sharepoint",
    shopify: "shopify",
    sieve: "sieve",
    slack: "slack",
    socrata: "socrata",
    solr_cursor_mark: "solr-cursor-mark",
    spring_data: "spring-data",
    spring_hateoas: "spring-hateoas",
    strapi_4: "strapi-4",
    strapi_5: "strapi-5",
    stripe: "stripe",
    whole_list: "whole-list",
    wordpress: "wordpress",
    zendesk_cursor: "zendesk-cursor",
}

#[test]
fn every_dialect_has_a_contract() {
    let contracts: BTreeSet<String> = CONTRACTS.iter().map(ToString::to_string).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(names_in(&root.join("config/dialects")), contracts, "config/dialects");
    assert_eq!(names_in(&root.join("tests/dialects")), contracts, "tests/dialects");
    let built_in: BTreeSet<String> = config::preset_dialects().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(built_in, contracts, "built in");
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_name().unwrap().to_str().unwrap().strip_suffix(".toml").unwrap().to_owned())
        .collect()
}

/// Checks a dialect against its contract, and that the contract has the exchanges that every dialect needs.
fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialects").join(format!("{name}.toml"));
    let (contract, mut diagnostics) = config::load_contract(&path, None, &ProcessEnvironment::default());
    let held = contract.as_ref().and_then(|contract| hold(contract, &mut diagnostics));
    assert!(held.is_some_and(|held| held.holds()), "{}", diagnostics.render(false));
    let contract = contract.unwrap();
    assert!(contract.facts.is_some(), "{name}: no facts");
    let by_token = contract.exchanges.iter().any(|exchange| matches!(exchange.fetch, Fetch::Token(_)));
    let named: BTreeSet<&str> = contract.exchanges.iter().map(|exchange| exchange.name.value.as_str()).collect();
    let past_the_end = if by_token { &[][..] } else { &["past the end"] };
    for needed in ["first", "middle", "last", "empty"].iter().chain(past_the_end) {
        assert!(named.contains(needed), "{name}: no exchange {needed:?}");
    }
}
