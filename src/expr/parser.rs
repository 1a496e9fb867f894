//! Tokens → tree, by precedence climbing. The precedence is DataWeave's, its traps included: what evaluates on both
//! must come to the same. Two readings that can only fail are refused here, with the parentheses that were forgotten.

use super::ParseError;
use super::ast::{Comparison, Expr, Kind};
use super::functions::Function;
use super::infix::{Infix, Level, join};
use super::lexer::{Mark, Placed, Token};
use super::{MAX_DEPTH, nearest};

/// # Errors
/// The first token that can't stand where it does.
pub(super) fn parse(tokens: &[Placed<'_>]) -> Result<Expr, ParseError> {
    let mut parser = Parser {
        tokens,
        next: 0,
        depth: 0,
    };
    let whole = parser.expression(Level::Any)?;
    match parser.peek() {
        Token::End => Ok(whole),
        Token::Mark(Mark::CloseBracket) => Err(parser.error(
            "the expression ends here, and an expression is the whole value: join text and values inside with `++`",
        )),
        Token::Mark(Mark::Close) => Err(parser.error("this `)` closes nothing")),
        Token::Mark(Mark::Comma) => Err(parser.error("an expression is one value; a list stands in `[…]`")),
        _ => Err(parser.not_an_operator()),
    }
}

struct Parser<'p, 't> {
    tokens: &'p [Placed<'t>],
    next: usize,
    /// Of calls, lists, groups and the like that are open.
    depth: usize,
}

