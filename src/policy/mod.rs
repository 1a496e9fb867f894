//! Policies: what is done to a request on its way to the upstream, and to the answer on its way back.
//!
//! A closed set, one file a policy: its configuration (`Spec`), its compiled form, its hooks, its tests. The compiler
//! lists what a new one needs. What a policy sees and may do is in [`exchange`]; in what order they run, [`chain`].

mod access_block;
mod authentication;
mod basic_authentication;
mod bearer;
mod chain;
mod client;
mod client_id_enforcement;
mod compression;
mod content;
mod context;
mod contracts;
mod cors;
mod credential_injection;
mod exchange;
mod external_authorization;
mod filter;
mod header_injection;
mod header_removal;
mod headers;
mod introspection;
mod ip_list;
mod json_tree;
pub mod jwt;
mod http_caching;
mod injection;
mod json_threat;
mod local;
mod message_logging;
mod quota;
pub mod rate_limit;
mod rate_limiting;
mod rate_limiting_sla;
mod redirect;
mod signal;
mod site;
mod spike_control;
mod tree;
mod view;
mod xml_threat;

pub use authentication::Authentication;
pub use chain::{Bound, Chain, Progress};
pub use context::{Context, ShardParts};
pub use contracts::{Client, Contracts, Terms};
pub use exchange::{Answer, Event, Refusal, Request, Response, State, Step, Violation, Wait};
pub use filter::Filter;
pub use http_caching::shared;
pub use local::Local;
pub use signal::Signal;
pub use site::{Destination, SharedStorage, Site, Upstreams, condition, expression, template};
pub use view::ExchangeView;

use crate::located::{Decode, Node, Origin, Problems, schema::Definitions};
use std::sync::Arc;

/// A policy, compiled. Immutable and shared by all shards.
#[derive(Debug)]
pub enum Policy {
    AccessBlock,
    BasicAuthentication(basic_authentication::BasicAuthentication),
    Cors(cors::Cors),
    HeaderRemoval(header_removal::HeaderRemoval),
    JsonThreat(json_threat::JsonThreat),
    XmlThreat(xml_threat::XmlThreat),
    InjectionProtection(injection::InjectionProtection),
    HeaderInjection(header_injection::HeaderInjection),
    Redirect(redirect::Redirect),
    MessageLogging(message_logging::MessageLogging),
    CredentialInjectionBasic(credential_injection::basic::CredentialInjectionBasic),
    CredentialInjectionApiKey(credential_injection::api_key::CredentialInjectionApiKey),
    CredentialInjectionOauth2(Box<credential_injection::oauth2::CredentialInjectionOauth2>),
    ExternalAuthorization(external_authorization::ExternalAuthorization),
    IpList(ip_list::IpList),
    JwtValidation(jwt::JwtValidation),
    TokenIntrospection(introspection::TokenIntrospection),
    ClientIdEnforcement(client_id_enforcement::ClientIdEnforcement),
    RateLimiting(rate_limiting::RateLimiting),
    RateLimitingSla(rate_limiting_sla::RateLimitingSla),
    SpikeControl(spike_control::SpikeControl),
    HttpCaching(http_caching::HttpCaching),
    Compression(compression::Compression),
}

/// A policy by name, before it has a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    AccessBlock,
    BasicAuthentication,
    Cors,
    HeaderRemoval,
    JsonThreat,
    XmlThreat,
    InjectionProtection,
    HeaderInjection,
    Redirect,
    MessageLogging,
    MessageLoggingOutbound,
    CredentialInjectionBasic,
    CredentialInjectionApiKey,
    CredentialInjectionOauth2,
    ExternalAuthorization,
    IpAllowlist,
    IpBlocklist,
    JwtValidation,
    TokenIntrospection,
    ClientIdEnforcement,
    RateLimiting,
    RateLimitingSla,
    SpikeControl,
    HttpCaching,
    Compression,
}

/// What a policy is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// An API, inline, by name or by selection.
    Inbound,
    /// A Service: it sees what leaves for the upstream, after all inbound policies.
    Outbound,
}

