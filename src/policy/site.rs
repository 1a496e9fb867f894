//! What a policy's configuration may ask of the rest of it.

use super::{
    Contracts,
    jwt::{KeySource, Place},
    shared::SharedCache,
};
use crate::{
    expr::{Scope, Template},
    located::{Located, Problems},
    storage,
};
use std::sync::Arc;

/// Where a policy is compiled for.
pub struct Site<'s> {
    owner: &'s str,
    binding: String,
    upstreams: &'s mut dyn Upstreams,
}

/// Who knows the clusters of a snapshot that is being made, and who may use its APIs.
pub trait Upstreams {
    /// The cluster for `scheme://host[:port]`, made where there is none yet.
    ///
    /// # Errors
    /// What is wrong with the address.
    fn cluster(&mut self, address: &str) -> Result<usize, String>;

    /// The parts of `scheme://host[:port]`, for what control asks.
    ///
    /// # Errors
    /// What is wrong with the address.
    fn place(&mut self, address: &str, path: String) -> Result<Place, String>;

    /// Takes it up, or finds the one that is the same.
    fn key_source(&mut self, source: KeySource) -> (usize, Arc<KeySource>);

    /// The client applications that have a contract for this API. None has, where nobody knows of any.
    fn contracts(&self, _owner: &str) -> Arc<Contracts> {
        Arc::default()
    }

    fn shared_storage(&self) -> SharedStorage {
        SharedStorage::None
    }

    /// Takes it up: control is told of it.
    fn shared_cache(&mut self, _cache: &Arc<SharedCache>) {}
}

/// What replicas share what they share through.
#[derive(Debug, Clone)]
pub enum SharedStorage {
    Redis(Arc<storage::Settings>),
    /// Nothing, and somebody said that it is to be so.
    Local,
    /// Nobody said anything.
    None,
}

/// Where a policy's own calls go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Index into `Snapshot::clusters`; for an `Outcall`.
    pub cluster: usize,
    /// Path and query; begins with `/`.
    pub path: String,
}

impl<'s> Site<'s> {
    /// `owner` is `namespace/name` of the API or the Service that the policy is bound to.
    pub fn new(owner: &'s str, upstreams: &'s mut dyn Upstreams) -> Self {
        Self {
            owner,
            binding: String::new(),
            upstreams,
        }
    }

    /// `namespace/name` of the binding.
    #[must_use]
    pub fn of_binding(mut self, binding: String) -> Self {
        self.binding = binding;
        self
    }

    /// Of the owner, a space, that of the binding: what is the same on all replicas.
    pub fn name(&self) -> String {
        format!("{} {}", self.owner, self.binding)
    }

    pub fn shared_storage(&self) -> SharedStorage {
        self.upstreams.shared_storage()
    }

    /// Makes it known to control.
    pub fn shared_cache(&mut self, cache: Arc<SharedCache>) -> Arc<SharedCache> {
        self.upstreams.shared_cache(&cache);
        cache
    }

    /// `namespace/name` of the API or the Service.
    pub fn owner(&self) -> &str {
        self.owner
    }

    /// The client applications that have a contract for the API.
    pub fn contracts(&self) -> Arc<Contracts> {
        self.upstreams.contracts(self.owner)
    }

    /// An address of the policy's own calls, `http://` or `https://` with path and query. None after a problem at `key`.
    pub fn destination(
        &mut self,
        key: &str,
        url: &Located<String>,
        problems: &mut Problems,
    ) -> Option<Destination> {
        self.parse(url)
            .map_err(|message| problems.within(key, |problems| problems.report(&url.origin, message)))
            .ok()
    }

    /// Where keys are published: index among the snapshot's sources, and the one that `make` made or another that is the
    /// same. None after a problem at `key`.
    pub fn key_source(
        &mut self,
        key: &str,
        url: &Located<String>,
        make: impl FnOnce(Place) -> KeySource,
        problems: &mut Problems,
    ) -> Option<(usize, Arc<KeySource>)> {
        let found = take_apart(url).and_then(|(address, path)| {
            let place = self.upstreams.place(&address, path)?;
            Ok(self.upstreams.key_source(make(place)))
        });
        found
            .map_err(|message| problems.within(key, |problems| problems.report(&url.origin, message)))
            .ok()
    }

