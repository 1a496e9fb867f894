//! What is fetched on its way into the store.

use super::{
    freshness::{CacheControl, http_date, lifetime, seconds},
    generation::{Generation, Generations},
    store::{Audience, Lines, Selection, Store, Stored},
};
use crate::{
    clock::Tick,
    policy::{Request, Response},
};
use std::{cell::RefCell, rc::Rc, sync::Arc};

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
    is_first: bool,
}

impl Fetch {
    pub(super) fn begin(
        store: Rc<RefCell<Store>>,
        generations: Arc<Generations>,
        key: Box<[u8]>,
        generation: Generation,
    ) -> Self {
        let is_first = store.borrow_mut().begin(&key);
        Self {
            store,
            generations,
            key,
            generation,
            is_first,
        }
    }

    /// What takes the content up; None where it is not to be stored.
    pub(super) fn fill(
        self,
        response: &Response<'_>,
        wanted: bool,
        use_headers: bool,
        ttl_ms: u64,
    ) -> Option<Fill> {
        let now = response.context.now;
        let storable = wanted.then(|| storable(response, use_headers, ttl_ms)).flatten();
        let Some((stored, selection, lifetime_ms)) = storable else {
            self.store.borrow_mut().pass(&self.key, now, self.generation);
            return None;
        };
        Some(Fill {
            fetch: self,
            stored,
            selection,
            lifetime_ms,
            since: now,
            body: Vec::new(),
            too_large: false,
        })
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        if self.is_first {
            self.store.borrow_mut().end(&self.key);
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
    body: Vec<u8>,
    too_large: bool,
}

impl Fill {
    pub(in crate::policy) fn push(&mut self, content: &[u8]) {
        if self.too_large || self.body.len() + content.len() > MAX_BODY {
            self.too_large = true;
            self.body = Vec::new();
        } else {
            self.body.extend_from_slice(content);
        }
    }

    pub(in crate::policy) fn finish(self) {
        let Self {
            fetch,
            mut stored,
            selection,
            lifetime_ms,
            since,
            body,
            too_large,
        } = self;
        let mut store = fetch.store.borrow_mut();
        if too_large {
            store.pass(&fetch.key, since, fetch.generation);
        } else if fetch.generations.of(&fetch.key) == fetch.generation {
            stored.body = body.into();
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

/// Whether it may be stored (RFC 9111 §3), what for whom, and for how many milliseconds.
fn storable(response: &Response<'_>, use_headers: bool, ttl_ms: u64) -> Option<(Stored, Selection, u64)> {
    let headers = &*response.headers;
    let values = |name: &'static str| headers.values(response.bytes, name.as_bytes());
    let first = |name: &'static str| values(name).next();
    let control = CacheControl::parse(values("cache-control"));
    if use_headers && (control.no_store || control.no_cache || control.private) {
        return None;
    }
    // A cookie is one client's.
    if first("set-cookie").is_some() {
        return None;
    }
    let length = first("content-length").and_then(seconds);
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return None;
    }
    let credentials = {
        let headers = &response.request.headers;
        headers
            .values(response.request_bytes, b"authorization")
            .next()
            .is_some()
    };
    let audience = if response.authentication.is_known() {
        Audience::Admitted
    } else if control.public || control.must_revalidate || control.s_maxage.is_some() {
        Audience::Everybody
    } else if credentials {
        return None;
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
        return None;
    }
    let selection = selection(response)?;
    let stored = Stored {
        status: response.status,
        lines: lines(response),
        body: Arc::from([]),
        age,
        audience,
    };
    Some((stored, selection, lifetime_ms))
}

/// The request's values that the answer was chosen by (RFC 9111 §4.1); None where nobody can know.
fn selection(response: &Response<'_>) -> Option<Selection> {
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
        let value = joined(headers.values(response.request_bytes, &name));
        (name.into(), value.into())
    };
    Some(names.into_iter().map(value).collect())
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
