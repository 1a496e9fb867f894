//! Policies that decide who may.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use criterion::Criterion;
use ringway::policy::jwt::{Algorithm, Key, verified_claims};
use std::hint::black_box;

/// What an identity provider's tokens hold: some 400 bytes of claims.
const CLAIMS: &str = r#"{"iss":"https://login.example.com/realms/shop","sub":"4f0c9c8e-6f0b-4f0a-9f3a-8d8f6b8f1c11","aud":["orders","stock"],"exp":4102444800,"nbf":1700000000,"iat":1700000000,"jti":"b7b4e0f0-9f43-4d5a-8e0e-0a8b3f0c5f11","azp":"web","client_id":"web","scope":"openid profile orders.read orders.write","email":"ann@example.com","realm_access":{"roles":["user","editor"]}}"#;

pub(crate) fn verifying_tokens(c: &mut Criterion) {
    let random = SystemRandom::new();
    let secret = "thirty-two bytes are enough here";
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("random numbers");
    let ecdsa = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("random numbers");
    let signed = |algorithm: Algorithm, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let header = format!(r#"{{"alg":"{}","typ":"JWT","kid":"2026-01"}}"#, algorithm.name());
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(CLAIMS.as_bytes()));
        let signature = sign(signed.as_bytes());
        format!("{signed}.{}", encode(&signature))
    };
    let with_secret = |bytes: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hmac::sign(&key, bytes).as_ref().to_vec()
    };
    let with_rsa = |bytes: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature)
            .expect("a signature");
        signature
    };
    let with_ecdsa = |bytes: &[u8]| ecdsa.sign(&random, bytes).expect("a signature").as_ref().to_vec();
    let pasted = |key: &dyn AsRef<[u8]>| BASE64_STANDARD.encode(key);
    let cases = [
        (
            Algorithm::Hs256,
            secret.to_owned(),
            &with_secret as &dyn Fn(&[u8]) -> Vec<u8>,
        ),
        (Algorithm::Rs256, pasted(rsa.public_key()), &with_rsa),
        (Algorithm::Es256, pasted(ecdsa.public_key()), &with_ecdsa),
    ];
    for (algorithm, key, sign) in cases {
        let key = Key::from_text(&key, algorithm).expect("a key");
        let token = signed(algorithm, sign);
        assert!(verified_claims(token.as_bytes(), algorithm, Some(&key)).is_ok());
        c.bench_function(
            &format!("policies/jwt: verify and read, {}", algorithm.name()),
            |b| {
                b.iter(|| verified_claims(black_box(token.as_bytes()), algorithm, Some(&key)).is_ok());
            },
        );
    }
}
