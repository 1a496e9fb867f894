//! Which endpoint a request goes to.

use crate::support::{
    Gate, Gateway, Origin, both_drivers, config,
    message::{get_request, ok},
};
use std::collections::HashMap;

both_drivers! {
    fn endpoints_take_turns(driver) {
        let origins = three();
        let gateway = Gateway::start(driver, config::api_with_service(&endpoints(&origins, &[1, 1, 1], "")));
        let counts = ask(&gateway, 30);
        assert!(counts.values().all(|count| *count == 10) && counts.len() == 3, "{counts:?}");
    }

    fn weights_are_kept(driver) {
        let origins = three();
        let gateway = Gateway::start(driver, config::api_with_service(&endpoints(&origins, &[1, 2, 7], "")));
        let counts = ask(&gateway, 100);
        assert_eq!([counts["a"], counts["b"], counts["c"]], [10, 20, 70]);
    }

    /// 400 draws of one in three: each share is within 5 standard deviations.
    fn random_spreads(driver) {
        let origins = three();
        let service = endpoints(&origins, &[1, 1, 1], "loadBalancing: { policy: random }\n");
        let counts = ask(&Gateway::start(driver, config::api_with_service(&service)), 400);
        assert!(counts.len() == 3 && counts.values().all(|n| (85..=182).contains(n)), "{counts:?}");
    }

    /// One endpoint is stuck with a request; of two drawn the free one wins, so it hardly ever gets another.
    fn least_request_avoids_the_busy(driver) {
        let release = Gate::new();
        let wait = release.clone();
        let stuck = Origin::start(move |peer| {
            while peer.request().is_some() {
                peer.send_and_wait("", &wait);
                peer.send(ok("stuck"));
            }
        });
        let free = Origin::named("free");
        let service = format!(
            "loadBalancing: {{ policy: least-request }}\nendpoints:\n  - address: {}\n  - address: {}",
            stuck.url, free.url
        );
        let gateway = Gateway::start(driver, config::api_with_service(&service));
        let mut waiting = Vec::new();
        while stuck.requests().is_empty() {
            let mut client = gateway.client();
            client.send(get_request("/", ""));
            waiting.push(client);
            crate::support::eventually("it reaches an origin", || {
                stuck.requests().len() + free.requests().len() >= waiting.len()
            });
        }
        let before = stuck.requests().len();
        // The clients that were answered are idle; only the stuck one counts as in flight.
        let mut client = gateway.client();
        for _ in 0..50 {
            assert_eq!(client.get("/").text(), "free");
        }
        assert_eq!(stuck.requests().len(), before);
        release.open();
    }

    fn a_hash_on_a_header_sticks(driver) {
        let origins = three();
        let service =
            endpoints(&origins, &[1, 1, 1], "loadBalancing: { policy: consistent-hash, hashOn: X-User }\n");
        let gateway = Gateway::start(driver, config::api_with_service(&service));
        let mut homes = HashMap::new();
        for round in 0..3 {
            for user in 0..60 {
                let answer = gateway.client().send(get_request("/", &format!("X-User: user-{user}\r\n"))).response().text();
                let home = homes.entry(user).or_insert_with(|| answer.clone());
                assert_eq!(*home, answer, "user {user}, round {round}");
            }
        }
        let used: std::collections::HashSet<_> = homes.values().collect();
        assert_eq!(used.len(), 3, "60 users on {used:?}");
    }

    fn a_hash_on_the_client_sticks(driver) {
        let origins = three();
        let service =
            endpoints(&origins, &[1, 1, 1], "loadBalancing: { policy: consistent-hash, hashOn: client-address }\n");
        let gateway = Gateway::start(driver, config::api_with_service(&service));
        let homes: std::collections::HashSet<_> = (0..10).map(|_| gateway.get("/").text()).collect();
        assert_eq!(homes.len(), 1, "{homes:?}");
    }

    /// 500 draws with shares 0.8 and 0.2: within 5 standard deviations.
    fn weighted_routes_share_by_weight(driver) {
        let (blue, green) = (Origin::named("blue"), Origin::named("green"));
        let yaml = [
            config::document("ApiInstance", "test", "address: http://@listen@"),
            config::document("Service", "blue", &format!("address: {}", blue.url)),
            config::document("Service", "green", &format!("address: {}", green.url)),
            config::document(
                "PolicyBinding",
                "canary",
                "targetRef: { name: test }\npolicyRef: { name: route-weighted, namespace: default }\nconfig:\n  routes:\n    \
                 - { weight: 80, destinationPath: /v2, destinationRef: { name: blue } }\n    \
                 - { weight: 20, destinationPath: /v3, destinationRef: { name: green } }\n\
                 rules:\n  - path: /charge(/.*)",
            ),
        ];
        let gateway = Gateway::start(driver, yaml.concat());
        let mut client = gateway.client();
        for _ in 0..500 {
            assert_eq!(client.get("/charge/1").status, 200);
        }
        let (v2, v3) = (blue.requests(), green.requests());
        assert!(v2.iter().all(|r| r.target == "/v2/1") && v3.iter().all(|r| r.target == "/v3/1"));
        assert!((355..=445).contains(&v2.len()), "{} to {}", v2.len(), v3.len());
    }
}

fn three() -> Vec<Origin> {
    ["a", "b", "c"].into_iter().map(Origin::named).collect()
}

fn endpoints(origins: &[Origin], weights: &[u32], before: &str) -> String {
    let endpoint = |(origin, weight): (&Origin, &u32)| {
        format!("  - {{ address: '{}', weight: {weight} }}\n", origin.url)
    };
    format!(
        "{before}endpoints:\n{}",
        origins.iter().zip(weights).map(endpoint).collect::<String>()
    )
}

/// How often each origin's name came back.
fn ask(gateway: &Gateway, times: usize) -> HashMap<String, usize> {
    let mut client = gateway.client();
    let mut counts = HashMap::new();
    for _ in 0..times {
        *counts.entry(client.get("/").text()).or_default() += 1;
    }
    counts
}
