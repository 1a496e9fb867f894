//! What is fetched on its way into the store.

use super::{
    freshness::{CacheControl, http_date, lifetime, seconds},
    generation::{Generation, Generations},
    shared::{Content, Desk, Entry, Name, Record, Seen, SharedCache},
    store::{Audience, Lines, Passing, Selection, Store, Stored},
};
use crate::{
    clock::Tick,
    policy::{Request, Response},
};
use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

/// A request on its way to the origin, whose answer may be stored. While it lives others for the same wait for it, if it
/// is the first.
#[derive(Debug)]
pub struct Fetch {
    store: Rc<RefCell<Store>>,
    generations: Arc<Generations>,
    key: Box<[u8]>,
    /// As it was when the fetch began: an invalidation since then is of what is being fetched.
    generation: Generation,
    /// Others wait for this one.
    first: Option<u64>,
    asked: Asked,
    /// Where it goes beside the store; None: nowhere.
    shared: Option<Shared>,
}

/// A place in shared storage.
#[derive(Debug)]
struct Shared {
    cache: Arc<SharedCache>,
    desk: Rc<Desk>,
    /// In force there before the origin was asked.
    seen: Seen,
    name: Name,
    slot: u16,
    /// When the answer's head came. Not of the shard's loop: it is told no time when the content ends.
    since: Instant,
}

/// The request as the cache met it. What policies behind it make of it says nothing of who asks.
#[derive(Debug)]
struct Asked {
    /// An access policy ahead had admitted it.
    admitted: bool,
    /// Each line's name, a colon, its value and a line feed, which neither can hold.
    lines: Vec<u8>,
}

impl Asked {
    fn new(request: &Request<'_>) -> Self {
        let mut lines = Vec::with_capacity(request.bytes.len());
        for (name, value) in request.head.headers.pairs(request.bytes) {
            for part in [name, b":", value, b"\n"] {
                lines.extend_from_slice(part);
            }
        }
        Self {
            admitted: request.authentication.is_known(),
            lines,
        }
    }

    fn values<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'s [u8]> + 's {
        self.lines.split(|&byte| byte == b'\n').filter_map(move |line| {
            let (written, value) = line.split_at_checked(name.len())?;
            (written.eq_ignore_ascii_case(name)).then_some(value.strip_prefix(b":")?)
        })
    }
}

impl Fetch {
    pub(super) fn begin(
        store: Rc<RefCell<Store>>,
        generations: Arc<Generations>,
        key: Box<[u8]>,
        generation: Generation,
        request: &Request<'_>,
    ) -> Self {
        let first = store.borrow_mut().begin(&key, request.context.now);
        Self {
            store,
            generations,
            key,
            generation,
            first,
            asked: Asked::new(request),
            shared: None,
        }
    }

    /// Its answer is kept in shared storage too. To be called before the origin is asked.
    pub(super) fn share(
        &mut self,
        seen: Seen,
        (name, slot): (Name, u16),
        cache: &Arc<SharedCache>,
        desk: &Rc<Desk>,
    ) {
        self.shared = Some(Shared {
            cache: cache.clone(),
            desk: desk.clone(),
            seen,
            name,
            slot,
            since: Instant::now(),
        });
    }

    /// What takes the content up; None where it is not to be stored.
    pub(super) fn fill(
        mut self,
        response: &Response<'_>,
        wanted: bool,
        use_headers: bool,
        ttl_ms: u64,
    ) -> Option<Fill> {
        let now = response.context.now;
        let storable = if wanted {
            storable(response, &self.asked, use_headers, ttl_ms)
        } else {
            Err(Passing::Everybodys)
        };
        let (stored, selection, lifetime_ms) = match storable {
            Ok(storable) => storable,
            Err(whose) => {
                let mut store = self.store.borrow_mut();
                store.pass(&self.key, whose, now, self.generation);
                drop(store);
                return None;
            }
        };
        if let Some(shared) = &mut self.shared {
            shared.since = Instant::now();
        }
        Some(Fill {
            body: Body {
                store: self.store.clone(),
                bytes: Vec::new(),
            },
            fetch: self,
            stored,
            selection,
            lifetime_ms,
            since: now,
            outcome: Outcome::Whole,
        })
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if let Some(number) = self.first {
            self.store.borrow_mut().end(&self.key, number);
        }
    }
}

