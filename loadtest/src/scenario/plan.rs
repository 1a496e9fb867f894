//! `plan.yaml`: what a scenario does, as a person wrote it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::goal::Goal;
use super::size::Size;
use crate::Outcome;
use crate::gateway::Kind;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What the scenario measures, in a sentence or two.
    pub measures: String,
    /// Its place in a run and in the summary; lower comes first.
    pub order: u32,
    /// What the processor time is divided by.
    #[serde(default)]
    pub per: Unit,
    /// Who takes part, in the order of the table.
    pub gateways: Vec<Kind>,
    /// What Ringway must be able to do. While it refuses the configuration, the scenario is skipped and says so.
    pub needs: Option<String>,
    #[serde(default)]
    pub tls: bool,
    #[serde(default = "one")]
    pub shards: u32,
    /// Of configurations with many routes: APIs, and routes in each. None: one route takes everything.
    #[serde(default)]
    pub apis: u32,
    #[serde(default)]
    pub routes: u32,
    /// Of configurations with policies: how many. 0: none.
    #[serde(default)]
    pub policies: u32,
    #[serde(default)]
    pub origin: Origin,
    #[serde(default)]
    pub request: Request,
    pub load: Load,
    #[serde(default)]
    pub floor: Floor,
    /// Templates beside those of the gateways, for what a configuration refers to.
    #[serde(default)]
    pub files: Vec<String>,
    /// The scenario several times over, with some numbers changed; every variant of every gateway has its turn in
    /// each round. The first is what `base` means in a goal.
    #[serde(default)]
    pub variants: Vec<Variant>,
    #[serde(default)]
    pub goals: Vec<Goal>,
    pub quick: Effort,
    pub full: Effort,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    #[default]
    Request,
    Connection,
    /// Of body bytes, in whichever direction they go.
    #[serde(rename = "GiB")]
    Gibibyte,
}

/// How the origin behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Body of each answer.
    #[serde(default = "small")]
    pub body: Size,
    /// Time it takes to answer.
    #[serde(default)]
    pub delay_ms: u64,
}

/// What clients send.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Without one, POST where there is a body and GET where not.
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: Size,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    pub kind: LoadKind,
    pub connections: u32,
    /// Of `pipelined`: requests sent at once on a connection.
    #[serde(default = "one")]
    pub depth: u32,
    /// Of `constant-rate`: the rate as a share of the slowest gateway's capacity, which is measured first.
    #[serde(default)]
    pub share: f64,
    /// Connections that were answered once and stay open beside the load.
    #[serde(default)]
    pub idle: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadKind {
    /// A closed loop (wrk): each connection sends its next request when the last one is answered.
    KeepAlive,
    /// The same, with a new connection for each request.
    Short,
    /// The same, with several requests at once on each connection.
    Pipelined,
    /// Whole bodies, each connection one after the other, until the time is over and the last body has come.
    Transfer,
    /// An open loop: requests at a fixed rate, whether or not earlier ones were answered.
    ConstantRate,
    /// None. What is measured is the memory of the connections that `idle` asks for.
    None,
}

/// Which bare relay is the floor; see `floor.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    #[serde(default)]
    pub style: FloorStyle,
    /// Of each direction of each connection.
    #[serde(default = "relay_buffer")]
    pub buffer: Size,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum FloorStyle {
    /// Bytes copied between a client connection and an upstream connection of its own.
    #[default]
    Copy,
    /// One exchange a client connection, over a pooled upstream connection.
    Short,
}

/// What is different in a variant. A field left out is the plan's.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub name: String,
    /// Left out of quick runs.
    #[serde(default)]
    pub full_only: bool,
    pub kind: Option<LoadKind>,
    pub connections: Option<u32>,
    pub depth: Option<u32>,
    pub shards: Option<u32>,
    pub apis: Option<u32>,
    pub routes: Option<u32>,
    pub policies: Option<u32>,
    /// Body of the answer.
    pub answer: Option<Size>,
    /// Body of the request.
    pub body: Option<Size>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Effort {
    pub rounds: u32,
    /// Of each turn. Whole ones, but for `transfer`: wrk knows no parts of a second.
    pub seconds: f64,
    /// Whether system calls are counted, in a second under strace for each gateway and variant.
    #[serde(default = "yes")]
    pub system_calls: bool,
    /// Gateways of the plan that sit it out, unless the command line asks for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Kind>,
}

impl Plan {
    /// Reads `text`; an error names `path` and the line.
    pub fn parse(path: &Path, text: &str) -> Outcome<Self> {
        let plan: Self = serde_yaml::from_str(text).map_err(|error| located(path, &error))?;
        plan.validate()
            .map_err(|message| format!("{}: {message}", path.display()))?;
        Ok(plan)
    }