impl<'p, 't> Parser<'p, 't> {
    fn expression(&mut self, level: Level) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::too_deep(self.at()));
        }
        let mut left = self.operand()?;
        while let Some((infix, length)) = self.infix() {
            if infix.level() < level {
                break;
            }
            let at = self.at();
            self.next += length;
            self.refuse_selected_group(infix)?;
            let right = self.expression(infix.level().tighter())?;
            left = join(at, infix, left, right)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// An operand with what is selected of it.
    fn operand(&mut self) -> Result<Expr, ParseError> {
        let at = self.at();
        let first = match self.take() {
            Token::Word("if") => return self.condition(at),
            Token::Word("not") => return self.not(at),
            Token::Mark(Mark::Bang) => {
                let operand = self.deeper(Self::operand)?;
                return Expr::new(at, Kind::Not(Box::new(operand)));
            }
            Token::Mark(Mark::Minus) => match self.take() {
                Token::Number(number) => return Expr::new(at, Kind::Number(-number)),
                _ => {
                    return Err(ParseError::new(
                        at,
                        "arithmetic is not supported; a minus sign stands before a number",
                    ));
                }
            },
            Token::Mark(Mark::Open) => {
                let mut inner = self.expression(Level::Any)?;
                self.expect(Mark::Close, "`)` is missing")?;
                inner.grouped = true;
                inner
            }
            Token::Mark(Mark::OpenBracket) => {
                let elements = self.list(Mark::CloseBracket)?;
                Expr::new(at, Kind::List(elements))?
            }
            Token::Text(text) => Expr::new(at, Kind::Text(text.clone()))?,
            Token::Number(number) => Expr::new(at, Kind::Number(*number))?,
            Token::Word("true") => Expr::new(at, Kind::Boolean(true))?,
            Token::Word("false") => Expr::new(at, Kind::Boolean(false))?,
            Token::Word("null") => Expr::new(at, Kind::Null)?,
            Token::Word(word) => self.name(at, word)?,
            Token::End => return Err(ParseError::new(at, "a value is missing here")),
            Token::Mark(_) => return Err(ParseError::new(at, "a value should stand here")),
        };
        self.selectors(first)
    }

    fn selectors(&mut self, mut base: Expr) -> Result<Expr, ParseError> {
        loop {
            let at = self.at();
            let selector = match self.peek() {
                Token::Mark(Mark::Dot) => {
                    self.next += 1;
                    self.member()?
                }
                Token::Mark(Mark::OpenBracket) => {
                    self.next += 1;
                    let selector = self.expression(Level::Any)?;
                    if *self.peek() == Token::Word("to") {
                        return Err(self.error("ranges are not supported: select one element"));
                    }
                    self.expect(Mark::CloseBracket, "`]` is missing")?;
                    selector
                }
                _ => return Ok(base),
            };
            base = Expr::new(at, Kind::Select(Box::new(base), Box::new(selector)))?;
        }
    }

    /// Behind a dot: a name, or one in quotes.
    fn member(&mut self) -> Result<Expr, ParseError> {
        let at = self.at();
        let name = match self.take() {
            Token::Word(word) => (*word).to_owned(),
            Token::Text(text) => text.clone(),
            Token::Mark(Mark::Dot) => {
                return Err(ParseError::new(at, "descendants (`..`) can't be selected"));
            }
            _ => {
                return Err(ParseError::new(
                    at,
                    "a name should stand here; quote one that is more than a word: `.'x-y'` or `['x-y']`",
                ));
            }
        };
        if *self.peek() == Token::Mark(Mark::Minus) && self.at() == self.tokens[self.next - 1].end {
            let message =
                format!("arithmetic is not supported; a name with dashes stands in quotes: `['{name}-…']`");
            return Err(self.error(&message));
        }
        Expr::new(at, Kind::Text(name))
    }

    /// A variable, or a function with its arguments.
    fn name(&mut self, at: usize, first: &'t str) -> Result<Expr, ParseError> {
        let mut full = first.to_owned();
        while *self.peek() == Token::Mark(Mark::Path) {
            self.next += 1;
            let Token::Word(part) = self.take() else {
                return Err(ParseError::new(at, "a name is missing behind `::`"));
            };
            full = full + "::" + part;
        }
        if *self.peek() != Token::Mark(Mark::Open) {
            if let Some(instead) = KEYWORDS.iter().find(|(word, _)| *word == full) {
                return Err(ParseError::new(at, instead.1));
            }
            if full.contains("::") || Function::named(&full).is_some() {
                return Err(ParseError::new(
                    at,
                    format!("`{full}` is a function: `{full}(…)`"),
                ));
            }
            return Expr::new(at, Kind::Name(full));
        }
        let Some(function) = Function::named(&full) else {
            return Err(ParseError::new(at, unknown_function(&full)));
        };
        self.next += 1;
        let arguments = self.list(Mark::Close)?;
        if arguments.len() != function.arity() {
            let message = format!(
                "`{full}` takes {}, not {}",
                count(function.arity()),
                arguments.len()
            );
            return Err(ParseError::new(at, message));
        }
        Expr::new(at, Kind::Call(function, arguments))
    }

    /// What stands between commas, up to `close`, which is taken.
    fn list(&mut self, close: Mark) -> Result<Vec<Expr>, ParseError> {
        let mut elements = Vec::new();
        if *self.peek() == Token::Mark(close) {
            self.next += 1;
            return Ok(elements);
        }
        loop {
            elements.push(self.expression(Level::Any)?);
            if *self.peek() != Token::Mark(Mark::Comma) {
                break;
            }
            self.next += 1;
        }
        let missing = if close == Mark::Close {
            "`,` or `)` is missing"
        } else {
            "`,` or `]` is missing"
        };
        self.expect(close, missing)?;
        Ok(elements)
    }

    fn condition(&mut self, at: usize) -> Result<Expr, ParseError> {
        if *self.peek() != Token::Mark(Mark::Open) {
            return Err(self.error("the condition of `if` stands in parentheses: `if (…) … else …`"));
        }
        self.next += 1;
        let condition = self.expression(Level::Any)?;
        self.expect(Mark::Close, "`)` is missing")?;
        let then = self.expression(Level::Any)?;
        if *self.peek() != Token::Word("else") {
            if !matches!(self.peek(), Token::End | Token::Mark(_)) {
                return Err(self.not_an_operator());
            }
            return Err(self.error("`else` is missing: an `if` always has one"));
        }
        self.next += 1;
        let otherwise = self.expression(Level::Any)?;
        Expr::new(at, Kind::If(Box::new([condition, then, otherwise])))
    }

    /// `not` reaches to the end of what follows, `!` to the end of one operand. `not(a) and b` looks as if it were the
    /// second and DataWeave does not take it: it is refused.
    fn not(&mut self, at: usize) -> Result<Expr, ParseError> {
        let like_a_call = *self.peek() == Token::Mark(Mark::Open) && self.at() == at + "not".len();
        let operand = if like_a_call {
            let group = self.deeper(Self::operand)?;
            if self.infix().is_some() {
                return Err(ParseError::new(
                    at,
                    "`not` reaches to the end of what follows. Write `not (… and …)`, or `!(…)` for these parentheses alone",
                ));
            }
            group
        } else {
            self.expression(Level::Any)?
        };
        Expr::new(at, Kind::Not(Box::new(operand)))
    }

    /// `a splitBy (',')[0]` selects of the argument, which nobody means.
    fn refuse_selected_group(&mut self, infix: Infix) -> Result<(), ParseError> {
        let Infix::Call(function) = infix else {
            return Ok(());
        };
        if *self.peek() != Token::Mark(Mark::Open) {
            return Ok(());
        }
        let mut open = 0usize;
        for (n, placed) in self.tokens.iter().enumerate().skip(self.next) {
            match placed.token {
                Token::Mark(Mark::Open) => open += 1,
                Token::Mark(Mark::Close) => open -= 1,
                _ => {}
            }
            if open == 0 {
                let behind = &self.tokens[(n + 1).min(self.tokens.len() - 1)];
                if matches!(behind.token, Token::Mark(Mark::OpenBracket | Mark::Dot)) {
                    let name = function.name();
                    return Err(ParseError::new(
                        behind.at,
                        format!(
                            "this would select of the argument. Write `{name}(…, …)[…]` to select of the result"
                        ),
                    ));
                }
                break;
            }
        }
        Ok(())
    }

    /// The operator that stands next, and of how many tokens it is.
    fn infix(&self) -> Option<(Infix, usize)> {
        let one = |infix| Some((infix, 1));
        match self.peek() {
            Token::Word("default") => one(Infix::Default),
            Token::Word("and") => one(Infix::And),
            Token::Word("or") => one(Infix::Or),
            Token::Word(word) => {
                let function = Function::named(word).filter(|function| function.arity() == 2)?;
                one(Infix::Call(function))
            }
            Token::Mark(mark) => match mark {
                Mark::Concat => one(Infix::Concat),
                Mark::Remove => one(Infix::Remove),
                Mark::Equal => one(Infix::Compare(Comparison::Equal)),
                Mark::NotEqual => one(Infix::Compare(Comparison::NotEqual)),
                Mark::Less => one(Infix::Compare(Comparison::Less)),
                Mark::LessOrEqual => one(Infix::Compare(Comparison::LessOrEqual)),
                Mark::Greater => one(Infix::Compare(Comparison::Greater)),
                Mark::GreaterOrEqual => one(Infix::Compare(Comparison::GreaterOrEqual)),
                _ => None,
            },
            _ => None,
        }
    }

    fn not_an_operator(&self) -> ParseError {
        match self.peek() {
            Token::Word("as" | "is") => {
                self.error("types can't be named: there are no casts and no tests for types")
            }
            Token::Word("else") => self.error("this `else` belongs to no `if`"),
            Token::Word(word) => {
                let operators = Function::names().chain(["and", "or", "default", "else"]);
                let meant = nearest(word, operators);
                let meant = meant.map_or_else(
                    || "two values need an operator between them".to_owned(),
                    |meant| format!("did you mean `{meant}`?"),
                );
                self.error(&format!("`{word}` is no operator: {meant}"))
            }
            Token::Mark(Mark::Minus) => self.error("arithmetic is not supported"),
            Token::Mark(Mark::Bang) => self.error("`!` stands before what it negates"),
            _ => self.error("two values need an operator between them"),
        }
    }

    fn deeper(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Expr, ParseError>,
    ) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::too_deep(self.at()));
        }
        let parsed = parse(self)?;
        self.depth -= 1;
        Ok(parsed)
    }

    fn expect(&mut self, mark: Mark, missing: &str) -> Result<(), ParseError> {
        if *self.peek() == Token::Mark(mark) {
            self.next += 1;
            return Ok(());
        }
        match self.peek() {
            // More likely a forgotten or misspelt operator than a forgotten bracket.
            Token::End | Token::Mark(_) => Err(self.error(missing)),
            _ => Err(self.not_an_operator()),
        }
    }

    fn peek(&self) -> &'p Token<'t> {
        &self.tokens[self.next].token
    }

    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    /// The last token is `End` and is never passed.
    fn take(&mut self) -> &'p Token<'t> {
        let taken = &self.tokens[self.next].token;
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        taken
    }

    fn error(&self, message: &str) -> ParseError {
        ParseError::new(self.at(), message)
    }
}

