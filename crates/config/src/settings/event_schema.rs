//! The JSON Schema of an operator's own type of events.

use std::{fmt, sync::Arc};

#[cfg(feature = "services")]
use boon::{Compiler, SchemaIndex, Schemas, SchemeUrlLoader};
use serde_json::Value;

/// The name of a schema in references to itself.
#[cfg(feature = "services")]
const URL: &str = "https://localhost/schema";

/// The largest number of characters of a fault.
#[cfg(feature = "services")]
const LONGEST_FAULT: usize = 300;

/// A compiled schema of the `data` of events, with its text.
#[derive(Clone)]
pub struct EventSchema {
    pub text: Arc<Value>,
    #[cfg(feature = "services")]
    compiled: Arc<(Schemas, SchemaIndex)>,
}

impl fmt::Debug for EventSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(formatter)
    }
}

impl EventSchema {
    /// Compiles a schema.
    ///
    /// # Errors
    ///
    /// Returns the fault of the schema.
    #[cfg(feature = "services")]
    pub(crate) fn compile(text: &[u8]) -> Result<Self, String> {
        let text: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        // A schema can't refer to other files or to the network.
        compiler.use_loader(Box::new(SchemeUrlLoader::new()));
        compiler.enable_format_assertions();
        let fault = |error: boon::CompileError| short(&format!("{error:#}"));
        compiler.add_resource(URL, text.clone()).map_err(fault)?;
        let index = compiler.compile(URL, &mut schemas).map_err(fault)?;
        Ok(Self { text: Arc::new(text), compiled: Arc::new((schemas, index)) })
    }

    #[cfg(not(feature = "services"))]
    pub(crate) fn compile(text: &[u8]) -> Result<Self, String> {
        Ok(Self { text: Arc::new(serde_json::from_slice(text).map_err(|error| error.to_string())?) })
    }

    /// Checks the data of an event.
    ///
    /// # Errors
    ///
    /// Returns the fault, with its place in the data.
    #[cfg(feature = "services")]
    pub fn check(&self, data: &Value) -> Result<(), String> {
        let (schemas, index) = &*self.compiled;
        schemas.validate(data, *index).map_err(|error| short(&format!("{error:#}")))
    }
}

/// Returns the lines of a fault that name places, as one line.
#[cfg(feature = "services")]
fn short(fault: &str) -> String {
    let lines = fault
        .lines()
        .filter(|line| !line.contains("validation failed"))
        .map(|line| line.trim_start_matches([' ', '-']));
    lines.collect::<Vec<_>>().join("; ").replace(URL, "the schema").chars().take(LONGEST_FAULT).collect()
}

#[cfg(all(test, feature = "services"))]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_must_match_the_schema() {
        let text = br#"{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}}"#;
        let schema = EventSchema::compile(text).unwrap();
        assert_eq!(schema.check(&json!({ "id": 1 })), Ok(()));
        let fault = schema.check(&json!({ "id": "1" })).unwrap_err();
        assert!(fault.contains("/id") && fault.contains("integer"), "{fault}");
        for wrong in
            ["{", r#"{"type":"things"}"#, r#"{"$ref":"file:///etc/passwd"}"#, r#"{"$ref":"https://a.example/"}"#]
        {
            assert!(EventSchema::compile(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