/// Keeps a copy of the content as it passes.
#[derive(Debug)]
pub struct Fill {
    fetch: Fetch,
    stored: Stored,
    selection: Selection,
    lifetime_ms: u64,
    since: Tick,
    body: Body,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Whole,
    TooLarge,
    /// Others' content on its way leaves no room for this one's.
    NoRoom,
}

/// Content on its way, counted until it is stored or dropped.
#[derive(Debug)]
struct Body {
    store: Rc<RefCell<Store>>,
    bytes: Vec<u8>,
}

impl Body {
    fn clear(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.store.borrow_mut().release(bytes.len());
    }

    fn take(&mut self) -> Vec<u8> {
        self.store.borrow_mut().release(self.bytes.len());
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Fill {
    pub(in crate::policy) fn push(&mut self, content: &[u8]) {
        if self.outcome != Outcome::Whole {
            return;
        }
        if self.body.bytes.len() + content.len() > MAX_BODY {
            self.outcome = Outcome::TooLarge;
        } else if !self.body.store.borrow_mut().reserve(content.len()) {
            self.outcome = Outcome::NoRoom;
        } else {
            self.body.bytes.extend_from_slice(content);
            return;
        }
        self.body.clear();
    }

    pub(in crate::policy) fn finish(self) {
        let Self {
            fetch,
            mut stored,
            selection,
            lifetime_ms,
            since,
            mut body,
            outcome,
        } = self;
        let bytes = body.take();
        let mut store = fetch.store.borrow_mut();
        match outcome {
            Outcome::NoRoom => {}
            Outcome::TooLarge => store.pass(&fetch.key, Passing::Everybodys, since, fetch.generation),
            Outcome::Whole => {
                stored.body = bytes.into();
                // Shared storage judges by its own generations; those of the front move for less.
                if let Some(shared) = &fetch.shared {
                    shared.keep(&fetch.key, &selection, &stored, lifetime_ms);
                }
                if fetch.generations.of(&fetch.key) == fetch.generation {
                    store.put(
                        &fetch.key,
                        selection,
                        stored,
                        since,
                        lifetime_ms,
                        fetch.generation,
                    );
                }
            }
        }
    }
}

impl Shared {
    fn keep(&self, key: &[u8], selection: &Selection, stored: &Stored, lifetime_ms: u64) {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let left_ms = lifetime_ms.saturating_sub(passed);
        if left_ms == 0 {
            return;
        }
        let entry = Entry {
            status: stored.status,
            audience: stored.audience,
            age: stored.age,
            lifetime_ms,
            selection: selection.clone(),
            lines: stored.lines.clone(),
            body: stored.body.clone(),
        };
        let put = |name, content| {
            let record = Record {
                seen: self.seen,
                key: key.into(),
                content,
            };
            (self.desk).keep(&self.cache, name, self.slot, record, left_ms);
        };
        let name = self.cache.name(key, selection);
        put(name, Content::Answer(Box::new(entry)));
        if !selection.is_empty() {
            // At the key's own place it says where to look.
            let names = selection.iter().map(|(name, _)| name.clone()).collect();
            put(self.name, Content::Varies(names));
        }
    }
}

/// Whether it may be stored (RFC 9111 §3), what for whom, and for how many milliseconds; or whose answers may not.
fn storable(
    response: &Response<'_>,
    asked: &Asked,
    use_headers: bool,
    ttl_ms: u64,
) -> Result<(Stored, Selection, u64), Passing> {
    let headers = &*response.headers;
    let values = |name: &'static str| headers.values(response.bytes, name.as_bytes());
    let first = |name: &'static str| values(name).next();
    let control = CacheControl::parse(values("cache-control"));
    if use_headers && (control.no_store || control.no_cache || control.private) {
        return Err(Passing::Everybodys);
    }
    // A cookie is one client's.
    if first("set-cookie").is_some() {
        return Err(Passing::Everybodys);
    }
    let length = first("content-length").and_then(seconds);
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(Passing::Everybodys);
    }
    // A policy behind the cache may have taken the client's out, or have put the gateway's own in; or have admitted
    // somebody whom the cache would not ask about next time.
    let credentials = asked.values(b"authorization").next().is_some()
        || response.authentication.is_known()
        || (response.request.headers)
            .values(response.request_bytes, b"authorization")
            .next()
            .is_some();
    let audience = if asked.admitted {
        Audience::Admitted
    } else if control.public || control.must_revalidate || control.s_maxage.is_some() {
        Audience::Everybody
    } else if credentials {
        return Err(Passing::OfCredentials);
    } else {
        Audience::Anonymous
    };
    let age = first("age").and_then(seconds).unwrap_or(0);
    let mut lifetime_ms = ttl_ms;
    if use_headers {
        let now = response.context.unix_millis / 1000;
        let date = first("date").and_then(http_date);
        if let Some(said) = lifetime(&control, first("expires"), date, now, age) {
            let said = u64::try_from(said.as_millis()).unwrap_or(u64::MAX);
            lifetime_ms = lifetime_ms.min(said);
        }
    }
    if lifetime_ms == 0 {
        return Err(Passing::Everybodys);
    }
    let selection = selection(response, asked).ok_or(Passing::Everybodys)?;
    let stored = Stored {
        status: response.status,
        lines: lines(response),
        body: Arc::from([]),
        age,
        audience,
    };
    Ok((stored, selection, lifetime_ms))
}

/// The request's values that the answer was chosen by (RFC 9111 §4.1); None where nobody can know. That is so too where
/// the origin saw other values than the cache: what a policy behind it writes there may be of who asks, and a client that
/// sends the same itself is not that one.
fn selection(response: &Response<'_>, asked: &Asked) -> Option<Selection> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for line in response.headers.values(response.bytes, b"vary") {
        for name in line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if name == b"*" || names.len() == MAX_VARY {
                return None;
            }
            let name = name.to_ascii_lowercase();
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.sort();
    let headers = &response.request.headers;
    let value = |name: Vec<u8>| {
        let value = joined(asked.values(&name));
        // Without what the client's `Connection` keeps from the origin.
        let lines = headers.end_to_end(response.request_bytes);
        let named = lines.filter(|(written, _)| written.eq_ignore_ascii_case(&name));
        let sent = joined(named.map(|(_, value)| value));
        (value == sent).then(|| (name.into(), value.into()))
    };
    names.into_iter().map(value).collect()
}

/// The values of these lines that the request at hand has.
pub(super) fn chosen(names: &[Box<[u8]>], request: &Request<'_>) -> Selection {
    let headers = &request.head.headers;
    let values = |name: &[u8]| joined(headers.values(request.bytes, name));
    let lines = names.iter().map(|name| (name.clone(), values(name).into()));
    lines.collect()
}

/// Whether the request at hand has these values.
pub(super) fn selects(selection: &Selection, request: &Request<'_>) -> bool {
    let headers = &request.head.headers;
    selection
        .iter()
        .all(|(name, value)| joined(headers.values(request.bytes, name)) == **value)
}

fn joined<'v>(values: impl Iterator<Item = &'v [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    for (index, value) in values.enumerate() {
        if index > 0 {
            all.extend_from_slice(b", ");
        }
        all.extend_from_slice(value);
    }
    all
}

/// Whether what was stored for these may be given to the request at hand.
pub(super) fn serves(audience: Audience, request: &Request<'_>) -> bool {
    match audience {
        Audience::Everybody => true,
        Audience::Admitted => request.authentication.is_known(),
        // Nobody has looked at its credentials; the origin may answer those who have some otherwise.
        Audience::Anonymous => {
            request.authentication.is_known() || request.values("authorization").next().is_none()
        }
    }
}

/// As they will be sent again: without what concerns this hop or is written anew.
fn lines(response: &Response<'_>) -> Lines {
    let kept = |name: &[u8]| {
        !NOT_STORED
            .iter()
            .any(|gone| name.eq_ignore_ascii_case(gone.as_bytes()))
    };
    let mut lines: Lines = response
        .headers
        .end_to_end(response.bytes)
        .filter(|(name, _)| kept(name))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let dated = lines.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"date"));
    if !dated {
        let date = crate::clock::http_date(response.context.unix_millis / 1000);
        lines.push((b"Date"[..].into(), date[..].into()));
    }
    lines
}

const NOT_STORED: [&str; 11] = [
    "age",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// The vendor's limit for one entry.
const MAX_BODY: usize = 1024 * 1024;

/// Names in `Vary` that are looked at; an answer that varies by more is nobody else's.
const MAX_VARY: usize = 16;