fn unknown_function(name: &str) -> String {
    let short = name.rsplit("::").next().unwrap_or(name);
    if let Some(instead) = KEYWORDS.iter().find(|(word, _)| *word == short) {
        return instead.1.to_owned();
    }
    match nearest(short, Function::names()) {
        Some(meant) if meant == short => {
            let module = Function::named(meant).map_or("", Function::module);
            format!("there is no function `{name}`; write `{meant}` or `{module}::{meant}`")
        }
        Some(meant) => format!("there is no function `{name}`: did you mean `{meant}`?"),
        None => {
            let all: Vec<&str> = Function::names().collect();
            format!("there is no function `{name}`; there are {}", all.join(", "))
        }
    }
}

fn count(arguments: usize) -> String {
    match arguments {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        n => format!("{n} arguments"),
    }
}

/// Words that are no names, where a value should stand.
const KEYWORDS: &[(&str, &str)] = &[
    (
        "else",
        "this `else` belongs to no `if`, or the value before it is missing",
    ),
    ("and", "a value is missing before `and`"),
    ("or", "a value is missing before `or`"),
    ("default", "a value is missing before `default`"),
    ("do", "`do` is not supported: an expression is one value"),
    ("using", "`using` is not supported: an expression is one value"),
    ("var", "variables can't be declared: an expression is one value"),
    ("fun", "functions can't be declared"),
    (
        "import",
        "nothing can be imported; write a function's name as it is",
    ),
    (
        "match",
        "pattern matching is not supported: write `if (…) … else …`",
    ),
    ("unless", "write `if (not …) … else …`"),
    ("output", "an expression has no header: write its body alone"),
];
