//! The result of a verified walk for people: as text, and as an HTML page without external resources.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use super::{
    comparison::{ItemCount, ListChanges, WalkComparison, WalkCost, WalkVerdict},
    ending::{EndReview, grouped},
};

/// The style of the page.
const STYLE: &str = include_str!("report.css");

/// A walk in a report.
#[derive(Clone, Debug)]
pub struct ReportedWalk {
    /// The way in which the list was read, such as `by cursor` or `by page`.
    pub way: &'static str,
    /// The findings about the walk.
    pub found: WalkComparison,
    /// The verdict on the walk.
    pub verdict: WalkVerdict,
    /// The cost of the walk.
    pub cost: WalkCost,
    /// True if the bytes of items were compared, because the envelope keeps them.
    pub compares_bytes: bool,
}

/// The contradictions between what answers said about the end of the list and what was read.
#[derive(Clone, Debug, Default)]
pub struct ReportedEnd {
    /// Facts that say that more items follow. With one of them, no walk is called lossless.
    pub doubts: Vec<String>,
    /// Facts that were wrong, but don't say that more items follow.
    pub notes: Vec<String>,
}

impl ReportedEnd {
    /// Adds the review of a walk or a listing. `way` is its name in reports.
    pub fn add(&mut self, way: &str, review: EndReview) {
        for (to, texts) in [(&mut self.doubts, review.doubts), (&mut self.notes, review.notes)] {
            for text in texts {
                let text = format!("{way}: {text}");
                // The listings before and after the walk usually say the same.
                if !to.contains(&text) {
                    to.push(text);
                }
            }
        }
    }
}

/// A verified walk.
#[derive(Clone, Debug)]
pub struct WalkReport {
    /// The URL that was walked.
    pub url: String,
    /// The URL of the direct listings.
    pub direct: String,
    /// The time of the walk (RFC 3339).
    pub at: String,
    /// The walks, the verified one first.
    pub walks: Vec<ReportedWalk>,
    /// The changes of the list during the walk.
    pub changes: ListChanges,
    /// The cost of both direct listings together.
    pub listing: WalkCost,
    /// The facts that contradict the ends that were read.
    pub end: ReportedEnd,
}

/// Returns the counts of each kind of fault with the word for it, in the order of the report.
fn faults(found: &WalkComparison) -> [(&'static str, &ItemCount); 5] {
    [
        ("lost", &found.lost),
        ("repeated", &found.repeated),
        ("altered", &found.altered),
        ("out of order", &found.misplaced),
        ("in another order", &found.unexplained),
    ]
}

fn items(count: usize) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{} items", grouped(count as u64)) }
}

/// Writes a number of bytes with a decimal unit. Examples: `12 B`, `3.4 kB`, `5.6 MB`.
#[must_use]
pub fn sized(bytes: u64) -> String {
    let (thousand, million) = (1_000, 1_000_000);
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / thousand, bytes % thousand / 100),
        _ => format!("{}.{} MB", bytes / million, bytes % million / 100_000),
    }
}

fn cost(cost: WalkCost) -> String {
    let requests =
        if cost.requests == 1 { "1 request".to_owned() } else { format!("{} requests", grouped(cost.requests)) };
    format!("{requests}, {}, {:.1} s", sized(cost.bytes), cost.elapsed.as_secs_f64())
}

/// Returns the numbers of faults of a walk, as the end of a sentence: `none lost, 2 repeated`.
fn outcome(found: &WalkComparison) -> String {
    let said = |(at, (word, fault)): (usize, (&str, &ItemCount))| match (fault.count, at) {
        // Losses and repetitions are listed even if there are none, other counts only if they aren't zero.
        (0, 0 | 1) => Some(format!("none {word}")),
        (0, _) => None,
        (count, _) => Some(format!("{} {word}", grouped(count as u64))),
    };
    faults(found).into_iter().enumerate().filter_map(said).collect::<Vec<_>>().join(", ")
}

