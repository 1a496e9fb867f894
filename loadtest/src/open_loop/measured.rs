//! What a run gave: latencies, counts, and whether they can be trusted. As a table for people, as JSON for programs.

use std::fmt::Write;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::generator::Kind;
use crate::Outcome;

/// The counted part of a run. Each of its requests is in the histogram once, however it ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Latencies in nanoseconds, from the intended start to the last byte of the answer, or to when the request was
    /// given up.
    #[serde(with = "encoded")]
    pub histogram: Histogram<u64>,
    /// Requests that were written to a connection.
    pub sent: u64,
    /// Requests answered in full with status 200.
    pub answered: u64,
    /// Requests that ended otherwise, and idle connections lost without a word.
    pub errors: u64,
    pub kinds: Errors,
    /// Requests that started more than a millisecond late because the generator did.
    pub behind: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// A connection could not be opened.
    pub connect: u64,
    /// A connection was closed or reset without `Connection: close`.
    pub closed: u64,
    /// Not an HTTP/1 answer, or more than one.
    pub malformed: u64,
    /// A status other than 200.
    pub status: u64,
    /// Not answered, or not even sent, at the end of the grace.
    pub unanswered: u64,
}

impl Measured {
    pub fn empty(histogram: Histogram<u64>) -> Self {
        Self {
            histogram,
            sent: 0,
            answered: 0,
            errors: 0,
            kinds: Errors::default(),
            behind: 0,
        }
    }

    pub fn count(&mut self, kind: Kind) {
        self.errors += 1;
        *match kind {
            Kind::Connect => &mut self.kinds.connect,
            Kind::Closed => &mut self.kinds.closed,
            Kind::Malformed => &mut self.kinds.malformed,
            Kind::Status => &mut self.kinds.status,
            Kind::Unanswered => &mut self.kinds.unanswered,
        } += 1;
    }

    /// Median latency in µs, to a thousandth of itself, like all that follow.
    pub fn p50(&self) -> f64 {
        self.percentile(50.0)
    }

    pub fn p90(&self) -> f64 {
        self.percentile(90.0)
    }

    pub fn p99(&self) -> f64 {
        self.percentile(99.0)
    }

    /// 99.9 %.
    pub fn p999(&self) -> f64 {
        self.percentile(99.9)
    }

    /// 99.99 %. Of fewer than 10,000 requests it is the maximum.
    pub fn p9999(&self) -> f64 {
        self.percentile(99.99)
    }

    pub fn max(&self) -> f64 {
        self.histogram.max() as f64 / 1000.0
    }

    /// The latency in µs that `percentile` (0 to 100) of the requests stayed within.
    pub fn percentile(&self, percentile: f64) -> f64 {
        self.histogram.value_at_quantile(percentile / 100.0) as f64 / 1000.0
    }

    /// Percentile (0 to 100) and latency in µs, for a plot: ten steps for each halving of the rest, as far as there are
    /// requests to tell them apart.
    pub fn points(&self) -> Vec<(f64, f64)> {
        let requests = self.histogram.len();
        self.histogram
            .iter_quantiles(10)
            .map(|step| (step.quantile() * 100.0, step.value_iterated_to() as f64 / 1000.0))
            // The maximum stands at 100 %, which an axis of 1/(1-p) does not have; it is drawn where the last request
            // lies.
            .map(|(percentile, latency)| (percentile.min(100.0 - 100.0 / requests as f64), latency))
            .collect()
    }

    /// `behind` as a part of all counted requests, 0 to 1.
    pub fn behind_share(&self) -> f64 {
        self.behind as f64 / (self.histogram.len() as f64).max(1.0)
    }

    /// An error when a request was not answered well: a gateway that refuses quickly would look fast.
    pub fn ensure_clean(&self) -> Outcome<()> {
        if self.errors == 0 {
            return Ok(());
        }
        let (errors, requests, kinds) = (self.errors, self.histogram.len(), self.kinds);
        Err(format!("{errors} errors in {requests} requests: {kinds:?}").into())
    }

    /// An error when more than `BEHIND_SHARE_MAX` started late through the generator's fault: the latencies are then
    /// those of a busy machine, not of the gateway.
    pub fn ensure_on_time(&self) -> Outcome<()> {
        let share = self.behind_share() * 100.0;
        if self.behind_share() <= BEHIND_SHARE_MAX {
            return Ok(());
        }
        Err(format!(
            "the generator itself was late for {} requests ({share:.1} %, at most {:.0} % may be): the latencies do \
             not describe the gateway; lower the rate or leave its CPU more room",
            self.behind,
            BEHIND_SHARE_MAX * 100.0
        )
        .into())
    }

    pub fn to_json(&self) -> Outcome<String> {
        Ok(serde_json::to_string(self)?)
    }

