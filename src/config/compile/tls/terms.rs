//! What both directions say in the same words.

use crate::{
    config::resource::{CipherName, VersionWord},
    located::{Located, Node, Problems, Value},
    tls::{Protection, Trust, Version},
};

pub(in super::super) fn trust(text: &Located<String>, problems: &mut Problems) -> Trust {
    let trust = Trust::Pem(text.value.clone());
    if let Err(message) = trust.check() {
        problems.within("trustedCA", |problems| problems.report(&text.origin, message));
    }
    trust
}

pub(in super::super) fn protection(
    minimum: Option<&Located<VersionWord>>,
    maximum: Option<&Located<VersionWord>>,
    ciphers: Option<&Located<Vec<Located<CipherName>>>>,
    problems: &mut Problems,
) -> Protection {
    let mut suites: Vec<_> = ciphers
        .iter()
        .flat_map(|all| all.iter())
        .map(|name| name.value.0)
        .collect();
    suites.sort_unstable();
    suites.dedup();
    let protection = Protection {
        minimum: minimum.map_or(Version::Tls12, |word| word.version()),
        maximum: maximum.map_or(Version::Tls13, |word| word.version()),
        suites,
    };
    if let Some(empty) = ciphers.filter(|all| all.is_empty()) {
        let message = "must not be empty: leave it out for all that there are";
        problems.within("ciphers", |problems| problems.report(&empty.origin, message));
    } else if let Err(message) = protection.check() {
        let backwards = protection.minimum > protection.maximum;
        let (key, origin) = match (backwards, minimum, maximum, ciphers) {
            (true, _, Some(maximum), _) => ("maxversion", &maximum.origin),
            (true, Some(minimum), None, _) => ("minversion", &minimum.origin),
            (_, _, _, Some(ciphers)) => ("ciphers", &ciphers.origin),
            // The defaults are in order.
            _ => return protection,
        };
        problems.within(key, |problems| problems.report(origin, message));
    }
    protection
}

/// What it says could not be put in, which was told; it is not missing.
pub(super) fn has_refused(node: &Node) -> bool {
    match &node.value {
        Value::Map(map) => map.entries.iter().any(|(_, node)| has_refused(node)),
        Value::List(items) => items.iter().any(has_refused),
        Value::Scalar(_) => node.is_refused(),
    }
}
