//! Results as clients read them: whole or a part (RFC 9110 sections 13 and 14), with a strong validator. A result does not
//! change once its job is completed.

use std::{io, path::PathBuf};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};

use super::job::ExportJob;
use crate::{
    downstream::{Code, Problem, Response},
    gateway::{
        outcome::failure::Failure,
        session::service::{BodySource, ServiceAnswer, StreamedResponse},
    },
};

/// The size of a part of the body.
const PART: usize = 64 << 10;

/// The part of a result that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedRange {
    Whole,
    /// From the first byte to the last one.
    Part(u64, u64),
    Unsatisfiable,
}

/// Answers a request for the result of a completed job.
///
/// # Errors
///
/// Returns 416 `range_unsatisfiable`, or the failure to open the file.
pub(super) async fn answer(job: &ExportJob, file: PathBuf, asked: &HeaderMap) -> Result<ServiceAnswer, Failure> {
    let length = job.progress.bytes;
    let tag = format!("\"{}\"", job.id);
    if asked.get_all(header::IF_NONE_MATCH).iter().any(|value| names(value, &tag)) {
        let mut response = Response::new(304, Vec::new());
        response.headers.remove(header::CONTENT_LENGTH);
        insert(&mut response.headers, header::ETAG, &tag);
        return Ok(ServiceAnswer::Whole(response));
    }
    // A part of another result would not fit to what the client has (section 13.1.5).
    let is_current = asked.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes());
    let range = if is_current { range(asked, length) } else { AskedRange::Whole };
    let (status, first, count) = match range {
        AskedRange::Whole => (200, 0, length),
        AskedRange::Part(first, last) => (206, first, last - first + 1),
        AskedRange::Unsatisfiable => {
            let detail = format!("the result has {length} bytes");
            return Err(Box::new(Problem::new(Code::RangeUnsatisfiable, detail).with_parameter("Range")).into());
        }
    };
    let opened = async {
        let mut file = File::open(file).await?;
        file.seek(io::SeekFrom::Start(first)).await?;
        Ok::<File, io::Error>(file)
    };
    let file = opened.await.map_err(|error| {
        Failure::logged(Code::Internal, "the result can't be read: report the request id", error.to_string())
    })?;
    let mut response = Response::new(status, Vec::new());
    let headers = &mut response.headers;
    let definition = &job.definition;
    headers.insert(header::CONTENT_LENGTH, count.into());
    insert(headers, header::CONTENT_TYPE, definition.compression.content_type(definition.format));
    insert(headers, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", job.file_name()));
    insert(headers, header::ETAG, &tag);
    insert(headers, header::ACCEPT_RANGES, "bytes");
    insert(headers, header::CACHE_CONTROL, "private, no-store");
    insert(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if status == 206 {
        insert(headers, header::CONTENT_RANGE, &format!("bytes {first}-{}/{length}", first + count - 1));
    }
    let body = Box::new(ResultBody { file, left: count });
    Ok(ServiceAnswer::Streamed(Box::new(StreamedResponse { head: response, body })))
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    // Every value here is plain text.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Returns whether a line of `If-None-Match` names a validator.
fn names(value: &HeaderValue, tag: &str) -> bool {
    let text = value.to_str().unwrap_or_default();
    text.split(',').any(|named| matches!(named.trim(), "*") || named.trim().trim_start_matches("W/") == tag)
}

/// Reads `Range` (section 14.2). A range of another unit, several ranges, and one that can't be read ask for the whole.
fn range(asked: &HeaderMap, length: u64) -> AskedRange {
    let mut lines = asked.get_all(header::RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return AskedRange::Whole };
    let text = line.to_str().unwrap_or_default();
    let Some((unit, set)) = text.split_once('=') else { return AskedRange::Whole };
    let Some((first, last)) = set.trim().split_once('-').filter(|_| unit.trim().eq_ignore_ascii_case("bytes")) else {
        return AskedRange::Whole;
    };
    let number = |text: &str| -> Option<u64> {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => AskedRange::Whole,
        (Some(first), _) if first >= length && (last.is_empty() || number(last).is_some()) => AskedRange::Unsatisfiable,
        (Some(first), Some(last)) => AskedRange::Part(first, last.min(length - 1)),
        (Some(first), None) if last.is_empty() => AskedRange::Part(first, length - 1),
        (None, Some(suffix)) if first.is_empty() => match suffix.min(length) {
            0 => AskedRange::Unsatisfiable,
            suffix => AskedRange::Part(length - suffix, length - 1),
        },
        _ => AskedRange::Whole,
    }
}

/// A part of a file.
struct ResultBody {
    file: File,
    left: u64,
}

#[async_trait]
impl BodySource for ResultBody {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let size = usize::try_from(self.left).unwrap_or(PART).min(PART);
        let mut part = BytesMut::zeroed(size);
        let read = self.file.read(&mut part).await?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file of the result is too short"));
        }
        part.truncate(read);
        self.left -= u64::try_from(read).unwrap_or(self.left);
        Ok(Some(part.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
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
