//! The process's environment: variables that set defaults, and those a policy's configuration names.

use crate::located::{Bounded, Origin, Problems};
use std::{collections::HashMap, env::VarError, fmt};

/// A view of the environment, so that tests need not change their process's.
#[derive(Default)]
pub struct Environment(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Process,
    Fixed(HashMap<String, String>),
}

impl fmt::Debug for Environment {
    /// Without values: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

impl Environment {
    /// These variables and no others.
    pub fn fixed<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self(Kind::Fixed(owned.collect()))
    }

    /// # Errors
    /// "is not set", "is not UTF-8 text".
    pub(super) fn get(&self, name: &str) -> Result<String, &'static str> {
        match &self.0 {
            Kind::Fixed(variables) => variables.get(name).cloned().ok_or("is not set"),
            Kind::Process => std::env::var(name).map_err(|error| match error {
                VarError::NotPresent => "is not set",
                VarError::NotUnicode(_) => "is not UTF-8 text",
            }),
        }
    }

    /// A variable that may be unset.
    pub(super) fn text(&self, name: &str, problems: &mut Problems) -> Option<String> {
        match self.get(name) {
            Ok(text) => Some(text),
            Err("is not set") => None,
            Err(why) => {
                problems.report_at(&place(name), "", "", why);
                None
            }
        }
    }
}

/// What the vendor's variables set where no document does. Their defaults are the gateway's own.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variables {
    /// False keeps the client's `Host` unless a Service says otherwise.
    pub(super) rewrite_host: Option<bool>,
    /// Seconds, as all below.
    pub(super) connection_idle: Option<u64>,
    pub(super) upstream_connection_idle: Option<u64>,
    pub(super) upstream_response: Option<u64>,
    pub(super) stream_idle: Option<u64>,
    pub(super) drain: Option<u64>,
}

impl Variables {
    pub(super) fn read(environment: &Environment, problems: &mut Problems) -> Self {
        let rewrite_host = environment
            .text(REWRITE_HOST, problems)
            .and_then(|text| match text.trim() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                "" => None,
                other => {
                    let message = format!("must be true or false, not {other:?}");
                    problems.report_at(&place(REWRITE_HOST), "", "", message);
                    None
                }
            });
        let mut seconds = |name: &str, parse: fn(&str) -> Result<u64, String>| {
            let text = environment.text(name, problems)?;
            // `25s` is how the vendor writes some durations.
            let number = text.trim().strip_suffix('s').unwrap_or(text.trim());
            if number.is_empty() {
                return None;
            }
            parse(number)
                .map_err(|must| {
                    let message = format!("{must} (seconds), not {text:?}");
                    problems.report_at(&place(name), "", "", message);
                })
                .ok()
        };
        let positive = |number: &str| Bounded::<1, MAX_SECONDS>::parse(number).map(Bounded::unsigned);
        let or_none = |number: &str| Bounded::<0, MAX_SECONDS>::parse(number).map(Bounded::unsigned);
        Self {
            rewrite_host,
            connection_idle: seconds("FLEX_CONNECTION_IDLE_TIMEOUT_SECONDS", positive),
            upstream_connection_idle: seconds("FLEX_UPSTREAM_CONNECTION_IDLE_TIMEOUT_SECONDS", positive),
            upstream_response: seconds("FLEX_UPSTREAM_RESPONSE_TIMEOUT_SECONDS", positive),
            stream_idle: seconds("FLEX_STREAM_IDLE_TIMEOUT_SECONDS", positive),
            drain: seconds("FLEX_SERVICE_ENVOY_DRAIN_TIME", or_none),
        }
    }
}

/// A variable has no lines; its problems have the form all others have.
fn place(name: &str) -> Origin {
    Origin {
        file: format!("${name}").into(),
        line: 1,
        column: 1,
    }
}

const REWRITE_HOST: &str = "FLEX_REWRITE_HOST_HEADER";

/// A week: past it a written timeout is a mistake of unit, not a wish.
pub(super) const MAX_SECONDS: i64 = 7 * 24 * 3600;
