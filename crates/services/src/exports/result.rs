//! Answers requests for results, including conditional requests (RFC 9110 section 13) and range requests (section 14).
//! A result doesn't change once its job is completed, so the job's id is a strong validator. Section numbers in this
//! file are those of RFC 9110.

use http::{HeaderMap, HeaderValue, Method, header, request};

use super::job::ExportJob;
use cursorgate_translate::downstream::{Code, Problem, Response};

/// The answer to a request for a result, before the bytes of the result are read.
#[derive(Debug)]
pub(super) enum ResultAnswer {
    /// An answer with status 304, which contains no bytes of the result.
    Without(Response),
    /// The head of the answer, and the part of the result that is its body: the index of the first byte, and the number
    /// of bytes.
    Part(Response, (u64, u64)),
}

/// The part of a result that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedRange {
    Whole,
    /// The indices of the first and the last byte, counted from 0.
    Part(u64, u64),
    Unsatisfiable,
}

/// Evaluates a request for the result of a completed job, and returns the head of its answer.
///
/// # Errors
///
/// Returns 416 `range_unsatisfiable` if the range begins after the end of the result, or is empty.
pub(super) fn answer(job: &ExportJob, request: &request::Parts) -> Result<ResultAnswer, Box<Problem>> {
    let asked = &request.headers;
    let length = job.progress.bytes;
    let tag = format!("\"{}\"", job.id);
    // `If-None-Match` is evaluated before `Range` (section 13.2.2).
    if asked.get_all(header::IF_NONE_MATCH).iter().any(|value| names(value, &tag)) {
        let mut response = Response::new(304, Vec::new());
        response.headers.remove(header::CONTENT_LENGTH);
        insert(&mut response.headers, header::ETAG, &tag);
        return Ok(ResultAnswer::Without(response));
    }
    // If `If-Range` names another validator, the client has bytes of another result. A part of this result can't
    // continue those bytes, so the range is ignored (section 13.1.5). Test: `a_result_is_read_in_parts`.
    let is_current = asked.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes());
    // Ranges are defined only for GET (section 14.2), so HEAD gets the head of the whole result.
    let has_range = is_current && request.method == Method::GET;
    let range = if has_range { range(asked, length) } else { AskedRange::Whole };
    let (status, first, count) = match range {
        AskedRange::Whole => (200, 0, length),
        AskedRange::Part(first, last) => (206, first, last - first + 1),
        AskedRange::Unsatisfiable => {
            let detail = format!("the result has {length} bytes");
            let mut problem = Problem::new(Code::RangeUnsatisfiable, detail).with_parameter("Range");
            // `Content-Range` states the length of the whole result (section 14.4).
            problem.content_range = HeaderValue::try_from(format!("bytes */{length}")).ok();
            return Err(Box::new(problem));
        }
    };
    let mut response = Response::new(status, Vec::new());
    let headers = &mut response.headers;
    headers.insert(header::CONTENT_LENGTH, count.into());
    insert(headers, header::CONTENT_TYPE, job.media_type());
    insert(headers, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", job.file_name()));
    insert(headers, header::ETAG, &tag);
    insert(headers, header::ACCEPT_RANGES, "bytes");
    insert(headers, header::CACHE_CONTROL, "private, no-store");
    insert(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if status == 206 {
        insert(headers, header::CONTENT_RANGE, &format!("bytes {first}-{}/{length}", first + count - 1));
    }
    Ok(ResultAnswer::Part(response, (first, count)))
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    // The values are visible ASCII, so this never fails.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Returns whether a value of `If-None-Match` names the validator `tag`, or any validator by `*`.
fn names(value: &HeaderValue, tag: &str) -> bool {
    let text = value.to_str().unwrap_or_default();
    // `If-None-Match` compares weakly, because a proxy might have made the validator weak (section 13.1.2).
    text.split(',').any(|named| matches!(named.trim(), "*") || named.trim().trim_start_matches("W/") == tag)
}

/// Reads `Range` (section 14.2). Several ranges, another unit and a malformed range are ignored, which the section
/// allows, so the answer is the whole result. `length` is the length of the result.
fn range(asked: &HeaderMap, length: u64) -> AskedRange {
    let mut lines = asked.get_all(header::RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return AskedRange::Whole };
    let text = line.to_str().unwrap_or_default();
    let Some((unit, set)) = text.split_once('=') else { return AskedRange::Whole };
    let Some((first, last)) = set.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes")) else {
        return AskedRange::Whole;
    };
    // A number that doesn't fit into 64 bits is valid and lies after the end of every result, so it becomes the largest
    // number.
    let number = |text: &str| -> Option<u64> {
        // `parse` by itself would accept a sign, as in `+3`. Test: `a_range_is_a_part_the_whole_or_unsatisfiable`.
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        // A range whose last byte is before its first byte is invalid (section 14.1.1), so it is ignored.
        (Some(first), Some(last)) if first > last => AskedRange::Whole,
        // This arm is before the arms that subtract 1 from the length, because a result can be empty.
        // Test: `a_range_is_a_part_the_whole_or_unsatisfiable`.
        (Some(first), _) if first >= length && (last.is_empty() || number(last).is_some()) => AskedRange::Unsatisfiable,
        (Some(first), Some(last)) => AskedRange::Part(first, last.min(length - 1)),
        (Some(first), None) if last.is_empty() => AskedRange::Part(first, length - 1),
        // `bytes=-3` means the last three bytes (section 14.1.2).
        (None, Some(suffix)) if first.is_empty() => match suffix.min(length) {
            0 => AskedRange::Unsatisfiable,
            suffix => AskedRange::Part(length - suffix, length - 1),
        },
        _ => AskedRange::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_the_whole_or_unsatisfiable() {
        use AskedRange::{Part, Unsatisfiable, Whole};
        for (line, expected) in [
            ("bytes=0-0", Part(0, 0)),
            ("bytes=2-", Part(2, 9)),
            ("Bytes = 2-5", Part(2, 5)),
            ("bytes=5-99", Part(5, 9)),
            ("bytes=-3", Part(7, 9)),
            ("bytes=-99", Part(0, 9)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-12", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=5-2", Whole),
            ("bytes=-", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=a-", Whole),
            ("bytes=1-b", Whole),
            ("bytes=+1-2", Whole),
            ("items=0-1", Whole),
            ("bytes", Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(line));
            assert_eq!(range(&headers, 10), expected, "{line}");
            let of_nothing = range(&headers, 0);
            assert!(matches!(of_nothing, Whole | Unsatisfiable), "{line}: {of_nothing:?}");
        }
    }
}