impl Kind {
    /// Every policy of a chain, by the name it is bound with.
    pub const ALL: [(&'static str, Self); 25] = [
        ("access-block", Self::AccessBlock),
        ("http-basic-authentication-flex", Self::BasicAuthentication),
        ("cors-flex", Self::Cors),
        ("header-removal-flex", Self::HeaderRemoval),
        ("json-threat-protection-flex", Self::JsonThreat),
        ("xml-threat-protection-flex", Self::XmlThreat),
        ("injection-protection-flex", Self::InjectionProtection),
        ("header-injection-flex", Self::HeaderInjection),
        ("redirect", Self::Redirect),
        ("message-logging-flex", Self::MessageLogging),
        ("message-logging-outbound", Self::MessageLoggingOutbound),
        ("credential-injection-basic-auth", Self::CredentialInjectionBasic),
        (
            "credential-injection-api-key-flex",
            Self::CredentialInjectionApiKey,
        ),
        ("credential-injection-oauth2", Self::CredentialInjectionOauth2),
        ("native-ext-authz-flex", Self::ExternalAuthorization),
        ("ip-allowlist-flex", Self::IpAllowlist),
        ("ip-blocklist-flex", Self::IpBlocklist),
        ("jwt-validation-flex", Self::JwtValidation),
        ("oauth2-token-introspection-flex", Self::TokenIntrospection),
        ("client-id-enforcement-flex", Self::ClientIdEnforcement),
        ("rate-limiting-flex", Self::RateLimiting),
        ("rate-limiting-sla-based-flex", Self::RateLimitingSla),
        ("spike-control-flex", Self::SpikeControl),
        ("http-caching-flex", Self::HttpCaching),
        ("compression", Self::Compression),
    ];

    pub fn direction(self) -> Direction {
        match self {
            Self::AccessBlock
            | Self::BasicAuthentication
            | Self::Cors
            | Self::ExternalAuthorization
            | Self::HeaderRemoval
            | Self::JsonThreat
            | Self::XmlThreat
            | Self::InjectionProtection
            | Self::HeaderInjection
            | Self::Redirect
            | Self::MessageLogging
            | Self::HttpCaching
            | Self::Compression
            | Self::IpAllowlist
            | Self::IpBlocklist
            | Self::JwtValidation
            | Self::TokenIntrospection
            | Self::ClientIdEnforcement
            | Self::RateLimiting
            | Self::RateLimitingSla
            | Self::SpikeControl => Direction::Inbound,
            Self::MessageLoggingOutbound
            | Self::CredentialInjectionBasic
            | Self::CredentialInjectionApiKey
            | Self::CredentialInjectionOauth2 => Direction::Outbound,
        }
    }

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
            Self::HttpCaching => Some(http_caching::HttpCachingSpec::schema(definitions)),
            Self::Compression => Some(compression::CompressionSpec::schema(definitions)),
            Self::CredentialInjectionBasic => Some(
                credential_injection::basic::CredentialInjectionBasicSpec::schema(definitions),
            ),
            Self::JsonThreat => Some(json_threat::JsonThreatSpec::schema(definitions)),
            Self::XmlThreat => Some(xml_threat::XmlThreatSpec::schema(definitions)),
            Self::InjectionProtection => Some(injection::InjectionProtectionSpec::schema(definitions)),
            Self::HeaderInjection => Some(header_injection::HeaderInjectionSpec::schema(definitions)),
            Self::Redirect => Some(redirect::RedirectSpec::schema(definitions)),
            Self::MessageLogging | Self::MessageLoggingOutbound => {
                Some(message_logging::MessageLoggingSpec::schema(definitions))
            }
            Self::CredentialInjectionApiKey => {
                Some(credential_injection::api_key::CredentialInjectionApiKeySpec::schema(definitions))
            }
            Self::CredentialInjectionOauth2 => {
                Some(credential_injection::oauth2::CredentialInjectionOauth2Spec::schema(definitions))
            }
            Self::ExternalAuthorization => Some(external_authorization::ExternalAuthorizationSpec::schema(
                definitions,
            )),
            Self::IpAllowlist | Self::IpBlocklist => Some(ip_list::IpListSpec::schema(definitions)),
            Self::JwtValidation => Some(jwt::JwtValidationSpec::schema(definitions)),
            Self::TokenIntrospection => Some(introspection::TokenIntrospectionSpec::schema(definitions)),
            Self::ClientIdEnforcement => Some(client_id_enforcement::ClientIdEnforcementSpec::schema(
                definitions,
            )),
            Self::RateLimiting => Some(rate_limiting::RateLimitingSpec::schema(definitions)),
            Self::RateLimitingSla => Some(rate_limiting_sla::RateLimitingSlaSpec::schema(definitions)),
            Self::SpikeControl => Some(spike_control::SpikeControlSpec::schema(definitions)),
        }
    }

    /// Whether a binding must have a configuration.
    pub fn needs_config(self) -> bool {
        !matches!(
            self,
            Self::AccessBlock
                | Self::Cors
                | Self::HttpCaching
                | Self::Compression
                | Self::ClientIdEnforcement
                | Self::RateLimitingSla
                | Self::SpikeControl
        )
    }

    /// `origin` is where the policy is named, for a configuration that is missing. None when it could not be compiled; then at least
    /// one problem was reported.
    pub fn compile(
        self,
        config: Option<&Node>,
        origin: &Origin,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Policy> {
        let before = problems.len();
        // What is wrong with all of it stands where it does.
        let origin = config.map_or(origin, |config| &config.origin);
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
            Self::HttpCaching => {
                let spec = match config {
                    Some(config) => Decode::decode(config, problems)?,
                    None => http_caching::HttpCachingSpec::default(),
                };
                http_caching::HttpCaching::compile(&spec, site, problems).map(Policy::HttpCaching)
            }
            Self::Compression => {
                let spec = match config {
                    Some(config) => Decode::decode(config, problems)?,
                    None => compression::CompressionSpec::default(),
                };
                compression::Compression::compile(&spec, problems).map(Policy::Compression)
            }
            Self::CredentialInjectionBasic => credential_injection::basic::CredentialInjectionBasic::compile(
                &decoded(config, origin, problems)?,
                problems,
            )
            .map(Policy::CredentialInjectionBasic),
            Self::JsonThreat => {
                let spec = decoded(config, origin, problems)?;
                Some(Policy::JsonThreat(json_threat::JsonThreat::new(&spec)))
            }
            Self::XmlThreat => {
                let spec = decoded(config, origin, problems)?;
                Some(Policy::XmlThreat(xml_threat::XmlThreat::new(&spec)))
            }
            Self::InjectionProtection => {
                let spec = decoded(config, origin, problems)?;
                injection::InjectionProtection::compile(&spec, origin, problems)
                    .map(Policy::InjectionProtection)
            }
            Self::HeaderInjection => {
                let spec = decoded(config, origin, problems)?;
                header_injection::HeaderInjection::compile(&spec, origin, problems)
                    .map(Policy::HeaderInjection)
            }
            Self::Redirect => {
                let spec = decoded(config, origin, problems)?;
                redirect::Redirect::compile(&spec, origin, problems).map(Policy::Redirect)
            }
            Self::MessageLogging | Self::MessageLoggingOutbound => {
                let spec = decoded(config, origin, problems)?;
                message_logging::MessageLogging::compile(&spec, origin, problems).map(Policy::MessageLogging)
            }
            Self::CredentialInjectionApiKey => {
                let spec = decoded(config, origin, problems)?;
                credential_injection::api_key::CredentialInjectionApiKey::compile(&spec, origin, problems)
                    .map(Policy::CredentialInjectionApiKey)
            }
            Self::CredentialInjectionOauth2 => {
                let spec = decoded(config, origin, problems)?;
                credential_injection::oauth2::CredentialInjectionOauth2::compile(
                    &spec, origin, site, problems,
                )
                .map(|policy| Policy::CredentialInjectionOauth2(Box::new(policy)))
            }
            Self::ExternalAuthorization => {
                let spec = decoded(config, origin, problems)?;
                external_authorization::ExternalAuthorization::compile(&spec, site, problems)
                    .map(Policy::ExternalAuthorization)
            }
            Self::IpAllowlist | Self::IpBlocklist => {
                let listed = match self {
                    Self::IpAllowlist => ip_list::Listed::Allowed,
                    _ => ip_list::Listed::Blocked,
                };
                let spec = decoded(config, origin, problems)?;
                ip_list::IpList::compile(&spec, listed, origin, problems).map(Policy::IpList)
            }
            Self::JwtValidation => {
                let spec = decoded(config, origin, problems)?;
                jwt::JwtValidation::compile(&spec, origin, site, problems).map(Policy::JwtValidation)
            }
            Self::TokenIntrospection => {
                let spec = decoded(config, origin, problems)?;
                introspection::TokenIntrospection::compile(&spec, origin, site, problems)
                    .map(Policy::TokenIntrospection)
            }
            Self::ClientIdEnforcement => {
                let spec = written(config, problems)?;
                client_id_enforcement::ClientIdEnforcement::compile(spec.as_ref(), origin, site, problems)
                    .map(Policy::ClientIdEnforcement)
            }
            Self::RateLimiting => {
                let spec = decoded(config, origin, problems)?;
                if problems.len() > before {
                    return None;
                }
                rate_limiting::RateLimiting::compile(&spec, problems).map(Policy::RateLimiting)
            }
            Self::RateLimitingSla => {
                let spec = written(config, problems)?;
                rate_limiting_sla::RateLimitingSla::compile(spec.as_ref(), origin, site, problems)
                    .map(Policy::RateLimitingSla)
            }
            Self::SpikeControl => {
                let spec = written(config, problems)?;
                Some(Policy::SpikeControl(spike_control::SpikeControl::compile(
                    spec.as_ref(),
                )))
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

/// Of a policy whose fields all have defaults: `Some(None)` where nothing is written.
fn written<S: Decode>(config: Option<&Node>, problems: &mut Problems) -> Option<Option<S>> {
    match config.filter(|config| !config.is_null()) {
        None => Some(None),
        Some(config) => S::decode(config, problems).map(Some),
    }
}

impl Policy {
    /// See [`Kind::is_first`].
    pub fn is_first(&self) -> bool {
        matches!(self, Self::Cors(_))
    }

    /// What one shard keeps for it.
    fn local(&self, parts: &ShardParts<'_>) -> Local {
        match self {
            Self::RateLimiting(policy) => policy.local(parts),
            Self::RateLimitingSla(policy) => policy.local(parts),
            Self::HttpCaching(policy) => policy.local(parts),
            Self::AccessBlock
            | Self::BasicAuthentication(_)
            | Self::Cors(_)
            | Self::HeaderRemoval(_)
            | Self::JsonThreat(_)
            | Self::XmlThreat(_)
            | Self::HeaderInjection(_)
            | Self::Redirect(_)
            | Self::MessageLogging(_)
            | Self::CredentialInjectionBasic(_)
            | Self::CredentialInjectionApiKey(_)
            | Self::Compression(_)
            | Self::ExternalAuthorization(_)
            | Self::IpList(_)
            | Self::ClientIdEnforcement(_)
            | Self::SpikeControl(_) => Local::None,
            Self::JwtValidation(policy) => policy.local(),
            Self::TokenIntrospection(policy) => policy.local(parts),
            Self::InjectionProtection(policy) => policy.local(),
            Self::CredentialInjectionOauth2(_) => {
                credential_injection::oauth2::CredentialInjectionOauth2::local()
            }
        }
    }

    /// Whether it writes messages into the log.
    fn logs(&self) -> bool {
        match self {
            Self::MessageLogging(_) => true,
            Self::InjectionProtection(policy) => policy.logs(),
            _ => false,
        }
    }

    fn on_request(&self, request: &mut Request<'_>, local: &Local, state: &mut State) -> Step {
        match self {
            Self::HttpCaching(policy) => policy.on_request(request, local, state),
            Self::AccessBlock => access_block::on_request(),
            Self::BasicAuthentication(policy) => policy.on_request(request),
            Self::Cors(policy) => policy.on_request(request, state),
            Self::HeaderRemoval(policy) => policy.on_request(request),
            Self::JsonThreat(policy) => policy.on_request(request),
            Self::XmlThreat(policy) => policy.on_request(request),
            Self::InjectionProtection(policy) => policy.on_request(request, local, state),
            Self::HeaderInjection(policy) => policy.on_request(request),
            Self::Redirect(policy) => policy.on_request(request),
            Self::MessageLogging(policy) => policy.on_request(request, state),
            Self::Compression(_) => Step::Continue,
            Self::CredentialInjectionBasic(policy) => policy.on_request(request),
            Self::CredentialInjectionApiKey(policy) => policy.on_request(request),
            Self::CredentialInjectionOauth2(policy) => policy.on_request(request, local),
            Self::ExternalAuthorization(policy) => policy.on_request(request),
            Self::IpList(policy) => policy.on_request(request),
            Self::JwtValidation(policy) => policy.on_request(request, local),
            Self::TokenIntrospection(policy) => policy.on_request(request, local, state),
            Self::ClientIdEnforcement(policy) => policy.on_request(request),
            Self::RateLimiting(policy) => policy.on_request(request, state),
            Self::RateLimitingSla(policy) => policy.on_request(request, state),
            Self::SpikeControl(policy) => policy.on_request(request, state),
        }
    }

    /// After [`Wait::Call`] and [`Wait::Sleep`].
    fn on_resume(&self, event: Event, request: &mut Request<'_>, local: &Local, state: &mut State) -> Step {
        match self {
            Self::ExternalAuthorization(policy) => policy.on_resume(event, request, state),
            Self::TokenIntrospection(policy) => policy.on_resume(event, request, local, state),
            Self::SpikeControl(policy) => policy.on_resume(&event, request, state),
            Self::HttpCaching(policy) => policy.on_resume(event, request, local, state),
            Self::AccessBlock
            | Self::BasicAuthentication(_)
            | Self::Cors(_)
            | Self::HeaderRemoval(_)
            | Self::JsonThreat(_)
            | Self::XmlThreat(_)
            | Self::InjectionProtection(_)
            | Self::HeaderInjection(_)
            | Self::Redirect(_)
            | Self::MessageLogging(_)
            | Self::CredentialInjectionBasic(_)
            | Self::CredentialInjectionApiKey(_)
            | Self::Compression(_)
            | Self::IpList(_)
            | Self::JwtValidation(_)
            | Self::ClientIdEnforcement(_)
            | Self::RateLimiting(_)
            | Self::RateLimitingSla(_) => {
                // None of them waits. An access policy that is resumed all the same must not let through what it has
                // not looked at.
                Step::Refuse(Refusal::new(
                    crate::fault::Kind::Internal,
                    "the policy does not wait",
                ))
            }
            Self::CredentialInjectionOauth2(policy) => policy.on_resume(event, request, local),
        }
    }

    fn on_response(&self, response: &mut Response<'_>, local: &Local, state: &mut State) {
        match self {
            Self::HttpCaching(policy) => policy.on_response(response, local, state),
            Self::JsonThreat(_)
            | Self::XmlThreat(_)
            | Self::InjectionProtection(_)
            | Self::Redirect(_)
            | Self::CredentialInjectionApiKey(_)
            | Self::CredentialInjectionOauth2(_) => {}
            Self::HeaderInjection(policy) => policy.on_response(response),
            Self::MessageLogging(policy) => policy.on_response(response, state),
            Self::ExternalAuthorization(policy) => policy.on_response(response, state),
            Self::IpList(_) | Self::JwtValidation(_) | Self::TokenIntrospection(_) => {}
            Self::AccessBlock
            | Self::BasicAuthentication(_)
            | Self::CredentialInjectionBasic(_)
            | Self::ClientIdEnforcement(_) => {}
            Self::Compression(policy) => policy.on_response(response),
            Self::Cors(policy) => policy.on_response(response, state),
            Self::HeaderRemoval(policy) => policy.on_response(response),
            Self::RateLimiting(policy) => policy.on_response(response, state),
            Self::RateLimitingSla(policy) => policy.on_response(response, state),
            Self::SpikeControl(policy) => policy.on_response(response),
        }
    }

    /// The keys of a source have come to this shard.
    fn keys_arrived(&self, local: &Local, source: usize, keys: &Arc<jwt::KeySet>) {
        if let Self::JwtValidation(policy) = self {
            policy.keys_arrived(local, source, keys);
        }
    }

    /// Without one of these an answer need not be walked through.
    fn sees_responses(&self) -> bool {
        match self {
            Self::JsonThreat(_)
            | Self::XmlThreat(_)
            | Self::InjectionProtection(_)
            | Self::Redirect(_)
            | Self::CredentialInjectionApiKey(_)
            | Self::CredentialInjectionOauth2(_) => false,
            Self::HeaderInjection(policy) => policy.sees_responses(),
            Self::MessageLogging(policy) => policy.sees_responses(),
            Self::ExternalAuthorization(policy) => policy.sees_responses(),
            Self::IpList(_) | Self::JwtValidation(_) | Self::TokenIntrospection(_) => false,
            Self::AccessBlock
            | Self::BasicAuthentication(_)
            | Self::CredentialInjectionBasic(_)
            | Self::ClientIdEnforcement(_) => false,
            Self::Cors(_) | Self::HttpCaching(_) | Self::Compression(_) => true,
            Self::HeaderRemoval(policy) => policy.sees_responses(),
            Self::RateLimiting(policy) => policy.sees_responses(),
            Self::RateLimitingSla(policy) => policy.sees_responses(),
            Self::SpikeControl(policy) => policy.sees_responses(),
        }
    }
}
