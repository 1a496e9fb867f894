//! An `ApiInstance`: an address, a base path, and what is behind it.

use super::{
    address::{ListenAddress, UpstreamAddress},
    binding::PolicyRef,
    rule::Rule,
    service::{EndpointSpec, LoadBalancing, ServiceSpec, Upstream},
};
use crate::{
    located::{Decode, Elements, Entries, Located, Node, Problems, schema::Definitions},
    object,
};

object! {
    /// An API: where it is reached and, in the inline style, where its requests go.
    pub(crate) struct ApiSpec {
        /// `http://host:port[/base]`, or `https://…` with the policy `tls`. The host is an IP address or `localhost`; 0.0.0.0 or `[::]` for all. APIs
        /// may share an address when their base paths neither equal nor contain each other.
        required "address" address: Located<ListenAddress>,
        /// Inline upstreams by name, tried in the order of the file. Not together with bindings of `route`.
        optional "services" services: Located<Entries<InlineService>>,
        /// Inline policies, run in the order of the file.
        optional "policies" policies: Elements<InlinePolicy>,
    }
}

object! {
    /// An upstream of one API, and the routes that lead to it.
    pub(crate) struct InlineServiceSpec {
        /// `http://host:port` (port 80 where left out), `https://host:port` (443) or `unix:/path`. Either this or
        /// `endpoints`.
        optional "address" address: Located<UpstreamAddress>,
        /// Several addresses that serve the same. Either these or `address`.
        optional "endpoints" endpoints: Located<Vec<EndpointSpec>>,
        /// How an endpoint is chosen. Default round-robin.
        optional "loadBalancing" load_balancing: LoadBalancing,
        /// Forward the client's `Host` instead of the endpoint's own. Default false.
        optional "preserveHost" preserve_host: bool,
        /// Tried in the order of the file. None: every request.
        optional "routes" routes: Elements<InlineRoute>,
    }
}

object! {
    /// One route to the service it stands in.
    pub(crate) struct InlineRoute {
        /// A request takes the route when any of these matches. None: every request.
        optional "rules" rules: Vec<Rule>,
        /// `destinationPath`; see the policy `route`.
        optional "config" config: Node,
    }
}

object! {
    /// A policy of one API.
    pub(crate) struct InlinePolicy {
        /// Which policy.
        required "policyRef" policy: PolicyRef,
        /// Its configuration; `$NAME` is replaced by the environment's value.
        optional "config" config: Node,
        /// Limits the policy to requests that match any of these.
        optional "rules" rules: Vec<Rule>,
    }
}

/// A checked upstream with its routes.
#[derive(Debug, Clone)]
pub(crate) struct InlineService {
    pub(crate) upstream: Upstream,
    pub(crate) routes: Elements<InlineRoute>,
}

impl Decode for InlineService {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let spec = InlineServiceSpec::decode(node, problems)?;
        let InlineServiceSpec {
            address,
            endpoints,
            load_balancing,
            preserve_host,
            routes,
        } = spec;
        let service = ServiceSpec {
            address,
            endpoints,
            load_balancing,
            preserve_host,
        };
        let upstream = Upstream::check(&service, node, before, problems)?;
        Some(Self {
            upstream,
            routes: routes.unwrap_or(Elements(Vec::new())),
        })
    }

    fn schema(definitions: &mut Definitions) -> serde_json::Value {
        InlineServiceSpec::schema(definitions)
    }
}
