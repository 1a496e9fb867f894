//! Folders as they should be and as they should not, and those that are there.

use std::net::SocketAddr;

use super::*;
use crate::scratch::Scratch;

/// A plan of `text` and of what every plan needs besides.
pub fn plan(text: &str) -> Plan {
    let rest = "measures: a test\norder: 1\ngateways: [floor]\nquick: {rounds: 1, seconds: 1}\nfull: {rounds: 1, seconds: 1}\n";
    Plan::parse(Path::new("plan.yaml"), &format!("{rest}{text}\n")).expect("a good plan")
}

fn values(plan: &Plan) -> Values {
    let address: SocketAddr = "127.0.0.1:8081".parse().expect("an address");
    Values {
        address,
        port: 8081,
        origin: "127.0.0.1:3000".parse().expect("an address"),
        origin_port: 3000,
        workers: plan.shards,
        admin_port: if plan.shards > 1 { 9901 } else { 0 },
        descriptors: 1000,
        folder: "/tmp".into(),
        apis: plan.apis.min(3),
        routes: plan.routes,
        policies: plan.policies,
        certificate: "/tmp/c".into(),
        key: "/tmp/k".into(),
    }
}

#[test]
fn every_scenario_of_the_tree_is_whole_and_its_templates_fill_in() {
    let all = Scenario::several(Path::new(FOLDER), None).expect("all are good");
    assert!(all.len() > 3, "there are some");
    let mut orders: Vec<u32> = all.iter().map(|scenario| scenario.plan.order).collect();
    orders.dedup();
    assert_eq!(orders.len(), all.len(), "each has its place");
    for scenario in &all {
        for (variant, plan) in scenario.plan.variants() {
            for &kind in &plan.gateways {
                let text = scenario
                    .configuration(kind, &values(&plan))
                    .unwrap_or_else(|error| panic!("{}, {variant}: {error}", scenario.name));
                let Some(text) = text else { continue };
                assert!(text.contains("8081") && text.contains("3000"), "{text}");
            }
        }
        for goal in &scenario.plan.goals {
            for name in &goal.variants {
                let known = scenario.plan.variants.iter().any(|variant| variant.name == *name);
                assert!(known, "{}: a goal names {name}", scenario.name);
            }
        }
    }
}

#[test]
fn a_folder_that_lacks_or_has_too_much_is_refused_with_its_name() {
    let root = Scratch::new().expect("a folder");
    let folder = root.path("some");
    fs::create_dir(&folder).expect("it is ours");
    let load = || {
        Scenario::load(&root.path(""), "some")
            .map(drop)
            .expect_err("not whole")
            .to_string()
    };
    assert!(load().contains("no scenario some"), "{}", load());
    let text = "measures: m\norder: 1\ngateways: [nginx]\nload: {kind: keep-alive, connections: 1}\n\
                quick: {rounds: 1, seconds: 1}\nfull: {rounds: 1, seconds: 1}\n";
    fs::write(folder.join("plan.yaml"), text).expect("it is ours");
    assert!(load().contains("needs nginx.conf"), "{}", load());
    fs::write(folder.join("nginx.conf"), "").expect("it is ours");
    fs::write(folder.join("haproxy.cfg"), "").expect("it is ours");
    assert!(load().contains("uses haproxy.cfg"), "{}", load());
    fs::remove_file(folder.join("haproxy.cfg")).expect("it is there");
    Scenario::load(&root.path(""), "some").expect("now it is whole");
}