    /// The plan once for each variant, named, with the variant's numbers in their places.
    pub fn variants(&self) -> Vec<(String, Plan)> {
        if self.variants.is_empty() {
            return vec![(String::new(), self.clone())];
        }
        let apply = |variant: &Variant| {
            let mut plan = self.clone();
            plan.load.kind = variant.kind.unwrap_or(plan.load.kind);
            plan.load.connections = variant.connections.unwrap_or(plan.load.connections);
            plan.load.depth = variant.depth.unwrap_or(plan.load.depth);
            plan.shards = variant.shards.unwrap_or(plan.shards);
            plan.apis = variant.apis.unwrap_or(plan.apis);
            plan.routes = variant.routes.unwrap_or(plan.routes);
            plan.policies = variant.policies.unwrap_or(plan.policies);
            plan.origin.body = variant.answer.unwrap_or(plan.origin.body);
            plan.request.body = variant.body.unwrap_or(plan.request.body);
            (variant.name.clone(), plan)
        };
        self.variants.iter().map(apply).collect()
    }

    /// What a gateway is set up for: variants that have the same share its process.
    pub fn setup(&self) -> impl PartialEq + use<> {
        (self.shards, self.apis, self.routes, self.policies, self.origin)
    }

    /// What of it is carried out in a quick or a full run.
    pub fn cut(mut self, full: bool) -> Self {
        self.variants.retain(|variant| full || !variant.full_only);
        self
    }

    pub fn method(&self) -> &str {
        let usual = match self.request.body.bytes() {
            0 => "GET",
            _ => "POST",
        };
        self.request.method.as_deref().unwrap_or(usual)
    }

    /// What a wrong number would turn into nonsense without an error.
    fn validate(&self) -> Result<(), String> {
        let fail = |message: &str| Err(message.to_owned());
        if !self.variants.is_empty() && self.variants.iter().all(|variant| variant.full_only) {
            return fail("a quick run has no variant left");
        }
        let parts = self
            .variants()
            .iter()
            .all(|(_, plan)| plan.load.kind == LoadKind::Transfer);
        for effort in [&self.quick, &self.full] {
            if effort.rounds == 0 {
                return fail("rounds is at least 1");
            }
            let whole = effort.seconds >= 1.0 && effort.seconds.fract() == 0.0;
            if !(whole || parts && effort.seconds >= SECONDS_MIN) {
                return fail("seconds is a whole number, at least 1; with load.kind transfer at least 0.1");
            }
            if !effort.without.iter().all(|kind| self.gateways.contains(kind)) {
                return fail("without names a gateway that does not take part");
            }
        }
        let mut names: Vec<&str> = self
            .variants
            .iter()
            .map(|variant| variant.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        if names.len() != self.variants.len() || names.contains(&"") {
            return fail("each variant has a name of its own");
        }
        if self.per == Unit::Gibibyte && self.load.kind != LoadKind::Transfer {
            return fail("per GiB needs load.kind transfer, which counts bytes");
        }
        for (name, plan) in self.variants() {
            let Load {
                kind,
                connections,
                depth,
                share,
                idle,
            } = plan.load;
            let within = |message: &str| {
                Err(if name.is_empty() {
                    message.to_owned()
                } else {
                    format!("variant {name}: {message}")
                })
            };
            match kind {
                LoadKind::None if connections != 0 || idle == 0 => {
                    return within("load.kind none has connections 0 and idle ones to measure");
                }
                LoadKind::None => {}
                _ if connections == 0 => return within("load.connections is at least 1"),
                LoadKind::Transfer if connections > TRANSFERS_MAX => {
                    return within("load.kind transfer takes at most 64 connections, one thread each");
                }
                LoadKind::Pipelined if depth < 2 => return within("load.kind pipelined needs load.depth"),
                LoadKind::ConstantRate if !(share > 0.0 && share <= 1.0) => {
                    return within("load.kind constant-rate needs load.share, above 0 and at most 1");
                }
                _ => {}
            }
            if kind != LoadKind::Pipelined && depth != 1 {
                return within("load.depth belongs to load.kind pipelined");
            }
            if plan.shards == 0 {
                return within("shards is at least 1");
            }
            if (plan.apis == 0) != (plan.routes == 0) {
                return within("apis and routes are given together");
            }
            if plan.shards > 1 && self.gateways.contains(&Kind::Floor) {
                return within("the bare relay has one thread: leave floor out of gateways");
            }
            if plan.tls && self.gateways.contains(&Kind::Floor) {
                return within("the bare relay has no TLS: leave floor out of gateways");
            }
        }
        Ok(())
    }
}

impl Unit {
    /// As it stands after "CPU … /".
    pub fn name(self) -> &'static str {
        match self {
            Unit::Request => "request",
            Unit::Connection => "connection",
            Unit::Gibibyte => "GiB",
        }
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            body: small(),
            delay_ms: 0,
        }
    }
}

impl Default for Floor {
    fn default() -> Self {
        Self {
            style: FloorStyle::Copy,
            buffer: relay_buffer(),
        }
    }
}

/// `path:line:column: what`, whatever else the library says around it.
fn located(path: &Path, error: &serde_yaml::Error) -> String {
    let message = error.without_snippet().to_string();
    match error.location() {
        Some(place) => format!(
            "{}:{}:{}: {message}",
            path.display(),
            place.line(),
            place.column()
        ),
        None => format!("{}: {message}", path.display()),
    }
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn small() -> Size {
    Size(13)
}

fn relay_buffer() -> Size {
    Size(16 << 10)
}

const SECONDS_MIN: f64 = 0.1;
const TRANSFERS_MAX: u32 = 64;

#[cfg(test)]
#[path = "plan/tests.rs"]
mod tests;
