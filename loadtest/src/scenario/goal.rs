//! What a scenario's figures are held against.

use serde::{Deserialize, Serialize};

use crate::run::figures::Figure;

/// A bound on one figure of Ringway's: on its ratio to another's (`to`), or on itself.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    pub figure: Figure,
    pub to: Option<Against>,
    pub at_most: f64,
    /// Met as well when this is: "… or ≤ 1.10 × the bare relay where that is more".
    pub or: Option<Alternative>,
    /// Of these variants only; all of them when none is named.
    #[serde(default)]
    pub variants: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    pub to: Against,
    pub at_most: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    Nginx,
    Haproxy,
    Envoy,
    /// The bare relay on the same driver.
    Relay,
    /// Whichever of nginx, HAProxy and Envoy has the least.
    BestPeer,
    /// The same gateway in the first variant.
    Base,
    /// The same gateway on io_uring; says nothing of the one that is on it.
    #[serde(rename = "io_uring")]
    IoUring,
}

impl Against {
    /// In the order of the table's columns. `BestPeer` is no column: it is one of the others.
    pub const COLUMNS: [Against; 6] = [
        Against::Nginx,
        Against::Haproxy,
        Against::Envoy,
        Against::Relay,
        Against::Base,
        Against::IoUring,
    ];
    pub const PEERS: [Against; 3] = [Against::Nginx, Against::Haproxy, Against::Envoy];

    pub fn name(self) -> &'static str {
        match self {
            Against::Nginx => "nginx",
            Against::Haproxy => "HAProxy",
            Against::Envoy => "Envoy",
            Against::Relay => "bare relay",
            Against::BestPeer => "best peer",
            Against::Base => "first variant",
            Against::IoUring => "io_uring",
        }
    }
}
