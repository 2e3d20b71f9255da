//! `cursorgate explain-code`: the meaning of problem codes, from their page of the documentation.

use super::{Failure, report};
use cursorgate_config::diagnostic::nearest;
use cursorgate_translate::downstream::Code;

/// The page of the documentation with a section for each code. Test: `every_code_has_a_section_of_its_own`.
const PAGE: &str = include_str!("../../docs/problems.md");

/// Prints the section of a code, or the list of all codes.
pub(super) fn explain(code: Option<&str>) -> Result<(), Failure> {
    let names = || Code::ALL.iter().map(|code| code.as_str());
    let Some(code) = code else {
        let width = names().map(str::len).max().unwrap_or(0);
        let line = |code: &Code| format!("{:width$}  {}  {}\n", code.as_str(), code.status(), code.title());
        return report::output(&Code::ALL.iter().map(line).collect::<String>());
    };
    match section(code) {
        Some(text) => report::output(&format!("{code}\n\n{}\n", without_links(text))),
        None => {
            let hint = nearest(code, names()).map(|near| format!(" did you mean {near:?}?")).unwrap_or_default();
            let message = format!("there is no problem code {code:?}.{hint} `cursorgate explain-code` lists them");
            Err(Failure::failed(message))
        }
    }
}

/// Returns the section of a code without its heading; `None` for an unknown code.
fn section(code: &str) -> Option<&'static str> {
    let (_, rest) = PAGE.split_once(&format!("\n### {code}\n"))?;
    // The last code of a part is followed by the heading of the next part, so both kinds of headings end a section.
    // Test: `every_code_has_a_section_of_its_own`.
    let end = ["\n### ", "\n## "].into_iter().filter_map(|heading| rest.find(heading)).min();
    rest.get(..end.unwrap_or(rest.len())).map(str::trim)
}

/// Replaces each link in a Markdown text with the words of the link. The text after a malformed link stays as it is.
fn without_links(mut text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    while let Some((before, rest)) = text.split_once("](") {
        let Some((begins, words)) = before.rsplit_once('[') else { break };
        let Some((_, after)) = rest.split_once(')') else { break };
        plain.extend([begins, words]);
        text = after;
    }
    plain + text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_section_of_its_own() {
        for code in Code::ALL {
            let text = section(code.as_str()).unwrap();
            assert!(text.starts_with(&format!("**{} · ", code.status())), "{text}");
            assert!(text.matches("- *Client:* ").count() <= 1 && !text.contains("\n#"), "{text}");
            assert!(!without_links(text).contains("]("));
        }
        assert_eq!(section("no"), None);
    }

    #[test]
    fn links_are_reduced_to_their_words() {
        assert_eq!(without_links("a [b c](d.md#e) f [g](h)."), "a b c f g.");
        assert_eq!(without_links("`a[0](b` [c]"), "`a[0](b` [c]");
    }
}
