//! `injection-protection-flex`: requests that look like injected SQL or script, or like the configuration's own rules, are
//! refused, or told of in the log.
//!
//! It is a net under origins that should not need one: rules know what attacks look like, not what an origin does with a
//! value. What a rule is made of is in [`rules`], how values are unwrapped before in [`normal`].

mod normal;
mod rules;
mod scan;

#[cfg(test)]
mod tests;

use super::{Local, Refusal, Request, State, Step, Wait, content};
use crate::{
    choice,
    fault::Kind,
    http1::is_token,
    located::{Decode, Located, Node, Origin, Problems, Value, schema::Definitions},
    object,
};
use scan::{Found, Rules};
use std::cell::RefCell;

pub(super) use scan::Scratch;

object! {
    /// Configuration of `injection-protection-flex`.
    pub(super) struct InjectionProtectionSpec {
        /// The gateway's own rules.
        optional "builtInProtections" built_in: Vec<InjectionKind>,
        /// Rules beside them.
        optional "customProtections" custom: Vec<InjectionRuleSpec>,
        /// Looks at path and query. Default true.
        optional "protectPathAndQuery" target: bool,
        /// Looks at the values of headers. Default true.
        optional "protectHeaders" headers: bool,
        /// Which headers: a list, or names with commas between them. Default all.
        optional "headersToProtect" names: InjectionHeaders,
        /// Looks at the body, which may have 1 MiB. Default true.
        optional "protectBody" body: bool,
        /// False: what is found is told in the log, and the request goes on. Default true.
        optional "rejectRequests" reject: bool,
    }
}

object! {
    /// One rule of one's own.
    pub(super) struct InjectionRuleSpec {
        /// For the log.
        required "name" name: Located<String>,
        /// A regular expression (RE2) over bytes, found anywhere in a value as it came, unwrapped once or twice.
        required "regex" regex: Located<String>,
    }
}

choice! {
    pub(super) enum InjectionKind { Sql = "sql", Xss = "xss" }
}

/// Names of headers, as a list or as the vendor has them.
#[derive(Debug, Clone)]
pub(super) struct InjectionHeaders(Vec<Located<String>>);

impl Decode for InjectionHeaders {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if let Value::List(_) = node.value {
            return Vec::decode(node, problems).map(Self);
        }
        let text = String::decode(node, problems)?;
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        Some(Self(
            names
                .map(|name| Located::new(name.to_owned(), node.origin.clone()))
                .collect(),
        ))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        let list = Vec::<String>::schema(definitions);
        serde_json::json!({ "anyOf": [String::schema(definitions), list] })
    }
}

#[derive(Debug)]
pub struct InjectionProtection {
    rules: Rules,
    /// Of the custom ones.
    names: Vec<String>,
    target: bool,
    /// None: not looked at; empty: all.
    headers: Option<Vec<Box<[u8]>>>,
    body: bool,
    reject: bool,
}

