//! Which pictures a scenario's figures make.

use super::report::{Measured, Report, VariantReport};
use crate::plot::{self, Bar, Series};
use crate::run::figures::Figure;
use crate::scenario::{LoadKind, Unit};

pub struct Plot {
    /// Beside the scenario's other files.
    pub file: String,
    pub title: String,
    pub svg: String,
}

/// Processor time as bars for each variant; instead of them, where variants are numbers of connections, throughput as
/// lines. Latency by percentile where the load was an open loop.
pub fn of(report: &Report) -> Vec<Plot> {
    let mut plots = Vec::new();
    match connections(report) {
        Some(connections) => plots.extend(throughput(report, &connections)),
        None if report.variants.len() <= BARS_MAX => {
            plots.extend(report.variants.iter().filter_map(|variant| cost(report, variant)));
        }
        None => {}
    }
    // Where there are variants the rate serves another question.
    if let [variant] = &report.variants[..] {
        plots.extend(latency(report, variant));
    }
    plots
}

fn cost(report: &Report, variant: &VariantReport) -> Option<Plot> {
    let bar = |one: &Measured| {
        let get = |figure| one.figures.get(figure);
        let (user, system) = (get(Figure::UserUs)?, get(Figure::SystemUs)?);
        let scale = if report.plan.per == Unit::Gibibyte {
            1e-3
        } else {
            1.0
        };
        Some(Bar {
            label: one.name.clone(),
            segments: vec![
                ("user".to_owned(), user * scale),
                ("kernel".to_owned(), system * scale),
            ],
        })
    };
    let bars: Vec<Bar> = variant.gateways.iter().filter_map(bar).collect();
    if bars.is_empty() {
        return None;
    }
    let unit = report.plan.per.name();
    let title = format!("CPU time per {unit}{}", of_what(report, variant));
    let scale = if report.plan.per == Unit::Gibibyte {
        "ms"
    } else {
        "µs"
    };
    Some(Plot {
        file: file(report, variant, "cpu"),
        svg: plot::bars(&title, scale, &bars),
        title,
    })
}

fn latency(report: &Report, variant: &VariantReport) -> Option<Plot> {
    let series: Vec<Series> = variant
        .gateways
        .iter()
        .filter(|one| !one.latencies.is_empty())
        .map(|one| Series {
            label: one.name.clone(),
            points: one.latencies.clone(),
        })
        .collect();
    if series.is_empty() {
        return None;
    }
    let title = "Latency at a constant rate".to_owned();
    Some(Plot {
        file: file(report, variant, "latency"),
        svg: plot::percentiles(&title, &series),
        title,
    })
}

fn throughput(report: &Report, connections: &[u32]) -> Option<Plot> {
    let first = report.variants.first()?;
    let line = |one: &Measured| {
        let point = |(variant, &number): (&VariantReport, &u32)| {
            let same = variant.gateways.iter().find(|other| other.name == one.name)?;
            // The axis is linear; connections come in powers of two.
            Some((f64::from(number).log2(), same.figures.get(Figure::PerSecond)?))
        };
        Series {
            label: one.name.clone(),
            points: report
                .variants
                .iter()
                .zip(connections)
                .filter_map(point)
                .collect(),
        }
    };
    let series: Vec<Series> = first.gateways.iter().map(line).collect();
    let title = "Throughput by connections".to_owned();
    Some(Plot {
        file: format!("{}-throughput.svg", report.scenario),
        svg: plot::lines(&title, "connections, as a power of 2", "requests/s", &series),
        title,
    })
}

/// Of each variant, where that is what they differ in and nothing else.
fn connections(report: &Report) -> Option<Vec<u32>> {
    let variants = report.plan.variants();
    let plan = &report.plan;
    let alone = variants.iter().all(|(_, variant)| {
        variant.load.kind == LoadKind::KeepAlive
            && (
                variant.shards,
                variant.apis,
                variant.origin.body,
                variant.request.body,
            ) == (plan.shards, plan.apis, plan.origin.body, plan.request.body)
    });
    let mut numbers: Vec<u32> = variants.iter().map(|(_, plan)| plan.load.connections).collect();
    let all = numbers.clone();
    numbers.dedup();
    (alone && all.len() > 2 && numbers.len() == all.len()).then_some(all)
}

fn of_what(report: &Report, variant: &VariantReport) -> String {
    match variant.name.as_str() {
        "" => format!(": {}", report.scenario),
        name => format!(": {}, {name}", report.scenario),
    }
}

fn file(report: &Report, variant: &VariantReport, what: &str) -> String {
    let words: Vec<String> = variant
        .name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let mut parts = vec![report.scenario.clone()];
    parts.extend(words);
    parts.push(what.to_owned());
    parts.join("-") + ".svg"
}

/// More variants than this are read in the table.
const BARS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Driver;
    use crate::gateway::Gateway;
    use crate::results::report::tests::{report, turns};

    fn files(report: &Report) -> Vec<String> {
        of(report).into_iter().map(|plot| plot.file).collect()
    }

    fn with_system(costs: &[f64]) -> Vec<crate::run::figures::Figures> {
        let mut turns = turns(costs);
        for turn in &mut turns {
            turn.set(Figure::SystemUs, 5.0);
        }
        turns
    }

    #[test]
    fn bars_for_what_a_request_costs_and_lines_for_numbers_of_connections() {
        let gateways = [(Gateway::Nginx, with_system(&[10.0]))];
        let mut plain = report("", &gateways);
        assert_eq!(files(&plain), ["made-up-cpu.svg"]);
        assert!(of(&plain)[0].svg.contains("nginx"));
        plain.variants[0].name = "10,000 routes".into();
        assert_eq!(files(&plain), ["made-up-10-000-routes-cpu.svg"]);
        let variants = "variants: [{name: a}, {name: b, connections: 2}, {name: c, connections: 4}]";
        assert_eq!(files(&report(variants, &gateways)), ["made-up-throughput.svg"]);
    }

    #[test]
    fn latency_where_there_is_some() {
        let floor = Gateway::Floor {
            driver: Driver::Epoll,
        };
        let mut open = report("", &[(floor, turns(&[10.0]))]);
        assert!(files(&open).is_empty(), "no share of the kernel was measured");
        open.variants[0].gateways[0].latencies = vec![(50.0, 100.0), (99.0, 400.0)];
        assert_eq!(files(&open), ["made-up-latency.svg"]);
    }
}
