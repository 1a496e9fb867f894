//! Outbound policies, bound to a Service: what leaves for it, from whichever API.

use crate::support::{
    Gateway, Origin, both_drivers, config,
    message::{get_request, ok},
};

/// The API `test` routed to the Service `origin`, with policies bound to that.
pub(crate) fn with_service(origin: &Origin, policies: &[String]) -> String {
    config::api_with_service(&format!("address: {}", origin.url)) + &policies.concat()
}

pub(crate) fn service_binding(name: &str, policy: &str, config: &str, more: &str) -> String {
    let config: String = config.lines().map(|line| format!("  {line}\n")).collect();
    let spec = format!(
        "targetRef: {{ kind: Service, name: origin }}\npolicyRef: {{ name: {policy} }}\nconfig:\n{config}{more}"
    );
    config::document("PolicyBinding", name, &spec)
}

both_drivers! {
    fn a_credential_is_added_for_the_upstream(driver) {
        let origin = Origin::answering(ok("in"));
        let basic = service_binding(
            "basic", "credential-injection-basic-auth", "username: gw\npassword: s3cret\n", "rules:\n- { path: '/in.*' }\n",
        );
        let gateway = Gateway::start(driver, with_service(&origin, &[basic]));
        let ask = |path: &str, lines: &str| {
            assert_eq!(gateway.client().send(get_request(path, lines)).response().status, 200);
            let seen = origin.requests().pop().expect("a request");
            seen.get("authorization").map(str::to_owned)
        };
        let credential = Some("Basic Z3c6czNjcmV0".to_owned());
        assert_eq!(ask("/in", ""), credential);
        assert_eq!(ask("/in", "Authorization: Bearer x\r\nauthorization: Bearer y\r\n"), credential, "the client's are gone");
        assert_eq!(ask("/out", ""), None, "the rules say for what");
    }

    fn a_credential_of_the_client_may_be_kept(driver) {
        let origin = Origin::answering(ok("in"));
        let config = "username: gw\npassword: s3cret\noverwrite: false\ncustomHeader: X-Upstream-Auth\n";
        let basic = service_binding("basic", "credential-injection-basic-auth", config, "");
        let gateway = Gateway::start(driver, with_service(&origin, &[basic]));
        let ask = |lines: &str| {
            assert_eq!(gateway.client().send(get_request("/", lines)).response().status, 200);
            let seen = origin.requests().pop().expect("a request");
            seen.get("x-upstream-auth").map(str::to_owned)
        };
        assert_eq!(ask("X-Upstream-Auth: mine\r\n"), Some("mine".to_owned()));
        assert_eq!(ask(""), Some("Basic Z3c6czNjcmV0".to_owned()));
    }
}
