//! What a client is told of a limit: the vendor's header lines, and the fields of an Internet-Draft.

use crate::{
    http1::Headers,
    policy::{
        Request,
        rate_limit::{Decision, Limit},
    },
};

/// Which lines are written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// `X-RateLimit-*`.
    pub(super) vendor: bool,
    /// `RateLimit` and `RateLimit-Policy`.
    pub(super) fields: bool,
}

/// How a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    pub(super) reset_ms: u64,
}

impl From<&Decision> for Quota {
    fn from(decision: &Decision) -> Self {
        Self {
            limit: decision.limit,
            remaining: decision.remaining,
            reset_ms: decision.reset_ms.into(),
        }
    }
}

impl Told {
    pub(super) fn anything(self) -> bool {
        self.vendor || self.fields
    }
}

impl Quota {
    /// The vendor's three lines. Where there are such already, of a policy behind this one or of the origin, those stay
    /// that are nearer their end: they are what the client will run into.
    pub(super) fn tell(&self, headers: &mut Headers, bytes: &[u8]) {
        let theirs = headers.values(bytes, REMAINING.as_bytes()).next();
        let theirs = theirs.and_then(|value| std::str::from_utf8(value).ok()?.parse::<u64>().ok());
        if theirs.is_some_and(|theirs| theirs <= self.remaining.into()) {
            return;
        }
        for (name, number) in [
            (LIMIT, self.limit.into()),
            (REMAINING, self.remaining.into()),
            (RESET, self.reset_ms),
        ] {
            // Digits are a value.
            let _ = headers.set(bytes, name.as_bytes(), Decimal::new(number).as_bytes());
        }
    }
}

/// When it is worth asking again (RFC 9110 §10.2.3): seconds, rounded up.
pub(super) fn retry_after(request: &mut Request<'_>, reset_ms: u64) {
    request.reply("Retry-After", Decimal::new(reset_ms.div_ceil(1000)).as_bytes());
}

/// draft-ietf-httpapi-ratelimit-headers-09: a list of what is kept to, each with a name, and how one of them stands.
pub(super) struct Fields {
    /// Value of `RateLimit-Policy`.
    policy: Box<str>,
    limits: Box<[Limit]>,
}

impl Fields {
    pub(super) fn new(limits: &[Limit]) -> Self {
        let item = |limit: &Limit| {
            let (name, quota) = (name(limit), limit.requests);
            // Whole seconds are all there is; a window is not said to be shorter than it is.
            format!("{name};q={quota};w={}", limit.window_ms.div_ceil(1000))
        };
        let items: Vec<String> = limits.iter().map(item).collect();
        Self {
            policy: items.join(", ").into(),
            limits: limits.into(),
        }
    }

    pub(super) fn tell(&self, quota: &Quota, headers: &mut Headers) {
        let named = (self.limits.iter()).filter(|limit| limit.requests == quota.limit);
        // Of two with the same number, one whose window can have so long to go.
        let limit = named
            .filter(|limit| u64::from(limit.window_ms) >= quota.reset_ms)
            .min_by_key(|limit| limit.window_ms);
        let Some(limit) = limit else { return };
        let remaining = quota.remaining;
        let stands = format!(
            "{};r={remaining};t={}",
            name(limit),
            quota.reset_ms.div_ceil(1000)
        );
        // Names are ours: letters, digits and a hyphen in quotes.
        let _ = headers.append(b"RateLimit-Policy", self.policy.as_bytes());
        let _ = headers.append(b"RateLimit", stands.as_bytes());
    }
}

fn name(limit: &Limit) -> String {
    format!("\"{}-in-{}ms\"", limit.requests, limit.window_ms)
}

/// A number's digits, in place.
struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn new(mut number: u64) -> Self {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

const LIMIT: &str = "X-RateLimit-Limit";
const REMAINING: &str = "X-RateLimit-Remaining";
const RESET: &str = "X-RateLimit-Reset";

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(headers: &Headers) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        headers
            .pairs(b"")
            .map(|(name, value)| format!("{}: {}", text(name), text(value)))
            .collect()
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 9, 10, 1234567890, u64::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn what_is_nearer_its_end_is_told() {
        let mut headers = Headers::default();
        let quota = |limit, remaining| Quota {
            limit,
            remaining,
            reset_ms: 1234,
        };
        quota(10, 5).tell(&mut headers, b"");
        quota(20, 7).tell(&mut headers, b"");
        assert_eq!(
            lines(&headers),
            [
                "X-RateLimit-Limit: 10",
                "X-RateLimit-Remaining: 5",
                "X-RateLimit-Reset: 1234"
            ]
        );
        quota(30, 4).tell(&mut headers, b"");
        assert_eq!(lines(&headers)[0], "X-RateLimit-Limit: 30");
        assert_eq!(lines(&headers).len(), 3);
    }

    #[test]
    fn fields_name_every_limit_and_say_how_one_stands() {
        let limit = |requests, window_ms| Limit { requests, window_ms };
        let fields = Fields::new(&[limit(10, 1000), limit(100, 60_000), limit(10, 90_500)]);
        let mut headers = Headers::default();
        let quota = Quota {
            limit: 10,
            remaining: 3,
            reset_ms: 60_001,
        };
        fields.tell(&quota, &mut headers);
        assert_eq!(
            lines(&headers),
            [
                "RateLimit-Policy: \"10-in-1000ms\";q=10;w=1, \"100-in-60000ms\";q=100;w=60, \
                 \"10-in-90500ms\";q=10;w=91",
                "RateLimit: \"10-in-90500ms\";r=3;t=61"
            ]
        );
    }
}
