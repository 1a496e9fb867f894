//! Keys as operators write them, and as services publish them.

use super::*;

fn pem_of(tag: &str, der: impl Into<Vec<u8>>) -> String {
    pem::encode(&pem::Pem::new(tag, der))
}

fn spki(der: &impl aws_lc_rs::encoding::AsDer<aws_lc_rs::encoding::PublicKeyX509Der<'static>>) -> Vec<u8> {
    der.as_der().expect("DER").as_ref().to_vec()
}

#[test]
fn a_public_key_in_every_form() {
    let pair = rsa_pair(KeySize::Rsa2048);
    let token = rsa_signed(r#"{"alg":"RS256"}"#, "{}", &pair);
    let spki = spki(pair.public_key());
    let spki_pem = pem_of("PUBLIC KEY", spki.clone());
    let bare: String = spki_pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect::<Vec<_>>()
        .join("\n");
    for text in [
        spki_pem.clone(),
        format!("\n  {}\n", spki_pem.trim()),
        spki_pem.replace("\r\n", "\n"),
        pem_of("RSA PUBLIC KEY", pair.public_key().as_ref()),
        bare.clone(),
        bare.replace(['\r', '\n'], ""),
    ] {
        let key = Key::from_text(&text, Algorithm::Rs256).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(verified(&token, Algorithm::Rs256, Some(&key)).is_ok(), "{text}");
    }
}

#[test]
fn a_certificate_is_the_key_in_it() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let certificate = rcgen::CertificateParams::new(["issuer.test".to_owned()])
        .expect("a name")
        .self_signed(&pair)
        .expect("a certificate");
    let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der())
        .expect("the same key");
    let signed = unsigned(r#"{"alg":"ES256"}"#, "{}");
    let signature = signer
        .sign(&SystemRandom::new(), signed.as_bytes())
        .expect("a signature");
    let token = format!("{signed}.{}", base64url(signature));
    let bare = base64::prelude::BASE64_STANDARD.encode(certificate.der());
    for text in [certificate.pem(), bare] {
        let key = Key::from_text(&text, Algorithm::Es256).expect("a key");
        assert!(verified(&token, Algorithm::Es256, Some(&key)).is_ok());
        assert!(Key::from_text(&text, Algorithm::Rs256).is_err());
        assert!(Key::from_text(&text, Algorithm::Es384).is_err());
    }
}

#[test]
fn texts_that_are_no_key_say_why() {
    let said = |text: &str, algorithm| Key::from_text(text, algorithm).expect_err("no key");
    let pair = rsa_pair(KeySize::Rsa2048);
    let pem = pem_of("PUBLIC KEY", spki(pair.public_key()));
    assert!(said("short", Algorithm::Hs256).contains("at least 32"));
    assert!(said(&"x".repeat(47), Algorithm::Hs384).contains("at least 48"));
    assert!(said(&"x".repeat(63), Algorithm::Hs512).contains("at least 64"));
    assert!(said("not a key!", Algorithm::Rs256).contains("PEM"));
    assert!(said(&format!("{pem}\n{pem}"), Algorithm::Rs256).contains("more than one"));
    assert!(said(&pem, Algorithm::Es256).contains("P-256"));
    let private = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    assert!(said(&private, Algorithm::Es256).contains("private key"));
    assert!(!said(&private, Algorithm::Es256).contains(&private[40..60]));
    assert!(said(&pem.replace("PUBLIC KEY", "X509 CRL"), Algorithm::Rs256).contains("X509 CRL"));
    assert!(
        said(
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            Algorithm::Rs256
        )
        .contains("RSA")
    );
}

/// 1024 bits, made once elsewhere.
#[test]
fn weak_rsa_keys_are_refused() {
    let mut n = vec![0xC3; 128];
    n[127] = 0x01;
    let jwk = |n: &[u8]| format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, base64url(n));
    let read = |n: &[u8]| {
        let mut problems = Vec::new();
        let set = KeySet::parse(set(&[jwk(n)]).as_bytes(), Algorithm::Rs256, |problem| {
            problems.push(problem.to_owned())
        });
        (set.map(|set| set.len()), problems)
    };
    let (set, problems) = read(&n);
    assert!(set.is_err());
    assert!(problems[0].contains("1024 bits"), "{problems:?}");
    // Zeros in front make none stronger.
    let padded = [&[0; 128][..], &n].concat();
    assert!(read(&padded).1[0].contains("1024 bits"));
    assert!(read(&[0xC3; 1025]).1[0].contains("8200 bits"));
    assert!(read(&[]).1[0].contains("0 bits"));
    let good = rsa_pair(KeySize::Rsa2048);
    let good = good
        .public_key()
        .modulus()
        .big_endian_without_leading_zero()
        .to_vec();
    assert_eq!(read(&good).0, Ok(1));
    assert_eq!(
        read(&[&[0][..], &good].concat()).0,
        Ok(1),
        "what some old libraries write"
    );
}

