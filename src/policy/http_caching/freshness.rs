//! What a message says of its storing (RFC 9111 §5.2), and for how long.

use std::time::Duration;

/// What of `Cache-Control` concerns a shared cache. Directives of several lines are one list.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct CacheControl {
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) private: bool,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age: Option<u64>,
    pub(super) s_maxage: Option<u64>,
}

impl CacheControl {
    pub(super) fn parse<'v>(lines: impl Iterator<Item = &'v [u8]>) -> Self {
        let mut all = Self::default();
        for directive in lines.flat_map(Directives) {
            let (name, value) = match directive.iter().position(|&byte| byte == b'=') {
                Some(at) => (directive[..at].trim_ascii(), Some(&directive[at + 1..])),
                None => (directive, None),
            };
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("no-store") {
                all.no_store = true;
            } else if is("no-cache") {
                // With field names it concerns those alone; without them the whole answer would be the safe reading
                // too, and costs a fetch.
                all.no_cache = true;
            } else if is("private") {
                all.private = true;
            } else if is("public") {
                all.public = true;
            } else if is("must-revalidate") || is("proxy-revalidate") {
                all.must_revalidate = true;
            } else if is("only-if-cached") {
                all.only_if_cached = true;
            } else if is("max-age") {
                all.max_age = Some(least(all.max_age, value));
            } else if is("s-maxage") {
                all.s_maxage = Some(least(all.s_maxage, value));
            }
        }
        all
    }
}

/// Seconds. Of two the shorter; what is no number is stale at once (RFC 9111 §4.2.1).
fn least(known: Option<u64>, value: Option<&[u8]>) -> u64 {
    let value = value.unwrap_or_default().trim_ascii();
    let value = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""))
        .unwrap_or(value);
    known.unwrap_or(u64::MAX).min(seconds(value).unwrap_or(0))
}

/// Decimal digits; more than fit are as long as can be said.
pub(super) fn seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

/// Seconds that the headers give it from now on, less the age it came with; None where they say nothing of it.
pub(super) fn lifetime(
    control: &CacheControl,
    expires: Option<&[u8]>,
    date: Option<u64>,
    now: u64,
    age: u64,
) -> Option<Duration> {
    let whole = match (control.s_maxage.or(control.max_age), expires) {
        (Some(seconds), _) => seconds,
        // One that is no date has expired (RFC 9111 §5.3).
        (None, Some(expires)) => http_date(expires)
            .unwrap_or(0)
            .saturating_sub(date.unwrap_or(now)),
        (None, None) => return None,
    };
    Some(Duration::from_secs(whole.saturating_sub(age)))
}

/// Seconds since 1970 UTC of a date in any of the three forms (RFC 9110 §5.6.7).
pub(super) fn http_date(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// The elements of a list; commas in quotes part nothing.
struct Directives<'v>(&'v [u8]);

impl<'v> Iterator for Directives<'v> {
    type Item = &'v [u8];

    fn next(&mut self) -> Option<&'v [u8]> {
        while !self.0.is_empty() {
            let mut quoted = false;
            let end = self.0.iter().position(|&byte| {
                quoted ^= byte == b'"';
                byte == b',' && !quoted
            });
            let end = end.unwrap_or(self.0.len());
            let directive = self.0[..end].trim_ascii();
            self.0 = self.0.get(end + 1..).unwrap_or_default();
            if !directive.is_empty() {
                return Some(directive);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(lines: &[&str]) -> CacheControl {
        CacheControl::parse(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn directives_of_all_lines_are_one_list() {
        let all = control(&["public, MAX-AGE=60", "s-maxage=\"10\" ,must-revalidate"]);
        assert!(all.public && all.must_revalidate && !all.private);
        assert_eq!((all.max_age, all.s_maxage), (Some(60), Some(10)));
        assert!(control(&["private=\"set-cookie, no-store\""]).private);
        assert!(
            !control(&["private=\"a, no-store, b\""]).no_store,
            "in quotes it is a name"
        );
        assert_eq!(control(&["max-age=5, max-age=3"]).max_age, Some(3));
        for broken in ["max-age=", "max-age=x", "max-age=-1", "max-age=1.5", "max-age"] {
            assert_eq!(control(&[broken]).max_age, Some(0), "{broken}");
        }
        assert_eq!(
            control(&["max-age=99999999999999999999999"]).max_age,
            Some(u64::MAX)
        );
        assert_eq!(control(&["", ",,", " "]), CacheControl::default());
    }

    #[test]
    fn lifetimes() {
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        let at = http_date(date).unwrap();
        let of = |text: &str, expires: Option<&[u8]>, age| {
            lifetime(&control(&[text]), expires, Some(at), at + 5, age).map(|life| life.as_secs())
        };
        assert_eq!(of("", None, 0), None);
        assert_eq!(
            of("max-age=60", Some(b"0"), 0),
            Some(60),
            "Expires counts for nothing beside it"
        );
        assert_eq!(of("max-age=60, s-maxage=7", None, 0), Some(7));
        assert_eq!(of("max-age=60", None, 70), Some(0), "it has been under way");
        assert_eq!(of("", Some(b"Sun, 06 Nov 1994 08:50:37 GMT"), 10), Some(50));
        assert_eq!(of("", Some(b"0"), 0), Some(0));
        assert_eq!(of("", Some(b"Sunday, 06-Nov-94 08:50:37 GMT"), 0), Some(60));
    }
}
