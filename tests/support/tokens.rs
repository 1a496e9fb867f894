//! Tokens, and those who issue them.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// Signs with RS256.
pub struct Issuer {
    pair: RsaKeyPair,
    kid: String,
}

impl Issuer {
    pub fn new(kid: &str) -> Self {
        Self {
            pair: RsaKeyPair::generate(KeySize::Rsa2048).expect("random numbers"),
            kid: kid.to_owned(),
        }
    }

    /// `claims` is an object's inside.
    pub fn token(&self, claims: &str) -> String {
        let signed = unsigned(&format!(r#"{{"alg":"RS256","kid":"{}"}}"#, self.kid), claims);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .expect("a signature");
        format!("{signed}.{}", base64url(signature))
    }

    pub fn jwk(&self) -> String {
        let key = self.pair.public_key();
        format!(
            r#"{{"kty":"RSA","use":"sig","kid":"{}","n":"{}","e":"{}"}}"#,
            self.kid,
            base64url(key.modulus().big_endian_without_leading_zero()),
            base64url(key.exponent().big_endian_without_leading_zero())
        )
    }

    pub fn key_set(issuers: &[&Self]) -> String {
        let keys: Vec<_> = issuers.iter().map(|issuer| issuer.jwk()).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }
}

/// Signed with HS256.
pub fn with_secret(secret: &str, claims: &str) -> String {
    let signed = unsigned(r#"{"alg":"HS256","typ":"JWT"}"#, claims);
    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
        signed.as_bytes(),
    );
    format!("{signed}.{}", base64url(tag))
}

/// Header and claims, with the dot between; `claims` is an object's inside.
pub fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.{}", base64url(header), base64url(format!("{{{claims}}}")))
}

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
