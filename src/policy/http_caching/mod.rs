//! `http-caching-flex`: answers kept on the shard that fetched them (RFC 9111, a shared cache).
//!
//! Each shard has its own store, with its part of the entries and bytes: no look at one is a look at memory that another
//! shard writes. What it costs is that an answer is fetched once for each shard. A distributed cache ([`shared`]) has those
//! stores as fronts of the storage that replicas share.

mod asking;
mod fill;
mod freshness;
mod generation;
mod hit;
mod record;
pub mod shared;
mod store;

pub(super) use fill::Fill;

use super::{
    Answer, Event, Local, Request, Response, ShardParts, SharedStorage, Site, State, Step, Wait, condition,
    expression,
};
use crate::{
    clock::Tick,
    expr::{Scope, Template},
    http1::{Framing, Method, is_token},
    located::{Bounded, Located, Problems},
    object, storage,
};
use freshness::CacheControl;
use generation::Generations;
use shared::{Desk, SharedCache};
use std::{borrow::Cow, cell::RefCell, rc::Rc, sync::Arc};
use store::{Audience, Found, Passing, Store};

object! {
    /// Configuration of `http-caching-flex`.
    pub(super) struct HttpCachingSpec {
        /// What answers are kept by. Default the host, the path and the query, as sent.
        optional "httpCachingKey" key: Located<String>,
        /// Of the process. Default 10000.
        optional "maxCacheEntries" max_entries: Bounded<1, 1_000_000>,
        /// Of the process, keys and headers included. Default 64 MiB.
        optional "maxCacheBytes" max_bytes: Bounded<65_536, 1_099_511_627_776>,
        /// Seconds an answer is kept at most. Default 600.
        optional "ttl" ttl: Bounded<1, 31_536_000>,
        /// Answers lie in shared storage too, for all replicas. Default false.
        optional "distributed" distributed: Located<bool>,
        /// Answers lie in shared storage too, where they outlive the process: the same as `distributed`. Default false.
        optional "persistCache" persist: Located<bool>,
        /// How long a request waits for shared storage; then it is a miss. Default 10.
        optional "lookupTimeoutMilliseconds" lookup_timeout: Located<Bounded<1, 1000>>,
        /// Whether `Cache-Control` and `Expires` count, of requests and answers. Default true.
        optional "useHttpCacheHeaders" use_headers: bool,
        /// A request header whose value `invalidate` drops what is kept for the request, `invalidate-all` everything.
        /// Default none.
        optional "invalidationHeader" invalidation: Located<String>,
        /// Which requests are answered from the cache. Default GET and HEAD.
        optional "requestExpression" request: Located<String>,
        /// Which answers are kept. Default those of status 200, 203, 204, 300, 301, 404, 405, 410, 414 and 501.
        optional "responseExpression" response: Located<String>,
    }
}

/// As without a configuration.
impl Default for HttpCachingSpec {
    fn default() -> Self {
        Self {
            key: None,
            max_entries: None,
            max_bytes: None,
            ttl: None,
            distributed: None,
            persist: None,
            lookup_timeout: None,
            use_headers: None,
            invalidation: None,
            request: None,
            response: None,
        }
    }
}

#[derive(Debug)]
pub struct HttpCaching {
    key: Option<Template>,
    max_entries: usize,
    max_bytes: usize,
    ttl_ms: u64,
    use_headers: bool,
    /// In lower case.
    invalidation: Option<String>,
    request: Option<Template>,
    response: Option<Template>,
    generations: Arc<Generations>,
    /// None: each replica keeps its own.
    shared: Option<Arc<SharedCache>>,
}

/// Of one shard.
#[derive(Debug)]
pub struct CacheLocal {
    /// What is stored; an answer on its way into it outlives the hook.
    store: Rc<RefCell<Store>>,
    /// The cache in shared storage, and where it is asked.
    shared: Option<(Arc<SharedCache>, Rc<Desk>)>,
}

/// Of one exchange.
#[derive(Debug)]
pub enum Caching {
    /// Its answer may be kept.
    Fetching(Box<fill::Fetch>),
    /// Another request fetches it; this one looks again in a moment.
    Waiting { key: Box<[u8]>, since: Tick },
    /// Shared storage is asked whether it has it.
    Asking(Box<asking::Asking>),
    /// A method that changes something: what is kept of the same key is dropped when it succeeds (RFC 9111 §4.4).
    Changing { key: Box<[u8]> },
}

