//! What is changed of a head's lines between parsing and encoding: lines taken out, lines added. A head that nobody
//! edits pays one comparison.

use super::{Headers, Known, Range, headers::trim, is_field_value, is_token};

/// Lines that did not come with the head. Their bytes lie here, for those of the head are the peer's.
#[derive(Debug, Default)]
pub struct Added {
    bytes: Vec<u8>,
    lines: Vec<AddedLine>,
}

#[derive(Debug, Clone, Copy)]
struct AddedLine {
    name: Range,
    value: Range,
    known: Known,
}

/// A name that is no token, or a value that is no field value (RFC 9110 §5.5): it would be another line, or another
/// message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotALine;

impl Headers {
    /// Takes out the lines for which `gone` is true, of those that came and of those added.
    pub fn remove(&mut self, head: &[u8], mut gone: impl FnMut(&[u8], &[u8]) -> bool) {
        let before = self.lines.len();
        self.lines
            .retain(|line| !gone(line.name.of(head), line.value.of(head)));
        let Added { bytes, lines } = &mut self.added;
        lines.retain(|line| !gone(line.name.of(bytes), line.value.of(bytes)));
        if self.lines.len() < before {
            self.recount();
        }
    }

    /// Adds a line behind those there are.
    ///
    /// # Errors
    /// [`NotALine`]; nothing is added then.
    pub fn append(&mut self, name: &[u8], value: &[u8]) -> Result<(), NotALine> {
        if !is_token(name) || !is_field_value(value) {
            return Err(NotALine);
        }
        let value = trim(value);
        let name = self.added.put(name);
        let value = self.added.put(value);
        let known = Known::of(name.of(&self.added.bytes));
        self.added.lines.push(AddedLine { name, value, known });
        Ok(())
    }

    /// One line of that name, instead of all there are.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn set(&mut self, head: &[u8], name: &[u8], value: &[u8]) -> Result<(), NotALine> {
        if !is_token(name) || !is_field_value(value) {
            return Err(NotALine);
        }
        self.remove(head, |written, _| written.eq_ignore_ascii_case(name));
        self.append(name, value)
    }

    /// The values of all lines of that name as they will be sent: those that came, then those added.
    pub fn values<'s>(&'s self, head: &'s [u8], name: &'s [u8]) -> impl Iterator<Item = &'s [u8]> + 's {
        self.pairs(head)
            .filter(move |(written, _)| written.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Name and value of every line, those that came first.
    pub fn pairs<'s>(&'s self, head: &'s [u8]) -> impl Iterator<Item = (&'s [u8], &'s [u8])> + 's {
        let came = self
            .lines
            .iter()
            .map(|line| (line.name.of(head), line.value.of(head)));
        came.chain(self.added.pairs())
    }

    /// The value of the first line of that name, of those that came and then of those added.
    pub fn value_of<'s>(&'s self, head: &'s [u8], known: Known) -> Option<&'s [u8]> {
        if let Some(line) = self.find(known).next() {
            return Some(line.value.of(head));
        }
        let Added { bytes, lines } = &self.added;
        let line = lines.iter().find(|line| line.known == known)?;
        Some(line.value.of(bytes))
    }

    /// As [`pairs`](Self::pairs), without the lines that the sender's `Connection` keeps to this hop.
    pub fn end_to_end<'s>(&'s self, head: &'s [u8]) -> impl Iterator<Item = (&'s [u8], &'s [u8])> + 's {
        let came = self.lines.iter().filter(|line| !line.hop_by_hop);
        came.map(|line| (line.name.of(head), line.value.of(head)))
            .chain(self.added.pairs())
    }

    /// Whether a line of that name was added.
    pub fn adds(&self, known: Known) -> bool {
        self.added.has(known)
    }

    /// Those added alone.
    pub(super) fn added(&self) -> &Added {
        &self.added
    }
}

impl Added {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn has(&self, known: Known) -> bool {
        self.lines.iter().any(|line| line.known == known)
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines
            .iter()
            .map(|line| (line.name.of(&self.bytes), line.value.of(&self.bytes)))
    }

    fn put(&mut self, part: &[u8]) -> Range {
        // Policies add some hundred bytes a request; heads end before 4 GiB.
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(part);
        Range {
            start,
            end: self.bytes.len() as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::http1::{Limits, RequestHead};

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nVia: 1.1 p\r\nx-a: 2\r\n\r\n";

    fn parsed() -> RequestHead {
        let mut head = RequestHead::default();
        head.parse(HEAD, &Limits::default()).expect("a good head");
        head
    }

    fn values(head: &RequestHead, name: &str) -> Vec<String> {
        let values = head.headers.values(HEAD, name.as_bytes());
        values
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    #[test]
    fn lines_come_and_go() {
        let mut head = parsed();
        assert_eq!(values(&head, "X-a"), ["1", "2"]);
        head.headers.append(b"X-A", b" 3 ").expect("a line");
        assert_eq!(
            values(&head, "x-A"),
            ["1", "2", "3"],
            "added ones come last, trimmed"
        );
        assert_eq!(head.headers.value_of(HEAD, crate::http1::Known::XRequestId), None);
        head.headers.append(b"X-Request-Id", b"7").expect("a line");
        let id = |head: &RequestHead| {
            let id = head.headers.value_of(HEAD, crate::http1::Known::XRequestId);
            id.map(<[u8]>::to_vec)
        };
        assert_eq!(id(&head), Some(b"7".to_vec()), "added ones are found");
        let via = head.headers.value_of(HEAD, crate::http1::Known::Via);
        assert_eq!(via, Some(&b"1.1 p"[..]));
        head.headers
            .remove(HEAD, |name, value| name == b"x-a" || value == b"3");
        assert_eq!(values(&head, "x-a"), ["1"]);
        head.headers.set(HEAD, b"x-a", b"only").expect("a line");
        assert_eq!(values(&head, "x-a"), ["only"]);
        head.headers
            .remove(HEAD, |name, _| name.eq_ignore_ascii_case(b"via"));
        assert!(
            !head.headers.has(crate::http1::Known::Via),
            "what is gone is not found"
        );
        head.parse(HEAD, &Limits::default()).expect("a good head");
        assert_eq!(
            values(&head, "x-a"),
            ["1", "2"],
            "the next head has nothing of it"
        );
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for (name, value) in [
            ("a b", "x"),
            ("", "x"),
            ("a", "x\r\nb: y"),
            ("a", "\0"),
            ("a", "\n"),
            ("a:", "x"),
        ] {
            let mut head = parsed();
            assert!(
                head.headers.append(name.as_bytes(), value.as_bytes()).is_err(),
                "{name:?}: {value:?}"
            );
            assert!(head.headers.set(HEAD, name.as_bytes(), value.as_bytes()).is_err());
            assert_eq!(head.headers.pairs(HEAD).count(), 4);
        }
    }
}
