//! The access log: records leave a shard through a bounded queue and are written by control.
//!
//! A line is made of what strangers sent. Whatever the bytes are, it stays one line, valid JSON and valid UTF-8,
//! and harmless on a terminal. `docs/access-log.md` says what each field means; the names are stable.

use super::{labels, message::Message, record::Record};
use crate::clock::Civil;
use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `/dev/stdout` and `/dev/stderr` are files like others.
    pub path: PathBuf,
    pub format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    Json,
    /// Where there is no access log: what policies log, as text, and no records.
    MessagesAsText,
}

impl Format {
    pub fn has_records(&self) -> bool {
        matches!(self, Self::Json)
    }
}

impl Spec {
    /// Appends one line, its newline included.
    pub fn render(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => render_json(record, out),
            Format::MessagesAsText => {}
        }
    }

    /// The same for what a policy logs.
    pub fn render_message(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => message_json(message, out),
            Format::MessagesAsText => message_text(message, out),
        }
    }
}

/// Appends one JSON object and a newline.
fn message_json(message: &Message<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    timestamp(out, message.unix_millis);
    out.push(b'"');
    text(out, "level", message.level.as_str().as_bytes());
    text(out, "api", message.api.as_bytes());
    text(out, "request_id", message.request_id);
    text(out, "category", category(message).as_bytes());
    text(out, "message", message.text);
    if message.truncated {
        key(out, "truncated");
        out.extend_from_slice(b"true");
    }
    out.extend_from_slice(b"}\n");
}

/// Appends `<date> [ringway][<level>] [req: <id>] [<category>] <text>` and a newline.
fn message_text(message: &Message<'_>, out: &mut Vec<u8>) {
    timestamp(out, message.unix_millis);
    for part in [" [ringway][", message.level.as_str(), "] [req: "] {
        out.extend_from_slice(part.as_bytes());
    }
    one_line(out, message.request_id);
    out.extend_from_slice(b"] [");
    one_line(out, category(message).as_bytes());
    out.extend_from_slice(b"] ");
    one_line(out, message.text);
    if message.truncated {
        out.extend_from_slice(b" [truncated]");
    }
    out.push(b'\n');
}

fn category<'m>(message: &Message<'m>) -> &'m str {
    match message.category {
        "" => "accessLog",
        category => category,
    }
}

/// As it is but for what would end the line or do something to a terminal. Quotes and backslashes stay: a line may hold
/// JSON of the user's own.
fn one_line(out: &mut Vec<u8>, value: &[u8]) {
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => out.push(character as u8),
                character => escape(out, character),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Appends one JSON object and a newline.
///
/// Written by hand and not through serde: the strings are bytes that need not be UTF-8, and what has to be
/// escaped here is more than JSON asks for.
pub fn render_json(record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"time\":\"");
    timestamp(out, record.unix_millis);
    out.push(b'"');
    key(out, "client");
    out.push(b'"');
    address(out, record.client.ip());
    out.push(b'"');
    // An address that a proxy in front names comes without.
    if record.client.port() > 0 {
        number(out, "client_port", record.client.port().into());
    }
    text(out, "protocol", record.protocol.as_str().as_bytes());
    text(out, "method", record.method);
    text(out, "host", record.host);
    text(out, "target", record.target);
    number(out, "status", record.status.into());
    number(out, "bytes_in", record.bytes_in);
    number(out, "bytes_out", record.bytes_out);
    number(out, "duration_us", record.duration_micros);
    number(out, "upstream_us", record.upstream_micros);
    text(out, "api", record.api.as_bytes());
    text(out, "service", record.cluster.as_bytes());
    key(out, "upstream");
    out.push(b'"');
    match record.endpoint {
        Some(SocketAddr::V4(endpoint)) => {
            address(out, (*endpoint.ip()).into());
            out.push(b':');
            decimal(out, endpoint.port().into());
        }
        Some(endpoint) => print(out, format_args!("{endpoint}")),
        None => {}
    }
    out.push(b'"');
    number(out, "retries", record.retries.into());
    text(out, "request_id", record.request_id);
    key(out, "keep_alive");
    out.extend_from_slice(if record.keep_alive { b"true" } else { b"false" });
    match record.ended {
        None => text(out, "ended_by", b"complete"),
        Some(ended) => {
            text(out, "ended_by", labels::side(ended.side).as_bytes());
            text(out, "fault", labels::kind(ended.kind).as_bytes());
            text(out, "phase", labels::phase(ended.phase).as_bytes());
        }
    }
    if !record.policy.is_empty() {
        text(out, "policy", record.policy.as_bytes());
    }
    if !record.client_id.is_empty() {
        text(out, "client_id", record.client_id);
    }
    if !record.tls.is_empty() {
        text(out, "tls", record.tls.as_bytes());
    }
    if !record.client_certificate.is_empty() {
        text(out, "client_certificate", record.client_certificate.as_bytes());
    }
    if record.truncated {
        key(out, "truncated");
        out.extend_from_slice(b"true");
    }
    out.extend_from_slice(b"}\n");
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    decimal(out, value);
}

/// By hand, as the usual address and the time below: formatting machinery took three quarters of a line's time.
fn decimal(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            decimal(out, a.into());
            for octet in [b, c, d] {
                out.push(b'.');
                decimal(out, octet.into());
            }
        }
        IpAddr::V6(ip) => print(out, format_args!("{ip}")),
    }
}

fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    key(out, name);
    out.push(b'"');
    // Mostly that is all of it.
    let plain = value.iter().position(|&byte| !PLAIN[usize::from(byte)]);
    let (plain, rest) = value.split_at(plain.unwrap_or(value.len()));
    out.extend_from_slice(plain);
    for chunk in rest.utf8_chunks() {
        for character in chunk.valid().chars() {
            escape(out, character);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

/// Bytes that [`escape`] leaves as they are, whatever follows.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table
};

/// RFC 8259 §7 asks for the quote, the backslash and what is below U+0020. Escaped as well: DEL and the C1
/// controls (some terminals obey them), the separators U+2028 and U+2029 (some readers break lines there), and
/// the marks that reorder text (a target must not show as another one).
fn escape(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            print(out, format_args!("\\u{:04x}", u32::from(character)));
        }
        _ if character.is_control() => print(out, format_args!("\\u{:04x}", u32::from(character))),
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Appends it as RFC 3339 with milliseconds, in UTC: `1994-11-06T08:49:37.123Z`.
pub fn timestamp(out: &mut Vec<u8>, unix_millis: u64) {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = Civil::from_unix(unix_millis / 1000);
    let millis = unix_millis % 1000;
    let Ok(year @ ..=9999) = u16::try_from(year) else {
        return print(
            out,
            format_args!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"),
        );
    };
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |end: usize, mut n: u16| {
        let mut at = end;
        while n > 0 {
            at -= 1;
            text[at] = b'0' + (n % 10) as u8;
            n /= 10;
        }
    };
    put(4, year);
    put(7, month.into());
    put(10, day.into());
    put(13, hour.into());
    put(16, minute.into());
    put(19, second.into());
    put(23, millis as u16);
    out.extend_from_slice(&text);
}

fn print(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a Vec takes every write");
}

#[cfg(test)]
mod tests;