/// Returns the verdict on a walk as a sentence.
fn sentence(walk: &ReportedWalk, end: &ReportedEnd) -> &'static str {
    match walk.verdict {
        WalkVerdict::Open if !end.doubts.is_empty() => {
            "The walk could not be judged: an answer says that the list goes on after the end that was read."
        }
        WalkVerdict::Lossless => "No item was lost or repeated.",
        WalkVerdict::Lossy => "Items were lost, repeated or changed on the way.",
        WalkVerdict::Open if walk.found.unexplained.count > 0 => {
            "No item was lost or repeated; their order could not be judged."
        }
        WalkVerdict::Open => "The walk could not be judged: no item stayed as it was meanwhile.",
    }
}

impl WalkReport {
    /// Writes the report as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for walk in &self.walks {
            let _ = writeln!(
                out,
                "{:<10} {}; {}; {}",
                walk.way,
                items(walk.found.items),
                outcome(&walk.found),
                cost(walk.cost)
            );
            for (word, fault) in faults(&walk.found).into_iter().filter(|(_, fault)| fault.count > 0) {
                let more = if fault.count > fault.examples.len() { ", …" } else { "" };
                let _ = writeln!(out, "{:<10}   {word}: {}{more}", "", fault.examples.join(", "));
            }
        }
        let ListChanges { stayed, came, left, changed } = self.changes;
        let (stayed, came, left, changed) =
            (grouped(stayed as u64), grouped(came as u64), grouped(left as u64), grouped(changed as u64));
        let _ = writeln!(out, "meanwhile  {came} came, {left} left, {changed} changed; {stayed} stayed and are judged");
        let _ = writeln!(out, "listings   {} before and after", cost(self.listing));
        if !self.compares_bytes() {
            out.push_str("bytes      not compared: the envelope takes items apart\n");
        }
        if let Some(first) = self.walks.first() {
            if first.found.unexplained.count > 0 && first.verdict == WalkVerdict::Open {
                let why = "items with equal sort keys may be in any order: --config names a file with the order";
                let _ = writeln!(out, "order      {why}");
            }
            for (word, texts) in [("end", &self.end.doubts), ("note", &self.end.notes)] {
                for text in texts {
                    let _ = writeln!(out, "{word:<10} {text}");
                }
            }
            let _ = writeln!(out, "{}", sentence(first, &self.end));
        }
        out
    }

    /// Writes the report as an HTML page without scripts and external resources.
    #[must_use]
    pub fn page(&self) -> String {
        // The page contains text from the upstream, so its policy permits only this style, and no scripts.
        let digest = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!("default-src 'none'; style-src 'sha256-{digest}'");
        let Some(first) = self.walks.first() else { return String::new() };
        let class = match first.verdict {
            WalkVerdict::Lossless => "good",
            WalkVerdict::Lossy => "bad",
            WalkVerdict::Open => "open",
        };
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>Walk of {url}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>{sentence}</h1>\n<p class=\"verdict {class}\">{url}</p>\n\
             <p>Read to its end at {at}, and compared with <code>{direct}</code>.</p>\n",
            url = escaped(&self.url),
            direct = escaped(&self.direct),
            at = escaped(&self.at),
            sentence = sentence(first, &self.end),
        );
        out.push_str("<ul>\n");
        for walk in &self.walks {
            let note = if walk.way == first.way || self.walks.len() == 1 { "" } else { ", as clients read it today" };
            let (way, outcome) = (capital(walk.way), outcome(&walk.found));
            let _ = writeln!(out, "<li>{way}{note}: {}, of which {outcome}.</li>", items(walk.found.items));
        }
        out.push_str("</ul>\n");
        self.table(&mut out);
        for (title, texts) in
            [("What contradicts the end", &self.end.doubts), ("Facts that were wrong", &self.end.notes)]
        {
            if !texts.is_empty() {
                let texts: String = texts.iter().map(|text| format!("<li>{}</li>\n", escaped(text))).collect();
                let _ = write!(out, "<h2>{title}</h2>\n<ul>\n{texts}</ul>\n");
            }
        }
        self.meanwhile(&mut out);
        for walk in &self.walks {
            for (word, fault) in faults(&walk.found).into_iter().filter(|(_, fault)| fault.count > 0) {
                let _ = write!(out, "<h2>{}: {} {word}</h2>\n<p>", capital(walk.way), grouped(fault.count as u64));
                // Ids come from the upstream, and may contain markup, so they are escaped. Test:
                // `texts_of_the_upstream_are_escaped_in_the_page`.
                let ids = fault.examples.iter().map(|id| format!("<code>{}</code>", escaped(id)));
                out.push_str(&ids.collect::<Vec<_>>().join(" "));
                out.push_str(if fault.count > fault.examples.len() { " …</p>\n" } else { "</p>\n" });
            }
        }
        out.push_str("</body>\n</html>\n");
        out
    }

    fn compares_bytes(&self) -> bool {
        self.walks.iter().all(|walk| walk.compares_bytes)
    }

    fn table(&self, out: &mut String) {
        out.push_str("<table>\n<tr><th>way</th><th>items</th><th>lost</th><th>repeated</th><th>altered</th>");
        out.push_str("<th>out of order</th><th>requests</th><th>data</th><th>time</th></tr>\n");
        for ReportedWalk { way, found, cost, compares_bytes, .. } in &self.walks {
            let _ = write!(out, "<tr><th>{}</th><td>{}</td>", capital(way), grouped(found.items as u64));
            let order = found.misplaced.count + found.unexplained.count;
            // A zero would imply that bytes were compared, so the count is left out if they were not.
            let altered = compares_bytes.then_some(found.altered.count);
            for count in [Some(found.lost.count), Some(found.repeated.count), altered, Some(order)] {
                let class = if count.unwrap_or_default() > 0 { " class=\"bad\"" } else { "" };
                let shown = count.map_or_else(|| "not compared".to_owned(), |count| grouped(count as u64));
                let _ = write!(out, "<td{class}>{shown}</td>");
            }
            let (requests, data) = (grouped(cost.requests), sized(cost.bytes));
            let _ =
                writeln!(out, "<td>{requests}</td><td>{data}</td><td>{:.1} s</td></tr>", cost.elapsed.as_secs_f64());
        }
        out.push_str("</table>\n");
    }

    fn meanwhile(&self, out: &mut String) {
        let ListChanges { stayed, came, left, changed } = self.changes;
        let number = |count: usize| grouped(count as u64);
        let _ = write!(
            out,
            "<h2>How this was found</h2>\n<p>The list was read directly before the walk and after it. {} were \
             unchanged in both readings: each of them must be in a walk once. Meanwhile {} came, {} left and {} \
             changed; a walk may have them or not. Direct readings go page by page and may miss items themselves, so \
             at least that many items were lost.",
            items(stayed),
            number(came),
            number(left),
            number(changed),
        );
        if self.walks.len() > 1 {
            out.push_str(" All walks were made at the same time, a page of each in turn.");
        }
        if !self.compares_bytes() {
            out.push_str(" The bytes of items were not compared, because the envelope takes items apart.");
        }
        let _ = writeln!(out, " The direct readings took {}.</p>", cost(self.listing));
    }
}

