//! One exchange through a chain: the request's hooks, and those of the answer to it.

use criterion::Criterion;
use ringway::{
    config::{Environment, load_text},
    http1::{Headers, Limits, RequestHead, ResponseHead},
    observe::{counters::Counter, message::MessageLog, queue},
    policy::{
        Authentication, Context, Filter, Local, Progress, Request, Response, ShardParts, Step,
        rate_limit::{Bank, HashKey, Leases},
    },
    shard::snapshot::Snapshot,
};
use std::num::NonZeroU32;

const REQUEST: &[u8] = b"GET /orders/4711?customer=4711 HTTP/1.1\r\nHost: shop.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: application/json\r\n\
Accept-Encoding: gzip, deflate, br\r\nOrigin: https://shop.example.com\r\nAuthorization: Basic YmVuY2g6bWFyaw==\r\n\
client_id: acme\r\nclient_secret: change-me\r\n\r\n";

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\
Cache-Control: max-age=60\r\nX-Powered-By: something\r\n\r\n";

const CONTENT: &[u8] = &[b'a'; 1024];

const LIMIT: &str = "rate-limiting-flex\n    config: { keySelector: \"#[attributes.headers['client_id']]\", \
    rateLimits: [ { maximumRequests: 2147483647, timePeriodInMilliseconds: 60000 } ] }";
const BASIC: &str = "http-basic-authentication-flex\n    config: { username: bench, password: mark }";
const HEADERS: &str = "header-injection-flex\n    config: { inboundHeaders: [ { key: X-Tenant, value: bench }, \
    { key: X-Stage, value: production } ], outboundHeaders: [ { key: X-Served-By, value: gateway } ] }";
const CORS: &str = "cors-flex\n    config: { publicResource: false, originGroups: [ { origins: [ 'https://shop.example.com' ], \
    exposedHeaders: [ x-served-by ] } ] }";

/// Policies whose hooks wait for a call of their own (introspection, external authorisation, tokens for the upstream) cost
/// what that call costs, and are not here; those that shape timeouts and clusters have no hooks.
pub(crate) fn each_policy(c: &mut Criterion) {
    let addresses: Vec<String> = (0..100)
        .map(|n| format!("'192.0.2.{n}', '198.51.100.0/{}'", 25 + n % 8))
        .collect();
    let allowed = format!(
        "ip-allowlist-flex\n    config: {{ ipExpression: '#[attributes.remoteAddress]', ips: [ {}, '127.0.0.1' ] }}",
        addresses.join(", ")
    );
    let blocked = format!(
        "ip-blocklist-flex\n    config: {{ ipExpression: '#[attributes.remoteAddress]', ips: [ {} ] }}",
        addresses.join(", ")
    );
    let cases: [(&str, &[&str]); 17] = [
        ("(head alone)", &[]),
        (
            "five: limit, basic, headers, CORS, removal",
            &[CORS, BASIC, LIMIT, HEADERS, REMOVAL],
        ),
        ("access-block", &["access-block"]),
        ("http-basic-authentication", &[BASIC]),
        ("client-id-enforcement", &[CLIENT_ID]),
        ("ip-allowlist, 200 ranges", &[&allowed]),
        ("ip-blocklist, 200 ranges", &[&blocked]),
        ("cors", &[CORS]),
        ("header-injection", &[HEADERS]),
        ("header-removal", &[REMOVAL]),
        ("rate-limiting", &[LIMIT]),
        ("rate-limiting-sla-based", &["rate-limiting-sla-based-flex"]),
        (
            "spike-control",
            &["spike-control-flex\n    config: { maximumRequests: 1000000, timePeriodInMilliseconds: 1 }"],
        ),
        (
            "http-caching, hit",
            &["http-caching-flex\n    config: { httpCachingKey: '#[attributes.requestPath]' }"],
        ),
        ("message-logging", &[MESSAGE]),
        (
            "compression, gzip of 1 KiB",
            &["compression\n    config: { minimumBytes: 0 }"],
        ),
        (
            "redirect",
            &["redirect\n    config: { scheme: https, host: shop.example.com }"],
        ),
    ];
    for (name, policies) in cases {
        let mut request = String::from_utf8_lossy(REQUEST).into_owned();
        if name.starts_with("http-caching") {
            // What is answered to a credential is not everybody's.
            request = request.replace("Authorization: Basic YmVuY2g6bWFyaw==\r\n", "");
        }
        let mut passing = Passing::new(&bound(policies), request.into_bytes(), Vec::new());
        // What a first request makes (a cache's entry, a limit's bucket) is no later one's cost.
        let goes_on = {
            passing.exchange();
            passing.exchange()
        };
        let ends_here = ["access-block", "http-caching, hit", "redirect"].contains(&name);
        assert_ne!(goes_on, ends_here, "{name}");
        c.bench_function(&format!("policies/{name}"), |b| b.iter(|| passing.exchange()));
    }
}

const REMOVAL: &str = "header-removal-flex\n    config: { inboundHeaders: [ X-Internal ], outboundHeaders: [ Server, X-Powered-By ] }";
const CLIENT_ID: &str = "client-id-enforcement-flex\n    config: { clientIdExpression: \"#[attributes.headers['client_id']]\", \
    clientSecretExpression: \"#[attributes.headers['client_secret']]\" }";
