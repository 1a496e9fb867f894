//! `Configuration.sharedStorage`, as written.

use super::{
    address,
    tls::{CipherName, Pem, VersionWord},
};
use crate::{
    located::{Bounded, Decode, Elements, Located, Node, Problems, schema::Definitions},
    object,
    storage::{Address, Secret},
};
use serde_json::json;

object! {
    /// What replicas share limits and caches through; exactly one of these.
    pub(crate) struct SharedStorageSpec {
        /// A Redis, version 4 or newer, or a Valkey.
        optional "redis" redis: Located<RedisSpec>,
        /// Nothing is shared: each replica keeps its own, as without the subject.
        optional "local" local: Located<LocalStorageSpec>,
    }
    later ["objectStore"]
}

object! {
    /// Each replica for itself.
    pub(crate) struct LocalStorageSpec {
        /// False is as good as leaving it out.
        required "enabled" enabled: bool,
    }
}

object! {
    /// Where the Redis is and how it is reached.
    pub(crate) struct RedisSpec {
        /// `host:port`. Either this or `sentinel`.
        optional "address" address: Located<StorageAddress>,
        /// Those who know which server is the master.
        optional "sentinel" sentinel: Located<SentinelSpec>,
        /// Of an ACL user.
        optional "username" username: Located<String>,
        /// The same as `username`.
        optional "user" user: Located<String>,
        /// The server's or the user's.
        optional "password" password: Secret,
        /// The database's number. Default 0.
        optional "db" db: Located<Bounded<0, 65_535>>,
        /// The same as `db`.
        optional "DB" upper_db: Located<Bounded<0, 65_535>>,
        /// TLS, with the defaults of everything where it is empty (`{}`). Default: plain text.
        optional "tls" tls: Located<StorageTlsSpec>,
        /// In front of every key: replicas of one gateway have the same, other gateways another. Default `ringway`.
        optional "keyPrefix" prefix: Located<String>,
        /// What replicas know and nobody else: cached answers are signed with it, keys of limits hidden by it. Default the
        /// password.
        optional "secret" secret: Secret,
        /// How many replicas there are. Default: as many as are seen.
        optional "replicas" replicas: Bounded<1, 10_000>,
        /// For a connection until it may be used. Default 1000.
        optional "connectTimeoutMilliseconds" connect_timeout: Bounded<50, 60_000>,
        /// For the answer to what was sent; past it the connection is given up. Default 250.
        optional "commandTimeoutMilliseconds" command_timeout: Bounded<10, 10_000>,
    }
    later ["cluster"]
}

object! {
    /// Redis Sentinel.
    pub(crate) struct SentinelSpec {
        /// `host:port` of each; asked in turn until one answers.
        required "addresses" addresses: Located<Elements<StorageAddress>>,
        /// What the sentinels call the master.
        required "masterName" master: Located<String>,
        /// The sentinels' own. Default: none is asked for.
        optional "username" username: Located<String>,
        /// The sentinels' own. Default: none is asked for.
        optional "password" password: Secret,
    }
}

object! {
    /// How the connection to the storage is secured, that to sentinels too.
    pub(crate) struct StorageTlsSpec {
        /// PEM: whom to believe. Default: the operating system's certificate authorities.
        optional "trustedCA" trusted: Located<String>,
        /// Shown to a server that asks.
        optional "certificate" certificate: StorageCertificateSpec,
        /// Whoever answers is believed. Default false.
        optional "skipValidation" skip_validation: bool,
        /// The name its certificate must be for. Default: the host of the address.
        optional "serverName" server_name: Located<String>,
        /// Protocols offered. Default none.
        optional "alpn" protocols: Vec<String>,
        /// `1.2` or `1.3`. Default 1.2.
        optional "minversion" minimum: Located<VersionWord>,
        /// `1.2` or `1.3`. Default 1.3.
        optional "maxversion" maximum: Located<VersionWord>,
        /// Cipher suites of TLS 1.2 by IANA's names. Default all there are; those of TLS 1.3 are always on.
        optional "ciphers" ciphers: Located<Vec<Located<StorageCipher>>>,
    }
}

object! {
    /// A certificate and its key.
    pub(crate) struct StorageCertificateSpec {
        /// PEM, without a passphrase.
        required "key" key: Located<Pem>,
        /// PEM: the certificate, then those it is signed with.
        required "crt" chain: Located<Pem>,
        /// Refused: keys are not decrypted.
        optional "keyPassphrase" passphrase: Located<Secret>,
    }
}

/// A cipher suite; None after a problem, which is not the same as none written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StorageCipher(pub(crate) Option<CipherName>);

impl Decode for StorageCipher {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        Some(Self(CipherName::decode(node, problems)))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        CipherName::schema(definitions)
    }
}

/// `host:port`; None after a problem, which is not the same as none written.
#[derive(Debug, Clone)]
pub(crate) struct StorageAddress(pub(crate) Option<Address>);

impl Decode for StorageAddress {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::decode(node, problems)?;
        if text.contains("://") {
            let message = "must be host:port, without a scheme: TLS is what `tls` says";
            problems.report(&node.origin, message);
            return Some(Self(None));
        }
        let address = address::host_and_port(&text)
            .map(|(host, port)| Address { host, port })
            .map_err(|message| problems.report(&node.origin, message));
        Some(Self(address.ok()))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        definitions.scalar(json!({ "type": "string", "pattern": "^[^/]+:[0-9]+$" }))
    }
}

/// Text that no problem and no dump shows.
impl Decode for Secret {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::decode(node, problems)?;
        if text.is_empty() {
            problems.report(&node.origin, "is empty: leave it out where there is none");
            return None;
        }
        Some(Self(text))
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        definitions.scalar(json!({ "type": "string", "minLength": 1 }))
    }
}
