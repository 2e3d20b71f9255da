//! The check of `openapi` of a route.

use std::sync::Arc;

use super::Context;
use crate::{
    diagnostic::Located,
    keys::OPENAPI,
    settings::{ItemSchema, OpenApiSettings},
    spanned::Spanned,
    tree::{self, LocatedTree},
};

/// The OpenAPI files that routes name. Each file is read once.
#[derive(Default)]
pub(super) struct Described {
    /// The documents by the paths that are opened; `None` for a file that can't be read. The fault of such a file is
    /// reported only once.
    read: Vec<(String, Option<Arc<LocatedTree>>)>,
}

impl Described {
    /// Reads `openapi` of a route from that table. Returns `None` if a part of the table is missing or faulty, or if
    /// the file can't be read; each is reported.
    pub(super) fn find(&mut self, table: &Spanned, context: &mut Context<'_>) -> Option<OpenApiSettings> {
        let help = "file = \"upstream.openapi.json\", with operation or schema beside it";
        let file = context.required(&OPENAPI.file, table, "openapi names no file", help)?;
        let item = item(table, context);
        // The key is the full path, because two folders may each have a file of that name. Test:
        // `each_included_file_names_files_of_its_own_folder`.
        let path = context.path(&file.value, file.at);
        let document = match self.read.iter().find(|(known, _)| *known == path) {
            Some((_, document)) => document.clone(),
            None => {
                let document = read(&file, context).map(Arc::new);
                self.read.push((path, document.clone()));
                document
            }
        };
        Some(OpenApiSettings { document: document?, item: item?, file })
    }
}

fn item(table: &Spanned, context: &mut Context<'_>) -> Option<ItemSchema> {
    match (OPENAPI.operation.located(table), OPENAPI.schema.located(table)) {
        (Some(_), Some(schema)) => {
            let message = "openapi names both an operation and a schema";
            context.diagnostics.error(schema.at, message, "remove one of them");
            None
        }
        (None, Some(schema)) if schema.value.starts_with("#/") => Some(ItemSchema::At(schema)),
        (None, Some(schema)) => {
            let message = format!("{:?} is not a place in the file", schema.value);
            context.diagnostics.error(schema.at, message, "write \"#/components/schemas/User\"");
            None
        }
        (Some(operation), None) => match operation.value.split_once(' ') {
            Some((method, path)) if path.trim_start().starts_with('/') => {
                let value = (method.to_ascii_lowercase(), path.trim().to_owned());
                Some(ItemSchema::Operation(Located { value, at: operation.at }))
            }
            _ => {
                let message = format!("{:?} is not an operation", operation.value);
                context.diagnostics.error(
                    operation.at,
                    message,
                    "write a method and a path, such as \"GET /api/users/\", as in the file",
                );
                None
            }
        },
        (None, None) => {
            if OPENAPI.operation.find(table).is_none() && OPENAPI.schema.find(table).is_none() {
                let help = "operation = \"GET /api/users/\", or schema = \"#/components/schemas/User\"";
                context.missing(table.at, "openapi names neither an operation nor a schema", help);
            }
            None
        }
    }
}

fn read(file: &Located<String>, context: &mut Context<'_>) -> Option<LocatedTree> {
    let text = context.text_file(file)?;
    let source = context.diagnostics.add_source(context.path(&file.value, file.at), text.clone());
    tree::read(source, &text, context.diagnostics)
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use crate::{Environment, load_text, tree::Tree};

    /// Two folders, each with a file of routes and an API description. The description is a string with the folder's
    /// name.
    struct Folders;

    impl Environment for Folders {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            let folder = path.parent().unwrap().display();
            match path.file_name().and_then(|name| name.to_str()) {
                Some("api.json") => Ok(format!("{:?}", folder.to_string()).into_bytes()),
                Some("r.toml") => Ok(format!(
                    "[routes.{folder}]\npath = \"/{folder}\"\nupstream = \"people\"\ndialect = \"page-limit\"\n\
                     order = [\"id\"]\nopenapi = {{ file = \"api.json\", schema = \"#/a\" }}\n"
                )
                .into_bytes()),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }
    }

    #[test]
    fn each_included_file_names_files_of_its_own_folder() {
        let text = "include = [\"a/r.toml\", \"b/r.toml\"]\nupstreams.people = { peers = [\"127.0.0.1:1\"] }\n";
        let (settings, diagnostics) = load_text("gateway.toml", text, &Folders);
        let documents: Vec<Tree> = settings
            .expect("settings")
            .routes
            .into_iter()
            .filter_map(|route| Some(route.openapi?.document.value.clone()))
            .collect();
        let expected = ["a", "b"].map(|folder| Tree::Text(folder.to_owned()));
        assert_eq!(documents, expected, "{}", diagnostics.render(false));
    }
}
