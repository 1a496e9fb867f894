//! Policies: what is done to a request on its way to the upstream, and to the answer on its way back.
//!
//! A closed set, one file a policy: its configuration (`Spec`), its compiled form, its hooks, its tests. The compiler
//! lists what a new one needs. What a policy sees and may do is in [`exchange`]; in what order they run, [`chain`].

mod access_block;
mod basic_authentication;
mod chain;
mod contracts;
mod cors;
mod exchange;
mod header_removal;
mod spike_control;
pub mod rate_limit;

pub use chain::{Bound, Chain};
pub use contracts::{Client, Contracts, Terms};
pub use exchange::{Refusal, Request, Response, State, Step};

use crate::located::{Decode, Node, Origin, Problems, schema::Definitions};

/// A policy, compiled. Immutable and shared by all shards.
#[derive(Debug)]
pub enum Policy {
    AccessBlock,
    BasicAuthentication(basic_authentication::BasicAuthentication),
    Cors(cors::Cors),
    HeaderRemoval(header_removal::HeaderRemoval),
}

/// A policy by name, before it has a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    AccessBlock,
    BasicAuthentication,
    Cors,
    HeaderRemoval,
}

impl Kind {
    /// Every policy of a chain, by the name it is bound with.
    pub const ALL: [(&'static str, Self); 4] = [
        ("access-block", Self::AccessBlock),
        ("http-basic-authentication-flex", Self::BasicAuthentication),
        ("cors-flex", Self::Cors),
        ("header-removal-flex", Self::HeaderRemoval),
    ];

    /// CORS answers a browser's questions before anybody else may refuse them, and takes neither an order nor rules.
    pub fn is_first(self) -> bool {
        self == Self::Cors
    }

    /// Of its configuration; None where there is nothing to configure.
    pub fn schema(self, definitions: &mut Definitions) -> Option<serde_json::Value> {
        match self {
            Self::AccessBlock => None,
            Self::BasicAuthentication => {
                Some(basic_authentication::BasicAuthenticationSpec::schema(definitions))
            }
            Self::Cors => Some(cors::CorsSpec::schema(definitions)),
            Self::HeaderRemoval => Some(header_removal::HeaderRemovalSpec::schema(definitions)),
        }
    }

    /// Whether a binding must have a configuration.
    pub fn needs_config(self) -> bool {
        !matches!(self, Self::AccessBlock | Self::Cors)
    }

    /// `origin` is where the policy is named, for what is missing. None when it could not be compiled; then at least
    /// one problem was reported.
    pub fn compile(self, config: Option<&Node>, origin: &Origin, problems: &mut Problems) -> Option<Policy> {
        let before = problems.len();
        let policy = match self {
            Self::AccessBlock => access_block::check(config, problems).then_some(Policy::AccessBlock),
            Self::BasicAuthentication => basic_authentication::BasicAuthentication::compile(
                &decoded(config, origin, problems)?,
                problems,
            )
            .map(Policy::BasicAuthentication),
            Self::Cors => match config {
                Some(config) => {
                    cors::Cors::compile(&Decode::decode(config, problems)?, problems).map(Policy::Cors)
                }
                None => Some(Policy::Cors(cors::Cors::PUBLIC)),
            },
            Self::HeaderRemoval => {
                header_removal::HeaderRemoval::compile(&decoded(config, origin, problems)?, origin, problems)
                    .map(Policy::HeaderRemoval)
            }
        };
        policy.filter(|_| problems.len() == before)
    }
}

fn decoded<S: Decode>(config: Option<&Node>, origin: &Origin, problems: &mut Problems) -> Option<S> {
    if config.is_none() {
        problems.report(origin, "needs `config`".to_owned());
    }
    config.and_then(|config| S::decode(config, problems))
}

impl Policy {
    /// See [`Kind::is_first`].
    pub fn is_first(&self) -> bool {
        matches!(self, Self::Cors(_))
    }

    fn on_request(&self, request: &mut Request<'_>, state: &mut State) -> Step {
        match self {
            Self::AccessBlock => access_block::on_request(),
            Self::BasicAuthentication(policy) => policy.on_request(request),
            Self::Cors(policy) => policy.on_request(request, state),
            Self::HeaderRemoval(policy) => policy.on_request(request),
        }
    }

    fn on_response(&self, response: &mut Response<'_>, state: &State) {
        match self {
            Self::AccessBlock | Self::BasicAuthentication(_) => {}
            Self::Cors(policy) => policy.on_response(response, state),
            Self::HeaderRemoval(policy) => policy.on_response(response),
        }
    }

    /// Without one of these an answer need not be walked through.
    fn sees_responses(&self) -> bool {
        match self {
            Self::AccessBlock | Self::BasicAuthentication(_) => false,
            Self::Cors(_) => true,
            Self::HeaderRemoval(policy) => policy.sees_responses(),
        }
    }
}
