//! What a token's claims must say (RFC 7519 §4.1).

use super::token::Refused;
use crate::expr::{Template, Tree, Value, View};

/// Compiled from the configuration.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub expiry_mandatory: bool,
    pub not_before_mandatory: bool,
    /// None: nobody asks whom the token is for.
    pub audience: Option<Audience>,
    pub custom: Vec<Custom>,
}

#[derive(Debug)]
pub(super) struct Audience {
    pub mandatory: bool,
    pub supported: Vec<Box<[u8]>>,
}

/// A claim of the user's choice.
#[derive(Debug)]
pub(super) struct Custom {
    pub name: String,
    pub mandatory: bool,
    /// Text: what the claim must be. An expression: what must come true, or what the claim must be.
    pub value: Template,
}

impl Rules {
    /// `now` is in seconds since 1970. Times that are there are looked at, mandatory or not; no leeway is given, as none is
    /// documented.
    pub(super) fn check(&self, claims: &Tree, now: f64, view: &impl View) -> Result<(), Refused> {
        match time(claims, "exp")? {
            Some(expiry) if expiry <= now => return Err("the token has expired"),
            None if self.expiry_mandatory => return Err("the token has no `exp`"),
            _ => {}
        }
        match time(claims, "nbf")? {
            Some(start) if start > now => return Err("the token is not valid yet"),
            None if self.not_before_mandatory => return Err("the token has no `nbf`"),
            _ => {}
        }
        if let Some(audience) = &self.audience {
            audience.check(claims)?;
        }
        self.custom
            .iter()
            .try_for_each(|custom| custom.check(claims, view))
    }
}

impl Audience {
    /// One text, or a list of texts of which one is enough.
    fn check(&self, claims: &Tree) -> Result<(), Refused> {
        let supported = |audience: &Tree| matches!(audience, Tree::String(text) if self.supported.iter().any(|known| known == text));
        let admitted = match claims.get("aud") {
            None | Some(Tree::Null) if self.mandatory => return Err("the token has no `aud`"),
            None | Some(Tree::Null) => true,
            Some(Tree::Array(audiences)) => audiences.iter().any(supported),
            Some(audience) => supported(audience),
        };
        if admitted {
            Ok(())
        } else {
            Err("the token is for another audience")
        }
    }
}

impl Custom {
    /// A claim that is null is as good as absent.
    fn check(&self, claims: &Tree, view: &impl View) -> Result<(), Refused> {
        let claim = match claims.get(&self.name) {
            None | Some(Tree::Null) if self.mandatory => return Err("the token lacks a mandatory claim"),
            None | Some(Tree::Null) => return Ok(()),
            Some(claim) => claim,
        };
        if self.holds(claim, view).unwrap_or(false) {
            Ok(())
        } else {
            Err("a claim of the token is not what it must be")
        }
    }

    /// None where an expression fails: nothing is known then, so nothing is admitted.
    fn holds(&self, claim: &Tree, view: &impl View) -> Option<bool> {
        match self.value.evaluate(view).ok()? {
            Value::Boolean(holds) => Some(holds),
            Value::Null => Some(false),
            // As text, so that `7` in the configuration is the number 7 of the token, and a list its JSON.
            wanted => Some(wanted.into_text().ok()? == Value::from(claim).into_text().ok()?),
        }
    }
}

/// A NumericDate: seconds, maybe with a fraction.
fn time(claims: &Tree, name: &str) -> Result<Option<f64>, Refused> {
    match claims.get(name) {
        None => Ok(None),
        Some(Tree::Number(seconds)) => Ok(Some(*seconds)),
        Some(_) => Err("a time of the token is no number"),
    }
}
