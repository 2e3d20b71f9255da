//! `Content-Range` of list APIs, as in RFC 9110 section 14.4, but with an optional unit, as PostgREST sends it.

use http::{HeaderMap, header::CONTENT_RANGE};

/// A value in a content range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangePart {
    /// The index of the answer's first item.
    Start,
    /// The index of the answer's last item.
    End,
    /// The number of items in the whole list.
    Total,
}

impl RangePart {
    /// All parts with their names in `content-range:NAME`.
    pub const NAMES: [(&'static str, Self); 3] = [("start", Self::Start), ("end", Self::End), ("total", Self::Total)];
}

/// The values of `Content-Range`, each `None` if it is missing or invalid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentRange {
    /// The indices of the first and the last item, counted from 0.
    range: Option<(u64, u64)>,
    /// The number of items in the whole list.
    total: Option<u64>,
}

impl ContentRange {
    /// Returns the content range of a response. It is empty if there is no such header, if there are several, or if the
    /// header is invalid.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut fields = headers.get_all(CONTENT_RANGE).iter();
        match (fields.next(), fields.next()) {
            (Some(field), None) => field.to_str().ok().and_then(Self::parse).unwrap_or_default(),
            // Either of two fields could be meant, so both are ignored. Test: `two_fields_contradict_each_other`.
            _ => Self::default(),
        }
    }

    /// Returns a part of the range; `None` if the part is unknown.
    pub fn part(self, part: RangePart) -> Option<u64> {
        match part {
            RangePart::Start => self.range.map(|(start, _)| start),
            RangePart::End => self.range.map(|(_, end)| end),
            RangePart::Total => self.total,
        }
    }

    /// Parses `0-24/3573`, `0-24/*` or `*/0`, with or without a unit before the range; `None` for other texts.
    fn parse(field: &str) -> Option<Self> {
        let field = field.trim();
        let ranges = field.rsplit_once(' ').map_or(field, |(_, ranges)| ranges);
        let (range, total) = ranges.split_once('/')?;
        let range = match range {
            "*" => None,
            _ => {
                let (start, end) = range.split_once('-')?;
                let (start, end) = (integer(start)?, integer(end)?);
                (start <= end).then_some((start, end))
            }
        };
        let total = match total {
            "*" => None,
            _ => Some(integer(total)?),
        };
        // A total that is smaller than its range is a wrong estimate, but the range is still valid, so only the total
        // is dropped. Test: `a_page_with_an_invalid_total_is_served_without_a_total`.
        let total = total.filter(|total| range.is_none_or(|(_, end)| end < *total));
        Some(Self { range, total })
    }
}

/// Parses a number that consists of only ASCII digits; returns `None` for other texts and for numbers beyond 64 bits.
pub fn integer(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The range and the total of a content range.
    type Said = (Option<(u64, u64)>, Option<u64>);

    fn read(field: &str) -> Option<Said> {
        ContentRange::parse(field).map(|found| (found.range, found.total))
    }

    #[test]
    fn ranges_are_read_with_and_without_unit_and_total() {
        assert_eq!(read("0-24/3573"), Some((Some((0, 24)), Some(3573))));
        assert_eq!(read("items 0-24/3573"), Some((Some((0, 24)), Some(3573))));
        assert_eq!(read("0-24/*"), Some((Some((0, 24)), None)));
        assert_eq!(read("*/0"), Some((None, Some(0))));
        assert_eq!(read("items */3573"), Some((None, Some(3573))));
        assert_eq!(read("*/*"), Some((None, None)));
        assert_eq!(read(" 7-7/8 "), Some((Some((7, 7)), Some(8))));
    }

    #[test]
    fn invalid_content_ranges_are_ignored() {
        for field in ["", "0-24", "items", "a-b/3", "0-/3", "-3/4", "0-24/", "0-24/-1", "0-24/1e3", "0x0-1/2"] {
            assert_eq!(read(field), None, "{field}");
        }
        assert_eq!(read("5-4/9"), Some((None, Some(9))), "a range that runs backwards");
        assert_eq!(read("0-24/24"), Some((Some((0, 24)), None)), "a total that its own range passes");
        assert_eq!(read("0-24/25"), Some((Some((0, 24)), Some(25))));
        assert_eq!(read("0-99999999999999999999/*"), None, "beyond 64 bits");
    }

    #[test]
    fn two_fields_contradict_each_other() {
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_RANGE, "0-1/2".parse().unwrap());
        assert_eq!(ContentRange::of(&headers).part(RangePart::Total), Some(2));
        headers.append(CONTENT_RANGE, "0-1/3".parse().unwrap());
        assert_eq!(ContentRange::of(&headers), ContentRange::default());
    }
}
