//! `Configuration.sharedStorage` → settings of a connection.

use super::tls;
use crate::{
    config::{
        model::SharedStorage,
        resource::{RedisSpec, SentinelSpec, SharedStorageSpec, StorageCipher, StorageTlsSpec},
    },
    located::{Bounded, Elements, Located, Origin, Problems},
    storage::{Address, Credentials, Place, Secret, Sentinels, Settings},
    tls::{Client, ClientSpec, KeyPair, Trust, is_server_name},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// `origin` is the document's. None where nobody wants to share anything; after a problem it is as if somebody said that
/// nothing is shared, so that nobody else is told that there is no storage.
pub(super) fn compile(
    spec: &SharedStorageSpec,
    origin: &Origin,
    problems: &mut Problems,
) -> Option<SharedStorage> {
    let before = problems.len();
    let storage = checked(spec, origin, problems);
    // What is wrong with an address was told when it was read.
    let wrong = problems.len() > before || (storage.is_none() && spec.redis.is_some());
    if wrong {
        Some(SharedStorage::Local)
    } else {
        storage
    }
}

fn checked(spec: &SharedStorageSpec, origin: &Origin, problems: &mut Problems) -> Option<SharedStorage> {
    match (&spec.redis, &spec.local) {
        (Some(redis), None) => {
            server(redis, problems).map(|settings| SharedStorage::Redis(Arc::new(settings)))
        }
        (None, Some(local)) => local.enabled.then_some(SharedStorage::Local),
        (Some(_), Some(local)) => {
            let message = "stands beside `redis`: either replicas share a Redis, or each keeps its own";
            problems.within("local", |problems| problems.report(&local.origin, message));
            None
        }
        (None, None) => {
            problems.report(origin, "must have `redis` or `local`");
            None
        }
    }
}

fn server(written: &Located<RedisSpec>, problems: &mut Problems) -> Option<Settings> {
    let before = problems.len();
    let spec = &written.value;
    problems.within("redis", |problems| {
        let place = place(written, problems);
        let username = one_of(&spec.username, ("user", &spec.user), problems);
        let credentials = credentials(username, spec.password.as_ref(), problems);
        let database = one_of(&spec.db, ("DB", &spec.upper_db), problems);
        let tls =
            (spec.tls.as_ref()).and_then(|tls| problems.within("tls", |problems| client(tls, problems)));
        let milliseconds = |written: Option<u64>, default| Duration::from_millis(written.unwrap_or(default));
        let settings = Settings {
            place: place?,
            credentials,
            database: database.map_or(0, |number| u32::try_from(number.unsigned()).unwrap_or_default()),
            tls,
            prefix: prefix(spec.prefix.as_ref(), problems),
            replicas: spec
                .replicas
                .and_then(|count| u32::try_from(count.unsigned()).ok()),
            connect_timeout: milliseconds(spec.connect_timeout.map(Bounded::unsigned), 1000),
            command_timeout: milliseconds(spec.command_timeout.map(Bounded::unsigned), 250),
            secret: spec.secret.clone(),
        };
        (problems.len() == before).then_some(settings)
    })
}

fn place(written: &Located<RedisSpec>, problems: &mut Problems) -> Option<Place> {
    match (&written.address, &written.sentinel) {
        (Some(address), None) => address.0.clone().map(Place::Server),
        (None, Some(sentinel)) => problems.within("sentinel", |problems| sentinels(sentinel, problems)),
        (Some(_), Some(sentinel)) => {
            let message =
                "stands beside `address`: the sentinels say what the address is, so leave out one of the two";
            problems.within("sentinel", |problems| problems.report(&sentinel.origin, message));
            None
        }
        (None, None) => {
            problems.report(&written.origin, "must have `address` (host:port) or `sentinel`");
            None
        }
    }
}

fn sentinels(spec: &SentinelSpec, problems: &mut Problems) -> Option<Place> {
    let Elements(written) = &spec.addresses.value;
    let addresses: Vec<Address> = (written.iter())
        .filter_map(|(_, address)| address.0.clone())
        .collect();
    if written.is_empty() {
        let message = "must have at least one address (host:port)";
        problems.within("addresses", |problems| {
            problems.report(&spec.addresses.origin, message)
        });
    }
    if spec.master.is_empty() {
        let message = "must be what the sentinels call the master";
        problems.within("masterName", |problems| {
            problems.report(&spec.master.origin, message)
        });
    }
    let credentials = credentials(spec.username.as_ref(), spec.password.as_ref(), problems);
    (!addresses.is_empty()).then(|| {
        Place::Sentinels(Sentinels {
            addresses,
            master: spec.master.value.clone(),
            credentials,
        })
    })
}

fn credentials(
    username: Option<&Located<String>>,
    password: Option<&Secret>,
    problems: &mut Problems,
) -> Credentials {
    if let (Some(name), None) = (username, password) {
        let message = "needs a `password`: without one the server is not told who this is";
        problems.within("username", |problems| problems.report(&name.origin, message));
    }
    Credentials {
        username: username.map(|name| name.value.clone()),
        password: password.cloned(),
    }
}

/// A field that the vendor's pages spell in two ways.
fn one_of<'s, T>(
    first: &'s Option<Located<T>>,
    (key, second): (&str, &'s Option<Located<T>>),
    problems: &mut Problems,
) -> Option<&'s Located<T>> {
    if let (Some(first), Some(second)) = (first, second) {
        let message = format!(
            "is written twice: the other spelling of it stands at {}",
            first.origin
        );
        problems.within(key, |problems| problems.report(&second.origin, message));
    }
    first.as_ref().or(second.as_ref())
}