    pub fn from_json(text: &str) -> Outcome<Self> {
        Ok(serde_json::from_str(text)?)
    }

    /// For a person: percentiles, then counts.
    pub fn table(&self) -> String {
        let mut text = String::from("percentile      latency\n");
        let rows = [
            ("50 %", self.p50()),
            ("90 %", self.p90()),
            ("99 %", self.p99()),
            ("99.9 %", self.p999()),
            ("99.99 %", self.p9999()),
            ("maximum", self.max()),
        ];
        for (name, latency) in rows {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<10}{:>10} µs", thousands(latency));
        }
        let _ = write!(
            text,
            "\nsent {}, answered {}, errors {}, generator late for {} ({:.2} %)",
            thousands(self.sent as f64),
            thousands(self.answered as f64),
            thousands(self.errors as f64),
            thousands(self.behind as f64),
            self.behind_share() * 100.0
        );
        text
    }
}

/// Whole, with commas.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// HdrHistogram's own exchange format, V2 compressed, in base64: what its tools in other languages read.
mod encoded {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer as Read, Serializer as Write};

    pub fn serialize<W: Write>(histogram: &Histogram<u64>, to: W) -> Result<W::Ok, W::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .map_err(W::Error::custom)?;
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, R: Read<'de>>(from: R) -> Result<Histogram<u64>, R::Error> {
        let text = String::deserialize(from)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(R::Error::custom)?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(R::Error::custom)
    }
}

/// Up to this part of the requests may start late and the figures still count.
pub const BEHIND_SHARE_MAX: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    /// 10,000 requests of 1 µs to 10 ms.
    fn measured() -> Measured {
        let mut histogram = Histogram::new_with_max(1_000_000_000, 3).expect("sensible bounds");
        for microseconds in 1..=10_000 {
            histogram.saturating_record(microseconds * 1000);
        }
        Measured {
            sent: 10_000,
            answered: 10_000,
            ..Measured::empty(histogram)
        }
    }

    fn near(value: f64, expected: f64) -> bool {
        (value / expected - 1.0).abs() < 0.0011
    }

    #[test]
    fn percentiles_are_microseconds() {
        let measured = measured();
        for (value, expected) in [
            (measured.p50(), 5000.0),
            (measured.p90(), 9000.0),
            (measured.p99(), 9900.0),
            (measured.p999(), 9990.0),
            (measured.p9999(), 9999.0),
            (measured.max(), 10_000.0),
        ] {
            assert!(near(value, expected), "{value} {expected}");
        }
    }

    #[test]
    fn json_brings_back_every_latency() {
        let mut before = measured();
        before.count(Kind::Status);
        before.behind = 3;
        let text = before.to_json().expect("it can be written");
        assert!(text.contains("\"histogram\":\"HISTFAAA"), "{text}");
        let after = Measured::from_json(&text).expect("it can be read");
        assert_eq!(after.histogram, before.histogram);
        assert_eq!((after.errors, after.kinds.status, after.behind), (1, 1, 3));
        assert!(Measured::from_json(r#"{"histogram":"x"}"#).is_err());
    }

    #[test]
    fn one_error_is_one_too_many() {
        assert!(measured().ensure_clean().is_ok());
        for kind in [
            Kind::Connect,
            Kind::Closed,
            Kind::Malformed,
            Kind::Status,
            Kind::Unanswered,
        ] {
            let mut measured = measured();
            measured.count(kind);
            assert!(measured.ensure_clean().is_err(), "{kind:?}");
        }
    }

    #[test]
    fn one_in_a_hundred_may_be_late() {
        let mut measured = measured();
        measured.behind = 100;
        assert!(measured.ensure_on_time().is_ok());
        measured.behind = 101;
        let message = measured.ensure_on_time().expect_err("more than 1 %").to_string();
        assert!(message.contains("generator itself was late for 101"), "{message}");
    }

    #[test]
    fn points_rise_to_the_last_request() {
        let points = measured().points();
        assert!(
            points
                .windows(2)
                .all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1)
        );
        let (percentile, latency) = points[points.len() - 1];
        assert_eq!(percentile, 99.99);
        assert!(near(latency, 10_000.0));
        let none = Measured::empty(Histogram::new_with_max(1000, 3).expect("sensible bounds"));
        assert!(
            none.points().iter().all(|(percentile, _)| percentile.is_finite()) || none.points().is_empty()
        );
    }

    #[test]
    fn the_table_is_for_reading() {
        let table = measured().table();
        assert!(table.contains("99.9 %"), "{table}");
        assert!(
            table.contains("sent 10,000, answered 10,000, errors 0"),
            "{table}"
        );
        assert_eq!(thousands(1_234_567.0), "1,234,567");
        assert_eq!(thousands(999.0), "999");
    }
}
