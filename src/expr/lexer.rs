//! Text → tokens, each with its offset. All at once: an expression is at most [`MAX_LENGTH`](super::MAX_LENGTH) bytes, and a
//! parser that holds all tokens may look ahead as far as its messages need.

use super::ParseError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'t> {
    Word(&'t str),
    /// Without its quotes, escapes resolved.
    Text(String),
    Number(f64),
    Mark(Mark),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Comma,
    Dot,
    Minus,
    Bang,
    /// `::`, between the parts of a function's full name.
    Path,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Concat,
    Remove,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed<'t> {
    pub(super) token: Token<'t>,
    /// Bytes from the start of the template.
    pub(super) at: usize,
    /// The same, of its first byte behind it.
    pub(super) end: usize,
}

/// The tokens of `text[from..to]`, with `End` as the last.
///
/// # Errors
/// The first character that begins no token, or a string or comment without end.
pub(super) fn tokens(text: &str, from: usize, to: usize) -> Result<Vec<Placed<'_>>, ParseError> {
    let mut lexer = Lexer {
        text: &text[..to],
        at: from,
    };
    let mut found = Vec::new();
    loop {
        lexer.skip_blank()?;
        let at = lexer.at;
        let token = lexer.next()?;
        let last = token == Token::End;
        found.push(Placed {
            token,
            at,
            end: lexer.at,
        });
        if last {
            return Ok(found);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn skip_blank(&mut self) -> Result<(), ParseError> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                let Some(length) = rest.find("*/") else {
                    return Err(ParseError::new(
                        self.at,
                        "this comment has no end: `*/` is missing",
                    ));
                };
                self.at += length + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Token<'t>, ParseError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        if first.is_ascii_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            self.at += length;
            return Ok(Token::Word(&rest[..length]));
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if first == '\'' || first == '"' {
            return self.string(first);
        }
        if let Some((spelling, mark)) = MARKS.iter().find(|(spelling, _)| rest.starts_with(spelling)) {
            self.at += spelling.len();
            return Ok(Token::Mark(*mark));
        }
        let instead = (REFUSED.iter().find(|(spelling, _)| rest.starts_with(spelling)))
            .map(|(spelling, instead)| format!("`{spelling}`: {instead}"));
        let message = instead.unwrap_or_else(|| format!("{first:?} means nothing here"));
        Err(ParseError::new(self.at, message))
    }

    /// `12`, `1.5`, `2e3`. A minus sign is a token of its own.
    fn number(&mut self) -> Result<Token<'t>, ParseError> {
        let start = self.at;
        self.skip_digits();
        let digit_follows = |rest: &str| rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
        if self.rest().strip_prefix('.').is_some_and(digit_follows) {
            self.at += 1;
            self.skip_digits();
        }
        if let Some(exponent) = self.rest().strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digit_follows(digits) {
                self.at += 1 + exponent.len() - digits.len();
                self.skip_digits();
            }
        }
        let written = &self.text[start..self.at];
        if self.rest().starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return Err(ParseError::new(
                start,
                format!("`{written}` runs into what follows; part them, or quote what is meant as text"),
            ));
        }
        match written.parse() {
            Ok(number) if f64::is_finite(number) => Ok(Token::Number(number)),
            _ => Err(ParseError::new(
                start,
                "this number is past what 64-bit floating point holds",
            )),
        }
    }

    fn skip_digits(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    }

    fn string(&mut self, quote: char) -> Result<Token<'t>, ParseError> {
        let start = self.at;
        let mut value = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, c)) = chars.next() {
            let at = start + offset;
            match c {
                _ if c == quote => {
                    self.at = at + 1;
                    return Ok(Token::Text(value));
                }
                '\\' => {
                    let Some((_, escaped)) = chars.next() else { break };
                    if escaped == 'u' {
                        let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                        value.push(code_point(&digits).ok_or_else(|| {
                            ParseError::new(at, "`\\u` wants four hexadecimal digits of a character")
                        })?);
                        continue;
                    }
                    let Some((_, meant)) = ESCAPES.iter().find(|(written, _)| *written == escaped) else {
                        let message = format!("`\\{escaped}` is no escape; a backslash is written `\\\\`");
                        return Err(ParseError::new(at, message));
                    };
                    value.push(*meant);
                }
                '$' => {
                    let interpolates = |next: char| next == '(' || next.is_alphabetic() || next == '_';
                    if chars.peek().is_some_and(|(_, next)| interpolates(*next)) {
                        return Err(ParseError::new(
                            at,
                            "DataWeave would put a value in place of this `$…`, which is not supported: join with `++`; a \
                             dollar sign is written `\\$`",
                        ));
                    }
                    value.push(c);
                }
                _ => value.push(c),
            }
        }
        Err(ParseError::new(
            start,
            format!("this string has no end: `{quote}` is missing"),
        ))
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }
}

fn code_point(digits: &str) -> Option<char> {
    let hexadecimal = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u32::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)?;
    char::from_u32(code)
}

/// The longer before those they begin with.
const MARKS: &[(&str, Mark)] = &[
    ("(", Mark::Open),
    (")", Mark::Close),
    ("[", Mark::OpenBracket),
    ("]", Mark::CloseBracket),
    (",", Mark::Comma),
    (".", Mark::Dot),
    ("::", Mark::Path),
    ("==", Mark::Equal),
    ("!=", Mark::NotEqual),
    ("<=", Mark::LessOrEqual),
    (">=", Mark::GreaterOrEqual),
    ("<", Mark::Less),
    (">", Mark::Greater),
    ("++", Mark::Concat),
    ("--", Mark::Remove),
    ("-", Mark::Minus),
    ("!", Mark::Bang),
];

/// What people write from other languages, or from the parts of DataWeave that policies do not have.
const REFUSED: &[(&str, &str)] = &[
    ("~=", "write `==`, with both sides of one type"),
    ("=", "write `==` to compare"),
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("{", "objects can't be written"),
    ("?", "write `!= null` to ask whether something is there"),
    ("/", "regular expressions and division are not supported"),
    ("+", "arithmetic is not supported; write `++` to join"),
    ("*", "arithmetic and multi-value selectors are not supported"),
    (
        "$",
        "there are no parameters; a dollar sign in text stands in quotes",
    ),
    ("#", "`#[` stands once, before the whole expression"),
    ("|", "dates are not supported"),
    ("@", "attribute selectors are not supported"),
    ("&", "key-value selectors are not supported; write `and` for both"),
    (
        ":",
        "keys and types can't be written; a function's full name has `::`",
    ),
];

const ESCAPES: &[(char, char)] = &[
    ('\\', '\\'),
    ('\'', '\''),
    ('"', '"'),
    ('$', '$'),
    ('/', '/'),
    ('n', '\n'),
    ('r', '\r'),
    ('t', '\t'),
    ('b', '\u{8}'),
    ('f', '\u{c}'),
];
