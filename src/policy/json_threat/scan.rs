//! One walk along a JSON text (RFC 8259): is it one, and is it within the limits?
//!
//! No tree is built and nothing recurses. What is remembered is eight bytes for each container that is open and eight
//! for each name of the objects that are open, so at most eight times the text in all, whatever it holds.

use crate::policy::content::NameHash;

/// The most of each; `u32::MAX` where there is no limit, which a body of a megabyte can't reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Objects and arrays within each other; the outermost counts as one.
    pub(super) depth: u32,
    /// Entries of one object, elements of one array.
    pub(super) entries: u32,
    pub(super) elements: u32,
    /// Characters (Unicode scalar values, escapes read) of an entry's name and of any other string.
    pub(super) name: u32,
    pub(super) string: u32,
}

#[cfg(test)]
impl Limits {
    pub(super) const NONE: Self = Self {
        depth: u32::MAX,
        entries: u32::MAX,
        elements: u32::MAX,
        name: u32::MAX,
        string: u32::MAX,
    };
}

/// Why a text is refused. Says nothing of what stood in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threat {
    Malformed,
    NotUtf8,
    DuplicateName,
    Depth,
    Entries,
    Elements,
    NameLength,
    StringLength,
}

impl Threat {
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::Malformed => "the body is not valid JSON",
            Self::NotUtf8 => "the body is not valid UTF-8",
            Self::DuplicateName => "an object of the JSON body has two entries of one name",
            Self::Depth => "the JSON body is nested too deeply",
            Self::Entries => "an object of the JSON body has too many entries",
            Self::Elements => "an array of the JSON body has too many elements",
            Self::NameLength => "the name of an entry of the JSON body is too long",
            Self::StringLength => "a string of the JSON body is too long",
        }
    }
}

/// # Errors
/// The first thing that is wrong.
pub(super) fn scan(text: &[u8], limits: &Limits) -> Result<(), Threat> {
    let text = std::str::from_utf8(text).map_err(|_| Threat::NotUtf8)?;
    let scan = Scan {
        bytes: text.as_bytes(),
        at: 0,
        limits,
        open: Vec::new(),
        names: Vec::new(),
    };
    scan.run()
}

struct Scan<'s> {
    bytes: &'s [u8],
    at: usize,
    limits: &'s Limits,
    open: Vec<Container>,
    /// Hashes of the names of all open objects, the innermost one's last.
    names: Vec<u64>,
}

/// What is open: an array with so many elements so far, or an object whose names begin there in the list.
#[derive(Clone, Copy)]
enum Container {
    Array(u32),
    Object(u32),
}

