//! `list` and `show`: what there is to run, and what exactly is compared.

use std::net::{Ipv4Addr, SocketAddr};

use crate::gateway::Kind;
use crate::scenario::Scenario;
use crate::scenario::template::Values;
use crate::{Outcome, Scenarios};

#[derive(Debug, clap::Args)]
pub struct Show {
    /// Scenario
    scenario: String,

    /// Gateways whose configurations are shown [default: all of the scenario's]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    gateways: Option<Vec<Kind>>,

    /// Variant whose numbers are filled in [default: the first]
    #[arg(long)]
    variant: Option<String>,

    #[command(flatten)]
    scenarios: Scenarios,
}

pub fn run(scenarios: &Scenarios) -> Outcome<()> {
    for scenario in Scenario::several(&scenarios.folder, None)? {
        let plan = &scenario.plan;
        println!(
            "{}\n  {}",
            scenario.name,
            plan.measures.trim().replace('\n', "\n  ")
        );
        let names: Vec<&str> = plan.gateways.iter().map(|kind| kind.name()).collect();
        println!("  {}", names.join(", "));
        let variants: Vec<&str> = plan
            .variants
            .iter()
            .map(|variant| variant.name.as_str())
            .collect();
        if !variants.is_empty() {
            println!("  variants: {}", variants.join(", "));
        }
        if let Some(need) = &plan.needs {
            println!("  once Ringway has {need}");
        }
    }
    Ok(())
}

pub fn show(options: &Show) -> Outcome<()> {
    let scenario = Scenario::load(&options.scenarios.folder, &options.scenario)?;
    let variants = scenario.plan.variants();
    let (_, plan) = match &options.variant {
        None => variants.first(),
        Some(name) => variants.iter().find(|(variant, _)| variant == name),
    }
    .ok_or("no such variant")?;
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let values = Values {
        address: at(8081),
        port: 8081,
        origin: at(3000),
        origin_port: 3000,
        workers: plan.shards,
        admin_port: if plan.shards > 1 { 9901 } else { 0 },
        descriptors: 20_000,
        folder: "/tmp/gateway".into(),
        apis: plan.apis,
        routes: plan.routes,
        policies: plan.policies,
        certificate: "/tmp/certificate.pem".into(),
        key: "/tmp/key.pem".into(),
    };
    for &kind in options.gateways.as_ref().unwrap_or(&scenario.plan.gateways) {
        if let Some(text) = scenario.configuration(kind, &values)? {
            println!("# {}\n{text}", kind.name());
        }
    }
    Ok(())
}
