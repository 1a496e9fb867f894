//! A JWK set (RFC 7517 §5), as far as it has keys for one algorithm. Read where it was fetched, off the data path; what
//! reaches a shard verifies as it is.

use super::{
    super::json_tree,
    key::{Algorithm, Family, Key},
};
use crate::expr::Tree;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<(Option<Box<[u8]>>, Key)>,
}

impl KeySet {
    /// Keys of another kind or for another use are passed over, as RFC 7517 §5 says; so are those that can't be read,
    /// which `skipped` is told.
    ///
    /// # Errors
    /// It is no key set, has more than [`MAX_KEYS`], or none that `algorithm` can use: then what was there before is
    /// better.
    pub fn parse(
        document: &[u8],
        algorithm: Algorithm,
        mut skipped: impl FnMut(&str),
    ) -> Result<Self, String> {
        let tree = json_tree::parse(document).map_err(|_| "is not JSON, or has a name twice".to_owned())?;
        let Some(Tree::Array(written)) = tree.get("keys") else {
            return Err("has no list `keys`".to_owned());
        };
        if written.len() > MAX_KEYS {
            return Err(format!(
                "has {} keys, at most {MAX_KEYS} are taken",
                written.len()
            ));
        }
        let mut keys = Vec::new();
        for jwk in written.iter().filter(|jwk| is_for(jwk, algorithm)) {
            match key(jwk, algorithm) {
                Ok(key) => keys.push((text(jwk, "kid").map(Into::into), key)),
                Err(problem) => skipped(&problem),
            }
        }
        if keys.is_empty() {
            return Err(format!(
                "has no key that {} can be verified with",
                algorithm.name()
            ));
        }
        Ok(Self { keys })
    }

    /// The keys that may have signed a token whose header names `kid`: those of that name; without a name any; a key
    /// without a name may be anybody's, where none is of that name.
    pub(super) fn candidates<'k>(&'k self, kid: Option<&'k [u8]>) -> impl Iterator<Item = &'k Key> {
        let known = self.knows(kid);
        let fits =
            move |name: Option<&[u8]>| kid.is_none() || if known { name == kid } else { name.is_none() };
        self.keys
            .iter()
            .filter(move |(name, _)| fits(name.as_deref()))
            .map(|(_, key)| key)
    }

    /// Whether a key has this name.
    pub(super) fn knows(&self, kid: Option<&[u8]>) -> bool {
        kid.is_some() && self.keys.iter().any(|(name, _)| name.as_deref() == kid)
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn is_for(jwk: &Tree, algorithm: Algorithm) -> bool {
    let says = |name: &str, wanted: &str| match jwk.get(name) {
        None => true,
        Some(_) => text(jwk, name) == Some(wanted.as_bytes()),
    };
    let verifies = match jwk.get("key_ops") {
        None => true,
        Some(Tree::Array(operations)) => operations.contains(&Tree::string("verify")),
        Some(_) => false,
    };
    let kind = match algorithm.family() {
        Family::Rsa(_) => &b"RSA"[..],
        Family::Ecdsa(_) => b"EC",
        // A secret that a service tells whoever asks is none.
        Family::None | Family::Hmac(_) => return false,
    };
    text(jwk, "kty") == Some(kind) && says("use", "sig") && says("alg", algorithm.name()) && verifies
}

fn key(jwk: &Tree, algorithm: Algorithm) -> Result<Key, String> {
    match algorithm.family() {
        Family::Rsa(parameters) => Key::rsa(&number(jwk, "n")?, &number(jwk, "e")?, parameters),
        Family::Ecdsa(ecdsa) => {
            let (x, y) = (number(jwk, "x")?, number(jwk, "y")?);
            let length = algorithm.coordinate();
            // RFC 7518 §6.2.1.2: the whole length, leading zeros too.
            if x.len() != length || y.len() != length {
                return Err("is a point of another curve".to_owned());
            }
            let point = [&[UNCOMPRESSED][..], &x, &y].concat();
            Key::ecdsa(&point, ecdsa).ok_or_else(|| "is no point of the curve".to_owned())
        }
        Family::None | Family::Hmac(_) => Err("is no public key".to_owned()),
    }
}

fn text<'t>(jwk: &'t Tree, name: &str) -> Option<&'t [u8]> {
    match jwk.get(name) {
        Some(Tree::String(text)) => Some(text),
        _ => None,
    }
}

fn number(jwk: &Tree, name: &str) -> Result<Vec<u8>, String> {
    let text = text(jwk, name).ok_or_else(|| format!("has no `{name}`"))?;
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| format!("`{name}` is not base64url"))
}

/// Large services have about ten.
pub const MAX_KEYS: usize = 256;

/// SEC 1 §2.3.3.
const UNCOMPRESSED: u8 = 4;
