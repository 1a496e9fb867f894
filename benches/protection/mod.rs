//! Policies that look into what clients send, and those that shape it: one request through a chain of one.

use criterion::Criterion;
use ringway::{
    config::{Environment, load_text},
    http1::{Headers, Limits, RequestHead},
    observe::{counters::Counter, message::MessageLog},
    policy::{
        Authentication, Context, Progress, Request, ShardParts, Step,
        rate_limit::{Bank, HashKey, Leases},
    },
};
use std::num::NonZeroU32;

const HEAD: &[u8] = b"POST /orders/4711?customer=O%27Brien&note=red+shoes HTTP/1.1\r\nHost: shop.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: application/json, text/plain, */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n\
Content-Type: application/json\r\nContent-Length: 1024\r\nOrigin: https://shop.example.com\r\nCookie: session=0af7651916cd43dd\r\n\r\n";

pub(crate) fn looking_into_requests(c: &mut Criterion) {
    let json = json();
    let large = format!("[{}]", vec![json.as_str(); 1000].join(","));
    let xml = format!(
        "<orders>{}</orders>",
        "<order id=\"4711\"><item>Nails &amp; screws</item></order>".repeat(20)
    );
    let injection =
        "injection-protection-flex\n      config: { builtInProtections: [ sql, xss ], protectBody: ";
    let cases: [(&str, String, &str); 8] = [
        (
            "json-threat-protection, 1 KiB",
            "json-threat-protection-flex\n      config: { maxContainerDepth: 10 }".to_owned(),
            &json,
        ),
        (
            "json-threat-protection, 1 MiB",
            "json-threat-protection-flex\n      config: { maxContainerDepth: 10 }".to_owned(),
            &large,
        ),
        (
            "xml-threat-protection, 1 KiB",
            "xml-threat-protection-flex\n      config: { maxNodeDepth: 10 }".to_owned(),
            &xml,
        ),
        ("injection-protection, head", format!("{injection}false }}"), &json),
        ("injection-protection, 1 KiB", format!("{injection}true }}"), &json),
        ("injection-protection, 1 MiB", format!("{injection}true }}"), &large),
        (
            "header-injection, two lines",
            "header-injection-flex\n      config: { inboundHeaders: [ { key: X-Gateway, value: ringway }, { key: X-Zone, value: a } ] }"
                .to_owned(),
            "",
        ),
        (
            "header-injection, two expressions",
            "header-injection-flex\n      config: { inboundHeaders: [ { key: X-A, value: \"#[attributes.headers['origin']]\" }, \
             { key: X-B, value: '#[attributes.queryParams.note]' } ] }"
                .to_owned(),
            "",
        ),
    ];
    for (name, policy, body) in cases {
        let head = if policy.starts_with("xml") {
            String::from_utf8_lossy(HEAD).replace("application/json\r\nContent-L", "text/xml\r\nContent-L")
        } else {
            String::from_utf8_lossy(HEAD).into_owned()
        };
        let mut pass = pass(&policy, head.into_bytes(), body.as_bytes().to_vec());
        c.bench_function(&format!("policies/{name}"), |b| b.iter(&mut pass));
    }
}

/// One request through a chain of this policy alone.
fn pass(policy: &str, bytes: Vec<u8>, body: Vec<u8>) -> impl FnMut() {
    let yaml = format!(
        "apiVersion: ringway/v1\nkind: ApiInstance\nmetadata: {{ name: a }}\nspec:\n  address: http://0.0.0.0:8081\n  \
         services: {{ s: {{ address: 'http://127.0.0.1:1' }} }}\n  policies:\n  - policyRef:\n      name: {policy}\n"
    )
    .replace("\n      config:", "\n    config:");
    let loaded = load_text("bench", &yaml, &Environment::fixed([])).expect("a configuration");
    let snapshot = loaded.snapshot;
    let hash_key = HashKey::random().expect("random numbers");
    let parts = ShardParts {
        shards: NonZeroU32::MIN,
        hash_key: &hash_key,
        name: "",
        desk: None,
    };
    let locals = snapshot.chains[1].policies.locals("bench", &parts);
    let leases = Leases::new(Bank::new(16, hash_key), NonZeroU32::MIN);
    let dropped = Counter::default();
    let (mut head, mut authentication, mut reply) = <(RequestHead, Authentication, Headers)>::default();
    let mut progress = Progress::default();
    move || {
        let random = || 4;
        let address = ([127, 0, 0, 1], 8081).into();
        let context = Context {
            now: 0,
            unix_millis: 0,
            random: &random,
            client: address,
            local: address,
            path: b"/",
            scheme: "http",
            peer: None,
            api: "default/a",
            request_id: b"0af7651916cd43dd8448eb211c80319c",
            log: MessageLog::new(None, &dropped),
            leases: &leases,
        };
        head.parse(&bytes, &Limits::default()).expect("a good head");
        progress.clear();
        let mut request = Request {
            head: &mut head,
            bytes: &bytes,
            body: Some(&body),
            authentication: &mut authentication,
            reply: &mut reply,
            context: &context,
        };
        let chain = &snapshot.chains[1].policies;
        let step = chain.on_request(&mut request, &locals, &mut progress, None, |_, _| true);
        assert!(matches!(step, Step::Continue), "{step:?}");
    }
}

/// About a kilobyte, as an order may be.
fn json() -> String {
    let item = r#"{"sku":"A-4711","name":"Nails & screws, 4 × 40","price":12.5,"tags":["steel","O'Brien"]}"#;
    format!(
        r#"{{"customer":4711,"note":"select grade, union made","items":[{}]}}"#,
        [item; 10].join(",")
    )
}
