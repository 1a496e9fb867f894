//! What secures the connections to `https://` addresses.

use crate::{
    config::model::Service,
    located::Problems,
    tls::{Client, ClientSpec},
};

/// Root certificates are read once, and only if somebody needs them.
pub(super) fn secure(services: &mut [Service], problems: &mut Problems) {
    let mut system: Option<Result<Client, String>> = None;
    for service in services {
        let Some(upstream) = &service.upstream else {
            continue;
        };
        let label = format!("Service/{}", service.id.name);
        for (address, _) in &upstream.endpoints {
            let Some(host) = address.secure_host() else {
                service.targets.push(None);
                continue;
            };
            let client = system.get_or_insert_with(|| Client::new(ClientSpec::default()));
            match client
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|client| client.target(host))
            {
                Ok(target) => service.targets.push(Some(target)),
                Err(message) => {
                    problems.report_at(&service.origin, &label, "spec.address", message);
                    break;
                }
            }
        }
    }
}