    fn parse(&mut self, url: &str) -> Result<Destination, String> {
        let (address, path) = take_apart(url)?;
        let cluster = self.upstreams.cluster(&address)?;
        Ok(Destination { cluster, path })
    }
}

/// The address, as a service's, and the path with the query.
fn take_apart(url: &str) -> Result<(String, String), String> {
    let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else {
        return Err("must be http://host/path or https://host/path".to_owned());
    };
    if let Some(fragment) = rest.find('#') {
        let fragment = &rest[fragment..];
        return Err(format!(
            "has a fragment (`{fragment}`), which is sent to nobody: leave it out"
        ));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if let Some(bad) = path.chars().find(|char| !matches!(char, '!'..='~')) {
        return Err(format!("has {bad:?} in its path: write it percent-encoded"));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok((format!("{scheme}://{authority}"), format!("{slash}{path}")))
}

/// A field that may be an expression. None after a problem at `key`.
pub fn template(
    key: &str,
    written: &Located<String>,
    scope: &Scope,
    problems: &mut Problems,
) -> Option<Template> {
    Template::parse(written, scope)
        .map_err(|error| {
            let message = if error.at == 0 {
                error.message
            } else {
                format!("{} (at character {} of it)", error.message, at(written, error.at))
            };
            problems.within(key, |problems| problems.report(&written.origin, message));
        })
        .ok()
}

/// A field that is an expression or wrong: text would come to the same for every request, which as a key, a name or an
/// address is one for everybody. The text is not shown, since it may have come from a secret. None after a problem at
/// `key`.
pub fn expression(
    key: &str,
    written: &Located<String>,
    scope: &Scope,
    problems: &mut Problems,
) -> Option<Template> {
    let otherwise = "is text, which is the same for every request: an expression stands in `#[…]`, as in \
                     `#[attributes.headers['x']]`";
    unless_text(key, written, scope, &[], otherwise, problems)
}

/// A field that says whether: an expression, `true` or `false`. None after a problem at `key`.
pub fn condition(
    key: &str,
    written: &Located<String>,
    scope: &Scope,
    problems: &mut Problems,
) -> Option<Template> {
    let otherwise = "is neither true, false nor an expression, which stands in `#[…]`";
    unless_text(key, written, scope, &["true", "false"], otherwise, problems)
}

/// An expression, or one of these words.
fn unless_text(
    key: &str,
    written: &Located<String>,
    scope: &Scope,
    words: &[&str],
    otherwise: &str,
    problems: &mut Problems,
) -> Option<Template> {
    let parsed = template(key, written, scope, problems)?;
    if parsed.literal().is_none_or(|text| words.contains(&text)) {
        return Some(parsed);
    }
    let message = if written.trim().is_empty() {
        "is empty: leave it out for the default"
    } else {
        otherwise
    };
    problems.within(key, |problems| problems.report(&written.origin, message));
    None
}

/// Counted as editors do, from 1.
fn at(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(start, _)| *start < byte).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two;

    impl Upstreams for Two {
        fn cluster(&mut self, address: &str) -> Result<usize, String> {
            match address {
                "https://keys.example" => Ok(7),
                other => Err(format!("unknown {other}")),
            }
        }

        fn place(&mut self, address: &str, _: String) -> Result<Place, String> {
            Err(format!("unknown {address}"))
        }

        fn key_source(&mut self, source: KeySource) -> (usize, Arc<KeySource>) {
            (0, Arc::new(source))
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let mut upstreams = Two;
        let mut site = Site::new("default/api", &mut upstreams);
        let mut path = |url: &str| site.parse(url).map(|destination| destination.path);
        assert_eq!(path("https://keys.example"), Ok("/".to_owned()));
        assert_eq!(path("https://keys.example/a/b?c=d"), Ok("/a/b?c=d".to_owned()));
        assert_eq!(path("https://keys.example?c"), Ok("/?c".to_owned()));
        for bad in [
            "keys.example/a",
            "ftp://keys.example/",
            "https://keys.example/a#b",
            "https://keys.example/a b",
            "https://keys.example/\r\nX: y",
            "https://other.example/",
            "",
        ] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
