//! The limit of a request: the number of items of its page, from the client's parameters.

use super::{Code, OverMax, Parameters, ParsedQuery, Problem, Role, shown};

impl Parameters {
    /// Returns the number of items, and the limit as the client wrote it; `None` if the client sent no limit.
    pub(super) fn limit(&self, sifted: &ParsedQuery<'_>) -> Result<(u32, Option<String>), Box<Problem>> {
        let mut said: Option<(String, String)> = None;
        for role in [Role::Limit, Role::LimitBackward] {
            let written = self.value(sifted, role, Code::LimitInvalid)?;
            said = said.or_else(|| Some((self.name(role).unwrap_or_default().to_owned(), written?)));
        }
        for (name, written) in &sifted.sizes {
            match &said {
                Some((other, limit)) if limit != written => {
                    let (other, name) = (shown(other), shown(name));
                    let detail = format!("`{other}` and `{name}` both give the number of items: leave out `{name}`");
                    return Err(Box::new(Problem::new(Code::ParameterConflict, detail).with_parameter(name)));
                }
                Some(_) => {}
                None => said = Some((name.clone(), written.clone())),
            }
        }
        match said {
            Some((name, written)) => self.read_limit(&name, written),
            None => Ok((self.default_limit, None)),
        }
    }

    fn read_limit(&self, name: &str, written: String) -> Result<(u32, Option<String>), Box<Problem>> {
        let max = self.max_limit;
        let refuse = |code: Code, detail: String| {
            let mut problem = Problem::new(code, detail).with_parameter(name);
            problem.max_limit = Some(max);
            Err(Box::new(problem))
        };
        // `parse` also accepts a sign, so digits are required. Test: `limits_are_whole_numbers_of_at_least_one`.
        if written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit()) {
            let detail = format!("`{name}` is `{}`: write a whole number from 1 to {max}", shown(&written));
            return refuse(Code::LimitInvalid, detail);
        }
        // Digits fail to parse only if the number is too large, so they count as the largest `u32`.
        let limit = match written.parse().unwrap_or(u32::MAX) {
            0 if self.zero_limit_is_default => self.default_limit,
            0 => {
                let detail = format!("`{name}` is 0: a page has at least one item, and at most {max}");
                return refuse(Code::LimitInvalid, detail);
            }
            limit if limit <= max => limit,
            _ if self.over_max == OverMax::Clamp => max,
            _ => {
                let detail = format!("`{name}` is {}: a page has at most {max} items", shown(&written));
                return refuse(Code::LimitTooLarge, detail);
            }
        };
        Ok((limit, Some(written)))
    }
}
