//! Plans as people write them, with their mistakes.

use super::*;

const GOOD: &str = "\
measures: a test
order: 1
gateways: [ringway, nginx]
load: {kind: keep-alive, connections: 64}
quick: {rounds: 3, seconds: 2}
full: {rounds: 5, seconds: 5}
";

fn parse(text: &str) -> Outcome<Plan> {
    Plan::parse(Path::new("some/plan.yaml"), text)
}

fn refusal(text: &str) -> String {
    parse(text).expect_err("it has a mistake").to_string()
}

#[test]
fn what_is_left_out_has_its_usual_value() {
    let plan = parse(GOOD).expect("a good plan");
    assert_eq!((plan.shards, plan.apis, plan.per), (1, 0, Unit::Request));
    assert_eq!((plan.origin.body, plan.origin.delay_ms), (Size(13), 0));
    assert_eq!(plan.method(), "GET");
    assert_eq!(plan.variants().len(), 1);
}

#[test]
fn an_unknown_field_is_named_with_file_and_line() {
    let message = refusal(&GOOD.replace("gateways:", "gatewys: []\ngateways:"));
    assert!(message.starts_with("some/plan.yaml:3:1: "), "{message}");
    assert!(message.contains("gatewys"), "{message}");
    let message = refusal(&GOOD.replace("connections: 64", "conections: 64"));
    assert!(message.starts_with("some/plan.yaml:4:"), "{message}");
    let message = refusal(&GOOD.replace("nginx]", "apache]"));
    assert!(
        message.starts_with("some/plan.yaml:3:") && message.contains("apache"),
        "{message}"
    );
}

#[test]
fn numbers_that_make_no_sense_together_are_refused() {
    for (change, to, message) in [
        ("rounds: 3", "rounds: 0", "at least 1"),
        ("seconds: 2", "seconds: 0.5", "whole number"),
        ("seconds: 2", "seconds: 2, without: [envoy]", "without"),
        ("connections: 64", "connections: 0", "load.connections"),
        ("kind: keep-alive", "kind: pipelined", "load.depth"),
        ("kind: keep-alive", "kind: constant-rate", "load.share"),
        ("kind: keep-alive", "kind: none", "idle"),
        ("connections: 64", "connections: 64, depth: 4", "pipelined"),
        ("order: 1", "order: 1\nper: GiB", "transfer"),
        ("order: 1", "order: 1\napis: 5", "together"),
        ("order: 1", "order: 1\nshards: 0", "shards"),
        (
            "order: 1",
            "order: 1\nvariants: [{name: a, full_only: true}]",
            "quick run",
        ),
        ("[ringway, nginx]", "[floor]\nshards: 2", "one thread"),
        ("[ringway, nginx]", "[floor]\ntls: true", "TLS"),
        (
            "order: 1",
            "order: 1\nvariants: [{name: a}, {name: a}]",
            "name of its own",
        ),
        (
            "order: 1",
            "order: 1\nvariants: [{name: a, connections: 0}]",
            "variant a: load.connections",
        ),
    ] {
        let refused = refusal(&GOOD.replace(change, to));
        assert!(
            refused.starts_with("some/plan.yaml: ") && refused.contains(message),
            "{refused}"
        );
    }
}

#[test]
fn a_quick_run_leaves_out_what_is_for_full_ones() {
    let text = format!("{GOOD}variants: [{{name: a}}, {{name: b, full_only: true}}]\n");
    let plan = parse(&text).expect("a good plan");
    assert_eq!(plan.clone().cut(true).variants().len(), 2);
    assert_eq!(plan.cut(false).variants().len(), 1);
}

#[test]
fn a_variant_changes_what_it_names_and_nothing_else() {
    let text = format!(
        "{GOOD}variants:\n- {{name: few, connections: 4}}\n- {{name: large, answer: 1MiB, body: 1KiB}}\n"
    );
    let variants = parse(&text).expect("a good plan").variants();
    let figures: Vec<(&str, u32, u64, &str)> = variants
        .iter()
        .map(|(name, plan)| {
            let Load { connections, .. } = plan.load;
            (
                name.as_str(),
                connections,
                plan.origin.body.bytes(),
                plan.method(),
            )
        })
        .collect();
    assert_eq!(figures, [("few", 4, 13, "GET"), ("large", 64, 1 << 20, "POST")]);
}
