//! Session tickets: what a client keeps so that its next handshake is a short one. All that a session needs is in the
//! ticket, encrypted for ourselves, so every shard can resume what any of them began, and so can the same process after
//! its configuration was loaded again, and (with a secret they share) other replicas.
//!
//! rustls' own keeper of ticket keys looks at the clock and a lock on each use; this one is rotated by control, and a
//! shard only reads. A ticket key that leaks opens the recorded sessions of its time (of TLS 1.2; those of 1.3 have a key
//! exchange of their own), so keys live for hours, and random ones are forgotten.

use super::certificate::sized;
use arc_swap::ArcSwap;
use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
    rand,
};
use rustls::server::ProducesTickets;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long a key encrypts; it decrypts for as long again. A ticket is good for at least this long and at most twice.
pub const PERIOD: Duration = Duration::from_secs(6 * 60 * 60);

/// What replicas make the same keys from.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketSecret([u8; 32]);

/// The process's ticket keys.
pub struct Tickets {
    secret: Option<Prk>,
    keys: ArcSwap<Keys>,
}

struct Keys {
    /// Periods since 1970.
    epoch: u64,
    own: Arc<Key>,
    /// They only decrypt.
    others: Vec<Arc<Key>>,
}

struct Key {
    name: [u8; NAME],
    cipher: LessSafeKey,
}

impl TicketSecret {
    /// # Errors
    /// It is too short to be one.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() < LEAST_SECRET {
            return Err(format!(
                "must have at least {LEAST_SECRET} bytes: whoever guesses it can resume sessions"
            ));
        }
        Ok(Self(sized(
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref(),
        )))
    }
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TicketSecret")
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tickets")
    }
}

impl Tickets {
    /// # Errors
    /// No random numbers are to be had.
    pub fn new(secret: Option<&TicketSecret>, now: SystemTime) -> Result<Arc<Self>, String> {
        let secret = secret.map(|secret| Salt::new(HKDF_SHA256, SALT).extract(&secret.0));
        let keys = Keys::of(epoch(now), secret.as_ref(), None)?;
        Ok(Arc::new(Self {
            secret,
            keys: ArcSwap::from_pointee(keys),
        }))
    }

    /// To be called about when a [period](Self::until_next) begins; whoever is late only lets a key live longer.
    ///
    /// # Errors
    /// No random numbers are to be had: the old keys stay.
    pub fn rotate(&self, now: SystemTime) -> Result<(), String> {
        let before = self.keys.load_full();
        // A clock that goes back must not bring back keys.
        if epoch(now) > before.epoch {
            let keys = Keys::of(epoch(now), self.secret.as_ref(), Some(&before))?;
            self.keys.store(Arc::new(keys));
        }
        Ok(())
    }

    /// Until the next period begins.
    pub fn until_next(now: SystemTime) -> Duration {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        PERIOD - Duration::from_secs(since.as_secs() % PERIOD.as_secs())
    }

    /// `context`: what a session must have in common with the one it resumes, such as whose certificates are asked for.
    pub(super) fn ticketer(self: &Arc<Self>, context: [u8; 32]) -> Arc<dyn ProducesTickets> {
        Arc::new(Ticketer {
            tickets: self.clone(),
            context,
        })
    }
}

impl Keys {
    fn of(epoch: u64, secret: Option<&Prk>, before: Option<&Self>) -> Result<Self, String> {
        if let Some(secret) = secret {
            // The next one as well: another replica's clock may be ahead.
            let other = |epoch| Key::derived(secret, epoch).map(Arc::new);
            return Ok(Self {
                epoch,
                own: other(epoch)?,
                others: vec![other(epoch.wrapping_sub(1))?, other(epoch + 1)?],
            });
        }
        // One that was asleep for longer than a period has no tickets out that are still good.
        let last = before.filter(|before| before.epoch + 1 == epoch);
        Ok(Self {
            epoch,
            own: Arc::new(Key::random()?),
            others: last.map(|before| before.own.clone()).into_iter().collect(),
        })
    }

    fn named(&self, name: &[u8]) -> Option<&Key> {
        let all = std::iter::once(&self.own).chain(&self.others);
        all.map(Arc::as_ref).find(|key| key.name == name)
    }
}

impl Key {
    fn random() -> Result<Self, String> {
        let mut bytes = [0; 32 + NAME];
        rand::fill(&mut bytes).map_err(|_| "the system has no random numbers".to_owned())?;
        Self::new(&bytes[..32], &bytes[32..])
    }

    fn derived(secret: &Prk, epoch: u64) -> Result<Self, String> {
        let epoch = epoch.to_be_bytes();
        let derive = |purpose: &[u8]| {
            let mut out = [0; 32];
            secret
                .expand(&[purpose, &epoch], HKDF_SHA256)
                .and_then(|derived| derived.fill(&mut out))
                .map(|()| out)
                .map_err(|_| "ticket keys cannot be derived".to_owned())
        };
        Self::new(&derive(b"key")?, &derive(b"name")?[..NAME])
    }

    fn new(key: &[u8], name: &[u8]) -> Result<Self, String> {
        let key =
            UnboundKey::new(&AES_256_GCM_SIV, key).map_err(|_| "a ticket key cannot be made".to_owned())?;
        let mut own = [0; NAME];
        own.copy_from_slice(name);
        Ok(Self {
            name: own,
            cipher: LessSafeKey::new(key),
        })
    }
}

/// The keys, as one server's settings use them: name of the key, nonce, what is encrypted, tag.
struct Ticketer {
    tickets: Arc<Tickets>,
    context: [u8; 32],
}

impl Ticketer {
    /// Authenticated with each ticket.
    fn bound(&self, name: [u8; NAME]) -> Aad<[u8; NAME + 32]> {
        let mut bound = [0; NAME + 32];
        bound[..NAME].copy_from_slice(&name);
        bound[NAME..].copy_from_slice(&self.context);
        Aad::from(bound)
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ticketer")
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        PERIOD.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.tickets.keys.load();
        let key = &keys.own;
        // Random, and from many processes where they share a secret: SIV forgives the repetition that 96 bits may bring
        // with some billions of tickets a period.
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(HEAD + plain.len() + AES_256_GCM_SIV.tag_len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key
            .cipher
            .seal_in_place_separate_tag(nonce, self.bound(key.name), &mut ticket[HEAD..])
            .ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.tickets.keys.load();
        let key = keys.named(name)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut sealed = sealed.to_vec();
        let length = key
            .cipher
            .open_in_place(nonce, self.bound(key.name), &mut sealed)
            .ok()?
            .len();
        sealed.truncate(length);
        Some(sealed)
    }
}

fn epoch(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    since.as_secs() / PERIOD.as_secs()
}

const NAME: usize = 8;
const HEAD: usize = NAME + NONCE_LEN;
const SALT: &[u8] = b"ringway session tickets 1";
/// Bytes; 16 random ones in hexadecimal have as many.
const LEAST_SECRET: usize = 32;

#[cfg(test)]
#[path = "tests/tickets.rs"]
mod tests;
