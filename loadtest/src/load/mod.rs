//! Where load comes from: wrk for closed loops of small requests, a client of our own for whole bodies, and one that
//! only holds connections open.

pub mod hold;
pub mod transfer;
pub mod wrk;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::scenario::{LoadKind, Plan};

/// What a scenario's clients ask for.
#[derive(Debug, Clone)]
pub struct Requests {
    pub method: String,
    /// Taken in turn.
    pub targets: Vec<String>,
    pub headers: BTreeMap<String, String>,
    pub body_bytes: u64,
}

impl Requests {
    pub fn of(plan: &Plan) -> Self {
        let mut headers = plan.request.headers.clone();
        if plan.load.kind == LoadKind::Short {
            headers.insert("Connection".into(), "close".into());
        }
        Self {
            method: plan.method().to_owned(),
            targets: targets(plan),
            headers,
            body_bytes: plan.request.body.bytes(),
        }
    }

    /// The head of the one for the target of this number, as it goes over the wire.
    pub fn head(&self, target: usize, address: SocketAddr) -> Vec<u8> {
        let target = self.targets.get(target).map_or("/", String::as_str);
        let mut head = format!("{} {target} HTTP/1.1\r\nHost: {address}\r\n", self.method);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if self.body_bytes > 0 {
            head += &format!("Content-Length: {}\r\n", self.body_bytes);
        }
        (head + "\r\n").into_bytes()
    }

    /// The same with its body.
    pub fn bytes(&self, target: usize, address: SocketAddr) -> Vec<u8> {
        let mut bytes = self.head(target, address);
        bytes.resize(bytes.len() + self.body_bytes as usize, b'x');
        bytes
    }
}

/// `/` where nothing is asked of routing. Where a variant has many routes, all variants ask for the same targets, spread
/// over all APIs and routes: the one with a single route must not be spared the longer ones.
fn targets(plan: &Plan) -> Vec<String> {
    let most = |number: fn(&Plan) -> u32| {
        plan.variants()
            .iter()
            .map(|(_, plan)| number(plan))
            .max()
            .unwrap_or(0)
    };
    let (apis, routes) = (most(|plan| plan.apis), most(|plan| plan.routes));
    if apis == 0 {
        return vec!["/".into()];
    }
    let target = |index: u32| {
        // A stride that shares no factor with their number visits all before it repeats, and no two in order.
        let route = u64::from(index) * TARGET_STRIDE % (u64::from(apis) * u64::from(routes));
        let (api, route) = (route / u64::from(routes), route % u64::from(routes));
        format!("/api{api}/route{route}/item")
    };
    (0..(apis * routes).min(TARGETS_MAX)).map(target).collect()
}

const TARGETS_MAX: u32 = 2000;
/// A prime.
const TARGET_STRIDE: u64 = 7919;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tests::plan;

    #[test]
    fn all_variants_ask_for_the_same_targets() {
        let plan = plan(
            "variants: [{name: one}, {name: many, apis: 1000, routes: 10}]\nload: {kind: keep-alive, connections: 1}",
        );
        let all: Vec<Vec<String>> = plan.variants().iter().map(|(_, plan)| targets(plan)).collect();
        assert_eq!(all[0], all[1]);
        let mut different = all[0].clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 2000);
        assert_eq!(all[0][..2], ["/api0/route0/item", "/api791/route9/item"]);
    }

    #[test]
    fn a_short_connection_is_asked_for_by_header() {
        let short = plan("load: {kind: short, connections: 4}");
        assert_eq!(
            Requests::of(&short).headers.get("Connection").map(String::as_str),
            Some("close")
        );
        assert!(
            Requests::of(&plan("load: {kind: keep-alive, connections: 4}"))
                .headers
                .is_empty()
        );
    }
}