impl HttpCaching {
    pub(super) fn compile(
        spec: &HttpCachingSpec,
        site: &mut Site<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let before = problems.len();
        let storage = Self::storage(spec, site, problems);
        let invalidation = spec.invalidation.as_ref().filter(|name| !name.is_empty());
        if let Some(name) = invalidation.filter(|name| !is_token(name.as_bytes())) {
            let message = "is not the name of a header";
            problems.within("invalidationHeader", |problems| {
                problems.report(&name.origin, message)
            });
        }
        let key = (spec.key.as_ref())
            .and_then(|written| expression("httpCachingKey", written, &Scope::REQUEST, problems));
        let mut whether = |key: &str, written: &Option<Located<String>>, scope: &Scope| {
            written
                .as_ref()
                .and_then(|written| condition(key, written, scope, problems))
        };
        let request = whether("requestExpression", &spec.request, &Scope::REQUEST);
        let response = whether("responseExpression", &spec.response, &Scope::RESPONSE);
        if problems.len() > before {
            return None;
        }
        let unsigned = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let ttl = spec.ttl.map_or(600, |ttl| ttl.unsigned());
        let generations = Arc::new(Generations::new());
        let shared = storage.map(|settings| {
            let patience = spec.lookup_timeout.as_ref().map_or(10, |limit| limit.unsigned());
            let key = spec.key.as_ref().map_or("", |key| key.as_str());
            // Another expression means another thing by the same key.
            let identity = format!("{}\n{key}", site.name());
            let shared = SharedCache::new(&settings, &identity, generations.clone(), patience, ttl);
            site.shared_cache(Arc::new(shared))
        });
        Some(Self {
            key,
            max_entries: spec
                .max_entries
                .map_or(10_000, |entries| unsigned(entries.unsigned())),
            max_bytes: spec
                .max_bytes
                .map_or(64 << 20, |bytes| unsigned(bytes.unsigned())),
            ttl_ms: ttl * 1000,
            use_headers: spec.use_headers.unwrap_or(true),
            invalidation: invalidation.map(|name| name.to_ascii_lowercase()),
            request,
            response,
            generations,
            shared,
        })
    }

    /// The storage that answers are to lie in, if they are to lie in any.
    fn storage(
        spec: &HttpCachingSpec,
        site: &Site<'_>,
        problems: &mut Problems,
    ) -> Option<Arc<storage::Settings>> {
        let flags = [
            ("distributed", &spec.distributed),
            ("persistCache", &spec.persist),
        ];
        let flag = |(key, written): &(&'static str, &Option<Located<bool>>)| {
            let written = written.as_ref().filter(|written| written.value)?;
            Some((*key, written.origin.clone()))
        };
        let wanted: Vec<_> = flags.iter().filter_map(flag).collect();
        if wanted.is_empty() {
            if let Some(limit) = &spec.lookup_timeout {
                let message = "is for `distributed: true`: nothing is looked up elsewhere without";
                problems.within("lookupTimeoutMilliseconds", |problems| {
                    problems.report(&limit.origin, message);
                });
            }
            return None;
        }
        match site.shared_storage() {
            SharedStorage::Redis(settings) => Some(settings),
            SharedStorage::Local => None,
            SharedStorage::None => {
                for (key, origin) in wanted {
                    problems.within(key, |problems| problems.report(&origin, NO_STORAGE));
                }
                None
            }
        }
    }

    pub(super) fn local(&self, parts: &ShardParts<'_>) -> Local {
        let shards = parts.shards.get() as usize;
        let store = Store::new((self.max_entries / shards).max(1), self.max_bytes / shards);
        Local::Cache(CacheLocal {
            store: Rc::new(RefCell::new(store)),
            shared: self.shared.clone().zip(parts.desk.cloned()),
        })
    }

    pub(super) fn on_request(&self, request: &mut Request<'_>, local: &Local, state: &mut State) -> Step {
        let Local::Cache(local) = local else {
            return Step::Continue;
        };
        let store = &local.store;
        // Without a key, or an answer to whether, it is as if there were no cache.
        let (Ok(key), Ok(wanted)) = (self.key(request), self.is_wanted(request)) else {
            return Step::Continue;
        };
        let key: Box<[u8]> = key.into();
        // What is fetched from here on is newer than what this drops.
        self.invalidate(request, local, &key);
        if !(wanted && self.is_all_in_the_key(request)) {
            if !request.head.method_kind.is_safe() {
                *state = State::Caching(Caching::Changing { key });
            }
            return Step::Continue;
        }
        let key = with_method(request, key);
        // A part of an answer is not an answer; putting parts together is not worth what can go wrong in it.
        if request.values("range").next().is_some() {
            return Step::Continue;
        }
        let control = self.control(request);
        if !control.no_cache
            && let Some(step) = self.look(request, store, &key)
        {
            return step;
        }
        let since = request.context.now;
        let passes = || self.passes(request, store, &key);
        let alone = control.no_cache || control.only_if_cached;
        if !alone && store.borrow().is_fetching(&key, since) && passes().is_none() {
            *state = State::Caching(Caching::Waiting { key, since });
            return Step::Wait(Wait::Sleep(LOOK_MS));
        }
        if let Some((shared, desk)) = &local.shared
            && match passes() {
                None => true,
                // What can't be kept here is not kept there.
                Some(Passing::Everybodys) => false,
                Some(Passing::OfCredentials) => fill::serves(Audience::Anonymous, request),
            }
        {
            return self.ask(request, store, (shared, desk), key, control, state);
        }
        if control.only_if_cached {
            return Step::Answer(Answer::empty(504));
        }
        self.fetch(request, store, key, &control, state)
    }