impl Scan<'_> {
    fn run(mut self) -> Result<(), Threat> {
        loop {
            self.space();
            // A value stands here. It is whole, or it has opened a container whose first value stands here next.
            let whole = match self.byte() {
                Some(b'{') => self.open_object()?,
                Some(b'[') => self.open_array()?,
                Some(b'"') => self.string(self.limits.string, Threat::StringLength, None)?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => return Err(Threat::Malformed),
            };
            if whole && !self.after_value()? {
                return if self.at == self.bytes.len() {
                    Ok(())
                } else {
                    Err(Threat::Malformed)
                };
            }
        }
    }

    /// Closes what ends behind a value. False when nothing is open any more: the text should end here.
    fn after_value(&mut self) -> Result<bool, Threat> {
        loop {
            self.space();
            let Some(innermost) = self.open.last_mut() else {
                return Ok(false);
            };
            let next = self.bytes.get(self.at).copied();
            match (innermost, next) {
                (Container::Array(count), Some(b',')) => {
                    *count += 1;
                    if *count > self.limits.elements {
                        return Err(Threat::Elements);
                    }
                    self.at += 1;
                    return Ok(true);
                }
                (Container::Object(_), Some(b',')) => {
                    self.at += 1;
                    self.space();
                    self.name()?;
                    return Ok(true);
                }
                (Container::Array(_), Some(b']')) | (Container::Object(_), Some(b'}')) => {
                    self.at += 1;
                    self.close()?;
                }
                _ => return Err(Threat::Malformed),
            }
        }
    }

    fn open_object(&mut self) -> Result<bool, Threat> {
        self.at += 1;
        // Bodies end long before 4 GiB.
        self.push(Container::Object(self.names.len() as u32))?;
        self.space();
        if self.byte() == Some(b'}') {
            self.at += 1;
            self.open.pop();
            return Ok(true);
        }
        self.name()?;
        Ok(false)
    }

    fn open_array(&mut self) -> Result<bool, Threat> {
        self.at += 1;
        self.push(Container::Array(1))?;
        self.space();
        if self.byte() == Some(b']') {
            self.at += 1;
            self.open.pop();
            return Ok(true);
        }
        if self.limits.elements == 0 {
            return Err(Threat::Elements);
        }
        Ok(false)
    }

    fn push(&mut self, container: Container) -> Result<(), Threat> {
        if self.open.len() >= self.limits.depth as usize {
            return Err(Threat::Depth);
        }
        self.open.push(container);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Threat> {
        let Some(Container::Object(first)) = self.open.pop() else {
            return Ok(());
        };
        let names = &mut self.names[first as usize..];
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Threat::DuplicateName);
        }
        self.names.truncate(first as usize);
        Ok(())
    }

    /// An entry's name and its colon.
    fn name(&mut self) -> Result<(), Threat> {
        if self.byte() != Some(b'"') {
            return Err(Threat::Malformed);
        }
        // Equal names hash alike, so none is missed, whoever chose them. Two that differ and hash alike refuse a good
        // body: with 64 bits, for the 200,000 names that a megabyte holds, once in a thousand million.
        let mut hasher = NameHash::default();
        self.string(self.limits.name, Threat::NameLength, Some(&mut hasher))?;
        if let Some(Container::Object(first)) = self.open.last()
            && self.names.len() - *first as usize >= self.limits.entries as usize
        {
            return Err(Threat::Entries);
        }
        self.names.push(hasher.finish());
        self.space();
        if self.byte() != Some(b':') {
            return Err(Threat::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// From its opening quote to behind its closing one. What it comes to goes into `hasher`, so that `"a"` and
    /// `"\u0061"` are one name.
    fn string(
        &mut self,
        limit: u32,
        exceeded: Threat,
        mut hasher: Option<&mut NameHash>,
    ) -> Result<bool, Threat> {
        self.at += 1;
        let mut characters: usize = 0;
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest.iter().take_while(|byte| is_plain(**byte)).count();
            let (run, rest) = rest.split_at(plain);
            characters += count(run);
            if let Some(hasher) = &mut hasher {
                hasher.write(run);
            }
            self.at += plain;
            match rest.first() {
                Some(b'"') => {
                    self.at += 1;
                    return if characters > limit as usize {
                        Err(exceeded)
                    } else {
                        Ok(true)
                    };
                }
                Some(b'\\') => {
                    let escaped = self.escape()?;
                    characters += 1;
                    if let Some(hasher) = &mut hasher {
                        hasher.write(escaped.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                }
                _ => return Err(Threat::Malformed),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Threat> {
        let letter = self.bytes.get(self.at + 1).copied().ok_or(Threat::Malformed)?;
        self.at += 2;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                // A half of a surrogate pair is no character. Parsers take it for different things, so it is refused.
                let code = match first {
                    0xd800..=0xdbff => {
                        if !self.bytes[self.at..].starts_with(b"\\u") {
                            return Err(Threat::Malformed);
                        }
                        self.at += 2;
                        let second = self.hex()?;
                        if !(0xdc00..=0xdfff).contains(&second) {
                            return Err(Threat::Malformed);
                        }
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    code => code,
                };
                char::from_u32(code).ok_or(Threat::Malformed)?
            }
            _ => return Err(Threat::Malformed),
        })
    }

    fn hex(&mut self) -> Result<u32, Threat> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(Threat::Malformed)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, digit| {
            let digit = char::from(*digit).to_digit(16).ok_or(Threat::Malformed)?;
            Ok(code * 16 + digit)
        })
    }

    fn word(&mut self, word: &[u8]) -> Result<bool, Threat> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(Threat::Malformed);
        }
        self.at += word.len();
        Ok(true)
    }

    /// Any number of digits: how large a number may be is for whoever reads it to say (RFC 8259 §6).
    fn number(&mut self) -> Result<bool, Threat> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(true)
    }

    fn digits(&mut self) -> Result<(), Threat> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            Err(Threat::Malformed)
        } else {
            Ok(())
        }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

/// Stands for itself in a string (RFC 8259 §7).
const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// Characters of UTF-8: the bytes that begin one.
fn count(run: &[u8]) -> usize {
    run.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}
