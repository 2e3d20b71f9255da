//! Envelopes: found among the file's own and the built-in ones, and read. The compiler of skeletons finds what is wrong
//! within a body.

use super::Context;
use crate::config::{
    diagnostic::{Located, nearest},
    form, keys, presets,
    settings::{EnvelopeSettings, ErrorSettings, OverMax, Role},
    syntax, tree,
    written::Written,
};

/// The roles of parameters, by their names.
pub(super) const ROLES: &[(&str, Role)] = &[
    ("limit", Role::Limit),
    ("limit_backward", Role::LimitBackward),
    ("cursor", Role::Cursor),
    ("after", Role::After),
    ("before", Role::Before),
    ("after_id", Role::AfterId),
    ("before_id", Role::BeforeId),
    ("sort", Role::Sort),
];

/// All envelopes that routes can name, each built-in one read when it is first needed.
pub(super) struct Envelopes {
    /// What could not be read is there as well, so that it is not said to be unknown.
    read: Vec<(String, Option<Written>)>,
}

impl Envelopes {
    /// `own` is the table `envelopes` of the file. The files that they name are all read.
    pub(super) fn new(own: &Written, context: &mut Context<'_>) -> Self {
        let own = own.members().iter();
        Self { read: own.map(|(name, written)| (name.value.clone(), contents(written, context))).collect() }
    }

    /// The envelope of this name, as a route wrote it.
    pub(super) fn find(&mut self, name: &Located<String>, context: &mut Context<'_>) -> Option<EnvelopeSettings> {
        if !self.read.iter().any(|(known, _)| *known == name.value) {
            let preset = presets::preset_envelopes().find(|(preset, _)| *preset == name.value);
            let Some((preset, text)) = preset else {
                self.unknown(name, context);
                return None;
            };
            let written = json(&format!("config/envelopes/{preset}.json"), text, context);
            self.read.push((preset.to_owned(), written));
        }
        let (_, written) = self.read.iter().find(|(known, _)| *known == name.value)?;
        read(name, written.as_ref()?, context)
    }

    /// The same for a route, whose `errors` may be of another form than the envelope's.
    pub(super) fn of_route(
        &mut self,
        name: &Located<String>,
        errors: Option<&Located<String>>,
        context: &mut Context<'_>,
    ) -> Option<EnvelopeSettings> {
        let mut envelope = self.find(name, context)?;
        let Some(form) = errors else { return Some(envelope) };
        match form.value.as_str() {
            "problem" => envelope.error = None,
            "jsonapi" => {
                let preset = Located { value: "jsonapi".to_owned(), at: form.at };
                envelope.error = self.find(&preset, context)?.error;
            }
            "flat" => {
                let (name, text) = presets::FLAT_ERRORS;
                envelope.error = error(&json(name, text, context)?, context);
            }
            _ => {}
        }
        Some(envelope)
    }

    fn unknown(&self, name: &Located<String>, context: &mut Context<'_>) {
        let own = self.read.iter().map(|(known, _)| known.as_str());
        let mut names: Vec<&str> = own.chain(presets::preset_envelopes().map(|(preset, _)| preset)).collect();
        names.sort_unstable();
        names.dedup();
        let meant = nearest(&name.value, names.iter().copied());
        let meant = meant.map(|meant| format!("did you mean {meant:?}? ")).unwrap_or_default();
        let help = format!("{meant}there are {}; your own go under [envelopes.{}]", names.join(", "), name.value);
        context.diagnostics.error(name.at, format!("there is no envelope {:?}", name.value), help);
    }
}

/// What an own envelope says: in the table, or in the file that it names.
fn contents(written: &Written, context: &mut Context<'_>) -> Option<Written> {
    let Some(file) = written.text("file") else {
        return Some(written.clone());
    };
    if let Some((other, _)) = written.members().iter().find(|(name, _)| name.value != "file") {
        let message = format!("`{}` stands beside `file`", other.value);
        context.diagnostics.error(other.at, message, "write it into that file: it says everything about the envelope");
    }
    let bytes = match context.file(&file.value) {
        Ok(bytes) => bytes,
        Err((message, help)) => {
            context.diagnostics.error(file.at, message, help);
            return None;
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        context.diagnostics.error(file.at, format!("{} is no UTF-8 text", file.value), "save it as UTF-8");
        return None;
    };
    json(&context.path(&file.value), &text, context)
}

fn json(name: &str, text: &str, context: &mut Context<'_>) -> Option<Written> {
    let source = context.diagnostics.add_source(name.to_owned(), text.to_owned());
    let written = Written::from(tree::read(source, text, context.diagnostics)?);
    form::inspect(&written, &form::Form::Table(keys::ENVELOPE), "", context.diagnostics);
    if let Some((key, _)) = written.members().iter().find(|(key, _)| key.value == "file") {
        context.diagnostics.error(key.at, "this is the file", "remove `file`");
    }
    Some(written)
}

fn read(name: &Located<String>, written: &Written, context: &mut Context<'_>) -> Option<EnvelopeSettings> {
    let headers = written.text_members("headers");
    for (header, _) in &headers {
        if let Err(wrong) = syntax::header_name(&header.value) {
            context.diagnostics.error(header.at, wrong.message, wrong.help);
        }
    }
    let Some(body) = written.find("body") else {
        let message = format!("the envelope {:?} has no body", name.value);
        context.missing(written.at, message, "body = { data = [\"{item}\"], next = \"{links.next}\" }");
        return None;
    };
    let parameters = written.table("parameters");
    let parameter = |(key, role): &(&str, Role)| parameters.text(key).map(|text| (*role, text));
    Some(EnvelopeSettings {
        name: name.value.clone(),
        at: name.at,
        description: written.string("description"),
        documentation: written.string("documentation"),
        content_type: written.string("content_type").unwrap_or_else(|| "application/json".into()),
        parameters: ROLES.iter().filter_map(parameter).collect(),
        over_max: over_max(written).unwrap_or(OverMax::Clamp),
        zero_limit_is_default: written.string("zero_limit").as_deref() == Some("default"),
        empty_cursor_is_first_page: written.string("empty_cursor").as_deref() == Some("first-page"),
        headers,
        body: body.as_json().ok()?,
        error: error(written, context),
    })
}

/// The form of errors of an envelope, or of a file that says nothing else.
pub(super) fn error(written: &Written, context: &mut Context<'_>) -> Option<ErrorSettings> {
    let Some(body) = written.find("error") else {
        for key in ["error_content_type", "error_types"] {
            if let Some((name, _)) = written.members().iter().find(|(name, _)| name.value == key) {
                let help = "add `error`, the body; without it errors are problem documents (RFC 9457)";
                context.missing(name.at, format!("`{key}` stands without `error`"), help);
            }
        }
        return None;
    };
    Some(ErrorSettings {
        body: body.as_json().ok()?,
        content_type: written.string("error_content_type").unwrap_or_else(|| "application/json".into()),
        types: written.text_members("error_types"),
    })
}

/// `over_max` of an envelope, or of a route's `page_size`.
pub(super) fn over_max(table: &Written) -> Option<OverMax> {
    match table.string("over_max")?.as_str() {
        "clamp" => Some(OverMax::Clamp),
        "reject" => Some(OverMax::Reject),
        _ => None,
    }
}