#[test]
fn a_set_gives_the_keys_that_are_meant() {
    let (a, b, c) = (rsa_pair(KeySize::Rsa2048), rsa_pair(KeySize::Rsa2048), p256());
    let document = set(&[
        rsa_jwk(&a, r#","kid":"a","use":"sig","alg":"RS256","x":{"y":[]}"#),
        rsa_jwk(&b, ""),
        ec_jwk(&c, r#","kid":"c""#),
        rsa_jwk(&b, r#","kid":"e","use":"enc""#),
        rsa_jwk(&b, r#","kid":"f","alg":"RS512""#),
        rsa_jwk(&b, r#","kid":"g","alg":"RSA-OAEP""#),
        rsa_jwk(&b, r#","kid":"h","key_ops":["encrypt"]"#),
        r#"{"kty":"oct","kid":"i","k":"c2VjcmV0"}"#.to_owned(),
        r#"{"kty":"OKP","kid":"j","crv":"Ed25519","x":"AA"}"#.to_owned(),
        r#"{"kty":"RSA","kid":"k","n":"!","e":"AQAB"}"#.to_owned(),
        "7".to_owned(),
    ]);
    let mut skipped = Vec::new();
    let keys = KeySet::parse(document.as_bytes(), Algorithm::Rs256, |problem| {
        skipped.push(problem.to_owned())
    });
    let keys = keys.expect("a set");
    assert_eq!(skipped, ["`n` is not base64url"]);
    let signers = |kid: Option<&str>| -> Vec<bool> {
        let token = |pair| rsa_signed(r#"{"alg":"RS256"}"#, "{}", pair);
        let (a, b) = (token(&a), token(&b));
        let verifies = |token: &str, key: &Key| verified(token, Algorithm::Rs256, Some(key)).is_ok();
        (keys.candidates(kid.map(str::as_bytes)))
            .map(|key| {
                assert_ne!(verifies(&a, key), verifies(&b, key));
                verifies(&a, key)
            })
            .collect()
    };
    assert_eq!(signers(Some("a")), [true]);
    assert_eq!(signers(None), [true, false]);
    assert_eq!(
        signers(Some("unknown")),
        [false],
        "it may be the one without a name"
    );
    assert_eq!(signers(Some("e")), [false], "for encryption alone");
    let es = KeySet::parse(document.as_bytes(), Algorithm::Es256, |_| {}).expect("a set");
    assert_eq!((es.len(), es.knows(Some(b"c")), es.knows(None)), (1, true, false));
    for algorithm in [Algorithm::Es384, Algorithm::Hs256, Algorithm::None] {
        assert!(
            KeySet::parse(document.as_bytes(), algorithm, |_| {}).is_err(),
            "{algorithm:?}"
        );
    }
}

#[test]
fn points_off_the_curve_are_no_keys() {
    let read = |jwk: String| KeySet::parse(set(&[jwk]).as_bytes(), Algorithm::Es256, |_| {}).is_ok();
    let pair = p256();
    let point = pair.public_key().as_ref();
    let jwk = |x: &[u8], y: &[u8]| {
        format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
            base64url(x),
            base64url(y)
        )
    };
    let (x, y) = (&point[1..33], &point[33..]);
    assert!(read(jwk(x, y)));
    let mut off = y.to_vec();
    off[31] ^= 1;
    for (x, y) in [
        (x, &off[..]),
        (y, x),
        (&[0; 32], &[0; 32]),
        (&x[1..], y),
        (&[&[0], x].concat(), y),
        (&[0xFF; 32], y),
    ] {
        assert!(!read(jwk(x, y)));
    }
    assert!(!read(ec_jwk(&p384(), "")));
}

#[test]
fn what_is_no_set() {
    let said =
        |document: &str| KeySet::parse(document.as_bytes(), Algorithm::Rs256, |_| {}).expect_err("no set");
    for bad in [
        "",
        "{}",
        "[]",
        "<html>",
        r#"{"keys":{}}"#,
        r#"{"keys":[]}"#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        said(bad);
    }
    let many = set(&vec!["{}".to_owned(); MAX_KEYS + 1]);
    assert!(said(&many).contains("at most"));
}
