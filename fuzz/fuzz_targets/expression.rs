//! Any text as an expression, any bytes as the message: no panic, no overflow, nothing past the limits, and the same value
//! when evaluated again.
//!
//! The input is parted at line feeds: expression, header value, query string, body. What stands in the header and in a tree
//! reaches the functions with bytes that are no UTF-8.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringway::expr::{
    Attribute, Authentication, MAX_LENGTH, MAX_PRODUCED, Scope, Template, Tree, Value, View,
};
use std::borrow::Cow;

const SCOPE: Scope = Scope {
    request: true,
    response: true,
    authentication: true,
    payload: true,
    vars: &["claimSet", "violation.clientId", "violation.policyName"],
};

struct Exchange<'f> {
    header: &'f [u8],
    query: &'f [u8],
    payload: &'f [u8],
    tree: Tree,
}

impl View for Exchange<'_> {
    fn text(&self, attribute: Attribute) -> Option<Cow<'_, [u8]>> {
        match attribute {
            Attribute::QueryString => Some(Cow::Borrowed(self.query)),
            Attribute::RequestPath => Some(Cow::Owned(self.header.to_vec())),
            Attribute::Scheme => None,
            _ => Some(Cow::Borrowed(b"GET")),
        }
    }

    fn status_code(&self) -> Option<u16> {
        Some(200)
    }

    fn header<'v>(&'v self, name: &str, visit: &mut dyn FnMut(&'v [u8])) {
        match name {
            "one" => visit(self.header),
            "two" => {
                visit(self.header);
                visit(self.query);
            }
            _ => {}
        }
    }

    fn headers<'v>(&'v self, visit: &mut dyn FnMut(&'v [u8], &'v [u8])) {
        visit(b"One", self.header);
        visit(b"two", self.header);
        visit(b"Two", self.query);
    }

    fn authentication(&self, field: Authentication) -> Value<'_> {
        match field {
            Authentication::ClientId => Value::borrowed(self.header),
            Authentication::Properties => Value::from(&self.tree),
            _ => Value::Null,
        }
    }

    fn payload(&self) -> Option<&[u8]> {
        Some(self.payload)
    }

    fn payload_tree(&self) -> Option<&Tree> {
        Some(&self.tree)
    }

    fn var(&self, name: &'static str) -> Value<'_> {
        match name {
            "claimSet" => Value::from(&self.tree),
            _ => Value::borrowed(self.query),
        }
    }

    fn random(&self) -> u64 {
        0x0123_4567_89AB_CDEF
    }
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let Ok(expression) = std::str::from_utf8(part()) else {
        return;
    };
    let (header, query, payload) = (part(), part(), part());
    let text = format!("#[{expression}]");
    let template = match Template::parse(&text, &SCOPE) {
        Ok(template) => template,
        Err(error) => {
            assert!(error.at <= text.len() && text.is_char_boundary(error.at));
            return;
        }
    };
    assert!(text.len() <= MAX_LENGTH);
    let inner = Tree::object([("name", Tree::string(header)), ("n", Tree::Number(1.5))]);
    let exchange = Exchange {
        header,
        query,
        payload,
        tree: Tree::object([
            ("sub", Tree::string(query)),
            ("all", Tree::array(vec![inner.clone(), Tree::Null, inner])),
        ]),
    };
    let shown = |value: Result<Value<'_>, _>| value.and_then(Value::into_text).map(Cow::into_owned);
    let first = shown(template.evaluate(&exchange));
    if let Ok(text) = &first {
        assert!(text.len() <= MAX_PRODUCED + 1024);
    }
    assert_eq!(first, shown(template.evaluate(&exchange)));
});
