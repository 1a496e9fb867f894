//! The token of `Authorization: Bearer` (RFC 6750 §2.1).

/// The token, or None where there is no such line, another scheme, or more than one line: two are two answers to one
/// question, and whoever comes behind may read the other.
pub(super) fn token<'v>(mut values: impl Iterator<Item = &'v [u8]>) -> Option<&'v [u8]> {
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let token = token.trim_ascii();
    (!token.is_empty() && token.iter().all(|&byte| is_token68(byte))).then_some(token)
}

/// RFC 9110 §11.2; `=` anywhere, as who reads the token will say.
fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

const SCHEME: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'v>(values: &[&'v str]) -> Option<&'v [u8]> {
        token(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn one_line_of_that_scheme() {
        assert_eq!(of(&["Bearer a.b-c_~+/="]), Some(&b"a.b-c_~+/="[..]));
        assert_eq!(of(&["bEARER   abc "]), Some(&b"abc"[..]), "a scheme has no case");
        for none in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Bearer   "],
            &["Bearerabc"],
            &["Basic abc"],
            &["abc"],
            &["Bearer a b"],
            &["Bearer a,b"],
            &["Bearer \"a\""],
            &["Bearer \u{e4}"],
            &["Bearer a", "Bearer a"],
        ] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }
}
