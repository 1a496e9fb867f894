//! Which certificate a client is shown: by the name it asks for and by the signatures it can check.

use super::KeyPair;
use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{collections::HashMap, fmt, sync::Arc};

/// The first pair is shown to whoever asks for no name, or for one that is nobody's: an address typed into a browser, a
/// load balancer's probe. A client that wanted another checks the name and goes away by itself.
pub(super) struct Choice {
    pairs: Vec<Arc<CertifiedKey>>,
    /// Names as they stand in certificates, `*.` included, in lower case → indexes of pairs, in their order.
    names: HashMap<Box<str>, Vec<usize>>,
}

impl Choice {
    pub(super) fn new(pairs: &[KeyPair]) -> Self {
        let mut names: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, pair) in pairs.iter().enumerate() {
            for name in &pair.facts().dns_names {
                let indexes = names.entry(name.to_ascii_lowercase().into()).or_default();
                if indexes.last() != Some(&index) {
                    indexes.push(index);
                }
            }
        }
        Self {
            pairs: pairs.iter().map(|pair| pair.certified().clone()).collect(),
            names,
        }
    }

    /// A certificate of exactly this name comes before one with a wildcard; of several the first that the client can
    /// check, so that one of ECDSA and one of RSA may stand beside each other.
    pub(super) fn of(&self, name: Option<&str>, offered: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            self.first(name, offered).or_else(|| {
                // A wildcard stands for one whole label (RFC 9525 §6.3).
                let (_, parent) = name.split_once('.')?;
                self.first(&format!("*.{parent}"), offered)
            })
        });
        named.or_else(|| {
            let usable = self.pairs.iter().find(|pair| can_sign(pair, offered));
            // What nobody can check fails in rustls, which tells the client why.
            usable.or(self.pairs.first())
        })
    }

    fn first(&self, name: &str, offered: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let pairs = self.names.get(name)?.iter().map(|index| &self.pairs[*index]);
        pairs.into_iter().find(|pair| can_sign(pair, offered))
    }
}

fn can_sign(pair: &CertifiedKey, offered: &[SignatureScheme]) -> bool {
    pair.key.choose_scheme(offered).is_some()
}

impl fmt::Debug for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Choice({} certificates)", self.pairs.len())
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Names come in lower case from rustls; an absolute one ends with a dot in none.
        self.of(hello.server_name(), hello.signature_schemes()).cloned()
    }
}
