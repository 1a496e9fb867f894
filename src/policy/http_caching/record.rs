//! What is kept in shared storage, as bytes: written here, and read with as much trust as anything from a network.
//!
//! A record ends with an HMAC over the storage's name for it and everything before. Whoever may write into the storage
//! without knowing the gateway's secret makes no record that is taken, and a true one is none under another's name.

use super::store::{Audience, Lines, Selection};
use crate::http1::is_token;
use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use std::sync::Arc;

/// What the storage's invalidations were when something was fetched. Numbers that mean nothing but themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub all: u64,
    pub slot: u64,
}

/// One value of the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub seen: Seen,
    /// What the cache keeps it by: names of the storage are hashes.
    pub key: Box<[u8]>,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Answer(Box<Entry>),
    /// Answers are told apart by these lines of the request, and lie elsewhere.
    Varies(Vec<Box<[u8]>>),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub status: u16,
    pub(super) audience: Audience,
    /// Seconds it was old when it came to the gateway.
    pub(super) age: u64,
    /// Milliseconds it was to be kept when it was written.
    pub lifetime_ms: u64,
    pub(super) selection: Selection,
    pub(super) lines: Lines,
    pub(super) body: Arc<[u8]>,
}

impl Record {
    /// Bytes of the whole, about.
    pub fn size(&self) -> usize {
        let content = match &self.content {
            Content::Answer(entry) => of_lines(&entry.selection) + of_lines(&entry.lines) + entry.body.len(),
            Content::Varies(names) => names.iter().map(|name| name.len()).sum(),
        };
        FIXED + self.key.len() + content
    }

    /// `name`: by which it will be asked for.
    pub fn seal(&self, key: &hmac::Key, name: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size() + 64);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.seen.all.to_be_bytes());
        out.extend_from_slice(&self.seen.slot.to_be_bytes());
        put(&mut out, &self.key);
        match &self.content {
            Content::Answer(entry) => {
                out.push(ANSWER);
                out.extend_from_slice(&entry.status.to_be_bytes());
                out.push(match entry.audience {
                    Audience::Anonymous => 0,
                    Audience::Everybody => 1,
                    Audience::Admitted => 2,
                });
                out.extend_from_slice(&entry.age.to_be_bytes());
                out.extend_from_slice(&entry.lifetime_ms.to_be_bytes());
                put_lines(&mut out, &entry.selection);
                put_lines(&mut out, &entry.lines);
                put(&mut out, &entry.body);
            }
            Content::Varies(names) => {
                out.push(VARIES);
                out.extend_from_slice(&(names.len() as u32).to_be_bytes());
                names.iter().for_each(|name| put(&mut out, name));
            }
        }
        let tag = tag(key, name, &out);
        out.extend_from_slice(tag.as_ref());
        out
    }

    /// None: nothing that this gateway or a replica of it has written under this name.
    pub fn open(key: &hmac::Key, name: &[u8], bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_RECORD {
            return None;
        }
        let (sealed, written) = bytes.split_at_checked(bytes.len().checked_sub(TAG)?)?;
        verify_slices_are_equal(tag(key, name, sealed).as_ref(), written).ok()?;
        // A replica's own; of another version perhaps, and it costs nothing to read it as if it were not.
        let mut rest = Rest(sealed.strip_prefix(MAGIC)?);
        let seen = Seen {
            all: rest.u64()?,
            slot: rest.u64()?,
        };
        let key = rest.bytes()?.into();
        let content = match rest.u8()? {
            ANSWER => Content::Answer(Box::new(rest.entry()?)),
            VARIES => Content::Varies(rest.names()?),
            _ => return None,
        };
        rest.0.is_empty().then_some(Self { seen, key, content })
    }
}

fn tag(key: &hmac::Key, name: &[u8], sealed: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(&(name.len() as u64).to_be_bytes());
    context.update(name);
    context.update(sealed);
    context.sign()
}

