//! A scenario's table.

use super::report::{Measured, Report, VariantReport};
use crate::machine::Machine;
use crate::run::DISTURBED;
use crate::run::figures::Figure;
use crate::scenario::goal::Against;
use crate::scenario::{LoadKind, Unit};

/// A Markdown table: first column left, the others right.
pub fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule: Vec<String> = (0..head.len())
        .map(|column| if column == 0 { "---" } else { "---:" }.to_owned())
        .collect();
    let mut text = line(head) + &line(&rule);
    text.extend(rows.iter().map(|row| line(row)));
    text
}

impl Report {
    pub fn markdown(&self) -> String {
        let Machine {
            taken,
            cpu_model,
            cpus,
            kernel,
            commit,
        } = &self.machine;
        let of = commit
            .as_ref()
            .map_or(String::new(), |commit| format!(", Ringway at {commit}"));
        let mut text = format!(
            "# {}\n\n{}\n\n{taken}, {cpu_model}, {cpus} CPUs, Linux {kernel}{of}. {}\n",
            self.scenario,
            self.plan.measures.trim(),
            self.method()
        );
        for variant in &self.variants {
            if !variant.name.is_empty() {
                text += &format!("\n## {}\n", variant.name);
            }
            text.push('\n');
            text += &self.variant(variant);
        }
        text.push('\n');
        for one in self.variants.first().map_or(&[][..], |variant| &variant.gateways) {
            text += &format!("- {}: {}\n", one.name, one.version);
        }
        for line in &self.left_out {
            text += &format!("- {line}\n");
        }
        text += &self.noise();
        text
    }

    fn method(&self) -> String {
        let load = self.plan.load;
        let (rounds, seconds) = (self.effort.rounds, self.effort.seconds);
        let place = format!(
            "CPU {}, load and origin on CPU {}",
            self.gateway_cpu, self.load_cpu
        );
        if load.kind == LoadKind::None {
            return format!(
                "{} connections, {rounds} rounds; gateway on {place}. Growth of resident memory; the kernel's own \
                 socket memory is not in it, nor what a gateway sets aside at start.",
                load.idle
            );
        }
        format!(
            "{rounds} rounds of {seconds} s; gateway on {place}. Medians; ratios are of CPU time and medians of each \
             round's ratio, with the lowest and highest in the JSON."
        )
    }

    fn variant(&self, variant: &VariantReport) -> String {
        let unit = self.plan.per.name();
        let measured = |figure| {
            variant
                .gateways
                .iter()
                .any(|one| one.figures.get(figure).is_some())
        };
        let figures = |list: &[Figure]| -> Vec<Figure> {
            list.iter().copied().filter(|&figure| measured(figure)).collect()
        };
        let cost = figures(&[
            Figure::CpuUs,
            Figure::UserUs,
            Figure::SystemUs,
            Figure::ConnectionBytes,
            Figure::ConnectionProportionalBytes,
        ]);
        let rest = figures(&[
            Figure::PerSecond,
            Figure::P50Us,
            Figure::P99Us,
            Figure::P999Us,
            Figure::P9999Us,
            Figure::SystemCalls,
            Figure::BusiestRequests,
            Figure::BusiestShare,
            Figure::PeakResidentBytes,
            Figure::Behind,
        ]);
        let headline = if measured(Figure::CpuUs) {
            Figure::CpuUs
        } else {
            Figure::ConnectionBytes
        };
        let ratios: Vec<Against> = Against::COLUMNS
            .into_iter()
            .filter(|&against| {
                let of = |one: &Measured| one.ratio(against, headline).is_some();
                variant.gateways.iter().any(of)
            })
            .collect();
        let user = measured(Figure::UserUs) && ratios.contains(&Against::Nginx);

        let mut head = vec!["gateway".to_owned()];
        head.extend(cost.iter().map(|figure| self.title(*figure, unit)));
        head.extend(ratios.iter().map(|against| format!("× {}", against.name())));
        head.extend(user.then(|| "user × nginx".to_owned()));
        head.extend(rest.iter().map(|figure| self.title(*figure, unit)));
        let times = |one: &Measured, against, figure| {
            one.ratio(against, figure)
                .map_or("–".to_owned(), |ratio| format!("{:.2}", ratio.value))
        };
        let row = |one: &Measured| {
            let show = |figure: &Figure| {
                one.figures
                    .get(*figure)
                    .map_or("–".to_owned(), |value| self.show(*figure, value))
            };
            let mut cells = vec![one.name.clone()];
            cells.extend(cost.iter().map(show));
            cells.extend(ratios.iter().map(|against| times(one, *against, headline)));
            cells.extend(user.then(|| times(one, Against::Nginx, Figure::UserUs)));
            cells.extend(rest.iter().map(show));
            cells
        };
        let rows: Vec<Vec<String>> = variant.gateways.iter().map(row).collect();
        table(&head, &rows)
    }