    pub(super) fn on_resume(
        &self,
        _: Event,
        request: &mut Request<'_>,
        local: &Local,
        state: &mut State,
    ) -> Step {
        let Local::Cache(local) = local else {
            return Step::Continue;
        };
        let store = &local.store;
        if let State::Caching(Caching::Asking(_)) = state {
            return self.asked(request, local, state);
        }
        let State::Caching(Caching::Waiting { key, since }) = &mut *state else {
            return Step::Continue;
        };
        let now = request.context.now;
        let waited = now.saturating_sub(*since);
        if waited < store::WAIT_MS && store.borrow().is_fetching(key, now) {
            // The longer it takes, the less a look a little later adds to it: thousands that wait for a slow origin cost
            // next to nothing.
            return Step::Wait(Wait::Sleep(waited.clamp(LOOK_MS, LOOK_SELDOM_MS)));
        }
        let key = std::mem::take(key);
        if let Some(step) = self.look(request, store, &key) {
            *state = State::Ran;
            return step;
        }
        // It was not stored, and waiting for the next one might go on so for ever: each fetches for itself now.
        let control = self.control(request);
        self.fetch(request, store, key, &control, state)
    }

    /// What is kept of it, if anything.
    fn look(&self, request: &mut Request<'_>, store: &RefCell<Store>, key: &[u8]) -> Option<Step> {
        let found = {
            let serves = |selection: &store::Selection, audience| {
                fill::serves(audience, request) && fill::selects(selection, request)
            };
            store
                .borrow()
                .find(key, request.context.now, self.generations.of(key), serves)
        };
        match found {
            Found::Fresh { stored, since } => Some(hit::answer(request, &stored, since)),
            Found::Pass(_) | Found::Nothing => None,
        }
    }

    /// Whose answers of this key are known not to be kept.
    fn passes(&self, request: &Request<'_>, store: &RefCell<Store>, key: &[u8]) -> Option<Passing> {
        let generation = self.generations.of(key);
        let found = store
            .borrow()
            .find(key, request.context.now, generation, |_, _| false);
        match found {
            Found::Pass(whose) => Some(whose),
            Found::Fresh { .. } | Found::Nothing => None,
        }
    }

    fn fetch(
        &self,
        request: &Request<'_>,
        store: &Rc<RefCell<Store>>,
        key: Box<[u8]>,
        control: &CacheControl,
        state: &mut State,
    ) -> Step {
        if let Some(fetch) = self.begin(request, store, key, control) {
            *state = State::Caching(Caching::Fetching(Box::new(fetch)));
        }
        Step::Continue
    }

    /// None: the answer will not be one to keep.
    fn begin(
        &self,
        request: &Request<'_>,
        store: &Rc<RefCell<Store>>,
        key: Box<[u8]>,
        control: &CacheControl,
    ) -> Option<fill::Fetch> {
        // HEAD brings no content to keep.
        let kept = !control.no_store && !control.only_if_cached && request.head.method_kind != Method::Head;
        kept.then(|| {
            let generation = self.generations.of(&key);
            fill::Fetch::begin(store.clone(), self.generations.clone(), key, generation, request)
        })
    }

    pub(super) fn on_response(&self, response: &mut Response<'_>, local: &Local, state: &mut State) {
        let (Local::Cache(local), State::Caching(caching)) = (local, std::mem::replace(state, State::Ran))
        else {
            return;
        };
        match caching {
            Caching::Fetching(fetch) => {
                // One of the gateway's own is not the origin's.
                if response.filters.is_none() {
                    return;
                }
                let wanted = self.is_kept(response);
                if let Some(fill) = fetch.fill(response, wanted, self.use_headers, self.ttl_ms)
                    && let Some(filters) = &mut response.filters
                {
                    filters.push(super::Filter::CacheFill(Box::new(fill)));
                }
            }
            Caching::Changing { key } if matches!(response.status, 200..=399) => {
                self.forget(local, Some(&key));
            }
            Caching::Changing { .. } | Caching::Waiting { .. } | Caching::Asking(_) => {}
        }
    }

