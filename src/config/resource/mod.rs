//! The documents as written: one struct an object, its fields in a table, nothing resolved yet.

mod address;
mod api;
mod binding;
mod configuration;
mod contract;
mod name;
mod rule;
mod service;
mod shaping;
mod shared_storage;
mod tls;

pub(crate) use address::UpstreamAddress;
pub(crate) use api::{ApiSpec, InlinePolicy, InlineService};
pub(crate) use binding::{
    BindingSpec, DestinationRef, InlineRouteConfig, RouteConfig, Selector, TargetKind, WeightedConfig,
};
pub(crate) use configuration::{
    AccessLogSpec, ConfigurationSpec, DriverWord, LimitsSpec, RuntimeSpec, ShutdownSpec, TimeoutsSpec,
};
pub(crate) use contract::ContractSpec;
pub(crate) use name::{DestinationPath, NAME_RULE, Name};
pub(crate) use rule::Rule;
pub(crate) use service::{BalancePolicy, CheckedService, LoadBalancing, Upstream};
pub(crate) use shaping::{CircuitBreakerSpec, IdleTimeoutSpec, ResponseTimeoutSpec, StreamIdleTimeoutSpec};
pub(crate) use shared_storage::{RedisSpec, SentinelSpec, SharedStorageSpec, StorageCipher, StorageTlsSpec};
pub(crate) use tls::{Alpn, CertificateSpec, CipherName, SecretSpec, TlsOutboundSpec, TlsSpec, VersionWord};

use super::{environment::Environment, substitute::substitute_policies, yaml};
use crate::located::{Decode, Entries, Located, Node, Origin, Problems};
use crate::{choice, object};
use std::fmt;

choice! {
    /// One schema under all three names.
    pub(crate) enum ApiVersion {
        Ringway = "ringway/v1",
        Alpha = "gateway.mulesoft.com/v1alpha1",
        Beta = "gateway.mulesoft.com/v1beta1",
    }
}

choice! {
    #[derive(Hash, PartialOrd, Ord)]
    pub(crate) enum Kind {
        ApiInstance = "ApiInstance",
        Service = "Service",
        PolicyBinding = "PolicyBinding",
        Configuration = "Configuration",
        Contract = "Contract",
        Secret = "Secret",
    }
}

object! {
    /// What an object is called.
    pub(crate) struct Metadata {
        /// The object's name, unique for its kind and namespace. Letters, digits, `-`, `_` and `.`.
        required "name" name: Located<Name>,
        /// Default `default`.
        optional "namespace" namespace: Located<Name>,
        /// For selectors; compared as text.
        optional "labels" labels: Entries<String>,
        /// Accepted and not used.
        optional "annotations" annotations: Entries<String>,
    }
}

object! {
    /// What all documents have.
    pub(crate) struct Envelope {
        /// `ringway/v1`, or the vendor's `gateway.mulesoft.com/v1alpha1` and `/v1beta1`: the same schema.
        required "apiVersion" api_version: ApiVersion,
        /// The kind of object.
        required "kind" kind: Kind,
        /// Name, namespace, labels.
        required "metadata" metadata: Metadata,
        /// The object itself.
        required "spec" spec: Node,
    }
}

/// An object's name in full.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Id {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// `namespace/name`, as logs have it.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One object; `spec` is None where it was wrong, which still lets others refer to its name.
#[derive(Debug)]
pub(crate) struct Object<S> {
    pub(crate) kind: Kind,
    pub(crate) id: Id,
    /// Of its name.
    pub(crate) origin: Origin,
    pub(crate) labels: Vec<(String, String)>,
    /// The keys of the spec as written.
    pub(crate) members: Vec<Located<String>>,
    pub(crate) spec: Option<S>,
}

impl<S> Object<S> {
    /// `Kind/name`, as problems have it.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.kind.word(), self.id.name)
    }
}

/// All objects in the order of their sources.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pub(crate) apis: Vec<Object<ApiSpec>>,
    pub(crate) services: Vec<Object<CheckedService>>,
    pub(crate) bindings: Vec<Object<BindingSpec>>,
    pub(crate) configurations: Vec<Object<ConfigurationSpec>>,
    pub(crate) contracts: Vec<Object<ContractSpec>>,
    pub(crate) secrets: Vec<Object<SecretSpec>>,
    /// Places of documents that were ignored because they concern the vendor's control plane.
    pub(crate) registrations: Vec<Origin>,
    /// Documents whose kind or name could not be read: any reference may mean them.
    pub(crate) unnamed: usize,
}

