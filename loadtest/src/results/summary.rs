//! `summary.md`: every goal beside what was measured, over all scenarios whose results lie in a folder. It is made from
//! their JSON, so that scenarios run one by one come together in it.

use std::fs;
use std::path::{Path, PathBuf};

use super::markdown::table;
use super::report::{Report, Verdict};
use crate::Outcome;
use crate::driver::Driver;
use crate::machine::Machine;

/// Writes it into the day's folder and returns that; None when no result lies there.
pub fn keep(
    results: &Path,
    machine: &Machine,
    skipped: &[String],
    failed: &[String],
) -> Outcome<Option<PathBuf>> {
    let folder = results.join(machine.folder());
    let reports = read(&folder)?;
    if reports.is_empty() {
        return Ok(None);
    }
    fs::write(folder.join(FILE), text(&reports, skipped, failed))?;
    Ok(Some(folder))
}

/// All results in a day's folder, in the plans' order.
pub fn read(folder: &Path) -> Outcome<Vec<Report>> {
    let mut reports: Vec<Report> = Vec::new();
    let Ok(list) = fs::read_dir(folder) else {
        return Ok(reports);
    };
    for entry in list {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let report = serde_json::from_slice(&fs::read(&path)?);
            reports.push(report.map_err(|error| {
                format!(
                    "{}: {error}: remove what another version of this program left",
                    path.display()
                )
            })?);
        }
    }
    reports.sort_by_key(|report| report.plan.order);
    Ok(reports)
}

fn text(reports: &[Report], skipped: &[String], failed: &[String]) -> String {
    let mut text = "# Summary\n\n".to_owned();
    if let Some(Machine {
        cpu_model,
        cpus,
        kernel,
        ..
    }) = reports.first().map(|report| &report.machine)
    {
        text += &format!(
            "{cpu_model}, {cpus} CPUs, Linux {kernel}. A ratio is the median of each round's ratio, at a constant rate \
             that of all rounds' latencies together; in brackets are the lowest and highest of a round. A goal is met \
             when what stands before the brackets meets it.\n\n"
        );
    }
    let head = ["scenario", "goal", "io_uring", "epoll"].map(String::from);
    let mut rows = Vec::new();
    for report in reports {
        rows.extend(rows_of(&report.scenario, &report.verdicts()));
    }
    text += &table(&head, &rows);
    let (met, all) = met(reports);
    text += &format!("\n{met} of {all} met.\n\n");

    let head = ["scenario", "taken", "Ringway at", "rounds"].map(String::from);
    let run = |report: &Report| {
        let (name, effort) = (&report.scenario, &report.effort);
        vec![
            format!("[{name}]({name}.md)"),
            report.machine.taken.clone(),
            report.machine.commit.clone().unwrap_or("–".into()),
            format!("{} × {} s", effort.rounds, effort.seconds),
        ]
    };
    text += &table(&head, &reports.iter().map(run).collect::<Vec<_>>());
    for (title, lines) in [("Skipped", skipped), ("Failed", failed)] {
        if !lines.is_empty() {
            text += &format!("\n{title}:\n\n");
            text.extend(lines.iter().map(|line| format!("- {line}\n")));
        }
    }
    let mut left_out: Vec<&String> = reports.iter().flat_map(|report| &report.left_out).collect();
    left_out.sort_unstable();
    left_out.dedup();
    if !left_out.is_empty() {
        text += "\nLeft out:\n\n";
        text.extend(left_out.iter().map(|line| format!("- {line}\n")));
    }
    text
}

/// How many goals are met, and how many there are; on two drivers one counts twice.
pub fn met(reports: &[Report]) -> (usize, usize) {
    let verdicts: Vec<Verdict> = reports.iter().flat_map(Report::verdicts).collect();
    let met = verdicts.iter().filter(|verdict| verdict.met).count();
    (met, verdicts.len())
}

/// A row a goal and variant, with a column for each driver.
fn rows_of(scenario: &str, verdicts: &[Verdict]) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut last = None;
    for verdict in verdicts {
        let name = match verdict.variant.as_str() {
            "" => scenario.to_owned(),
            variant => format!("{scenario}, {variant}"),
        };
        let key = (verdict.variant.as_str(), verdict.goal.as_str());
        if last != Some(key) {
            rows.push(vec![name, verdict.goal.clone(), "–".into(), "–".into()]);
            last = Some(key);
        }
        let column = if verdict.driver == Some(Driver::Epoll) {
            3
        } else {
            2
        };
        if let Some(row) = rows.last_mut() {
            row[column] = cell(verdict);
        }
    }
    rows
}

fn cell(verdict: &Verdict) -> String {
    let Some(measured) = verdict.measured else {
        return "not measured".into();
    };
    let number = |value: f64| match verdict.ratio {
        true => format!("{value:.2}"),
        false => verdict.figure.show(value),
    };
    let also = verdict
        .alternative
        .map_or(String::new(), |ratio| format!(", or {}", number(ratio)));
    let met = if verdict.met { "met" } else { "**missed**" };
    format!(
        "{} ({}–{}){also} {met}",
        number(measured.value),
        number(measured.low),
        number(measured.high)
    )
}

/// In a day's folder.
pub const FILE: &str = "summary.md";

#[cfg(test)]
#[path = "summary/tests.rs"]
mod tests;