fn prefix(written: Option<&Located<String>>, problems: &mut Problems) -> String {
    let Some(written) = written else {
        return DEFAULT_PREFIX.to_owned();
    };
    // Braces would say which part of a key a cluster spreads keys by.
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if !(1..=MAX_PREFIX).contains(&written.len()) || !written.bytes().all(good) {
        let message = format!("must be 1 to {MAX_PREFIX} letters, digits, `-`, `_`, `.` or `:`");
        problems.within("keyPrefix", |problems| problems.report(&written.origin, message));
    }
    written.value.clone()
}

fn client(written: &Located<StorageTlsSpec>, problems: &mut Problems) -> Option<Client> {
    let spec = &written.value;
    let before = problems.len();
    let certificate = spec.certificate.as_ref().and_then(|pair| {
        problems.within("certificate", |problems| {
            if let Some(passphrase) = &pair.passphrase {
                let message = "can't be used: Ringway decrypts no keys. Write `key` as `openssl pkey -in key.pem` gives it, \
                               and keep it in a file or a variable (`$file:/run/secrets/key`)";
                problems.within("keyPassphrase", |problems| {
                    problems.report(&passphrase.origin, message);
                });
                return None;
            }
            let read = KeyPair::read(pair.chain.as_str(), pair.key.as_str(), SystemTime::now());
            tls::told(read, &pair.chain.origin, &pair.key.origin, problems)
        })
    });
    // None where one of them is wrong, which was told.
    let ciphers = spec.ciphers.as_ref().and_then(|all| {
        let name = |one: &Located<StorageCipher>| Some(Located::new(one.value.0?, one.origin.clone()));
        let names = all.iter().map(name).collect::<Option<Vec<_>>>()?;
        Some(Located::new(names, all.origin.clone()))
    });
    let protection = tls::protection(
        spec.minimum.as_ref(),
        spec.maximum.as_ref(),
        ciphers.as_ref(),
        problems,
    );
    let trust = match &spec.trusted {
        None => Trust::System,
        // Looked at even where nobody's certificate is: one that is none is a mistake all the same.
        Some(text) => tls::trust(text, problems),
    };
    if let Some(name) = &spec.server_name
        && !is_server_name(name)
    {
        let message = "is neither a host name nor an IP address";
        problems.within("serverName", |problems| problems.report(&name.origin, message));
    }
    if problems.len() > before {
        return None;
    }
    let client = ClientSpec {
        trust,
        verify: !spec.skip_validation.unwrap_or(false),
        server_name: spec.server_name.as_ref().map(|name| name.value.clone()),
        certificate,
        protection,
        protocols: spec.protocols.clone().unwrap_or_default(),
    };
    Client::new(client)
        .map_err(|message| problems.report(&written.origin, message))
        .ok()
}

/// Of a gateway that says nothing. Two that are not each other's replicas need two.
const DEFAULT_PREFIX: &str = "ringway";

const MAX_PREFIX: usize = 64;