/// Writes a text with a capital letter, for the beginning of a sentence.
fn capital(way: &str) -> String {
    let mut letters = way.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([7, 1_250, 5_060_000].map(sized), ["7 B", "1.2 kB", "5.0 MB"]);
    }

    #[test]
    fn texts_of_the_upstream_are_escaped_in_the_page() {
        let lost = ItemCount { count: 11, examples: vec!["<script>".to_owned()] };
        let found = WalkComparison { items: 1, lost, ..WalkComparison::default() };
        let walk = ReportedWalk {
            way: "by page",
            found,
            verdict: WalkVerdict::Lossy,
            cost: WalkCost::default(),
            compares_bytes: true,
        };
        let report = WalkReport {
            url: "http://a/?x=\"1\"&y".to_owned(),
            direct: "http://b/".to_owned(),
            at: "2026".to_owned(),
            walks: vec![walk],
            changes: ListChanges::default(),
            listing: WalkCost::default(),
            end: ReportedEnd::default(),
        };
        let page = report.page();
        assert!(page.contains("<code>&lt;script&gt;</code> …") && !page.contains("<script"), "{page}");
        assert!(page.contains("http://a/?x=&quot;1&quot;&amp;y") && page.contains("default-src 'none'"), "{page}");
        assert!(report.text().contains("11 lost"), "{}", report.text());
    }
}
