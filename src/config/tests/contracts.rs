//! Contracts: what they come to, what is wrong with others, and that their secrets are nowhere to be seen.

use super::{
    super::{DumpFormat, Environment, Problems, Source, dump::write, model_of},
    api, document, loaded, problems,
};

fn contract(name: &str, api: &str, client: &str, more: &str) -> String {
    document(
        "Contract",
        name,
        &format!("apiId: {api}, client: {{{client}}}{more}"),
    )
}

const GOLD: &str = ", sla: {name: gold, rateLimits: [{maximumRequests: 5, timePeriodInMilliseconds: 1000}]}";

fn dumped(text: &str) -> String {
    let environment = Environment::fixed([("TELLTALE", "telltale-2")]);
    let read = model_of(&[Source::new("f.yaml", text)], &environment, Problems::default());
    let (model, _) = read.expect("no problems");
    write(&model, DumpFormat::Json)
}

#[test]
fn a_contract_is_dumped_without_its_secret_and_reads_back() {
    let text = [
        api("shop", "http://127.0.0.1:1"),
        contract(
            "one",
            "shop",
            "id: ann, secret: telltale-1, name: Ann's app",
            GOLD,
        ),
        contract("two", "shop", "id: bob, secret: $TELLTALE", ""),
    ]
    .concat();
    let dump = dumped(&text);
    assert!(!dump.contains("telltale"), "{dump}");
    let documents: Vec<serde_json::Value> = serde_json::from_str(&dump).expect("JSON");
    let contracts: Vec<_> = documents
        .iter()
        .filter(|document| document["kind"] == "Contract")
        .collect();
    assert_eq!(contracts.len(), 2);
    let spec = &contracts[0]["spec"];
    assert_eq!(spec["apiId"], "shop");
    assert_eq!(spec["client"]["id"], "ann");
    assert_eq!(spec["client"]["secret"], "***");
    assert_eq!(spec["client"]["name"], "Ann's app");
    assert_eq!(spec["sla"]["name"], "gold");
    assert_eq!(spec["sla"]["rateLimits"][0]["maximumRequests"], 5);
    assert_eq!(contracts[1]["spec"].get("sla"), None);
}

#[test]
fn a_contract_without_its_api_is_a_problem_at_its_place() {
    let text = api("shop", "http://127.0.0.1:1") + &contract("one", "shpo", "id: a, secret: b", "");
    assert_eq!(
        problems(&text),
        [
            "f.yaml:3:79: Contract/one: spec.apiId: there is no ApiInstance `shpo` in namespace `default`; did you \
             mean `shop`?"
        ]
    );
}

#[test]
fn a_client_has_one_contract_for_an_api() {
    let apis = api("shop", "http://127.0.0.1:1") + &api("stock", "http://127.0.0.1:2");
    let one = contract("one", "shop", "id: a, secret: b", "");
    let elsewhere = contract("three", "stock", "id: a, secret: b", "");
    assert_eq!(loaded(&[&*apis, &one, &elsewhere].concat()).apis, 2);
    let again = contract("two", "shop", "id: a, secret: c", "");
    assert_eq!(
        problems(&[apis, one, again].concat()),
        [
            "f.yaml:7:98: Contract/two: spec.client.id: the client `a` has another contract for ApiInstance/shop at \
             f.yaml:5:98"
        ]
    );
}

#[test]
fn what_a_contract_needs() {
    let of = |spec: &str| problems(&(api("shop", "http://127.0.0.1:1") + &document("Contract", "c", spec)));
    for (spec, problem) in [
        ("apiId: shop", "`client` is required"),
        ("apiId: shop, client: {id: a}", "`secret` is required"),
        ("client: {id: a, secret: b}", "`apiId` is required"),
        (
            "apiId: shop, client: {id: \"\", secret: b}",
            "client.id: must be 1 to 256 bytes",
        ),
        (
            "apiId: shop, client: {id: a, secret: \"x\\ny\"}",
            "client.secret: must be 1 to 256 bytes",
        ),
        (
            "apiId: shop, client: {id: a, secret: $NOWHERE}",
            "variable `NOWHERE` is not set",
        ),
        (
            "apiId: shop, client: {id: a, secret: b}, sla: {}",
            "`rateLimits` is required",
        ),
        (
            "apiId: shop, client: {id: a, secret: b}, sla: {rateLimits: []}",
            "must not be empty",
        ),
        (
            "apiId: shop, client: {id: a, secret: b}, \
             sla: {rateLimits: [{maximumRequests: 0, timePeriodInMilliseconds: 1}]}",
            "must be between 1 and 2147483647",
        ),
    ] {
        let lines = of(spec);
        assert!(
            lines.len() == 1 && lines[0].contains(problem),
            "{spec}: {lines:?}"
        );
        assert!(lines[0].starts_with("f.yaml:3:"), "{lines:?}");
    }
}

#[test]
fn twelve_thousand_contracts_load() {
    let mut text = api("shop", "http://127.0.0.1:1");
    for number in 0..12_000 {
        text += &contract(
            &format!("c{number}"),
            "shop",
            &format!("id: client-{number}, secret: s{number}"),
            "",
        );
    }
    assert_eq!(loaded(&text).apis, 1);
}
