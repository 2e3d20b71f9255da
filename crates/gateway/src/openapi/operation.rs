//! The operations of a route that serves a list.

pub(super) mod exports;
mod live;
mod request_body;

use super::{
    described::{DescribedRoute, Method},
    imported,
    names::Names,
    pagination,
    responses::{self, Pages},
};
use cursorgate_config::Diagnostics;
use cursorgate_core::json::Document;
use cursorgate_translate::downstream::envelope::schema;
use request_body::BodySide;

type Schemas = Vec<(String, Document)>;

impl DescribedRoute<'_> {
    /// Returns the operations by method, and the schemas to which they refer.
    pub(super) fn operations(
        &self,
        names: &mut Names,
        diagnostics: &mut Diagnostics,
    ) -> (Vec<(&'static str, Document)>, Schemas) {
        let (item, mut schemas) = self.item(names, diagnostics);
        let methods = self.settings.methods;
        let echoed = methods.post.then(|| request_body::schema(self, BodySide::Echoed));
        let (pages, bodies) = Pages::describe(self, &item, echoed.as_ref(), names);
        schemas.splice(0..0, bodies);
        let mut operations = Vec::with_capacity(2);
        if methods.get {
            operations.push(("get", self.operation(Method::Get, &pages, None)));
        }
        if methods.post {
            let name = names.claim(&format!("{}Request", self.stem));
            let reference = Document::object([("$ref", format!("#/components/schemas/{name}").into())]);
            schemas.insert(0, (name, request_body::schema(self, BodySide::Asked)));
            let body = request_body::request_body(self, reference);
            operations.push(("post", self.operation(Method::Post, &pages, Some(body))));
        }
        (operations, schemas)
    }

    fn operation(&self, method: Method, pages: &Pages, body: Option<Document>) -> Document {
        let collection = &self.list_settings.collection;
        let (id, summary) = match method {
            Method::Get => (format!("list{}", self.stem), format!("A page of {collection}")),
            Method::Post => (format!("batch{}", self.stem), format!("A page of {collection}, asked for by a body")),
        };
        let mut members = vec![
            ("operationId", id.into()),
            ("summary", summary.into()),
            ("tags", Document::texts([self.settings.name.value.as_str()])),
            ("parameters", self.parameters().into()),
        ];
        members.extend(body.map(|body| ("requestBody", body)));
        members.push(("responses", responses::responses(self, method, pages)));
        members.extend(pagination::extensions(self, method));
        Document::object(members)
    }

    /// Returns the schema of an item from the upstream's document, and the components to which it refers. Without such
    /// a schema, the item may be any value.
    fn item(&self, names: &mut Names, diagnostics: &mut Diagnostics) -> (Document, Schemas) {
        let Some(own) = &self.settings.openapi else { return (schema::any(), Vec::new()) };
        let dialect = &self.list.dialect;
        let imported = imported::import(own, dialect.items_place(), dialect.item_place(), names, diagnostics);
        let Some(imported) = imported else { return (schema::any(), Vec::new()) };
        // A schema that has a name in the upstream's document doesn't need another name, so its reference is returned.
        if imported.item.member("$ref").is_some() {
            return (imported.item, imported.components);
        }
        let name = names.claim(&format!("{}Item", self.stem));
        let reference = Document::object([("$ref", format!("#/components/schemas/{name}").into())]);
        let mut components = vec![(name, imported.item)];
        components.extend(imported.components);
        (reference, components)
    }
}
