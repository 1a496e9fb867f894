//! An authorisation server's answer (RFC 7662 §2.2), read.

use super::super::json_tree;
use crate::{expr::Tree, outcall::Reply};

/// A token that is good now.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    /// All of the answer.
    pub properties: Tree,
    /// Milliseconds it is good for from here on; None: it does not say.
    pub lifetime: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The server answered, and this token is none or no more.
    Inactive,
    /// The server did not say, so nobody knows.
    NoAnswer,
}

impl Verdict {
    pub(super) fn read(reply: &Reply, unix_millis: u64) -> Result<Self, Failed> {
        if reply.status != 200 {
            return Err(Failed::NoAnswer);
        }
        let properties = json_tree::parse(&reply.body).map_err(|_| Failed::NoAnswer)?;
        match properties.get("active") {
            Some(Tree::Boolean(true)) => {}
            Some(Tree::Boolean(false)) => return Err(Failed::Inactive),
            _ => return Err(Failed::NoAnswer),
        }
        let lifetime = match properties.get("exp") {
            None | Some(Tree::Null) => None,
            Some(Tree::Number(seconds)) => {
                // Saturates: a token for ever, or one that ended before 1970.
                let end = (seconds * 1000.0) as u64;
                Some(
                    end.checked_sub(unix_millis)
                        .filter(|left| *left > 0)
                        .ok_or(Failed::Inactive)?,
                )
            }
            Some(_) => return Err(Failed::NoAnswer),
        };
        // A server's clock may be behind; one that says "not yet" said "active" all the same.
        Ok(Self { properties, lifetime })
    }

    pub(super) fn text(&self, name: &str) -> Option<&[u8]> {
        match self.properties.get(name) {
            Some(Tree::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Words of one text (RFC 7662), or a list, which some servers send.
    pub(super) fn has_scope(&self, wanted: &[u8]) -> bool {
        match self.properties.get("scope") {
            Some(Tree::String(text)) => text.split(|&byte| byte == b' ').any(|scope| scope == wanted),
            Some(Tree::Array(scopes)) => scopes
                .iter()
                .any(|scope| matches!(scope, Tree::String(text) if **text == *wanted)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Result<Verdict, Failed> {
        let reply = Reply {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        };
        Verdict::read(&reply, 1_000_000)
    }

    #[test]
    fn only_a_plain_yes_is_one() {
        assert!(of(200, r#"{"active":true}"#).is_ok());
        assert_eq!(
            of(200, r#"{"active":false,"exp":9999999}"#),
            Err(Failed::Inactive)
        );
        for (status, body) in [
            (500, r#"{"active":true}"#),
            (201, r#"{"active":true}"#),
            (302, ""),
            (401, r#"{"error":"invalid_client"}"#),
            (200, ""),
            (200, "{}"),
            (200, "true"),
            (200, r#"{"active":"true"}"#),
            (200, r#"{"active":1}"#),
            (200, r#"{"active":false,"active":true}"#),
            (200, r#"{"active":true,"exp":"soon"}"#),
            (200, r#"[{"active":true}]"#),
        ] {
            assert_eq!(of(status, body), Err(Failed::NoAnswer), "{status} {body}");
        }
    }

    #[test]
    fn it_lives_as_long_as_its_token() {
        let lifetime =
            |exp: &str| of(200, &format!(r#"{{"active":true,"exp":{exp}}}"#)).map(|verdict| verdict.lifetime);
        assert_eq!(lifetime("1001"), Ok(Some(1000)));
        assert_eq!(lifetime("1000.5"), Ok(Some(500)));
        assert_eq!(lifetime("1e300"), Ok(Some(u64::MAX - 1_000_000)));
        assert_eq!(lifetime("null"), Ok(None));
        for over in ["1000", "999", "0", "-1", "-1e300"] {
            assert_eq!(lifetime(over), Err(Failed::Inactive), "{over}");
        }
    }

    #[test]
    fn scopes_are_whole_words() {
        for body in [
            r#"{"active":true,"scope":"read write"}"#,
            r#"{"active":true,"scope":["read","write"]}"#,
        ] {
            let verdict = of(200, body).expect("active");
            assert!(verdict.has_scope(b"read") && verdict.has_scope(b"write"));
            assert!(
                !verdict.has_scope(b"rea") && !verdict.has_scope(b"read write") && !verdict.has_scope(b"")
            );
        }
        assert!(
            !of(200, r#"{"active":true,"scope":7}"#)
                .expect("active")
                .has_scope(b"7")
        );
    }
}
