//! What forgers try.

use super::*;

const SECRET: &[u8] = b"a secret of thirty-two bytes, yes";
const CLAIMS: &str = r#"{"sub":"ann"}"#;

fn secret() -> Key {
    Key::from_text(std::str::from_utf8(SECRET).expect("text"), Algorithm::Hs256).expect("a secret")
}

fn hs256(header: &str) -> Result<crate::expr::Tree, &'static str> {
    verified(
        &hmac_signed(header, CLAIMS, SECRET),
        Algorithm::Hs256,
        Some(&secret()),
    )
}

#[test]
fn an_honest_token_passes() {
    let claims = hs256(r#"{"typ":"JWT","alg":"HS256","kid":"1","x":[{}]}"#).expect("signed");
    assert_eq!(claims.get("sub"), Some(&crate::expr::Tree::string("ann")));
}

/// RFC 7515 §A.1, to the byte.
#[test]
fn the_example_of_the_rfc_passes() {
    let key = BASE64_URL_SAFE_NO_PAD
        .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        .expect("base64url");
    let key = Key::secret(hmac::HMAC_SHA256, &key);
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let claims = verified(token, Algorithm::Hs256, Some(&key)).expect("signed");
    assert_eq!(claims.get("iss"), Some(&crate::expr::Tree::string("joe")));
}

/// The header never chooses.
#[test]
fn the_algorithm_is_the_configurations() {
    let pair = rsa_pair(KeySize::Rsa2048);
    let public = pair.public_key().as_ref();
    let pem = pem::encode(&pem::Pem::new("RSA PUBLIC KEY", public));
    let key = Key::from_text(&pem, Algorithm::Rs256).expect("a key");
    assert!(
        verified(
            &rsa_signed(r#"{"alg":"RS256"}"#, CLAIMS, &pair),
            Algorithm::Rs256,
            Some(&key)
        )
        .is_ok()
    );
    // The public key as a secret, in all the forms in which one may have it.
    for secret in [public, pem.as_bytes(), pem.trim().as_bytes()] {
        for alg in ["HS256", "RS256"] {
            let token = hmac_signed(&format!(r#"{{"alg":"{alg}"}}"#), CLAIMS, secret);
            assert!(verified(&token, Algorithm::Rs256, Some(&key)).is_err(), "{alg}");
        }
    }
    for alg in [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""nOnE""#,
        r#""""#,
        "null",
        "0",
        "true",
        r#"["RS256"]"#,
        r#""rs256""#,
        r#""RS256 ""#,
        r#""RS384""#,
        r#""PS256""#,
        r#""ES256""#,
        r#""HS256""#,
        r#""EdDSA""#,
    ] {
        let header = format!(r#"{{"alg":{alg}}}"#);
        assert!(
            verified(&rsa_signed(&header, CLAIMS, &pair), Algorithm::Rs256, Some(&key)).is_err(),
            "{alg}"
        );
        let unsigned = format!("{}.", unsigned(&header, CLAIMS));
        assert!(
            verified(&unsigned, Algorithm::Rs256, Some(&key)).is_err(),
            "{alg}"
        );
    }
    assert!(verified(&rsa_signed("{}", CLAIMS, &pair), Algorithm::Rs256, Some(&key)).is_err());
}

/// Only what has no signature at all, and says so.
#[test]
fn none_is_none() {
    let none = |header: &str, signature: &str| {
        verified(
            &format!("{}.{signature}", unsigned(header, CLAIMS)),
            Algorithm::None,
            None,
        )
    };
    assert!(none(r#"{"alg":"none"}"#, "").is_ok());
    assert!(none(r#"{"alg":"none"}"#, "AA").is_err());
    for header in [r#"{"alg":"None"}"#, r#"{"alg":"HS256"}"#, "{}"] {
        assert!(none(header, "").is_err(), "{header}");
    }
    let signed = hmac_signed(r#"{"alg":"HS256"}"#, CLAIMS, SECRET);
    assert!(verified(&signed, Algorithm::None, None).is_err());
}

/// Keys that a token brings are its sender's, and so are names of them that lead elsewhere.
#[test]
fn a_header_brings_no_key() {
    let (ours, theirs) = (rsa_pair(KeySize::Rsa2048), rsa_pair(KeySize::Rsa2048));
    let keys = KeySet::parse(
        set(&[rsa_jwk(&ours, r#","kid":"1""#)]).as_bytes(),
        Algorithm::Rs256,
        |_| {},
    );
    let keys = keys.expect("a set");
    let jwk = rsa_jwk(&theirs, "");
    for header in [
        format!(r#"{{"alg":"RS256","jwk":{jwk}}}"#),
        format!(r#"{{"alg":"RS256","kid":"1","jwk":{jwk}}}"#),
        r#"{"alg":"RS256","jku":"http://127.0.0.1:1/keys"}"#.to_owned(),
        r#"{"alg":"RS256","x5u":"file:///etc/passwd","x5c":["AA=="]}"#.to_owned(),
        r#"{"alg":"RS256","kid":"../../dev/null"}"#.to_owned(),
        r#"{"alg":"RS256","kid":"1' or '1'='1"}"#.to_owned(),
    ] {
        let token = rsa_signed(&header, CLAIMS, &theirs);
        let token = token::Token::parse(token.as_bytes(), Algorithm::Rs256).expect("its form is right");
        let mut candidates = keys.candidates(token.kid.as_deref());
        assert!(
            !candidates.any(|key| key.verifies(token.signed, token.signature())),
            "{header}"
        );
    }
}

#[test]
fn headers_that_ask_for_more_are_refused() {
    for header in [
        r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","b64":true}"#,
        // A name twice: the reader behind us may take the other.
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"1","kid":"2"}"#,
        r#"{"alg":"HS256","al\u0067":"none"}"#,
        r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#,
        r#"{"alg":"HS256","kid":7}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"["HS256"]"#,
        r#""HS256""#,
        r#"{"alg":"HS256"}}"#,
        r#"{"alg":"HS256"} {}"#,
        "",
    ] {
        assert!(hs256(header).is_err(), "{header}");
    }
}

#[test]
fn claims_that_are_none_are_refused() {
    let of = |claims: &str| {
        verified(
            &hmac_signed(r#"{"alg":"HS256"}"#, claims, SECRET),
            Algorithm::Hs256,
            Some(&secret()),
        )
    };
    assert!(of("{}").is_ok());
    for bad in [
        "",
        "null",
        "[]",
        "1",
        r#""a""#,
        r#"{"sub":"a","sub":"b"}"#,
        r#"{"a":{"b":1,"b":2}}"#,
        "{}x",
        "\u{feff}{}",
    ] {
        assert!(of(bad).is_err(), "{bad}");
    }
}

/// One token has one spelling: what is cited in a log or a list of revoked ones is what was sent.
#[test]
fn the_form_is_strict() {
    let good = hmac_signed(r#"{"alg":"HS256"}"#, CLAIMS, SECRET);
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let of = |token: &str| verified(token, Algorithm::Hs256, Some(&secret()));
    assert!(of(&good).is_ok());
    // The last letter of 32 bytes carries four bits; the other two are zero, or somebody plays.
    let last = signature.chars().last().expect("a letter");
    let sloppy = (b'A'..=b'z')
        .map(char::from)
        .filter(|other| *other != last && (other.is_alphanumeric() || *other == '_'));
    for other in sloppy {
        let signature = format!("{}{other}", &signature[..signature.len() - 1]);
        assert!(of(&format!("{header}.{claims}.{signature}")).is_err(), "{other}");
    }
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        header.to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{}", &signature[1..]),
        format!("{header}.{claims}.{}", &signature[..20]),
        format!("{header}.{claims}.{signature}AA"),
        format!("{header}.{claims}.{}", "A".repeat(8000)),
        format!("{header}.{claims}. {signature}"),
        format!(" {good}"),
        format!("{good}\n"),
        good.replace('.', ","),
        format!("{header}.{}.{signature}", base64url(r#"{"sub":"bob"}"#)),
        // Encrypted: five parts.
        format!("{good}.{claims}.{claims}"),
    ] {
        assert!(of(&bad).is_err(), "{bad:.80}");
    }
}

/// What is hostile costs what its size allows and no more; what is not signed is not even read.
#[test]
fn large_and_nested_tokens_are_refused_early() {
    let of = |token: &str| verified(token, Algorithm::Hs256, Some(&secret()));
    let header = r#"{"alg":"HS256"}"#;
    let large = |bytes: usize| hmac_signed(header, &format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes)), SECRET);
    assert!(of(&large(11_000)).is_ok());
    assert_eq!(of(&large(13_000)), Err("the token is too large"));
    assert_eq!(of(&"a".repeat(10 << 20)), Err("the token is too large"));
    assert_eq!(of(&".".repeat(16 << 10)), Err("the token is not a signed JWT"));
    let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(of(&hmac_signed(header, &nested(60), SECRET)).is_ok());
    assert!(of(&hmac_signed(header, &nested(5_000), SECRET)).is_err());
    let deep_header = format!(r#"{{"alg":"HS256","a":{}"#, "[".repeat(5_000));
    assert!(of(&hmac_signed(&deep_header, CLAIMS, SECRET)).is_err());
    // Signed by somebody else: no claim is decoded, however it looks.
    assert_eq!(
        of(&hmac_signed(header, &nested(5_000), b"another secret")),
        Err("the token is not signed by a known key")
    );
}

/// Whatever is changed, nothing passes and nothing breaks.
#[test]
fn a_token_changed_anywhere_is_refused() {
    let good = hmac_signed(r#"{"alg":"HS256","kid":"1"}"#, CLAIMS, SECRET).into_bytes();
    let key = secret();
    for position in 0..good.len() {
        for change in [1, 2, 4, 0x20, 0x80, 0xFF] {
            let mut token = good.clone();
            token[position] ^= change;
            assert!(
                verified_claims(&token, Algorithm::Hs256, Some(&key)).is_err(),
                "{position} {change}"
            );
        }
        assert!(verified_claims(&good[..position], Algorithm::Hs256, Some(&key)).is_err());
        let longer = [&good[..position], b"A", &good[position..]].concat();
        assert!(
            verified_claims(&longer, Algorithm::Hs256, Some(&key)).is_err(),
            "{position}"
        );
    }
}
