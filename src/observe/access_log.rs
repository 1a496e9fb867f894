//! The access log: records leave a shard through a bounded queue and are written by control.
//!
//! A line is made of what strangers sent. Whatever the bytes are, it stays one line, valid JSON and valid UTF-8,
//! and harmless on a terminal. `docs/access-log.md` says what each field means; the names are stable.

use super::{labels, record::Record};
use crate::clock::Civil;
use std::{io::Write, net::SocketAddr, path::PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `/dev/stdout` and `/dev/stderr` are files like others.
    pub path: PathBuf,
    pub format: Format,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    Json,
}

impl Spec {
    /// Appends one line, its newline included.
    pub fn render(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => render_json(record, out),
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
    text(out, "client", record.client.ip().to_string().as_bytes());
    number(out, "client_port", record.client.port().into());
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
    text(
        out,
        "upstream",
        record
            .endpoint
            .as_ref()
            .map(SocketAddr::to_string)
            .unwrap_or_default()
            .as_bytes(),
    );
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
    print(out, format_args!("{value}"));
}

fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    key(out, name);
    out.push(b'"');
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            escape(out, character);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

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

/// RFC 3339 with milliseconds, in UTC: `1994-11-06T08:49:37.123Z`.
fn timestamp(out: &mut Vec<u8>, unix_millis: u64) {
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
    print(
        out,
        format_args!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"),
    );
}

fn print(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    out.write_fmt(arguments).expect("a Vec takes every write");
}

#[cfg(test)]
mod tests;
