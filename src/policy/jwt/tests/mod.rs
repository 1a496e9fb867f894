//! Tokens as their makers and their forgers make them.

mod forged;
mod keys;
mod wycheproof;

use super::*;
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
        RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and claims, encoded, with the dot between.
fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.{}", base64url(header), base64url(claims))
}

fn hmac_signed(header: &str, claims: &str, secret: &[u8]) -> String {
    let signed = unsigned(header, claims);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", base64url(tag))
}

fn rsa_signed(header: &str, claims: &str, pair: &RsaKeyPair) -> String {
    let signed = unsigned(header, claims);
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .expect("a signature");
    format!("{signed}.{}", base64url(signature))
}

fn rsa_pair(size: KeySize) -> RsaKeyPair {
    RsaKeyPair::generate(size).expect("random numbers")
}

fn p256() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("random numbers")
}

fn p384() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("random numbers")
}

fn verified(token: &str, algorithm: Algorithm, key: Option<&Key>) -> Result<Tree, &'static str> {
    verified_claims(token.as_bytes(), algorithm, key)
}

/// A member of a JWK set.
fn rsa_jwk(pair: &RsaKeyPair, more: &str) -> String {
    let key = pair.public_key();
    let (n, e) = (key.modulus(), key.exponent());
    format!(
        r#"{{"kty":"RSA","n":"{}","e":"{}"{more}}}"#,
        base64url(n.big_endian_without_leading_zero()),
        base64url(e.big_endian_without_leading_zero())
    )
}

fn ec_jwk(pair: &EcdsaKeyPair, more: &str) -> String {
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    let curve = x.len() * 8;
    format!(
        r#"{{"kty":"EC","crv":"P-{curve}","x":"{}","y":"{}"{more}}}"#,
        base64url(x),
        base64url(y)
    )
}

fn set(jwks: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, jwks.join(","))
}
