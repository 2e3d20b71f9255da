//! Bodies of POST requests: skeletons whose placeholders become typed values. If the client sends a body, the
//! skeleton's members are set in this body.
//!
//! A string that consists of one placeholder becomes the value itself: numbers stay numbers, and tokens are the JSON
//! that the upstream sent. A member whose value is unknown is removed, even from the client's body. `{token|null}`
//! becomes null instead.

use std::borrow::Cow;

use super::text::{TemplatePart, TemplateText, Variable};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located, Location},
    tree::{LocatedTree, Tree},
};
use cursorgate_core::json::{Edit, Edits, write::push_text};

/// The values of variables, as text and as JSON. Each function returns `None` for a variable without a value.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// Returns the value of a variable as text.
    pub text: &'a dyn Fn(Variable) -> Option<Cow<'a, str>>,
    /// Returns the value of a variable as JSON.
    pub json: &'a dyn Fn(Variable) -> Option<Cow<'a, [u8]>>,
}

/// A compiled skeleton, which is a JSON object.
#[derive(Clone, Debug)]
pub struct BodyTemplate {
    members: Vec<(TemplateText, BodyNode)>,
}

/// A value of a skeleton.
#[derive(Clone, Debug)]
enum BodyNode {
    Literal(Vec<u8>),
    /// The value of a variable. If the value is unknown, the node is null (`or_null`) or has no value.
    Value {
        variable: Variable,
        or_null: bool,
    },
    Text(TemplateText),
    Object(Vec<(TemplateText, Self)>),
    /// The elements. An element with variables is repeated for each set of values.
    Array(Vec<Self>),
}

impl BodyTemplate {
    /// Compiles a skeleton. Values may contain only the variables in `allowed`, and names of members only those in
    /// `in_names`. Reports faults, and returns `None` if there are any.
    pub fn compile(
        tree: &LocatedTree,
        allowed: &[Variable],
        in_names: &[Variable],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let Tree::Object(members) = &tree.value else {
            diagnostics.error(tree.at, "a body is an object", "write body = { size = \"{size}\" }");
            return None;
        };
        let mut compiler = BodyCompiler { allowed, in_names, diagnostics };
        Some(Self { members: compiler.members(members)? })
    }

    /// Returns the variables in names and values.
    pub fn variables(&self) -> Vec<Variable> {
        let mut found = Vec::new();
        self.members.iter().for_each(|(name, node)| {
            found.extend(name.variables());
            node.collect_variables(&mut found);
        });
        found
    }

    /// Returns JSON Pointers to the members with variables, which clients can't set. If a member's name contains a
    /// variable, the pointer leads to the object around it.
    pub fn places(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect_places(&self.members, "", &mut found);
        found
    }

    /// Returns the JSON Pointers of the members with variables, each with the parts of its value. Elements of arrays,
    /// and members whose names contain variables, are left out.
    pub fn members(&self) -> Vec<(String, Vec<TemplatePart>)> {
        let mut found = Vec::new();
        collect_members(&self.members, "", &mut found);
        found
    }

    /// Returns whether several sets of values can be written: as elements of an array or, if `joins` is `true`, as one
    /// joined string.
    pub fn repeats(&self, joins: bool) -> bool {
        self.members.iter().all(|(name, node)| name.variables().next().is_none() && node.repeats(joins))
    }

