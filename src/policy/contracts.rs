//! Who may use an API, and how much of it: client applications by id, each with its secret and its limits.
//!
//! A client's id is no secret (it stands in logs), so it is looked up in a hash table. Its secret is kept and compared as
//! a SipHash-2-4-128 of it, under a key of this process that nobody knows: fixed in length, so the comparison tells
//! neither how much of a guess was right nor how long the secret is; two secrets pass for one another with probability
//! 2^-128. An id that nobody has costs the same comparison, against a value that is nobody's.

use super::rate_limit::Limit;
use siphasher::sip128::SipHasher24;
use std::{collections::HashMap, fmt};
use subtle::ConstantTimeEq;

/// The clients of one API. Immutable; shared by its policies and all shards.
pub struct Contracts {
    clients: Vec<Client>,
    by_id: HashMap<Box<[u8]>, usize>,
    tiers: Vec<Box<[Limit]>>,
    hash: SipHasher24,
    /// What the secret of an unknown client is compared with.
    nobody: [u8; 16],
}

/// A client application that has a contract.
pub struct Client {
    pub id: Box<str>,
    /// What people call it.
    pub name: Option<Box<str>>,
    secret: [u8; 16],
    /// Index into [`Contracts::tiers`]; None: the contract limits nothing.
    pub tier: Option<usize>,
}

/// A contract as configured.
#[derive(Clone)]
pub struct Terms {
    pub id: String,
    pub name: Option<String>,
    pub secret: String,
    /// None: no SLA. Else at least one.
    pub limits: Option<Vec<Limit>>,
}

impl Contracts {
    /// `random` is 32 bytes that nobody else knows. Of two with one id the later counts; whoever reads them refuses
    /// that.
    pub fn new(terms: impl IntoIterator<Item = Terms>, random: &[u8; 32]) -> Self {
        let (mut key, mut nobody) = ([0; 16], [0; 16]);
        key.copy_from_slice(&random[..16]);
        nobody.copy_from_slice(&random[16..]);
        let mut contracts = Self {
            clients: Vec::new(),
            by_id: HashMap::new(),
            tiers: Vec::new(),
            hash: SipHasher24::new_with_key(&key),
            nobody,
        };
        terms.into_iter().for_each(|terms| contracts.add(terms));
        contracts
    }

    /// Clients of the same limits are one tier: a thousand contracts of three tiers make three sets of limits.
    fn add(&mut self, terms: Terms) {
        let tier = terms.limits.map(|limits| {
            let known = self.tiers.iter().position(|tier| **tier == *limits);
            known.unwrap_or_else(|| {
                self.tiers.push(limits.into());
                self.tiers.len() - 1
            })
        });
        self.by_id.insert(terms.id.as_bytes().into(), self.clients.len());
        self.clients.push(Client {
            secret: self.digest(terms.secret.as_bytes()),
            id: terms.id.into(),
            name: terms.name.map(Into::into),
            tier,
        });
    }

    /// Whoever it is: for where the id is known to be the client's own, or need not be.
    pub fn find(&self, id: &[u8]) -> Option<&Client> {
        self.by_id.get(id).map(|&index| &self.clients[index])
    }

    /// Only with the secret that belongs to it. Takes the same time for an id that nobody has.
    pub fn authenticate(&self, id: &[u8], secret: &[u8]) -> Option<&Client> {
        let client = self.find(id);
        let expected = client.map_or(&self.nobody, |client| &client.secret);
        let equal = expected.ct_eq(&self.digest(secret));
        client.filter(|_| bool::from(equal))
    }

    /// The different sets of limits, in the order of the contracts that first have them.
    pub fn tiers(&self) -> &[Box<[Limit]>] {
        &self.tiers
    }

    pub fn len(&self) -> usize {
        self.clients.len()
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The id of a client whose contract limits nothing.
    pub fn without_limits(&self) -> Option<&str> {
        let client = self.clients.iter().find(|client| client.tier.is_none())?;
        Some(&client.id)
    }

    fn digest(&self, secret: &[u8]) -> [u8; 16] {
        self.hash.hash(secret).as_bytes()
    }
}

/// Nobody.
impl Default for Contracts {
    fn default() -> Self {
        Self::new([], &[0; 32])
    }
}

/// Says nothing of what it holds.
impl fmt::Debug for Contracts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contracts({} clients)", self.clients.len())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.id)
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Terms({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(id: &str, secret: &str, limits: Option<&[(u32, u32)]>) -> Terms {
        let limit = |&(requests, window_ms): &(u32, u32)| Limit { requests, window_ms };
        Terms {
            id: id.to_owned(),
            name: None,
            secret: secret.to_owned(),
            limits: limits.map(|limits| limits.iter().map(limit).collect()),
        }
    }

    #[test]
    fn only_the_secret_that_belongs_to_the_id_admits() {
        let contracts = Contracts::new([terms("ann", "one", None), terms("bob", "two", None)], &[5; 32]);
        let admits = |id: &str, secret: &str| {
            let client = contracts.authenticate(id.as_bytes(), secret.as_bytes());
            client.map(|client| &*client.id == id)
        };
        assert_eq!(admits("ann", "one"), Some(true));
        assert_eq!(admits("bob", "two"), Some(true));
        for (id, secret) in [
            ("ann", "two"),
            ("ann", ""),
            ("ann", "on"),
            ("ann", "onee"),
            ("", ""),
            ("eve", "one"),
            ("Ann", "one"),
        ] {
            assert_eq!(admits(id, secret), None, "{id} {secret}");
        }
        assert!(contracts.find(b"ann").is_some() && contracts.find(b"eve").is_none());
        assert!(contracts.authenticate(b"ann", &[b'x'; 1 << 20]).is_none());
    }

    #[test]
    fn a_client_that_nobody_has_cannot_be_guessed() {
        let none = Contracts::new([], &[5; 32]);
        assert!(none.is_empty() && none.authenticate(b"", b"").is_none());
        assert!(none.authenticate(b"", &none.nobody).is_none());
    }

    #[test]
    fn equal_limits_are_one_tier() {
        let gold: &[(u32, u32)] = &[(100, 1000), (1000, 60_000)];
        let all = [
            terms("a", "x", Some(gold)),
            terms("b", "x", None),
            terms("c", "x", Some(&[(1, 1000)])),
            terms("d", "x", Some(gold)),
        ];
        let contracts = Contracts::new(all, &[5; 32]);
        let tier = |id: &str| contracts.find(id.as_bytes()).unwrap().tier;
        assert_eq!(["a", "b", "c", "d"].map(tier), [Some(0), None, Some(1), Some(0)]);
        assert_eq!(contracts.tiers().len(), 2);
        assert_eq!(contracts.without_limits(), Some("b"));
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let contracts = Contracts::new([terms("ann", "geheim", None)], &[5; 32]);
        let shown = format!(
            "{contracts:?} {:?} {:?}",
            contracts.find(b"ann").unwrap(),
            terms("ann", "geheim", None)
        );
        assert!(!shown.contains("geheim"), "{shown}");
    }
}
