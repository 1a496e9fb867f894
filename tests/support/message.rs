//! HTTP/1.1 messages as the tests read them: strictly. What a mature peer would forgive fails a test here.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

pub type Fields = Vec<(String, String)>;

/// A message head. Names keep their spelling; look-ups ignore case.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub start_line: String,
    pub fields: Fields,
    /// With the empty line.
    pub raw: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct Request {
    /// Which of the origin's connections carried it, from 0.
    pub connection: usize,
    pub head: Head,
    pub method: String,
    pub target: String,
    pub framing: Framing,
    pub body: Vec<u8>,
    pub trailers: Fields,
}

#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub head: Head,
    pub framing: Framing,
    pub body: Vec<u8>,
    pub trailers: Fields,
    /// 1xx responses that came before, in order.
    pub interim: Vec<Head>,
}

impl Head {
    /// `raw` ends with the empty line. An error says what is wrong.
    pub fn parse(raw: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(raw).map_err(|_| "head is not UTF-8".to_owned())?;
        let mut lines = text
            .strip_suffix("\r\n\r\n")
            .ok_or("head does not end with an empty line")?
            .split("\r\n");
        let start_line = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(field).collect::<Result<Fields, String>>()?;
        if let Some(c) = text
            .replace("\r\n", "")
            .chars()
            .find(|c| c.is_control() && *c != '\t')
        {
            return Err(format!("control character {c:?} in the head"));
        }
        Ok(Self {
            start_line,
            fields,
            raw: raw.to_vec(),
        })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        get(&self.fields, name)
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// Members of a comma-separated field, lower case.
    pub fn lists(&self, name: &str, member: &str) -> bool {
        self.all(name)
            .iter()
            .flat_map(|v| v.split(','))
            .any(|m| m.trim().eq_ignore_ascii_case(member))
    }

    /// The framing its fields state; `None` when they state none.
    pub fn stated_framing(&self) -> Result<Option<Framing>, String> {
        let lengths = self.all("content-length");
        let codings = self.all("transfer-encoding");
        match (lengths.as_slice(), codings.as_slice()) {
            ([], []) => Ok(None),
            ([length], []) if !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit()) => length
                .parse()
                .map(|n| Some(Framing::Length(n)))
                .map_err(|e| format!("Content-Length: {e}")),
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
            _ => Err(format!(
                "framing: Content-Length {lengths:?}, Transfer-Encoding {codings:?}"
            )),
        }
    }

    /// Method, target and version of a request line.
    pub fn request_line(&self) -> Result<(&str, &str, &str), String> {
        match self.start_line.split(' ').collect::<Vec<_>>()[..] {
            [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")]
                if !method.is_empty() && !target.is_empty() =>
            {
                Ok((method, target, version))
            }
            _ => Err(format!("request line {:?}", self.start_line)),
        }
    }

    pub fn status(&self) -> Result<u16, String> {
        let line = &self.start_line;
        let rest = line
            .strip_prefix("HTTP/1.1 ")
            .ok_or_else(|| format!("status line {line:?}"))?;
        match rest.split_once(' ') {
            Some((code, _)) if code.len() == 3 => code.parse().map_err(|_| format!("status line {line:?}")),
            _ => Err(format!("status line {line:?}")),
        }
    }
}

impl Request {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

impl Response {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.head.get(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the sender says that this is the connection's last message.
    pub fn says_close(&self) -> bool {
        self.head.lists("connection", "close")
    }
}

pub fn get<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.as_str())
}

/// One header or trailer line, without its line end.
pub fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| format!("no colon in {line:?}"))?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("field name {name:?}"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// `HTTP/1.1 200 OK` with a length.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    response("200 OK", "", body)
}

/// `fields` are whole lines with their CRLF.
pub fn response(status: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{fields}\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

/// A GET with the usual fields; `fields` are whole lines with their CRLF.
pub fn get_request(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\n{fields}\r\n").into_bytes()
}

pub fn post_request(target: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut out = format!(
        "POST {target} HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {}\r\n{fields}\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}
