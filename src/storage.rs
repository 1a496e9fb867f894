//! Storage that replicas share, as values: where it is, and how it is reached. `config` reads it, `control` connects.

use crate::tls;
use aws_lc_rs::hmac;
use std::{fmt, time::Duration};

/// A Redis, or one that speaks as it does.
#[derive(Debug, PartialEq, Eq)]
pub struct Settings {
    pub place: Place,
    pub credentials: Credentials,
    /// By number; 0 where nothing is said.
    pub database: u32,
    /// None: in plain text. Of the sentinels as of the server.
    pub tls: Option<tls::Client>,
    /// In front of every key, so that gateways that are not each other's replicas may share a server.
    pub prefix: String,
    /// How many replicas there are, where somebody has said so.
    pub replicas: Option<u32>,
    /// For a connection until it may be used: TCP, TLS, the server's welcome. Of one address; a sentinel has as much again.
    pub connect_timeout: Duration,
    /// For the answer to what was sent. Past it the connection is given up.
    pub command_timeout: Duration,
    /// What nobody outside of this gateway's replicas knows.
    pub secret: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Server(Address),
    Sentinels(Sentinels),
}

/// Those who know which server is the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinels {
    /// At least one.
    pub addresses: Vec<Address>,
    pub master: String,
    /// Their own: the server's are not shown to them.
    pub credentials: Credentials,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Only with a password.
    pub username: Option<String>,
    pub password: Option<Secret>,
}

/// Text that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl Settings {
    /// Bytes that are the same on all replicas and differ by what they are for. They are as secret as what they are made
    /// from: `secret`, else the password; where neither is written, whoever knows the prefix knows them.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let secret = self.secret.as_ref().or(self.credentials.password.as_ref());
        let secret = secret.map_or("", |secret| &secret.0);
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let mut context = hmac::Context::with_key(&key);
        // With its length, or two prefixes could run together with two purposes.
        context.update(&(self.prefix.len() as u64).to_be_bytes());
        context.update(self.prefix.as_bytes());
        context.update(purpose.as_bytes());
        let mut derived = [0; 32];
        derived.copy_from_slice(context.sign().as_ref());
        derived
    }
}

/// As it is written: brackets around what has colons.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(address) => address.fmt(f),
            Self::Sentinels(sentinels) => write!(f, "the master `{}`", sentinels.master),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Of a server at this address, without anything else.
    pub(crate) fn settings(host: &str, port: u16) -> Settings {
        Settings {
            place: Place::Server(Address {
                host: host.to_owned(),
                port,
            }),
            credentials: Credentials::default(),
            database: 0,
            tls: None,
            prefix: "ringway".to_owned(),
            replicas: None,
            connect_timeout: Duration::from_secs(1),
            command_timeout: Duration::from_millis(250),
            secret: None,
        }
    }

    #[test]
    fn what_is_derived_differs_by_all_that_it_is_made_from() {
        let plain = settings("a", 1);
        let other = |change: &dyn Fn(&mut Settings)| {
            let mut other = settings("b", 2);
            change(&mut other);
            other.derive("x")
        };
        assert_eq!(plain.derive("x"), other(&|_| {}), "the address is of no account");
        assert_ne!(plain.derive("x"), plain.derive("y"));
        let secret = |text: &str| Some(Secret(text.to_owned()));
        let changed = [
            other(&|settings| settings.prefix = "other".to_owned()),
            other(&|settings| settings.secret = secret("s")),
            other(&|settings| settings.credentials.password = secret("p")),
        ];
        assert!(changed.iter().all(|one| *one != plain.derive("x")));
        let both = other(&|settings| {
            settings.secret = secret("s");
            settings.credentials.password = secret("p");
        });
        assert_eq!(both, changed[1], "a password may change, the secret stays");
    }

    #[test]
    fn nothing_secret_is_shown() {
        let mut settings = settings("::1", 6379);
        settings.credentials.password = Some(Secret("hidden-one".to_owned()));
        settings.secret = Some(Secret("hidden-two".to_owned()));
        let shown = format!("{settings:?}");
        assert!(shown.contains("***") && !shown.contains("hidden"), "{shown}");
        assert_eq!(settings.place.to_string(), "[::1]:6379");
    }
}
