//! Policies that look into what clients send, and those that shape it: one request through a chain of one.

use crate::chain::{Passing, bound};
use criterion::Criterion;

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
        "injection-protection-flex\n    config: { builtInProtections: [ sql, xss ], protectBody: ";
    let cases: [(&str, String, &str); 8] = [
        (
            "json-threat-protection, 1 KiB",
            "json-threat-protection-flex\n    config: { maxContainerDepth: 10 }".to_owned(),
            &json,
        ),
        (
            "json-threat-protection, 1 MiB",
            "json-threat-protection-flex\n    config: { maxContainerDepth: 10 }".to_owned(),
            &large,
        ),
        (
            "xml-threat-protection, 1 KiB",
            "xml-threat-protection-flex\n    config: { maxNodeDepth: 10 }".to_owned(),
            &xml,
        ),
        ("injection-protection, head", format!("{injection}false }}"), &json),
        ("injection-protection, 1 KiB", format!("{injection}true }}"), &json),
        ("injection-protection, 1 MiB", format!("{injection}true }}"), &large),
        (
            "header-injection, two lines",
            "header-injection-flex\n    config: { inboundHeaders: [ { key: X-Gateway, value: ringway }, { key: X-Zone, value: a } ] }"
                .to_owned(),
            "",
        ),
        (
            "header-injection, two expressions",
            "header-injection-flex\n    config: { inboundHeaders: [ { key: X-A, value: \"#[attributes.headers['origin']]\" }, \
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
        let mut passing = Passing::new(&bound(&[&policy]), head.into_bytes(), body.as_bytes().to_vec());
        c.bench_function(&format!("policies/{name}"), |b| {
            b.iter(|| assert!(passing.request()));
        });
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
