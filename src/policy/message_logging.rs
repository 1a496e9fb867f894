//! `message-logging-flex` and `message-logging-outbound`: lines of one's own about requests and answers.
//!
//! They leave the shard as access records do, through a queue that never makes it wait, and are escaped where they are
//! written: whatever a client sent, a message is one line.

use super::{ExchangeView, Request, Response, State, Step, Wait, condition, template};
use crate::{
    choice,
    expr::{Object, Scope, Template, Value},
    fault::Kind,
    located::{Decode, Located, Node, Origin, Problems, Value as Written, schema::Definitions},
    object,
    observe::{
        access_log::timestamp,
        message::{Level, Message},
    },
};
use std::borrow::Cow;

object! {
    /// Configuration of `message-logging-flex` and `message-logging-outbound`.
    pub(super) struct MessageLoggingSpec {
        /// What is logged.
        required "loggingConfiguration" items: Vec<MessageLoggingItemSpec>,
    }
}

object! {
    /// One entry.
    pub(super) struct MessageLoggingItemSpec {
        /// For whoever reads the file, and the log where the message has no value.
        required "itemName" name: String,
        /// The message, or a list of them.
        required "itemData" data: MessageLoggingData,
    }
}

object! {
    /// One message.
    pub(super) struct MessageLoggingDataSpec {
        /// The text, mostly an expression.
        required "message" message: Located<String>,
        /// Whether it is logged, mostly an expression. Default true.
        optional "conditional" conditional: Located<String>,
        /// A word that stands before the message. Default `accessLog`.
        optional "category" category: Located<String>,
        /// How much it matters. All are written. Default `INFO`.
        optional "level" level: MessageLoggingLevel,
        /// Before the request goes on. Default true, or false where `secondSection` is written.
        optional "firstSection" first: bool,
        /// When there is an answer. Default false.
        optional "secondSection" second: bool,
    }
}

choice! {
    pub(super) enum MessageLoggingLevel { Debug = "DEBUG", Info = "INFO", Warn = "WARN", Error = "ERROR" }
}

/// A mapping, or, as some of the vendor's examples have it, a list of them.
#[derive(Debug, Clone)]
pub(super) struct MessageLoggingData(Vec<(Origin, MessageLoggingDataSpec)>);

impl Decode for MessageLoggingData {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let one = |node: &Node, problems: &mut Problems| {
            let spec = MessageLoggingDataSpec::decode(node, problems)?;
            Some((node.origin.clone(), spec))
        };
        let Written::List(items) = &node.value else {
            return one(node, problems).map(|spec| Self(vec![spec]));
        };
        let mut specs = Vec::new();
        for (index, item) in items.iter().enumerate() {
            specs.push(problems.within_element(index, |problems| one(item, problems))?);
        }
        Some(Self(specs))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        let one = MessageLoggingDataSpec::schema(definitions);
        serde_json::json!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

#[derive(Debug)]
pub struct MessageLogging {
    items: Vec<Item>,
    needs_body: bool,
}

#[derive(Debug)]
struct Item {
    name: String,
    message: Template,
    condition: Option<Template>,
    category: String,
    level: Level,
    first: bool,
    second: bool,
}

impl MessageLogging {
    pub(super) fn compile(
        spec: &MessageLoggingSpec,
        origin: &Origin,
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.len();
        let mut items = Vec::new();
        problems.within("loggingConfiguration", |problems| {
            for (index, item) in spec.items.iter().enumerate() {
                problems.within_element(index, |problems| {
                    problems.within("itemData", |problems| {
                        for (origin, data) in &item.data.0 {
                            items.extend(Item::compile(&item.name, data, origin, problems));
                        }
                    });
                });
            }
        });
        if items.is_empty() && problems.len() == before {
            problems.report(origin, "logs nothing: write an entry in `loggingConfiguration`");
        }
        (problems.len() == before).then(|| Self {
            needs_body: items.iter().any(|item: &Item| item.first && item.needs_body()),
            items,
        })
    }

    pub(super) fn on_request(&self, request: &Request<'_>, state: &mut State) -> Step {
        if self.needs_body && request.body.is_none() {
            return Step::Wait(Wait::Body);
        }
        let received = request.context.unix_millis;
        *state = State::Received(received);
        for item in self.items.iter().filter(|item| item.first) {
            let var = |name: &'static str| match name {
                "method" => Value::borrowed(request.head.method.of(request.bytes)),
                "requestPath" => Value::borrowed(request.context.path),
                "remoteAddress" => owned(request.context.client.to_string().into_bytes()),
                "reqId" => Value::borrowed(request.id()),
                "receivedTs" => time(received),
                "request.headers" => headers(request.head.headers.pairs(request.bytes)),
                name => everywhere(name, request.context.api),
            };
            let view = request.view().with_vars(&var);
            item.write(&view, request.context, request.id());
        }
        Step::Continue
    }