impl InjectionProtection {
    pub(super) fn compile(
        spec: &InjectionProtectionSpec,
        origin: &Origin,
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.len();
        let built_in = spec.built_in.as_deref().unwrap_or_default();
        let custom = spec.custom.as_deref().unwrap_or_default();
        if built_in.is_empty() && custom.is_empty() {
            let message = "looks for nothing: name `sql`, `xss` or both in `builtInProtections`, or rules of your own in \
                           `customProtections`";
            problems.report(origin, message);
        }
        let (target, headers, body) = (spec.target, spec.headers, spec.body);
        let [target, headers, body] = [target, headers, body].map(|looks| looks.unwrap_or(true));
        if !(target || headers || body) {
            let message =
                "looks nowhere: set `protectPathAndQuery`, `protectHeaders` or `protectBody` to true";
            problems.report(origin, message);
        }
        let written = spec.names.as_ref().map_or(&[][..], |names| &names.0);
        for name in written.iter().filter(|name| !is_token(name.as_bytes())) {
            let message = format!("`{}` is not the name of a header", name.value);
            problems.within("headersToProtect", |problems| {
                problems.report(&name.origin, message)
            });
        }
        let patterns: Vec<&str> = custom.iter().map(|rule| rule.regex.as_str()).collect();
        let has = |kind| built_in.contains(&kind);
        let rules = Rules::new(has(InjectionKind::Sql), has(InjectionKind::Xss), &patterns);
        if let Err(unusable) = &rules {
            let rule = &custom[unusable.index];
            problems.within("customProtections", |problems| {
                problems.within_element(unusable.index, |problems| {
                    let message = format!("`{}` {}", rule.regex.value, unusable.message);
                    problems.within("regex", |problems| problems.report(&rule.regex.origin, message));
                });
            });
        }
        let policy = Self {
            rules: rules.ok()?,
            names: custom.iter().map(|rule| rule.name.value.clone()).collect(),
            target,
            headers: headers.then(|| written.iter().map(|name| name.as_bytes().into()).collect()),
            body,
            reject: spec.reject.unwrap_or(true),
        };
        (problems.len() == before).then_some(policy)
    }

    /// Whether it tells of what it finds.
    pub(super) fn logs(&self) -> bool {
        !self.reject
    }

    pub(super) fn local(&self) -> Local {
        Local::Injection(RefCell::new(self.rules.scratch()))
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>, local: &Local, state: &mut State) -> Step {
        let Local::Injection(scratch) = local else {
            // A shard's own part is made with the policy; without one nothing could be looked at.
            return Refusal::new(Kind::Internal, "the policy is not ready").into();
        };
        let scratch = &mut *scratch.borrow_mut();
        // The head alone may be enough to refuse: then nobody waits for a body. Once it is there, the head has been seen.
        let found = match std::mem::replace(state, State::HeadSeen) {
            State::HeadSeen => None,
            _ => self.in_head(request, scratch),
        };
        let found = match (found, self.body && request.body != Some(b"")) {
            (Some(found), _) => Some(found),
            (None, false) => None,
            (None, true) => {
                if let Err(refusal) = content::check_plain(request)
                    && self.reject
                {
                    return blocked(request, refusal.detail);
                }
                let Some(body) = request.body else {
                    return Step::Wait(Wait::Body);
                };
                self.rules.find(body, scratch).map(|found| (found, "body"))
            }
        };
        let Some((found, place)) = found else {
            return Step::Continue;
        };
        if self.reject {
            return blocked(request, detail(found));
        }
        let what = match found {
            Found::Sql => "sql",
            Found::Xss => "xss",
            Found::Custom(index) => self.names.get(index).map_or("", String::as_str),
        };
        request.warn("injection-protection", &[what, " in the ", place]);
        Step::Continue
    }

    fn in_head(&self, request: &Request<'_>, scratch: &mut Scratch) -> Option<(Found, &'static str)> {
        if self.target {
            let target = request.head.target.of(request.bytes);
            if let Some(found) = self.rules.find(target, scratch) {
                return Some((found, "path or query"));
            }
        }
        let names = self.headers.as_ref()?;
        for (name, value) in request.head.headers.pairs(request.bytes) {
            if !names.is_empty() && !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                continue;
            }
            if let Some(found) = self.rules.find(value, scratch) {
                return Some((found, "headers"));
            }
        }
        None
    }
}

fn blocked(request: &mut Request<'_>, detail: &'static str) -> Step {
    request.reply("x-injection-protection", b"blocked");
    Refusal::new(Kind::Rejected, detail).into()
}

/// Fixed, since a refusal says nothing of what a client sent; which rule of one's own it was, the log of
/// `rejectRequests: false` tells.
const fn detail(found: Found) -> &'static str {
    match found {
        Found::Sql => "the request looks like SQL injection",
        Found::Xss => "the request looks like cross-site scripting",
        Found::Custom(_) => "the request matches a rule against injection",
    }
}
