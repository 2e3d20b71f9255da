//! Envelopes: finds them among the envelopes of the file and the built-in ones, and reads them. Faults within a body
//! are reported by the compiler of skeletons.

use super::{Context, parameter_names};
use crate::{
    diagnostic::{Located, Location, nearest},
    key::TableSettings as _,
    keys::{ENVELOPE, ENVELOPE_SCHEMA, ErrorForm, PARAMETERS},
    presets, schema,
    settings::{EnvelopeSettings, ErrorSettings, Role},
    spanned::Spanned,
    syntax, tree,
};

/// All envelopes that routes can name. A built-in envelope is read when it is first needed.
pub(super) struct Envelopes {
    /// The contents of the envelopes by their names. An envelope that can't be read is listed with `None`, and isn't
    /// reported as unknown.
    read: Vec<(String, Option<Spanned>)>,
}

impl Envelopes {
    /// Reads the envelopes of the file from its table `envelopes`, and all files that this table names.
    pub(super) fn new(own: &Spanned, context: &mut Context<'_>) -> Self {
        let own = own.members().iter();
        Self { read: own.map(|(name, written)| (name.value.clone(), contents(written, context))).collect() }
    }

    /// Returns the envelope that a route names. Returns `None` if there is no such envelope, or if it can't be read;
    /// either is reported.
    pub(super) fn find(&mut self, name: &Located<String>, context: &mut Context<'_>) -> Option<EnvelopeSettings> {
        // An envelope of the file takes precedence over a built-in one of the same name, so only other names are looked
        // up among the built-in ones.
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

    /// Returns the envelope that a route names. If the route has `errors`, it replaces the form of the envelope's
    /// errors. Returns `None` if the envelope or the form can't be read, which is reported.
    pub(super) fn of_route(
        &mut self,
        name: &Located<String>,
        errors: Option<&Located<ErrorForm>>,
        context: &mut Context<'_>,
    ) -> Option<EnvelopeSettings> {
        let mut envelope = self.find(name, context)?;
        match errors.map(|form| (form.value, form.at)) {
            None | Some((ErrorForm::Envelope, _)) => {}
            // An envelope without a form of errors has problem documents (RFC 9457), so its form is removed.
            Some((ErrorForm::Problem, _)) => envelope.error = None,
            Some((ErrorForm::JsonApi, at)) => {
                let preset = Located { value: "jsonapi".to_owned(), at };
                envelope.error = self.find(&preset, context)?.error;
            }
            Some((ErrorForm::Flat, _)) => {
                let (name, text) = presets::FLAT_ERRORS;
                envelope.error = error(&json(name, text, context)?, context);
            }
        }
        Some(envelope)
    }

    /// Returns the built-in envelope in which services get the pages of their inner requests.
    pub(super) fn of_services(at: Location, context: &mut Context<'_>) -> Option<EnvelopeSettings> {
        let (file, text) = presets::CONNECTION_FILE;
        read(&Located { value: presets::CONNECTION.to_owned(), at }, &json(file, text, context)?, context)
    }

    fn unknown(&self, name: &Located<String>, context: &mut Context<'_>) {
        let own = self.read.iter().map(|(known, _)| known.as_str());
        let mut names: Vec<&str> = own.chain(presets::preset_envelopes().map(|(preset, _)| preset)).collect();
        names.sort_unstable();
        names.dedup();
        let meant = nearest(&name.value, names.iter().copied());
        let meant = meant.map(|meant| format!("did you mean {meant:?}? ")).unwrap_or_default();
        let help = format!("{meant}envelopes: {}; your own go under [envelopes.{}]", names.join(", "), name.value);
        context.diagnostics.error(name.at, format!("there is no envelope {:?}", name.value), help);
    }
}

/// Returns the contents of an envelope of the file: its table, or the contents of the file that the table names.
fn contents(written: &Spanned, context: &mut Context<'_>) -> Option<Spanned> {
    let Some(file) = ENVELOPE.file.located(written) else {
        return Some(written.clone());
    };
    if let Some((other, _)) = written.members().iter().find(|(name, _)| name.value != ENVELOPE.file.definition.name) {
        let message = format!("`{}` is set together with `file`", other.value);
        context.diagnostics.error(other.at, message, "write it into that file, which holds all of the envelope");
    }
    let text = context.text_file(&file)?;
    json(&context.path(&file.value, file.at), &text, context)
}

fn json(name: &str, text: &str, context: &mut Context<'_>) -> Option<Spanned> {
    let source = context.diagnostics.add_source(name.to_owned(), text.to_owned());
    let written = Spanned::from(tree::read(source, text, context.diagnostics)?);
    schema::inspect(&written, &ENVELOPE_SCHEMA, "", context.diagnostics);
    if let Some(name) = ENVELOPE.file.name_in(&written) {
        context.diagnostics.error(name.at, "an envelope's file names another file", "remove `file`");
    }
    Some(written)
}

fn read(name: &Located<String>, written: &Spanned, context: &mut Context<'_>) -> Option<EnvelopeSettings> {
    let headers = ENVELOPE.headers.or_empty(written);
    for (header, _) in &headers {
        if let Err(fault) = syntax::header_name(&header.value) {
            context.diagnostics.error(header.at, fault.message, fault.help);
        }
    }
    let Some(body) = ENVELOPE.body.find(written) else {
        let message = format!("the envelope {:?} has no body", name.value);
        context.missing(written.at, message, "body = { data = [\"{item}\"], next = \"{links.next}\" }");
        return None;
    };
    Some(EnvelopeSettings {
        name: name.value.clone(),
        at: name.at,
        parameters: parameter_names!(&PARAMETERS, &ENVELOPE.parameters.table(written)),
        headers,
        body: body.as_json().ok()?,
        error: error(written, context),
        ..EnvelopeSettings::read(written)
    })
}

/// Reads the form of an envelope's errors; `None` if it has none. `written` is the envelope, or a file that only has
/// this form.
fn error(written: &Spanned, context: &mut Context<'_>) -> Option<ErrorSettings> {
    let Some(body) = ENVELOPE.error.find(written) else {
        let names = [ENVELOPE.error_content_type.name_in(written), ENVELOPE.error_types.name_in(written)];
        for name in names.into_iter().flatten() {
            let help = "add `error`, the body; without it errors are problem documents (RFC 9457)";
            context.missing(name.at, format!("`{}` is set without `error`", name.value), help);
        }
        return None;
    };
    Some(ErrorSettings {
        body: body.as_json().ok()?,
        content_type: ENVELOPE.error_content_type.read(written).unwrap_or_else(|| ENVELOPE.content_type.default()),
        types: ENVELOPE.error_types.or_empty(written),
    })
}
