//! Responses whose body is a problem.

use http::{
    HeaderValue,
    header::{CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::Response;
use crate::downstream::{envelope::EnvelopeTemplate, problem::Problem};

impl Response {
    /// Creates the response of a problem: in the envelope's error form, or as `application/problem+json`.
    ///
    /// `types` is the URL before the code in the problem's type. If it is `None`, the type in
    /// `application/problem+json` is `about:blank`, and the title is the reason phrase of the status (RFC 9457, section
    /// 4.2.1).
    #[must_use]
    pub fn of_problem(
        problem: &Problem,
        types: Option<&str>,
        request_id: &str,
        template: Option<&EnvelopeTemplate>,
    ) -> Self {
        let problem_type = types.map(|types| format!("{types}{}", problem.code.as_str()));
        let mut body = Vec::with_capacity(512);
        let content_type = match template.and_then(EnvelopeTemplate::error) {
            Some(form) => {
                form.render(problem, problem_type.as_deref(), request_id, &mut body);
                form.content_type().clone()
            }
            None => {
                problem.render_document(problem_type.as_deref(), request_id, &mut body);
                HeaderValue::from_static("application/problem+json")
            }
        };
        let mut response = Self::new(problem.status, body);
        response.headers.insert(CONTENT_TYPE, content_type);
        // By default, caches may keep a 404, 410 or 414 (RFC 9110, section 15.1), so storing is forbidden.
        response.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(value) = &problem.retry_after {
            response.headers.insert(RETRY_AFTER, value.clone());
        }
        if let Some(value) = &problem.content_range {
            response.headers.insert(CONTENT_RANGE, value.clone());
        }
        if let Some(value) = &problem.challenge {
            response.headers.insert(WWW_AUTHENTICATE, value.clone());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downstream::Code;

    #[test]
    fn the_title_of_a_blank_type_is_the_statuss_phrase() {
        let title = |types| {
            let response = Response::of_problem(&Problem::new(Code::CursorExpired, "x"), types, "r", None);
            let document: serde_json::Value = serde_json::from_slice(&response.body.into_parts().concat()).unwrap();
            (document["type"].clone(), document["title"].clone())
        };
        assert_eq!(title(None), ("about:blank".into(), "Gone".into()));
        assert_eq!(title(Some("/problems/")), ("/problems/cursor_expired".into(), "Expired cursor".into()));
    }
}