    /// Returns the edits of a body. Several sets of values become elements of an array, or are joined by `join`.
    /// Elsewhere only the first set is used.
    pub fn edits(&self, sets: &[Values<'_>], join: Option<&str>) -> Edits {
        edits(&self.members, sets, join)
    }
}

fn edits(members: &[(TemplateText, BodyNode)], sets: &[Values<'_>], join: Option<&str>) -> Edits {
    let edit = |(name, node): &(TemplateText, BodyNode)| {
        let name = written_name(name, sets)?;
        let edit = match node {
            // Other members of the client's object are kept, so only the skeleton's members are edited. Test:
            // `placeholders_become_values`.
            BodyNode::Object(inner) if !inner.is_empty() => Edit::Within(edits(inner, sets, join)),
            // If the value is unknown, a member that the client sent under this name is removed too.
            node => node.render(sets, join).map_or(Edit::Remove, Edit::Set),
        };
        Some((name, edit))
    };
    members.iter().filter_map(edit).collect()
}

/// Returns the name of a member with the first set of values; `None` if a variable has no value.
fn written_name(name: &TemplateText, sets: &[Values<'_>]) -> Option<String> {
    match sets.first() {
        Some(values) => name.render(values.text),
        None => name.render(&|_| None),
    }
}

fn collect_places(members: &[(TemplateText, BodyNode)], above: &str, found: &mut Vec<String>) {
    for (name, node) in members {
        let here = |name: &str| format!("{above}/{}", name.replace('~', "~0").replace('/', "~1"));
        match (name.render(&|_| None), node) {
            (Some(name), BodyNode::Object(inner)) => collect_places(inner, &here(&name), found),
            // Members that never change aren't places of paging, so only members with variables are. Test:
            // `places_are_the_members_with_variables`.
            (Some(name), node) if node.uses_variables() => found.push(here(&name)),
            (Some(_), _) => {}
            // The name contains a variable, so it can be the name of any member, and the whole object is the place.
            (None, _) => found.push(above.to_owned()),
        }
    }
}

fn collect_members(members: &[(TemplateText, BodyNode)], above: &str, found: &mut Vec<(String, Vec<TemplatePart>)>) {
    for (name, node) in members {
        let Some(name) = name.render(&|_| None) else { continue };
        let here = format!("{above}/{}", name.replace('~', "~0").replace('/', "~1"));
        match node {
            BodyNode::Object(inner) => collect_members(inner, &here, found),
            BodyNode::Value { variable, .. } => found.push((here, vec![TemplatePart::Variable(*variable)])),
            BodyNode::Text(text) if node.uses_variables() => found.push((here, text.pieces().to_vec())),
            BodyNode::Text(_) | BodyNode::Literal(_) | BodyNode::Array(_) => {}
        }
    }
}

impl BodyNode {
    fn collect_variables(&self, found: &mut Vec<Variable>) {
        match self {
            Self::Literal(_) => {}
            Self::Value { variable, .. } => found.push(*variable),
            Self::Text(text) => found.extend(text.variables()),
            Self::Object(members) => members.iter().for_each(|(name, node)| {
                found.extend(name.variables());
                node.collect_variables(found);
            }),
            Self::Array(elements) => elements.iter().for_each(|element| element.collect_variables(found)),
        }
    }

    fn uses_variables(&self) -> bool {
        let mut found = Vec::new();
        self.collect_variables(&mut found);
        !found.is_empty()
    }

    fn repeats(&self, joins: bool) -> bool {
        match self {
            Self::Literal(_) | Self::Array(_) => true,
            Self::Value { .. } | Self::Text(_) => joins,
            Self::Object(members) => {
                members.iter().all(|(name, node)| name.variables().next().is_none() && node.repeats(joins))
            }
        }
    }

    /// Returns the JSON of a node; `None` if its value is unknown.
    fn render(&self, sets: &[Values<'_>], join: Option<&str>) -> Option<Vec<u8>> {
        match self {
            Self::Literal(json) => Some(json.clone()),
            Self::Value { variable, or_null } => {
                let json = match (join, sets) {
                    // A single key keeps its JSON form; several keys become one string. Test:
                    // `each_sort_key_fills_an_element_or_a_part_of_a_text`.
                    (Some(join), [_, _, ..]) => joined(sets, join, &|values| (values.text)(*variable)),
                    _ => sets.first().and_then(|values| (values.json)(*variable)).map(Cow::into_owned),
                };
                json.or_else(|| or_null.then(|| b"null".to_vec()))
            }
            Self::Text(text) => {
                let sets = if join.is_some() { sets } else { &sets[..sets.len().min(1)] };
                joined(sets, join.unwrap_or_default(), &|values| text.render(values.text).map(Cow::Owned))
            }
            Self::Object(members) => {
                let parts = members.iter().filter_map(|(name, node)| {
                    let mut part = Vec::new();
                    push_text(&mut part, &written_name(name, sets)?);
                    part.push(b':');
                    part.extend(node.render(sets, join)?);
                    Some(part)
                });
                let parts: Vec<Vec<u8>> = parts.collect();
                (members.is_empty() || !parts.is_empty()).then(|| enclosed(b'{', &parts, b'}'))
            }
            Self::Array(elements) => {
                let mut parts: Vec<Vec<u8>> = Vec::new();
                for element in elements {
                    if element.uses_variables() {
                        parts.extend(sets.iter().filter_map(|values| element.render(&[*values], join)));
                    } else {
                        parts.extend(element.render(sets, join));
                    }
                }
                // An array whose elements are all unknown is left out. An array that is empty in the skeleton is kept.
                // Test: `placeholders_become_values`.
                (elements.is_empty() || !parts.is_empty()).then(|| enclosed(b'[', &parts, b']'))
            }
        }
    }
}

/// Joins the texts of several sets of values into one JSON string; returns `None` if a text is unknown or there are no
/// sets.
fn joined<'v>(sets: &[Values<'v>], join: &str, text: &dyn Fn(&Values<'v>) -> Option<Cow<'v, str>>) -> Option<Vec<u8>> {
    let texts: Vec<Cow<'_, str>> = sets.iter().map(text).collect::<Option<_>>()?;
    let mut json = Vec::new();
    push_text(&mut json, &texts.join(join));
    (!texts.is_empty()).then_some(json)
}

fn enclosed(open: u8, parts: &[Vec<u8>], close: u8) -> Vec<u8> {
    let mut json = vec![open];
    json.extend(parts.join(&b','));
    json.push(close);
    json
}

struct BodyCompiler<'a> {
    allowed: &'a [Variable],
    in_names: &'a [Variable],
    diagnostics: &'a mut Diagnostics,
}

impl BodyCompiler<'_> {
    fn members(&mut self, members: &[(Located<String>, LocatedTree)]) -> Option<Vec<(TemplateText, BodyNode)>> {
        let compiled: Vec<Option<(TemplateText, BodyNode)>> = members
            .iter()
            .map(|(name, value)| {
                let text = TemplateText::parse(&name.value, name, self.in_names, self.diagnostics);
                let node = self.node(value);
                Some((text?, node?))
            })
            .collect();
        compiled.into_iter().collect()
    }

    fn node(&mut self, tree: &LocatedTree) -> Option<BodyNode> {
        let literal = |text: &str| Some(BodyNode::Literal(text.as_bytes().to_vec()));
        match &tree.value {
            Tree::Null => literal("null"),
            Tree::Boolean(flag) => literal(if *flag { "true" } else { "false" }),
            Tree::Number(spelling) => literal(spelling),
            Tree::Text(text) => self.text(text, tree.at),
            Tree::Array(elements) => {
                let compiled: Vec<Option<BodyNode>> = elements.iter().map(|element| self.node(element)).collect();
                Some(BodyNode::Array(compiled.into_iter().collect::<Option<_>>()?))
            }
            Tree::Object(members) => Some(BodyNode::Object(self.members(members)?)),
        }
    }

    fn text(&mut self, text: &str, at: Location) -> Option<BodyNode> {
        let alone = |text: &str| text.starts_with('{') && text.find('}') == Some(text.len() - 1);
        // `{name|null}` becomes null if the value is unknown, and the member is kept.
        let (plain, or_null) = match text.strip_suffix("|null}") {
            Some(head) if alone(&format!("{head}}}")) => (format!("{head}}}"), true),
            _ => (text.to_owned(), false),
        };
        let written = Located { value: text.to_owned(), at };
        let compiled = TemplateText::parse(&plain, &written, self.allowed, self.diagnostics)?;
        let variable = compiled.variables().next();
        Some(match (variable, compiled.render(&|_| None)) {
            (Some(variable), _) if alone(&plain) => BodyNode::Value { variable, or_null },
            (Some(_), _) => BodyNode::Text(compiled),
            (None, literal) => {
                let mut json = Vec::new();
                push_text(&mut json, &literal.unwrap_or_default());
                BodyNode::Literal(json)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::tree;
    use cursorgate_core::json::edited;

    fn compile(text: &str) -> Result<BodyTemplate, String> {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.json".to_owned(), text.to_owned());
        let tree = tree::read(source, text, &mut diagnostics).unwrap();
        let allowed = [Variable::PAGING, Variable::SORTING].concat();
        let compiled = BodyTemplate::compile(&tree, &allowed, Variable::SORTING, &mut diagnostics);
        compiled.ok_or_else(|| diagnostics.iter().map(|fault| fault.message.to_string()).collect())
    }

    /// Sets a skeleton in a client's body, and sorts by these fields. The size is 5, and the item to continue after is
    /// `[1,"a"]`.
    fn written(skeleton: &str, client: &str, fields: &[&str], join: Option<&str>) -> String {
        let texts: Vec<_> = fields
            .iter()
            .map(|field| {
                move |variable| match variable {
                    Variable::Field => Some(Cow::Borrowed(*field)),
                    Variable::Size => Some(Cow::Borrowed("5")),
                    Variable::After => Some(Cow::Borrowed(r#"[1,"a"]"#)),
                    _ => None,
                }
            })
            .collect();
        let values: Vec<_> = texts
            .iter()
            .map(|text| {
                move |variable| {
                    let text = text(variable)?;
                    let json = if variable == Variable::Field { format!("{text:?}") } else { text.into_owned() };
                    Some(Cow::Owned(json.into_bytes()))
                }
            })
            .collect();
        let sets: Vec<Values<'_>> = texts.iter().zip(&values).map(|(text, json)| Values { text, json }).collect();
        let edits = compile(skeleton).unwrap().edits(&sets, join);
        String::from_utf8(edited(client.as_bytes(), &edits).unwrap()).unwrap()
    }

    #[test]
    fn placeholders_become_values() {
        for (skeleton, client, expected) in [
            (r#"{"size":"{size}","after":"{after}"}"#, "{}", r#"{"size":5,"after":[1,"a"]}"#),
            (r#"{"a":"{token}","b":"{token|null}","c":"x{size}y","d":"x{token}"}"#, "{}", r#"{"b":null,"c":"x5y"}"#),
            (r#"{"a":{"b":"{token}"},"c":[],"d":{}}"#, "{}", r#"{"c":[],"d":{}}"#),
            (r#"{"t":true,"n":1.50,"s":"{{x}}"}"#, r#"{"t":0}"#, r#"{"t":true,"n":1.50,"s":"{x}"}"#),
            (
                r#"{"p":{"cursor":"{token}","size":"{size}"}}"#,
                r#"{"p":{"cursor":"ours","q":1}}"#,
                r#"{"p":{"q":1,"size":5}}"#,
            ),
            (r#"{"list":["{token}",{"a":"{token}"},7,"{size}"]}"#, "{}", r#"{"list":[7,5]}"#),
        ] {
            assert_eq!(written(skeleton, client, &["x"], None), expected, "{skeleton}");
        }
    }

    #[test]
    fn each_sort_key_fills_an_element_or_a_part_of_a_text() {
        for (skeleton, fields, join, expected) in [
            (r#"{"sort":[{"{field}":"asc"}]}"#, &["a", "b"][..], None, r#"{"sort":[{"a":"asc"},{"b":"asc"}]}"#),
            (r#"{"sort":[{"{field}":"asc"}]}"#, &[], None, "{}"),
            (r#"{"sort":"{field}"}"#, &["a", "b"], Some(","), r#"{"sort":"a,b"}"#),
            (r#"{"sort":"{field} up"}"#, &["a", "b"], Some(", "), r#"{"sort":"a up, b up"}"#),
            (r#"{"sort":"{field}"}"#, &["a", "b"], None, r#"{"sort":"a"}"#),
            (r#"{"by":{"{field}":1}}"#, &["a"], None, r#"{"by":{"a":1}}"#),
        ] {
            assert_eq!(written(skeleton, "{}", fields, join), expected, "{skeleton}");
        }
        assert!(compile(r#"{"sort":[{"{field}":"asc"}]}"#).unwrap().repeats(false));
        assert!(compile(r#"{"sort":"{field}"}"#).unwrap().repeats(true));
        for single in [r#"{"sort":"{field}"}"#, r#"{"by":{"{field}":1}}"#] {
            assert!(!compile(single).unwrap().repeats(false), "{single}");
        }
    }

    #[test]
    fn places_are_the_members_with_variables() {
        let places = |skeleton: &str| compile(skeleton).unwrap().places();
        let skeleton = r#"{"p":{"cursor":"{token|null}","x":1,"a/b":"n{size}"},"sort":[{"{field}":"asc"}],"y":[1]}"#;
        assert_eq!(places(skeleton), ["/p/cursor", "/p/a~1b", "/sort"]);
        assert_eq!(places(r#"{"by":{"{field}":"{direction}"}}"#), ["/by"]);
    }

    #[test]
    fn unknown_variables_and_other_values_are_faults() {
        assert_eq!(compile("[]").unwrap_err(), "a body is an object");
        assert_eq!(compile(r#"{"a":"{sise}"}"#).unwrap_err(), "unknown variable {sise}");
        assert_eq!(compile(r#"{"{size}":1}"#).unwrap_err(), "unknown variable {size}");
        assert_eq!(compile(r#"{"a":"{size"}"#).unwrap_err(), "a brace has no partner in \"{size\"");
    }
}
