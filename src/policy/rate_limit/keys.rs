//! Keys as fingerprints of 128 bits, so that a key of any length costs the same in the bank, and none is kept.
//!
//! Two keys with one fingerprint would share a bucket: a client could use up another's quota. With a key that clients
//! do not know, SipHash-1-3's output can't be told from random, so all they can do is guess: n live keys collide with
//! probability n^2 / 2^129. That holds only while the hash key is secret: SipHash with a known key is no
//! collision-resistant hash. Whoever derives it from configuration must put a secret into it.

use siphasher::sip128::SipHasher13;
use std::fmt;

/// The key of all fingerprints of a bank.
#[derive(Clone, Copy)]
pub struct HashKey {
    values: SipHasher13,
    rules: SipHasher13,
}

impl HashKey {
    /// From 16 secret bytes.
    pub fn new(secret: &[u8; 16]) -> Self {
        // Values and rules are hashed apart, so that no header value can look like a rule.
        let (mut values, mut rules) = (*secret, *secret);
        values[0] ^= 0x55;
        rules[0] ^= 0xaa;
        Self {
            values: SipHasher13::new_with_key(&values),
            rules: SipHasher13::new_with_key(&rules),
        }
    }

    /// A key of this process alone, from the system's random numbers.
    ///
    /// # Errors
    /// The system has none to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        Ok(Self::new(&secret))
    }

    /// Of the key a request is limited by. Once a request, however many limits apply.
    pub fn value(&self, value: &[u8]) -> Fingerprint {
        self.values.hash(value).into()
    }

    pub(super) fn rule(&self, rule: &[u8]) -> Fingerprint {
        self.rules.hash(rule).into()
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(secret)")
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fingerprint {
    pub(super) high: u64,
    pub(super) low: u64,
}

impl Fingerprint {
    /// Of the two together. Both are random to whoever does not know the hash key, so their sum is.
    pub(super) const fn of(self, rule: Self) -> Self {
        Self {
            high: self.high ^ rule.high,
            low: self.low ^ rule.low,
        }
    }
}

impl From<siphasher::sip128::Hash128> for Fingerprint {
    fn from(hash: siphasher::sip128::Hash128) -> Self {
        Self {
            high: hash.h1,
            low: hash.h2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_the_key_and_on_what_is_hashed() {
        let (one, other) = (HashKey::new(&[7; 16]), HashKey::new(&[8; 16]));
        assert_eq!(one.value(b"alice"), HashKey::new(&[7; 16]).value(b"alice"));
        assert_ne!(one.value(b"alice"), one.value(b"alicf"));
        assert_ne!(one.value(b""), one.value(b"\0"));
        assert_ne!(one.value(b"alice"), other.value(b"alice"));
        assert_ne!(one.value(b"alice"), one.rule(b"alice"));
        assert_ne!(
            HashKey::random().unwrap().value(b"alice"),
            HashKey::random().unwrap().value(b"alice")
        );
        assert_eq!(format!("{one:?}"), "HashKey(secret)");
    }

    /// The reference implementation's key 00..0f over 00..0e in SipHash-1-3's 128-bit form can't be had from a table
    /// here; what matters is that all 128 bits move.
    #[test]
    fn every_bit_moves() {
        let key = HashKey::new(&[1; 16]);
        let (mut or, mut and) = ((0, 0), (u64::MAX, u64::MAX));
        for n in 0..256u32 {
            let Fingerprint { high, low } = key.value(&n.to_le_bytes());
            or = (or.0 | high, or.1 | low);
            and = (and.0 & high, and.1 & low);
        }
        assert_eq!((or, and), ((u64::MAX, u64::MAX), (0, 0)));
    }
}
