//! Addresses across APIs: who shares one, and who can't.

use super::super::model::Api;
use crate::{located::Problems, route};
use std::collections::HashMap;

/// Each problem stands at the later API and names the earlier.
///
/// Quadratic in the APIs of one port only, a thousand of which are half a million short comparisons.
pub(super) fn check(apis: &[Api], problems: &mut Problems) {
    let mut ports: HashMap<u16, Vec<&Api>> = HashMap::new();
    for api in apis {
        let earlier = ports.entry(api.socket.port()).or_default();
        if let Some(message) = earlier.iter().find_map(|first| conflict(first, api)) {
            problems.report_at(
                &api.origin,
                &format!("ApiInstance/{}", api.id.name),
                "spec.address",
                message,
            );
        }
        earlier.push(api);
    }
}

fn conflict(first: &Api, second: &Api) -> Option<String> {
    // The same object twice is a problem of its own, and the one to mend.
    if first.id == second.id {
        return None;
    }
    let name = format!("ApiInstance/{} ({})", first.id.name, first.origin);
    let (one, two) = (first.socket, second.socket);
    if one == two {
        let (one, two) = (&first.base_path, &second.base_path);
        if one == two {
            return Some(format!(
                "has the address and base path `{}` of {name}",
                shown(one)
            ));
        }
        return route::overlap(one, two).then(|| {
            format!(
                "has the base path `{}`, which overlaps `{}` of {name} on the same address",
                shown(two),
                shown(one)
            )
        });
    }
    // IPv4 and IPv6 sockets are separate (IPV6_V6ONLY), so only one family's wildcard meets its addresses.
    let wildcard = one.ip().is_unspecified() || two.ip().is_unspecified();
    (wildcard && one.is_ipv4() == two.is_ipv4()).then(|| {
        format!("listens on {two}, and {name} on {one}: one address and all addresses of a port can't be told apart")
    })
}

fn shown(base_path: &str) -> &str {
    if base_path.is_empty() { "/" } else { base_path }
}
