//! Prometheus' text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4).
//!
//! A family declares its labels once, and each sample has a value for each label, so all samples of a family have the
//! same labels. No library is used: `prometheus-client` writes only OpenMetrics, which `promtool check metrics`
//! rejects, and both it and `prometheus` keep values in locked maps, which grow with label values from outside. Here,
//! values are in arrays with an element for each label value that the program knows.

use std::fmt::{Display, Write as _};

use crate::outcome::histogram::{HistogramCounts, SHOWN_TIMES};

/// Metrics as text.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    /// The families, as rows of the table in docs/observability.md.
    #[cfg(test)]
    pub(super) rows: Vec<String>,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// The samples of a family.
#[derive(Debug)]
pub(super) struct Samples<'e> {
    text: &'e mut String,
    name: &'static str,
    labels: Vec<&'static str>,
}

impl Exposition {
    /// Starts a family. By convention, its name ends with the unit, and the name of a counter with `_total`.
    pub(super) fn family(
        &mut self,
        kind: MetricKind,
        name: &'static str,
        labels: &[&'static str],
        help: &str,
    ) -> Samples<'_> {
        let word = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        // `promtool` rejects counters without the suffix `_total`, and other metrics with it, so debug builds panic on
        // such names. Test: `promtool_accepts_every_family`.
        debug_assert_eq!(kind == MetricKind::Counter, name.ends_with("_total"), "{name} is a {word}");
        #[cfg(test)]
        self.rows.push(format!("| `{name}` | {} | {help} |", labels.join(", ")));
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {word}\n");
        Samples { text: &mut self.text, name, labels: labels.to_vec() }
    }

    /// Adds a gauge without labels.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(MetricKind::Gauge, name, &[], help).sample(&[], value);
    }

    /// Adds a counter without labels.
    pub(super) fn counter(&mut self, name: &'static str, help: &str, value: impl Display) {
        self.family(MetricKind::Counter, name, &[], help).sample(&[], value);
    }

    /// Returns all families in the text format.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl Samples<'_> {
    /// Adds a sample with a value for each label.
    pub(super) fn sample(&mut self, values: &[&str], value: impl Display) {
        self.series("", values, None);
        let _ = writeln!(self.text, " {value}");
    }

    /// Adds a histogram of numbers.
    pub(super) fn histogram(&mut self, values: &[&str], counts: &HistogramCounts) {
        self.buckets(values, counts, |value| value);
    }

    /// Adds a histogram of times, whose bounds and sum are in microseconds, with at most the bounds [`SHOWN_TIMES`].
    pub(super) fn times(&mut self, values: &[&str], counts: HistogramCounts) {
        self.buckets(values, &counts.only(SHOWN_TIMES), Seconds);
    }

    fn buckets<T: Display>(&mut self, values: &[&str], counts: &HistogramCounts, unit: impl Fn(u64) -> T) {
        for (bound, count) in &counts.up_to {
            self.series("_bucket", values, Some(&unit(*bound).to_string()));
            let _ = writeln!(self.text, " {count}");
        }
        // The format requires this bucket, with the value of `_count`.
        self.series("_bucket", values, Some("+Inf"));
        let _ = writeln!(self.text, " {}", counts.count);
        self.series("_sum", values, None);
        let _ = writeln!(self.text, " {}", unit(counts.sum));
        self.series("_count", values, None);
        let _ = writeln!(self.text, " {}", counts.count);
    }

    /// Writes the name and the labels of a sample. `bound` is the value of the label `le` of a histogram's bucket.
    fn series(&mut self, suffix: &str, values: &[&str], bound: Option<&str>) {
        // All samples of a family must have the same labels, because queries join series by them. Test:
        // `a_family_has_one_set_of_labels`.
        debug_assert_eq!(values.len(), self.labels.len(), "{} has a value for each label", self.name);
        let _ = write!(self.text, "{}{suffix}", self.name);
        let labels = self.labels.iter().copied().zip(values.iter().copied()).chain(bound.map(|bound| ("le", bound)));
        for (index, (label, value)) in labels.enumerate() {
            let _ = write!(self.text, "{}{label}=\"", if index == 0 { '{' } else { ',' });
            // The format escapes only these three characters in label values, so all others are written unchanged.
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if !values.is_empty() || bound.is_some() {
            self.text.push('}');
        }
    }
}

/// Microseconds, written in seconds without trailing zeros.
pub(super) struct Seconds(pub(super) u64);

impl Display for Seconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        formatter.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_the_text_format_of_prometheus() {
        let mut exposition = Exposition::default();
        exposition.gauge("up", "Whether.", 1);
        let mut family = exposition.family(MetricKind::Counter, "requests_total", &["route", "status"], "Requests.");
        family.sample(&["users \"x\"\\\n", ""], 7);
        let counts = HistogramCounts { up_to: vec![(2_500, 1), (10_000_000, 2)], count: 3, sum: 61_000_002 };
        exposition.family(MetricKind::Histogram, "wait_seconds", &["route"], "Waits.").times(&["a"], counts.clone());
        exposition.family(MetricKind::Histogram, "size", &[], "Sizes.").histogram(&[], &counts);
        let text = exposition.into_text();
        let expected = "# HELP up Whether.\n# TYPE up gauge\nup 1\n\
                        # HELP requests_total Requests.\n# TYPE requests_total counter\n\
                        requests_total{route=\"users \\\"x\\\"\\\\\\n\",status=\"\"} 7\n\
                        # HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n\
                        wait_seconds_bucket{route=\"a\",le=\"0.0025\"} 1\nwait_seconds_bucket{route=\"a\",le=\"10\"} 2\n\
                        wait_seconds_bucket{route=\"a\",le=\"+Inf\"} 3\nwait_seconds_sum{route=\"a\"} 61.000002\n\
                        wait_seconds_count{route=\"a\"} 3\n\
                        # HELP size Sizes.\n# TYPE size histogram\n\
                        size_bucket{le=\"2500\"} 1\nsize_bucket{le=\"10000000\"} 2\nsize_bucket{le=\"+Inf\"} 3\n\
                        size_sum 61000002\nsize_count 3\n";
        assert_eq!(text, expected);
    }
}
