//! A `PolicyBinding`: a policy, what it is bound to, and its configuration; and the two policies that route.

use super::{
    name::{DestinationPath, Name},
    rule::Rule,
};
use crate::{
    choice,
    located::{Bounded, Elements, Entries, Located, Node},
    object,
};

object! {
    /// Binds a policy to a target.
    pub(crate) struct BindingSpec {
        /// What the policy is bound to.
        required "targetRef" target: Located<TargetRef>,
        /// Which policy.
        required "policyRef" policy: PolicyRef,
        /// The policy's configuration; a scalar `$NAME` is replaced by the environment's value.
        optional "config" config: Node,
        /// Lower runs, or is tried, first. Default 50; equal numbers keep the order of the files.
        optional "order" order: Located<Bounded<-2147483648, 2147483647>>,
        /// Limits the policy to requests that match any of these.
        optional "rules" rules: Vec<Rule>,
    }
}

choice! {
    /// What a policy can be bound to.
    pub(crate) enum TargetKind { ApiInstance = "ApiInstance", Service = "Service", Selector = "Selector" }
}

object! {
    /// An object by name, or a selection of them.
    pub(crate) struct TargetRef {
        /// Default ApiInstance.
        optional "kind" kind: TargetKind,
        /// Required but for a Selector.
        optional "name" name: Located<Name>,
        /// Default: the binding's own.
        optional "namespace" namespace: Name,
        /// For a Selector.
        optional "selector" selector: Selector,
    }
}

choice! {
    /// What a selector selects.
    pub(crate) enum SelectorKind { ApiInstance = "ApiInstance" }
}

object! {
    /// All objects that carry the labels.
    pub(crate) struct Selector {
        /// Default ApiInstance.
        optional "kind" kind: SelectorKind,
        /// Compared as text; none selects every one.
        optional "labels" labels: Entries<String>,
    }
}

choice! {
    /// What a policy is, to the vendor.
    pub(crate) enum PolicyKind { Extension = "Extension" }
}

object! {
    /// A policy by name.
    pub(crate) struct PolicyRef {
        /// The policy's name, such as `route`.
        required "name" name: Located<String>,
        /// Always Extension.
        optional "kind" kind: PolicyKind,
        /// Accepted and not used: built-in policies belong to no namespace.
        optional "namespace" namespace: Name,
    }
}

object! {
    /// Configuration of `route`: one destination.
    pub(crate) struct RouteConfig {
        /// Put in front of the forwarded path. Default none.
        optional "destinationPath" destination_path: DestinationPath,
        /// Where requests go.
        required "destinationRef" destination: DestinationRef,
    }
}

object! {
    /// Configuration of an inline route: its destination is the service it stands in.
    pub(crate) struct InlineRouteConfig {
        /// Put in front of the forwarded path. Default none.
        optional "destinationPath" destination_path: DestinationPath,
    }
}

object! {
    /// Configuration of `route-weighted`: several destinations, one drawn for each request.
    pub(crate) struct WeightedConfig {
        /// The destinations; each gets its weight over the sum of weights.
        required "routes" routes: Located<Elements<WeightedRoute>>,
    }
}

object! {
    /// One destination of several.
    pub(crate) struct WeightedRoute {
        /// Its share.
        required "weight" weight: Bounded<1, 100>,
        /// Put in front of the forwarded path. Default none.
        optional "destinationPath" destination_path: DestinationPath,
        /// Where requests go.
        required "destinationRef" destination: DestinationRef,
    }
}

choice! {
    /// What a request can be forwarded to.
    pub(crate) enum DestinationKind { Service = "Service" }
}

object! {
    /// A Service by name.
    pub(crate) struct DestinationRef {
        /// The Service's name.
        required "name" name: Located<Name>,
        /// Default Service.
        optional "kind" kind: DestinationKind,
        /// Default: the binding's own.
        optional "namespace" namespace: Name,
    }
}
