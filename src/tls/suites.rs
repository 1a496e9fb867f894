//! Versions and cipher suites, by the names that operators know them by.

use rustls::{
    CipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    version::{TLS12, TLS13},
};
use std::{fmt, sync::Arc};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    Tls12,
    Tls13,
}

/// What both sides decide about a connection's protection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Protection {
    pub minimum: Version,
    pub maximum: Version,
    /// Of TLS 1.2, in no order; empty for all there are. Those of TLS 1.3 are always all on: each of them is as strong as
    /// the strongest of TLS 1.2, and there is nothing to tune.
    pub suites: Vec<Suite>,
}

impl Default for Protection {
    fn default() -> Self {
        Self {
            minimum: Version::Tls12,
            maximum: Version::Tls13,
            suites: Vec::new(),
        }
    }
}

/// A cipher suite that is to be had.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Suite(u16);

impl Suite {
    /// By the name in IANA's registry of TLS cipher suites.
    ///
    /// # Errors
    /// There is none of this name here; says which there are.
    pub fn named(name: &str) -> Result<Self, String> {
        if let Some((suite, _)) = SUITES.iter().find(|(_, known)| *known == name) {
            return Ok(Self(u16::from(*suite)));
        }
        let names: Vec<_> = SUITES.iter().map(|(_, name)| *name).collect();
        Err(format!(
            "`{name}` is no cipher suite that is to be had here; there are: {}",
            names.join(", ")
        ))
    }

    pub fn name(self) -> &'static str {
        name_of(CipherSuite::from(self.0))
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Protection {
    /// # Errors
    /// Nothing would be left to agree on.
    pub fn check(&self) -> Result<(), String> {
        self.provider().map(drop)
    }

    /// What rustls makes of it.
    ///
    /// # Errors
    /// Nothing would be left to agree on.
    pub(super) fn provider(
        &self,
    ) -> Result<(Arc<CryptoProvider>, &'static [&'static SupportedProtocolVersion]), String> {
        let versions = match (self.minimum, self.maximum) {
            (Version::Tls12, Version::Tls13) => BOTH,
            (Version::Tls12, Version::Tls12) => &BOTH[1..],
            (Version::Tls13, Version::Tls13) => &BOTH[..1],
            (Version::Tls13, Version::Tls12) => {
                return Err("the least TLS version is above the greatest".to_owned());
            }
        };
        let mut provider = aws_lc_rs::default_provider();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| {
                suite.tls13().is_some() || self.suites.contains(&Suite(u16::from(suite.suite())))
            });
            let old = provider.cipher_suites.iter().any(|suite| suite.tls13().is_none());
            if self.minimum == Version::Tls12 && !old {
                return Err("none of them is of TLS 1.2, which is accepted: \
                            list one that is, or make 1.3 the least version"
                    .to_owned());
            }
        }
        Ok((Arc::new(provider), versions))
    }
}

pub(super) fn name_of(suite: CipherSuite) -> &'static str {
    let known = SUITES.iter().find(|(known, _)| *known == suite);
    known.map_or("unknown", |(_, name)| *name)
}

static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// Of rustls with aws-lc-rs: authenticated encryption and a key exchange that is forgotten afterwards, all of them.
const SUITES: [(CipherSuite, &str); 9] = [
    (CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
    (CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
    (
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        "TLS_CHACHA20_POLY1305_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    ),
    (
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_the_library_has() {
        let provided = aws_lc_rs::default_provider().cipher_suites;
        assert_eq!(provided.len(), SUITES.len());
        for suite in provided {
            let name = name_of(suite.suite());
            assert_eq!(
                name.replacen("TLS_", "TLS13_", usize::from(suite.tls13().is_some())),
                format!("{:?}", suite.suite())
            );
            assert_eq!(Suite::named(name).map(Suite::name), Ok(name));
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let unknown = Suite::named("TLS_RSA_WITH_AES_128_CBC_SHA").expect_err("it is not there");
        assert!(
            unknown.contains("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
            "{unknown}"
        );
    }

    #[test]
    fn something_is_left_to_agree_on() {
        let only = |name: &str, minimum| Protection {
            minimum,
            suites: vec![Suite::named(name).expect("a suite")],
            ..Protection::default()
        };
        let chosen = only("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Version::Tls12);
        let (provider, _) = chosen.provider().expect("a provider");
        assert_eq!(provider.cipher_suites.len(), 4);
        assert!(only("TLS_AES_128_GCM_SHA256", Version::Tls12).provider().is_err());
        assert!(only("TLS_AES_128_GCM_SHA256", Version::Tls13).provider().is_ok());
        let backwards = Protection {
            minimum: Version::Tls13,
            maximum: Version::Tls12,
            ..Protection::default()
        };
        assert!(backwards.provider().is_err());
    }
}
