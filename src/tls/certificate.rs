//! What stands in a certificate. webpki, which judges them, does not say.

use aws_lc_rs::digest::{self, SHA256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::FromDer,
    time::ASN1Time,
    x509::{AttributeTypeAndValue, X509Name},
};

/// What stands in a certificate, as text that is safe in a header or a log: everything but visible ASCII is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// RFC 4514: the most specific part first.
    pub subject: String,
    pub issuer: String,
    /// Lower-case hexadecimal.
    pub serial_number: String,
    /// SHA-256 of the whole, lower-case hexadecimal.
    pub fingerprint: String,
    /// RFC 3339, UTC.
    pub not_before: String,
    pub not_after: String,
    /// Seconds since 1970 UTC.
    pub expires: i64,
    pub common_name: Option<String>,
    /// The subject's alternative names.
    pub dns_names: Vec<String>,
    pub uris: Vec<String>,
    pub emails: Vec<String>,
}

impl Certificate {
    /// None: it is not a certificate as it should be.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let (mut dns_names, mut uris, mut emails) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(names) = certificate.subject_alternative_name().ok()? {
            for name in &names.value.general_names {
                match name {
                    GeneralName::DNSName(name) => dns_names.push(in_a_list(name)),
                    GeneralName::URI(uri) => uris.push(in_a_list(uri)),
                    GeneralName::RFC822Name(email) => emails.push(in_a_list(email)),
                    _ => {}
                }
            }
        }
        let subject = certificate.subject();
        let validity = certificate.validity();
        Some(Self {
            subject: distinguished(subject),
            issuer: distinguished(certificate.issuer()),
            serial_number: hexadecimal(certificate.raw_serial()),
            fingerprint: hexadecimal(digest::digest(&SHA256, der).as_ref()),
            not_before: rfc3339(&validity.not_before),
            not_after: rfc3339(&validity.not_after),
            expires: validity.not_after.timestamp(),
            common_name: subject.iter_common_name().last().map(value),
            dns_names,
            uris,
            emails,
        })
    }

    /// # Errors
    /// It is not valid now.
    pub(super) fn check_validity(&self, now: SystemTime) -> Result<(), String> {
        let now = seconds(now);
        if self.expires < now {
            return Err(format!(
                "has expired: `{}` was valid until {}",
                self.subject, self.not_after
            ));
        }
        // Text of this form is in the order of time.
        if self.not_before > rfc3339_of(now) {
            return Err(format!(
                "is not valid yet: `{}` will be from {}",
                self.subject, self.not_before
            ));
        }
        Ok(())
    }

    /// Whole days until it expires; negative when it has.
    pub fn days_left(&self, now: SystemTime) -> i64 {
        (self.expires - seconds(now)).div_euclid(24 * 60 * 60)
    }

    /// `X-Forwarded-Client-Cert` as Envoy writes it: what identifies the certificate, not the certificate.
    pub(super) fn forwarded(&self) -> String {
        // A quote within the subject has its backslash from RFC 4514 already.
        let mut line = format!("Hash={};Subject=\"{}\"", self.fingerprint, self.subject);
        for (key, names) in [("URI", &self.uris), ("DNS", &self.dns_names)] {
            for name in names {
                line += &format!(";{key}={name}");
            }
        }
        line
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn rfc3339_of(seconds: i64) -> String {
    ASN1Time::from_timestamp(seconds).map_or_else(|_| String::new(), |time| rfc3339(&time))
}

fn rfc3339(time: &ASN1Time) -> String {
    let time = time.to_datetime();
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// RFC 4514 §2.
fn distinguished(name: &X509Name<'_>) -> String {
    let parts: Vec<String> = name
        .iter_rdn()
        .map(|relative| {
            let attributes: Vec<String> = relative.iter().map(attribute).collect();
            attributes.join("+")
        })
        .collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == oid);
    format!("{}={}", short.map_or(&*oid, |(_, short)| short), value(attribute))
}

/// RFC 4514 §2.4; a kind of string that is not read here as its encoding.
fn value(attribute: &AttributeTypeAndValue<'_>) -> String {
    let Ok(text) = attribute.as_str() else {
        let content = attribute.as_slice();
        let tag = attribute.attr_value().tag().0 as u8;
        let length = content.len().to_be_bytes();
        let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
        let mut encoded = vec![tag];
        if content.len() < 0x80 {
            encoded.push(content.len() as u8);
        } else {
            encoded.push(0x80 | length.len() as u8);
            encoded.extend_from_slice(length);
        }
        encoded.extend_from_slice(content);
        return format!("#{}", hexadecimal(&encoded));
    };
    let mut out = String::with_capacity(text.len());
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let edge = at == 0 && matches!(byte, b' ' | b'#') || at + 1 == bytes.len() && byte == b' ';
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => out.extend(['\\', byte as char]),
            _ if edge => out.extend(['\\', byte as char]),
            b' '..=b'~' => out.push(byte as char),
            _ => out += &format!("\\{byte:02X}"),
        }
    }
    out
}

/// A name that stands unquoted between separators: percent-encoded where it could be taken for one.
fn in_a_list(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'"' | b',' | b';' | b'\\' => out += &format!("%{byte:02X}"),
            b'!'..=b'~' => out.push(byte as char),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    digits.map(char::from).collect()
}

/// Of a SHA-256.
pub(super) fn sized(digest: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest);
    out
}

/// RFC 4514 §3, and the two that certificates of people and services often have beside them.
const SHORT: [(&str, &str); 11] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.5", "serialNumber"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];