    fn key<'r>(&'r self, request: &'r Request<'_>) -> Result<Cow<'r, [u8]>, ()> {
        match &self.key {
            Some(key) => {
                let view = request.view();
                let text = key.text(&view).map_err(drop)?;
                Ok(Cow::Owned(text.into_owned()))
            }
            None => {
                let head = &*request.head;
                let of = |range: crate::http1::Range| range.of(request.bytes);
                let mut key = head.host.map_or(&b""[..], of).to_ascii_lowercase();
                key.push(b' ');
                key.extend_from_slice(request.context.path);
                if let Some(query) = head.query {
                    key.push(b'?');
                    key.extend_from_slice(of(query));
                }
                Ok(Cow::Owned(key))
            }
        }
    }

    /// Whether two requests with one key ask for the same. A body that the key knows nothing of may ask for something else:
    /// some origins read that of a GET. And a connection that is to be switched is nobody else's, nor does its answer end.
    fn is_all_in_the_key(&self, request: &Request<'_>) -> bool {
        let head = &*request.head;
        let has_content = !matches!(head.framing, Framing::None | Framing::Length(0));
        let is_told_of_content =
            self.key.is_some() && !matches!(head.method_kind, Method::Get | Method::Head);
        head.upgrade.is_none() && (!has_content || is_told_of_content)
    }

    fn is_wanted(&self, request: &Request<'_>) -> Result<bool, ()> {
        match &self.request {
            Some(wanted) => wanted.condition(&request.view()).map_err(drop),
            None => Ok(matches!(request.head.method_kind, Method::Get | Method::Head)),
        }
    }

    fn is_kept(&self, response: &Response<'_>) -> bool {
        // They answer a condition or a range of this one request; whoever asks without would be given them for the content.
        !matches!(response.status, 206 | 304 | 412 | 416)
            && match &self.response {
                Some(kept) => kept.condition(&response.view()).unwrap_or(false),
                None => KEPT.contains(&response.status),
            }
    }

    fn control(&self, request: &Request<'_>) -> CacheControl {
        if !self.use_headers {
            return CacheControl::default();
        }
        let mut control = CacheControl::parse(request.values("cache-control"));
        // RFC 9111 §5.4: of clients that know nothing newer.
        let old = request
            .values("pragma")
            .any(|value| value.eq_ignore_ascii_case(b"no-cache"));
        control.no_cache |=
            (old && request.values("cache-control").next().is_none()) || control.max_age == Some(0);
        control
    }

    fn invalidate(&self, request: &Request<'_>, local: &CacheLocal, key: &[u8]) {
        let Some(name) = &self.invalidation else {
            return;
        };
        for value in request.values(name) {
            if value.eq_ignore_ascii_case(b"invalidate-all") {
                self.forget(local, None);
            } else if value.eq_ignore_ascii_case(b"invalidate") {
                self.forget(local, Some(key));
            }
        }
    }

    /// What is kept by this key, or everything. Here at once; in shared storage before anything that is asked for later.
    fn forget(&self, local: &CacheLocal, key: Option<&[u8]>) {
        match key {
            Some(key) => self.generations.invalidate(key),
            None => self.generations.invalidate_all(),
        }
        if let Some((shared, desk)) = &local.shared {
            let key = key.map(|key| {
                let name = shared.name(key, &Vec::new());
                (name, SharedCache::slot(&name))
            });
            desk.forget(shared, key);
        }
    }
}

/// What one method comes to is not what another does, save that HEAD is answered by what GET fetched. No key of the
/// latter's is one of the others': no line holds a line feed.
fn with_method(request: &Request<'_>, key: Box<[u8]>) -> Box<[u8]> {
    if matches!(request.head.method_kind, Method::Get | Method::Head) {
        return key;
    }
    [request.head.method.of(request.bytes), b"\n", &key]
        .concat()
        .into()
}

const NO_STORAGE: &str = "needs shared storage: configure `sharedStorage.redis`, or leave it out, and each replica keeps its \
                          own answers (which `sharedStorage: {local: {enabled: true}}` says for everything)";

/// How soon a request looks whether another has fetched what it wants.
const LOOK_MS: u64 = 5;

/// And how soon when it has waited for long.
const LOOK_SELDOM_MS: u64 = 100;

/// The vendor's default less 206.
const KEPT: [u16; 10] = [200, 203, 204, 300, 301, 404, 405, 410, 414, 501];