impl Resources {
    /// Decodes one document. In a registration file (`registration`) what isn't one of the gateway's own kinds
    /// is ignored, whatever it is.
    pub(crate) fn add(
        &mut self,
        mut root: Node,
        registration: bool,
        environment: &Environment,
        problems: &mut Problems,
    ) {
        problems.set_object(yaml::label(&root));
        let kind = root.get("kind").and_then(Node::text);
        // A registration's secrets are those of the vendor's control plane.
        let own = |kind: &str| is_own_kind(kind) && kind != Kind::Secret.word();
        if is_platform_connection(&root) || registration && !kind.is_some_and(own) {
            self.registrations.push(root.origin.clone());
            return;
        }
        if let Some(kind) = kind.filter(|kind| LATER_KINDS.contains(kind)) {
            let origin = root.get("kind").map_or(&root.origin, |node| &node.origin);
            problems.within("kind", |problems| {
                problems.report(
                    origin,
                    format!("Ringway knows the kind `{kind}` but does not have it yet"),
                );
            });
            return;
        }
        substitute_policies(&mut root, environment, problems);
        let root = &root;
        let envelope = Envelope::decode(root, problems);
        // The spec's problems are told even where the envelope has its own.
        let mut silent = Problems::default();
        let Some(kind) = root.get("kind").and_then(|node| Kind::decode(node, &mut silent)) else {
            self.unnamed += 1;
            return;
        };
        let metadata = envelope.map(|envelope| envelope.metadata).or_else(|| {
            root.get("metadata")
                .and_then(|node| Metadata::decode(node, &mut silent))
        });
        self.unnamed += usize::from(metadata.is_none());
        match kind {
            Kind::ApiInstance => add_object(&mut self.apis, kind, root, metadata, problems),
            Kind::Service => add_object(&mut self.services, kind, root, metadata, problems),
            Kind::PolicyBinding => add_object(&mut self.bindings, kind, root, metadata, problems),
            Kind::Configuration => add_object(&mut self.configurations, kind, root, metadata, problems),
            Kind::Contract => add_object(&mut self.contracts, kind, root, metadata, problems),
            Kind::Secret => add_object(&mut self.secrets, kind, root, metadata, problems),
        }
    }
}

fn add_object<S: Decode>(
    objects: &mut Vec<Object<S>>,
    kind: Kind,
    root: &Node,
    metadata: Option<Metadata>,
    problems: &mut Problems,
) {
    let node = root.get("spec").filter(|node| !node.is_null());
    let spec = node.and_then(|node| problems.within("spec", |problems| S::decode(node, problems)));
    let Some(metadata) = metadata else { return };
    let namespace = metadata
        .namespace
        .as_ref()
        .map_or(DEFAULT_NAMESPACE, |name| name.as_str());
    objects.push(Object {
        kind,
        id: Id::new(namespace, metadata.name.as_str()),
        origin: metadata.name.origin.clone(),
        labels: (metadata.labels.into_iter().flat_map(|labels| labels.0))
            .map(|(key, value)| (key.value, value))
            .collect(),
        members: (node.and_then(Node::as_map).into_iter())
            .flat_map(|map| map.entries.iter().map(|(key, _)| key.clone()))
            .collect(),
        spec,
    });
}

/// What registering with the vendor's control plane leaves behind; its fields are the vendor's own.
fn is_platform_connection(root: &Node) -> bool {
    let connects = |spec: &Node| {
        spec.as_map()
            .is_some_and(|map| map.entries.len() == 1 && map.get("platformConnection").is_some())
    };
    root.get("kind").and_then(Node::text) == Some("Configuration") && root.get("spec").is_some_and(connects)
}

fn is_own_kind(kind: &str) -> bool {
    OWN_KINDS.iter().any(|own| own.word() == kind)
}

pub(crate) const OWN_KINDS: [Kind; 6] = [
    Kind::ApiInstance,
    Kind::Service,
    Kind::PolicyBinding,
    Kind::Configuration,
    Kind::Contract,
    Kind::Secret,
];

/// Kinds of the same API that are still to come.
const LATER_KINDS: [&str; 1] = ["Extension"];

pub(crate) const DEFAULT_NAMESPACE: &str = "default";