fn of_lines(lines: &Lines) -> usize {
    lines
        .iter()
        .map(|(name, value)| name.len() + value.len() + 8)
        .sum()
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn put_lines(out: &mut Vec<u8>, lines: &Lines) {
    out.extend_from_slice(&(lines.len() as u32).to_be_bytes());
    for (name, value) in lines {
        put(out, name);
        put(out, value);
    }
}

/// What is still to be read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).ok()
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn entry(&mut self) -> Option<Entry> {
        let status = u16::from_be_bytes(self.array()?);
        if !(200..=599).contains(&status) {
            return None;
        }
        let audience = match self.u8()? {
            0 => Audience::Anonymous,
            1 => Audience::Everybody,
            2 => Audience::Admitted,
            _ => return None,
        };
        Some(Entry {
            status,
            audience,
            age: self.u64()?,
            lifetime_ms: self.u64()?,
            selection: self.lines()?,
            lines: self.lines()?,
            body: self.bytes()?.into(),
        })
    }

    /// As messages have them: what is no line is no record.
    fn lines(&mut self) -> Option<Lines> {
        let count = self.count()?;
        let mut lines = Lines::with_capacity(count);
        for _ in 0..count {
            let (name, value) = (self.bytes()?, self.bytes()?);
            if !is_token(name) || value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
                return None;
            }
            lines.push((name.into(), value.into()));
        }
        Some(lines)
    }

    fn names(&mut self) -> Option<Vec<Box<[u8]>>> {
        let count = self.count()?;
        let mut names = Vec::with_capacity(count);
        for _ in 0..count {
            let name = self.bytes()?;
            if !is_token(name) {
                return None;
            }
            names.push(name.into());
        }
        Some(names)
    }

    /// Of things that take four bytes at least.
    fn count(&mut self) -> Option<usize> {
        let count = self.length()?;
        (count <= self.0.len() / 4).then_some(count)
    }
}

/// The form's name and version: another form has another.
const MAGIC: &[u8] = b"ringway-cache-1\n";

const ANSWER: u8 = 1;
const VARIES: u8 = 2;

/// Bytes of an HMAC-SHA256.
const TAG: usize = 32;

const FIXED: usize = 128;

/// An answer's content at most, and as much as heads can have.
const MAX_RECORD: usize = 3 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &[u8]) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, secret)
    }

    fn answer() -> Record {
        let line = |name: &str, value: &str| (name.as_bytes().into(), value.as_bytes().into());
        Record {
            seen: Seen {
                all: 7,
                slot: u64::MAX,
            },
            key: b"host /path?query"[..].into(),
            content: Content::Answer(Box::new(Entry {
                status: 203,
                audience: Audience::Admitted,
                age: 5,
                lifetime_ms: 60_000,
                selection: vec![line("accept-language", "de")],
                lines: vec![line("ETag", "\"1\""), line("X", "")],
                body: b"content"[..].into(),
            })),
        }
    }

    fn varies() -> Record {
        Record {
            content: Content::Varies(vec![b"accept"[..].into(), b"accept-language"[..].into()]),
            ..answer()
        }
    }

    #[test]
    fn what_was_sealed_is_opened_by_its_name_and_secret_alone() {
        let (mine, other) = (key(b"mine"), key(b"other"));
        for record in [answer(), varies()] {
            let bytes = record.seal(&mine, b"name");
            assert!(bytes.len() <= record.size() + 64);
            assert_eq!(Record::open(&mine, b"name", &bytes), Some(record));
            assert_eq!(Record::open(&other, b"name", &bytes), None);
            assert_eq!(Record::open(&mine, b"another", &bytes), None);
        }
    }

    #[test]
    fn nothing_else_is_a_record() {
        let key = key(b"secret");
        for record in [answer(), varies()] {
            let bytes = record.seal(&key, b"n");
            for length in 0..bytes.len() {
                assert_eq!(Record::open(&key, b"n", &bytes[..length]), None, "{length}");
            }
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert_eq!(Record::open(&key, b"n", &changed), None, "{at}");
            }
        }
        for garbage in [&b""[..], b"x", &[0; 100], &[255; 5000], &vec![0; MAX_RECORD + 1]] {
            assert_eq!(Record::open(&key, b"n", garbage), None);
        }
    }

    /// Whoever knows the secret, by mistake or because none is configured, writes what they like: it is refused, or it is a
    /// record, in time and memory that its length bounds.
    #[test]
    fn sealed_garbage_is_refused_too() {
        let key = key(b"");
        let sealed = |body: &[u8]| {
            let mut bytes = body.to_vec();
            bytes.extend_from_slice(tag(&key, b"n", body).as_ref());
            bytes
        };
        let whole = answer().seal(&key, b"n");
        let body = &whole[..whole.len() - TAG];
        assert!(Record::open(&key, b"n", &sealed(body)).is_some());
        for at in 0..body.len() {
            for value in [0, 1, 13, 10, 127, 255] {
                let mut changed = body.to_vec();
                changed[at] = value;
                if let Some(Record {
                    content: Content::Answer(entry),
                    ..
                }) = Record::open(&key, b"n", &sealed(&changed))
                {
                    assert!((200..=599).contains(&entry.status));
                    let good =
                        |(name, value): &(Box<[u8]>, Box<[u8]>)| is_token(name) && !value.contains(&b'\n');
                    assert!(entry.lines.iter().chain(&entry.selection).all(good));
                }
            }
            assert_eq!(Record::open(&key, b"n", &sealed(&body[..at])), None);
        }
        let longer = [body, &b"x"[..]].concat();
        assert_eq!(Record::open(&key, b"n", &sealed(&longer)), None);
    }
}