    pub(super) fn on_response(&self, response: &Response<'_>, state: &State) {
        let State::Received(received) = *state else { return };
        for item in self.items.iter().filter(|item| item.second) {
            let (request, bytes) = (response.request, response.request_bytes);
            let known = |text: &'_ Option<Box<[u8]>>| text.is_some() && response.violation.is_some();
            let authentication = response.authentication;
            let var = |name: &'static str| match name {
                "method" => Value::borrowed(request.method.of(bytes)),
                "requestPath" => Value::borrowed(response.context.path),
                "remoteAddress" => owned(response.context.client.to_string().into_bytes()),
                "reqId" => Value::borrowed(response.id()),
                "receivedTs" => time(received),
                "repliedTs" => time(response.context.unix_millis),
                "request.headers" => headers(request.headers.pairs(bytes)),
                "requestDisposition" if response.violation.is_some() => Value::borrowed("VIOLATION"),
                "requestDisposition" => Value::borrowed("PROCESSED"),
                "violation.policyName" => {
                    let name = response.violation.map(|violation| violation.policy);
                    name.map_or(Value::Null, Value::borrowed)
                }
                "violation.violationType" => {
                    let kind = response.violation.map(|violation| violation_type(violation.kind));
                    kind.map_or(Value::Null, Value::borrowed)
                }
                "violation.clientId" if known(&authentication.client_id) => {
                    Value::borrowed(authentication.client_id.as_deref().unwrap_or_default())
                }
                "violation.clientName" if known(&authentication.client_name) => {
                    Value::borrowed(authentication.client_name.as_deref().unwrap_or_default())
                }
                name => everywhere(name, response.context.api),
            };
            let view = response.view().with_vars(&var);
            item.write(&view, response.context, response.id());
        }
    }

    pub(super) fn sees_responses(&self) -> bool {
        self.items.iter().any(|item| item.second)
    }
}

impl Item {
    fn compile(
        name: &str,
        spec: &MessageLoggingDataSpec,
        origin: &Origin,
        problems: &mut Problems,
    ) -> Option<Self> {
        let second = spec.second.unwrap_or(false);
        let first = spec.first.unwrap_or(!second);
        if !first && !second {
            problems.report(
                origin,
                "logs nothing: `firstSection` and `secondSection` are both false",
            );
            return None;
        }
        let scope = Scope {
            request: true,
            response: second,
            authentication: true,
            // The answer's content is not kept, and that of the request is not what is asked for there.
            payload: !second,
            vars: if second { ANSWER_VARS } else { REQUEST_VARS },
        };
        let message = template("message", &spec.message, &scope, problems);
        let condition = match &spec.conditional {
            Some(written) => Some(condition("conditional", written, &scope, problems)?),
            None => None,
        };
        Some(Self {
            name: name.to_owned(),
            message: message?,
            condition,
            category: spec
                .category
                .as_ref()
                .map_or("", |category| &category.value)
                .to_owned(),
            level: match spec.level.unwrap_or(MessageLoggingLevel::Info) {
                MessageLoggingLevel::Debug => Level::Debug,
                MessageLoggingLevel::Info => Level::Info,
                MessageLoggingLevel::Warn => Level::Warn,
                MessageLoggingLevel::Error => Level::Error,
            },
            first,
            second,
        })
    }

    fn needs_body(&self) -> bool {
        self.message.needs_payload() || self.condition.as_ref().is_some_and(Template::needs_payload)
    }

    fn write(&self, view: &ExchangeView<'_>, context: &super::Context<'_>, request_id: &[u8]) {
        let wanted = self
            .condition
            .as_ref()
            .map_or(Ok(true), |condition| condition.condition(view));
        let message = match wanted {
            Ok(false) => return,
            Ok(true) => self.message.text(view),
            Err(error) => Err(error),
        };
        // A line that was asked for does not get lost because its value did.
        let (level, text) = match message {
            Ok(text) => (self.level, text),
            Err(_) => {
                let text = format!("{}: the expression has no value", self.name);
                (Level::Warn, Cow::Owned(text.into_bytes()))
            }
        };
        context.log.write(&Message {
            unix_millis: context.unix_millis,
            level,
            api: context.api,
            request_id,
            category: &self.category,
            text: &text,
            truncated: false,
        });
    }
}

/// What needs no request.
fn everywhere<'v>(name: &str, api: &'v str) -> Value<'v> {
    match name {
        "apiName" | "apiInstanceName" => Value::borrowed(api.split_once('/').map_or(api, |(_, name)| name)),
        "runtimeVersion" => Value::borrowed(concat!("ringway ", env!("CARGO_PKG_VERSION"))),
        _ => Value::Null,
    }
}

type HeaderEntry<'v> = (Cow<'v, [u8]>, Cow<'v, [u8]>);

/// Names in lower case, lines of one name as one value, as `attributes.headers` has them.
fn headers<'v>(lines: impl Iterator<Item = (&'v [u8], &'v [u8])>) -> Value<'v> {
    let mut entries: Vec<HeaderEntry<'v>> = Vec::new();
    for (name, value) in lines {
        let known = entries
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        match known {
            Some((_, joined)) => {
                let joined = joined.to_mut();
                joined.extend_from_slice(b", ");
                joined.extend_from_slice(value);
            }
            None => entries.push((Cow::Owned(name.to_ascii_lowercase()), Cow::Borrowed(value))),
        }
    }
    let entries = entries
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)));
    Value::Object(Object::from_entries(entries.collect()))
}

fn time(unix_millis: u64) -> Value<'static> {
    let mut text = Vec::new();
    timestamp(&mut text, unix_millis);
    owned(text)
}

fn owned(text: Vec<u8>) -> Value<'static> {
    Value::String(Cow::Owned(text))
}

fn violation_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "AUTHENTICATION",
        Kind::Forbidden => "AUTHORIZATION",
        Kind::RateLimited => "RATE_LIMIT",
        Kind::Rejected => "REJECTED",
        _ => "ERROR",
    }
}

const REQUEST_VARS: &[&str] = &[
    "apiName",
    "apiInstanceName",
    "runtimeVersion",
    "method",
    "requestPath",
    "remoteAddress",
    "reqId",
    "receivedTs",
    "request.headers",
];

const ANSWER_VARS: &[&str] = &[
    "apiName",
    "apiInstanceName",
    "runtimeVersion",
    "method",
    "requestPath",
    "remoteAddress",
    "reqId",
    "receivedTs",
    "request.headers",
    "repliedTs",
    "requestDisposition",
    "violation.policyName",
    "violation.violationType",
    "violation.clientId",
    "violation.clientName",
];
