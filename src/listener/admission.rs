//! Caps on client connections: of the process, and of one client address. Counted once per process, because
//! SO_REUSEPORT spreads one client over all shards; touched when a connection comes and goes, never by a
//! request.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

/// A slot is a fingerprint of the address (40 bits) and a count (24 bits); 0 is free.
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// Slots an address may be in. When all of them are other addresses' the connection is admitted uncounted: a
/// full table must not turn into refusals. The table is twice as large as the connection cap, so that needs an
/// unlucky crowd, not an attacker's choice (the hash is keyed).
const PROBES: usize = 16;

#[derive(Debug)]
pub struct Admission {
    open: AtomicU32,
    limit: AtomicU32,
    per_client: AtomicU32,
    slots: Box<[AtomicU64]>,
    key: RandomState,
}

/// A cap is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

/// One admitted connection; dropped when it ends.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    slot: Option<usize>,
}

impl Admission {
    pub fn new(connections: u32, per_client: Option<u32>) -> Self {
        let slots = if per_client.is_some() {
            (connections as usize * 2).next_power_of_two()
        } else {
            0
        };
        Self {
            open: AtomicU32::new(0),
            limit: AtomicU32::new(connections),
            per_client: AtomicU32::new(per_client.unwrap_or(u32::MAX)),
            slots: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            key: RandomState::new(),
        }
    }

    /// # Errors
    /// [`Refused`] when the process or this client has as many as it may. Two shards that admit the same new
    /// client in the same instant may each find a free slot of their own; the client's count is then split
    /// until one of them is free again, so it may hold up to twice the cap for that time.
    ///
    /// None: the client is not known yet, and counted [later](Permit::count_client).
    pub fn admit(this: &Arc<Self>, client: Option<IpAddr>) -> Result<Permit, Refused> {
        if this.open.fetch_add(1, Relaxed) >= this.limit.load(Relaxed) {
            this.open.fetch_sub(1, Relaxed);
            return Err(Refused);
        }
        // Counts the connection down again if the client's own cap refuses it.
        let mut permit = Permit {
            admission: this.clone(),
            slot: None,
        };
        if let Some(client) = client {
            permit.count_client(client)?;
        }
        Ok(permit)
    }

    fn count_client(&self, client: IpAddr) -> Result<Option<usize>, Refused> {
        let hash = self.key.hash_one(client);
        let fingerprint = (hash >> COUNT_BITS).max(1) << COUNT_BITS;
        let places = (0..PROBES).map(|probe| (hash as usize).wrapping_add(probe) & (self.slots.len() - 1));
        let mut free = None;
        for place in places {
            let seen = self.slots[place].load(Relaxed);
            if seen & COUNT_MASK == 0 {
                free = free.or(Some(place));
            } else if seen & !COUNT_MASK == fingerprint {
                return self.raise(place, fingerprint);
            }
        }
        match free {
            Some(place) => self.raise(place, fingerprint),
            None => Ok(None),
        }
    }

    fn raise(&self, place: usize, fingerprint: u64) -> Result<Option<usize>, Refused> {
        let limit = u64::from(self.per_client.load(Relaxed)).min(COUNT_MASK);
        let slot = &self.slots[place];
        let mut seen = slot.load(Relaxed);
        loop {
            let count = seen & COUNT_MASK;
            if count > 0 && seen & !COUNT_MASK != fingerprint {
                return Ok(None); // taken by another address meanwhile
            }
            if count >= limit {
                return Err(Refused);
            }
            match slot.compare_exchange_weak(seen, fingerprint | (count + 1), Relaxed, Relaxed) {
                Ok(_) => return Ok(Some(place)),
                Err(now) => seen = now,
            }
        }
    }

    pub fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }
}

impl Permit {
    /// Whose connection it is, once that is known.
    ///
    /// # Errors
    /// As [`Admission::admit`], where this client has as many as it may.
    pub fn count_client(&mut self, client: IpAddr) -> Result<(), Refused> {
        if self.slot.is_none() && !self.admission.slots.is_empty() {
            self.slot = self.admission.count_client(client)?;
        }
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Relaxed);
        if let Some(slot) = self.slot {
            self.admission.slots[slot].fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn client(last: u8) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)))
    }

    #[test]
    fn the_cap_of_the_process_holds_and_frees() {
        let admission = Arc::new(Admission::new(2, None));
        let first = Admission::admit(&admission, client(1)).expect("one");
        let _second = Admission::admit(&admission, client(2)).expect("two");
        assert_eq!(Admission::admit(&admission, client(3)).map(drop), Err(Refused));
        drop(first);
        assert!(Admission::admit(&admission, client(3)).is_ok());
    }

    #[test]
    fn the_cap_of_a_client_is_its_own() {
        let admission = Arc::new(Admission::new(100, Some(2)));
        let first = Admission::admit(&admission, client(1)).expect("one");
        let _second = Admission::admit(&admission, client(1)).expect("two");
        assert_eq!(Admission::admit(&admission, client(1)).map(drop), Err(Refused));
        let _other = Admission::admit(&admission, client(2)).expect("another client");
        drop(first);
        assert!(Admission::admit(&admission, client(1)).is_ok());
        drop(Admission::admit(&admission, client(9)));
        assert_eq!(
            admission.open(),
            2,
            "refusals and ended connections count for nothing"
        );
    }

    #[test]
    fn a_client_that_is_known_later_is_counted_then() {
        let admission = Arc::new(Admission::new(100, Some(1)));
        let mut permits: Vec<_> = (0..3)
            .map(|_| Admission::admit(&admission, None).expect("nobody's yet"))
            .collect();
        let known = client(1).expect("an address");
        assert_eq!(permits[0].count_client(known), Ok(()));
        assert_eq!(permits[1].count_client(known), Err(Refused));
        drop(permits.remove(0));
        assert_eq!(permits[0].count_client(known), Ok(()));
        assert_eq!(Admission::admit(&admission, client(1)).map(drop), Err(Refused));
    }

    #[test]
    fn threads_never_exceed_the_process_cap() {
        let admission = Arc::new(Admission::new(8, Some(1000)));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let permit = Admission::admit(&admission, client(1));
                        assert!(
                            admission.open() <= 8 + 4,
                            "a refused attempt is counted for an instant"
                        );
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(admission.open(), 0);
        assert!(
            admission
                .slots
                .iter()
                .all(|slot| slot.load(Relaxed) & COUNT_MASK == 0)
        );
    }
}
