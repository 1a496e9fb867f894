//! A token's compact form (RFC 7515 §7.1): three parts, strictly base64url, each in its bounds.

use super::{super::json_tree, key::Algorithm};
use crate::expr::Tree;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// A token whose signature nobody has looked at yet. Its claims are still encoded: what is not signed is not read.
pub(super) struct Token<'t> {
    /// What the signature is of: header and claims as sent, and the dot.
    pub signed: &'t [u8],
    /// Of the header. Compared with names of keys and nothing else: no path, no query.
    pub kid: Option<Box<[u8]>>,
    claims: &'t [u8],
    signature: [u8; MAX_SIGNATURE],
    signature_length: usize,
}

/// Why it is none that this configuration takes. A fixed sentence for the answer's body.
pub(super) type Refused = &'static str;

impl<'t> Token<'t> {
    /// `algorithm` is the configuration's; a token that names another is refused whoever signed it.
    pub(super) fn parse(bytes: &'t [u8], algorithm: Algorithm) -> Result<Self, Refused> {
        if bytes.len() > MAX_TOKEN {
            return Err("the token is too large");
        }
        let mut parts = bytes.split(|&byte| byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NO_TOKEN);
        };
        let kid = read_header(header, algorithm)?;
        let mut token = Self {
            signed: &bytes[..header.len() + 1 + claims.len()],
            kid,
            claims,
            signature: [0; MAX_SIGNATURE],
            signature_length: 0,
        };
        token.signature_length = BASE64_URL_SAFE_NO_PAD
            .decode_slice(signature, &mut token.signature)
            .map_err(|_| "the token's signature can't be read")?;
        if (token.signature_length == 0) != (algorithm == Algorithm::None) {
            return Err("the token's signature is not of the configured kind");
        }
        Ok(token)
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature[..self.signature_length]
    }

    /// For a token whose signature is right: an object.
    pub(super) fn claims(&self) -> Result<Tree, Refused> {
        let mut decoded = Vec::with_capacity(self.claims.len());
        BASE64_URL_SAFE_NO_PAD
            .decode_vec(self.claims, &mut decoded)
            .map_err(|_| NO_TOKEN)?;
        match json_tree::parse(&decoded) {
            Ok(tree @ Tree::Object(_)) => Ok(tree),
            _ => Err("the token's claims can't be read"),
        }
    }
}

/// What the header is asked: whether it is of the configured algorithm, and which key it means. `jku`, `x5u`, `jwk` and
/// `x5c` bring keys of the sender's own; nobody looks at them.
fn read_header(encoded: &[u8], algorithm: Algorithm) -> Result<Option<Box<[u8]>>, Refused> {
    if encoded.len() > MAX_HEADER {
        return Err("the token's header is too large");
    }
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NO_TOKEN)?;
    let header = json_tree::parse(&decoded).map_err(|_| "the token's header can't be read")?;
    let text = |name| match header.get(name) {
        None => Ok(None),
        Some(Tree::String(text)) => Ok(Some(text)),
        Some(_) => Err("the token's header can't be read"),
    };
    if text("alg")?.map(|name| &**name) != Some(algorithm.name().as_bytes()) {
        return Err("the token is not signed with the configured algorithm");
    }
    // What must be understood and is not (RFC 7515 §4.1.11). An unencoded payload (RFC 7797) has to be named there, but
    // somebody may forget.
    if header.get("crit").is_some() || header.get("b64").is_some() {
        return Err("the token's header asks for an extension");
    }
    Ok(text("kid")?.cloned())
}

/// As long as a request's head may be by default, and a few times the largest that are seen.
pub(super) const MAX_TOKEN: usize = 16 * 1024;

/// Of a header as sent. A certificate chain in it, which nobody reads, may be this long.
const MAX_HEADER: usize = 8 * 1024;

/// Of RSA with 8192 bits.
const MAX_SIGNATURE: usize = 1024;

const NO_TOKEN: Refused = "the token is not a signed JWT";
