//! The language, table by table; `hostile` holds what nobody should write and what clients might send.

mod hostile;
mod language;
mod messages;

use super::*;

/// What the tests evaluate against.
#[derive(Default)]
struct Exchange {
    headers: Vec<(&'static str, &'static [u8])>,
    query: Option<&'static str>,
    /// The caller made its query string.
    query_is_owned: bool,
    status: Option<u16>,
    payload: Option<Vec<u8>>,
    tree: Option<Tree>,
    properties: Tree,
    claims: Tree,
}

impl View for Exchange {
    fn text(&self, attribute: Attribute) -> Option<Cow<'_, [u8]>> {
        let text: &[u8] = match attribute {
            Attribute::Method => b"GET",
            Attribute::QueryString if self.query_is_owned => {
                return self.query.map(|query| Cow::Owned(query.as_bytes().to_vec()));
            }
            Attribute::QueryString => self.query?.as_bytes(),
            Attribute::RequestPath => b"/orders/4711",
            Attribute::RequestUri => b"/orders/4711?size=m",
            Attribute::LocalAddress => b"192.0.2.1:8081",
            Attribute::RemoteAddress => b"192.0.2.33:50000",
            Attribute::Scheme => b"http",
            Attribute::Version => b"HTTP/1.1",
            Attribute::TlsVersion => b"TLSv1.3",
            Attribute::TlsCipherSuite => b"TLS_AES_256_GCM_SHA384",
        };
        Some(Cow::Borrowed(text))
    }

    fn status_code(&self) -> Option<u16> {
        self.status
    }

    fn header<'v>(&'v self, name: &str, visit: &mut dyn FnMut(&'v [u8])) {
        for (known, value) in &self.headers {
            if known.eq_ignore_ascii_case(name) {
                visit(value);
            }
        }
    }

    fn headers<'v>(&'v self, visit: &mut dyn FnMut(&'v [u8], &'v [u8])) {
        for (name, value) in &self.headers {
            visit(name.as_bytes(), value);
        }
    }

    fn authentication(&self, field: Authentication) -> Value<'_> {
        match field {
            Authentication::ClientId => Value::borrowed("client-7"),
            Authentication::ClientName => Value::borrowed("shop"),
            Authentication::Principal => Value::Null,
            Authentication::Properties => Value::from(&self.properties),
        }
    }

    fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    fn payload_tree(&self) -> Option<&Tree> {
        self.tree.as_ref()
    }

    fn var(&self, name: &'static str) -> Value<'_> {
        match name {
            "apiName" => Value::borrowed("orders-v1"),
            "claimSet" => Value::from(&self.claims),
            "violation.clientId" => Value::borrowed("client-9"),
            _ => Value::Null,
        }
    }

    fn random(&self) -> u64 {
        0x0123_4567_89AB_CDEF
    }
}

const EVERYTHING: Scope = Scope {
    request: true,
    response: true,
    authentication: true,
    payload: true,
    vars: &[
        "apiName",
        "claimSet",
        "violation.clientId",
        "violation.policyName",
    ],
};

fn text(text: &str) -> Tree {
    Tree::string(text)
}

fn claims() -> Tree {
    Tree::object([
        ("sub", text("ada")),
        ("admin", Tree::Boolean(true)),
        ("level", Tree::Number(3.0)),
        ("nothing", Tree::Null),
        ("aud", Tree::array(vec![text("shop"), text("stock")])),
        (
            "roles",
            Tree::array(vec![
                Tree::object([("name", text("reader"))]),
                Tree::Number(1.0),
                Tree::object([("name", text("writer")), ("of", text("orders"))]),
            ]),
        ),
    ])
}

fn exchange() -> Exchange {
    Exchange {
        headers: vec![
            ("Host", b"api.example.com"),
            ("X-Forwarded-For", b"203.0.113.9, 198.51.100.7"),
            ("x-twice", b"one"),
            ("X-Twice", b"two"),
            ("X-Empty", b""),
            ("x-raw", b"caf\xE9"),
            ("x-accents", "Ça va".as_bytes()),
            ("x-flag", b"true"),
            ("x-number", b"42"),
        ],
        query: Some("size=m&tag=a&tag=b&name=J%C3%BCrgen+K&%73ort=up&bare&bad=%zz&=none"),
        status: Some(200),
        payload: Some(br#"{"user":{"id":7}}"#.to_vec()),
        tree: Some(Tree::object([(
            "user",
            Tree::object([("id", Tree::Number(7.0))]),
        )])),
        properties: Tree::object([("jwt", text("a.b.c")), ("claims", claims())]),
        claims: claims(),
        ..Exchange::default()
    }
}

fn parse(expression: &str) -> Template {
    parse_in(expression, &EVERYTHING).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

fn parse_in(expression: &str, scope: &Scope) -> Result<Template, ParseError> {
    Template::parse(&format!("#[{expression}]"), scope)
}

/// A value as the tables write it: texts in quotes, so that `1` and `'1'` differ.
fn show(value: &Value<'_>) -> String {
    let all = |values: Vec<String>| values.join(", ");
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{}'", text.escape_ascii()),
        Value::Array(array) => format!("[{}]", all(array.iter().map(|value| show(&value)).collect())),
        Value::Object(object) => {
            let entry =
                |(name, value): (&[u8], Value<'_>)| format!("{}: {}", name.escape_ascii(), show(&value));
            format!("{{{}}}", all(object.iter().map(entry).collect()))
        }
    }
}

/// Each row: expression, its value or the beginning of its error.
#[track_caller]
fn evaluates(rows: &[(&str, &str)]) {
    let exchange = exchange();
    let mut wrong = String::new();
    for (expression, expected) in rows {
        let template = parse(expression);
        let found = match template.evaluate(&exchange) {
            Ok(value) => show(&value),
            Err(error) => format!("error {error}"),
        };
        let same = if expected.starts_with("error") {
            found.starts_with(expected)
        } else {
            found == *expected
        };
        if !same {
            wrong += &format!("{expression}\n  is       {found}\n  expected {expected}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
