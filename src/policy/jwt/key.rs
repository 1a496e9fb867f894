//! Algorithms, and keys that are for one of them.
//!
//! The configuration names the algorithm, and a key is made for it: what a token's header says is compared with it and
//! decides nothing (RFC 8725 §3.1). A public key can't become a secret that way.

use aws_lc_rs::{
    hmac,
    rsa::PublicKeyComponents,
    signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::fmt;

/// Those of RFC 7518 §3.1 that can be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    None,
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
}

/// A key for one algorithm, ready to verify with.
pub struct Key(Material);

enum Material {
    /// Boxed: 1.2 KiB of two hashes that have begun.
    Secret(Box<hmac::Key>),
    /// Its library keeps what it computes of an RSA key's modulus behind a lock that is only read once it is there.
    Public(ParsedPublicKey),
}

/// How a signature of this algorithm is verified.
pub(super) enum Family {
    None,
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaParameters),
    Ecdsa(&'static EcdsaVerificationAlgorithm),
}

impl Algorithm {
    /// The value of `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::None => Family::None,
            Self::Hs256 => Family::Hmac(hmac::HMAC_SHA256),
            Self::Hs384 => Family::Hmac(hmac::HMAC_SHA384),
            Self::Hs512 => Family::Hmac(hmac::HMAC_SHA512),
            Self::Rs256 => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Family::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Es256 => Family::Ecdsa(&signature::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Family::Ecdsa(&signature::ECDSA_P384_SHA384_FIXED),
        }
    }

    /// Of one part of a curve's point, bytes.
    pub(super) fn coordinate(self) -> usize {
        if self == Self::Es256 { 32 } else { 48 }
    }
}

impl Key {
    /// Of a field's text: the secret itself for HMAC, else PEM of a public key or of a certificate, of which nothing but
    /// the key counts, or the base64 within without its first and last line.
    ///
    /// # Errors
    /// What is wrong with it, to be put behind the field's name; never a part of it.
    pub fn from_text(text: &str, algorithm: Algorithm) -> Result<Self, String> {
        match algorithm.family() {
            Family::None => Err("is for no signature".to_owned()),
            Family::Hmac(hmac) => {
                let least = hmac.digest_algorithm().output_len();
                if text.len() < least {
                    return Err(format!(
                        "is a secret of {} bytes, {} takes at least {least} (RFC 7518 §3.2)",
                        text.len(),
                        algorithm.name()
                    ));
                }
                Ok(Self::secret(hmac, text.as_bytes()))
            }
            Family::Rsa(parameters) => Self::rsa_der(&der(text)?, parameters),
            Family::Ecdsa(ecdsa) => Self::ecdsa(&der(text)?, ecdsa).ok_or_else(|| {
                format!(
                    "is not a public key that {} takes (of the curve P-{})",
                    algorithm.name(),
                    &algorithm.name()[2..]
                )
            }),
        }
    }

    /// Of any length: who configures it looks at that.
    pub(super) fn secret(algorithm: hmac::Algorithm, secret: &[u8]) -> Self {
        Self(Material::Secret(Box::new(hmac::Key::new(algorithm, secret))))
    }

    /// Of a SubjectPublicKeyInfo, or an RSAPublicKey (RFC 8017 §A.1.1).
    fn rsa_der(der: &[u8], parameters: &'static RsaParameters) -> Result<Self, String> {
        let key = aws_lc_rs::rsa::PublicKey::from_der(der)
            .map_err(|_| "is not an RSA public key in PEM".to_owned())?;
        check_modulus(key.modulus().big_endian_without_leading_zero())?;
        ParsedPublicKey::new(parameters, der)
            .map(|key| Self(Material::Public(key)))
            .map_err(|_| "is not an RSA public key in PEM".to_owned())
    }

    /// Modulus and exponent, big-endian.
    pub(super) fn rsa(n: &[u8], e: &[u8], parameters: &'static RsaParameters) -> Result<Self, String> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        check_modulus(n)?;
        PublicKeyComponents { n, e }
            .to_parsed_public_key(parameters)
            .map(|key| Self(Material::Public(key)))
            .map_err(|_| "is not an RSA public key".to_owned())
    }

    /// Of a SubjectPublicKeyInfo, or a point; one that is not on the curve is none.
    pub(super) fn ecdsa(bytes: &[u8], algorithm: &'static EcdsaVerificationAlgorithm) -> Option<Self> {
        let key = ParsedPublicKey::new(algorithm, bytes).ok()?;
        Some(Self(Material::Public(key)))
    }

    /// Whether `signature` is one of `message` with this key. Of secrets in constant time.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Material::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Public(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

/// Says nothing of what it holds.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// The library looks at the size with every signature; who configures a key learns of it at once.
fn check_modulus(modulus: &[u8]) -> Result<(), String> {
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if RSA_BITS.contains(&bits) {
        return Ok(());
    }
    Err(format!(
        "is an RSA key of {bits} bits; from {} to {} are taken (RFC 7518 §3.3)",
        RSA_BITS.start(),
        RSA_BITS.end()
    ))
}

fn without_leading_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// What a text that holds a public key is in DER.
fn der(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    if !text.contains("-----") {
        let bare: String = text.split_ascii_whitespace().collect();
        let der = BASE64_STANDARD.decode(bare).map_err(|_| NOT_PEM.to_owned())?;
        // A certificate without its PEM lines, or else a key.
        return Ok(of_certificate(&der).unwrap_or(der));
    }
    let parsed = pem::parse_many(text).map_err(|_| NOT_PEM.to_owned())?;
    let [block] = parsed.as_slice() else {
        return Err("holds more than one PEM block; one key verifies".to_owned());
    };
    match block.tag() {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Ok(block.contents().to_vec()),
        "CERTIFICATE" => {
            of_certificate(block.contents()).ok_or_else(|| "is no certificate that can be read".to_owned())
        }
        tag if tag.contains("PRIVATE") => {
            Err("is a private key: it belongs to whoever signs, what verifies is the public one".to_owned())
        }
        tag => Err(format!("is PEM of `{tag}`, not of a public key or a certificate")),
    }
}

/// Its SubjectPublicKeyInfo.
fn of_certificate(der: &[u8]) -> Option<Vec<u8>> {
    let der = der.into();
    let certificate = webpki::EndEntityCert::try_from(&der).ok()?;
    Some(certificate.subject_public_key_info().to_vec())
}

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

const NOT_PEM: &str = "is not a public key: PEM is taken, or the base64 of it";
