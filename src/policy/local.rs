//! What a policy keeps on one shard, from one request to the next.

use std::cell::RefCell;

/// One for each policy of a chain, made when a configuration goes live on a shard. Never seen by another thread, and
/// borrowed only within a hook, which does not wait.
#[derive(Debug, Default)]
pub enum Local {
    /// Most policies are the same for all requests.
    #[default]
    None,
    /// What scans write into.
    Injection(RefCell<super::injection::Scratch>),
    /// The token that goes to the upstream.
    Oauth2(RefCell<super::credential_injection::oauth2::Token>),
    Introspection(super::introspection::IntrospectionLocal),
    Jwt(super::jwt::JwtLocal),
    /// What is stored; an answer on its way into it outlives the hook.
    Cache(super::http_caching::CacheLocal),
}
