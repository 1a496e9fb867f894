//! What is valid but guards nothing, and names that are not there.

use super::{document, loaded, problems};

#[test]
fn policies_that_guard_nothing_are_noted() {
    let notes = |policy: &str, more: &str| {
        let services = "services: {s: {address: \"http://o\"}}";
        let api = format!("address: \"http://127.0.0.1:1/shop\", {services}, policies: [{policy}]");
        loaded(&[document("ApiInstance", "a", &api), more.to_owned()].concat()).notes
    };
    let block = |rule: &str| format!("{{policyRef: {{name: access-block}}, rules: [{{{rule}}}]}}");
    for (rule, told) in [
        ("path: admin/.*", "matches no request: a path begins with `/`"),
        ("methods: delete", "methods are written in upper case"),
        (
            "path: /shop/admin/.*",
            "begins with the base path, which is taken off",
        ),
        ("path: /shop", "begins with the base path, which is taken off"),
    ] {
        let notes = notes(&block(rule), "");
        assert!(notes.len() == 1 && notes[0].contains(told), "{rule}: {notes:?}");
    }
    for rule in ["path: /admin/.*", "path: /shopping/.*", "methods: DELETE"] {
        assert!(notes(&block(rule), "").is_empty(), "{rule}");
    }
    let selecting = |labels: &str| {
        let selector = format!("targetRef: {{kind: Selector, selector: {{kind: ApiInstance{labels}}}}}");
        let spec = format!("{selector}, policyRef: {{name: access-block}}");
        notes("", &document("PolicyBinding", "all", &spec))
    };
    assert!(selecting("").is_empty());
    let none = selecting(", labels: {tier: pubic}");
    assert!(
        none.len() == 1 && none[0].contains("PolicyBinding/all: no ApiInstance carries"),
        "{none:?}"
    );
    for policy in ["client-id-enforcement", "rate-limiting-sla-based-flex"] {
        let policy = format!("{{policyRef: {{name: {policy}}}}}");
        let contract = "apiId: a, client: {id: i, secret: s}, \
                        sla: {rateLimits: [{maximumRequests: 1, timePeriodInMilliseconds: 1}]}";
        let told = notes(&policy, "");
        assert!(told.len() == 1 && told[0].contains("lets nobody in"), "{told:?}");
        assert!(notes(&policy, &document("Contract", "c", contract)).is_empty());
    }
    let basic = "{policyRef: {name: http-basic-authentication}, config: {username: a, password: \"***\"}}";
    let told = notes(basic, "");
    assert!(
        told.len() == 1 && told[0].contains("`***` is what `dump` writes"),
        "{told:?}"
    );
    let unsigned = "{policyRef: {name: jwt-validation-flex}, config: {signingMethod: none, skipClientIdValidation: true}}";
    let told = notes(unsigned, "");
    assert!(
        told.len() == 1 && told[0].contains("whoever wrote it"),
        "{told:?}"
    );
}

#[test]
fn an_unknown_policy_is_told_each_name_once() {
    let policies = "policies: [{policyRef: {name: completely-unheard-of}}]";
    let api =
        format!("address: \"http://127.0.0.1:1\", services: {{s: {{address: \"http://o\"}}}}, {policies}");
    let told = problems(&document("ApiInstance", "a", &api)).remove(0);
    for name in ["access-block", "cors", "redirect", "circuit-breaker"] {
        let names = told
            .split([' ', ',', ';'])
            .filter(|word| word.trim_end_matches("-flex") == name);
        assert_eq!(names.count(), 1, "{name} in {told}");
    }
}