const MESSAGE: &str = "message-logging-flex\n    config: { loggingConfiguration: [ { itemName: a, itemData: { \
    message: \"#['order ' ++ attributes.requestPath ++ ' by ' ++ attributes.headers['client_id']]\" } } ] }";

/// An API with these policies, each as a name and perhaps its `config`, and a client application that may use it.
pub(crate) fn bound(policies: &[&str]) -> String {
    let mut yaml = "apiVersion: ringway/v1\nkind: ApiInstance\nmetadata: { name: a }\nspec:\n  address: http://0.0.0.0:8081\n  \
                    services: { s: { address: 'http://127.0.0.1:1' } }\n  policies:\n"
        .to_owned();
    if policies.is_empty() {
        yaml = yaml.replace("  policies:\n", "");
    }
    for policy in policies {
        yaml.push_str(&format!(
            "  - policyRef:
      name: {policy}
"
        ));
    }
    yaml.push_str(
        "---\napiVersion: ringway/v1\nkind: Contract\nmetadata: { name: c }\nspec:\n  apiId: a\n  \
         client: { id: acme, secret: change-me }\n  \
         sla: { name: gold, rateLimits: [ { maximumRequests: 2147483647, timePeriodInMilliseconds: 60000 } ] }\n",
    );
    yaml
}

/// What one shard has for it.
pub(crate) struct Passing {
    snapshot: Snapshot,
    locals: Vec<Local>,
    leases: Leases,
    bytes: Vec<u8>,
    body: Vec<u8>,
    request: RequestHead,
    response: ResponseHead,
    authentication: Authentication,
    reply: Headers,
    progress: Progress,
    out: Vec<u8>,
    records: queue::RecordSender,
    control: queue::RecordReceiver,
    now: u64,
    dropped: Counter,
}

impl Passing {
    pub(crate) fn new(yaml: &str, bytes: Vec<u8>, body: Vec<u8>) -> Self {
        let snapshot = match load_text("bench", yaml, &Environment::fixed([])) {
            Ok(loaded) => loaded.snapshot,
            Err(problems) => panic!("{problems:?}\n{yaml}"),
        };
        let hash_key = HashKey::new(&[3; 16]);
        let parts = ShardParts {
            shards: NonZeroU32::MIN,
            hash_key: &hash_key,
            name: "",
            desk: None,
        };
        // Index 0 is the chain of whatever has no policies.
        let locals = snapshot
            .chains
            .last()
            .expect("a chain")
            .policies
            .locals("bench", &parts);
        let (records, control) = queue::queue(1024 * 1024);
        Self {
            snapshot,
            locals,
            leases: Leases::new(Bank::new(16, hash_key), NonZeroU32::MIN),
            bytes,
            body,
            request: RequestHead::default(),
            response: ResponseHead::default(),
            authentication: Authentication::default(),
            reply: Headers::default(),
            progress: Progress::default(),
            out: Vec::new(),
            records,
            control,
            now: 0,
            dropped: Counter::default(),
        }
    }

    /// The request alone. False: it goes no further.
    pub(crate) fn request(&mut self) -> bool {
        self.pass(false)
    }

    /// The request, and the answer to it if it has come so far.
    pub(crate) fn exchange(&mut self) -> bool {
        self.pass(true)
    }

    fn pass(&mut self, answered: bool) -> bool {
        self.now += 1;
        if self.now.is_multiple_of(1024) {
            self.control.drain(|_| {});
        }
        let random = || 4;
        let address = ([127, 0, 0, 1], 8081).into();
        let context = Context {
            now: self.now,
            unix_millis: 1_700_000_000_000,
            random: &random,
            client: address,
            local: address,
            path: b"/orders/4711",
            scheme: "http",
            peer: None,
            api: "default/a",
            request_id: b"0af7651916cd43dd8448eb211c80319c",
            log: MessageLog::new(Some(&self.records), &self.dropped),
            leases: &self.leases,
        };
        self.request
            .parse(&self.bytes, &Limits::default())
            .expect("a good head");
        self.progress.clear();
        self.authentication.clear();
        self.reply.clear();
        let chain = &self.snapshot.chains.last().expect("a chain").policies;
        let mut request = Request {
            head: &mut self.request,
            bytes: &self.bytes,
            body: Some(&self.body),
            authentication: &mut self.authentication,
            reply: &mut self.reply,
            context: &context,
        };
        let step = chain.on_request(&mut request, &self.locals, &mut self.progress, None, |_, _| true);
        let goes_on = matches!(step, Step::Continue);
        if !goes_on || !answered {
            return goes_on;
        }
        (self.response.parse(ANSWER, false, &Limits::default())).expect("a good head");
        let mut filters = Vec::new();
        let mut response = Response {
            status: 200,
            headers: &mut self.response.headers,
            bytes: ANSWER,
            request: &self.request,
            request_bytes: &self.bytes,
            request_body: Some(&self.body),
            authentication: &self.authentication,
            filters: Some(&mut filters),
            violation: None,
            failed: None,
            context: &context,
        };
        chain.on_response(&mut response, &self.locals, &mut self.progress);
        for mut filter in filters {
            self.out.clear();
            Filter::push(&mut filter, CONTENT, &mut self.out);
            filter.finish(&mut self.out);
        }
        true
    }
}