    /// Time a GiB is in milliseconds: in microseconds it has too many digits to read.
    fn title(&self, figure: Figure, unit: &str) -> String {
        let title = figure.title(unit);
        if self.plan.per == Unit::Gibibyte {
            title.replace("µs/", "ms/")
        } else {
            title
        }
    }

    fn show(&self, figure: Figure, value: f64) -> String {
        let time = matches!(figure, Figure::CpuUs | Figure::UserUs | Figure::SystemUs);
        match (self.plan.per, figure) {
            (Unit::Gibibyte, _) if time => format!("{:.1}", value / 1e3),
            (Unit::Gibibyte, Figure::PerSecond) => format!("{value:.2}"),
            (Unit::Gibibyte, Figure::SystemCalls) => format!("{value:.0}"),
            _ => figure.show(value),
        }
    }

    fn noise(&self) -> String {
        let worst = |figure| {
            let gateways = self.variants.iter().flat_map(|variant| &variant.gateways);
            let turns = gateways.flat_map(|one| &one.rounds);
            turns.filter_map(|turn| turn.get(figure)).fold(0.0, f64::max)
        };
        let mut text = String::new();
        if worst(Figure::Disturbance) > DISTURBED {
            text += &format!(
                "\nNot a quiet machine: in one turn {:.0} % of the gateway's CPU went to something else.\n",
                worst(Figure::Disturbance) * 100.0
            );
        }
        if worst(Figure::Behind) > LATE {
            text += &format!(
                "\nThe load came late itself, in one turn with {:.1} % of the requests: such latencies are the \
                 machine's and not the gateway's.\n",
                worst(Figure::Behind) * 100.0
            );
        }
        text
    }
}

impl Figure {
    /// As a column or a goal calls it.
    pub fn title(self, unit: &str) -> String {
        match self {
            Figure::CpuUs => format!("CPU µs/{unit}"),
            Figure::UserUs => format!("user µs/{unit}"),
            Figure::SystemUs => format!("system µs/{unit}"),
            Figure::PerSecond => format!("{unit}s/s").replace("GiBs", "GiB"),
            Figure::P50Us => "p50 µs".into(),
            Figure::P90Us => "p90 µs".into(),
            Figure::P99Us => "p99 µs".into(),
            Figure::P999Us => "p99.9 µs".into(),
            Figure::P9999Us => "p99.99 µs".into(),
            Figure::SystemCalls => format!("calls/{unit}"),
            Figure::PeakResidentBytes => "peak MiB".into(),
            Figure::ConnectionBytes => "bytes/connection".into(),
            Figure::ConnectionProportionalBytes => "by PSS".into(),
            Figure::BusiestRequests => "busiest worker, requests".into(),
            Figure::BusiestShare => "busiest worker, CPU".into(),
            Figure::Behind => "sent late".into(),
            Figure::Disturbance => "CPU elsewhere".into(),
        }
    }

    pub fn show(self, value: f64) -> String {
        match self {
            Figure::CpuUs | Figure::UserUs | Figure::SystemUs | Figure::SystemCalls => format!("{value:.2}"),
            Figure::PeakResidentBytes => format!("{:.1}", value / f64::from(1 << 20)),
            Figure::BusiestRequests | Figure::BusiestShare | Figure::Behind | Figure::Disturbance => {
                format!("{:.1} %", value * 100.0)
            }
            _ => format!("{value:.0}"),
        }
    }
}

/// Share of requests sent late above which latencies say little: that of `open_loop::Measured::ensure_on_time`.
const LATE: f64 = 0.01;

#[cfg(test)]
#[path = "markdown/tests.rs"]
mod tests;
