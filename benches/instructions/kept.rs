//! The figures that are kept, and what is said when one differs.

use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::process::ExitCode;

/// What was counted just now: a name and the instructions of one run, in the order they ran.
pub(crate) struct Counts {
    pub(crate) conditions: String,
    pub(crate) counts: Vec<(String, u64)>,
}

/// What was accepted last.
pub(crate) struct Kept {
    conditions: String,
    counts: Map<String, Value>,
}

impl Kept {
    /// Empty where there is none, or none that can be read: then everything is new.
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(FILE).unwrap_or_default();
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        Self {
            conditions: value["conditions"].as_str().unwrap_or_default().to_owned(),
            counts: value["instructions"].as_object().cloned().unwrap_or_default(),
        }
    }
}

/// Writes the file anew; says so.
pub(crate) fn accept(counted: &Counts) -> String {
    let counts: Map<String, Value> = counted
        .counts
        .iter()
        .map(|(name, count)| (name.clone(), json!(count)))
        .collect();
    let file = json!({ "conditions": counted.conditions, "instructions": counts });
    let text = serde_json::to_string_pretty(&file).expect("names and numbers");
    match std::fs::write(FILE, text + "\n") {
        Ok(()) => format!("{} figures kept in {FILE}; commit it.", counts.len()),
        Err(error) => format!("{FILE}: {error}"),
    }
}

/// Fails when a figure grew by more than [`TOLERANCE`], is new, or is gone; never under other conditions.
pub(crate) fn compare(kept: &Kept, counted: &Counts) -> (String, ExitCode) {
    let mut report = format!(
        "{:<46}{:>10}{:>10}{:>9}\n",
        "instructions", "kept", "now", "change"
    );
    let (mut grown, mut shrunk, mut unknown) = (0, 0, 0);
    for (name, now) in &counted.counts {
        let before = kept.counts.get(name).and_then(Value::as_u64);
        let change = before.map(|before| *now as f64 / before as f64 - 1.0);
        let remark = match change {
            None => {
                unknown += 1;
                "  new"
            }
            Some(change) if change > TOLERANCE => {
                grown += 1;
                "  dearer"
            }
            Some(change) if change < -TOLERANCE => {
                shrunk += 1;
                "  cheaper"
            }
            Some(_) => "",
        };
        let before = before.map_or_else(|| "-".to_owned(), |before| before.to_string());
        let change = change.map_or_else(|| "-".to_owned(), |change| format!("{:+.1} %", change * 100.0));
        let _ = writeln!(report, "{name:<46}{before:>10}{now:>10}{change:>9}{remark}");
    }
    for name in kept.counts.keys() {
        if !counted.counts.iter().any(|(counted, _)| counted == name) {
            unknown += 1;
            let _ = writeln!(report, "{name:<46}  kept, but not counted any more");
        }
    }
    let comparable = kept.conditions == counted.conditions;
    if !comparable {
        let _ = write!(
            report,
            "\nCounted under other conditions than the kept ones, so this is for information only.\n  \
             kept: {}\n  now:  {}\n",
            kept.conditions, counted.conditions
        );
    }
    let failed = comparable && (grown > 0 || unknown > 0);
    if failed || shrunk > 0 {
        let _ = write!(
            report,
            "\n{grown} dearer by more than {:.0} %, {shrunk} cheaper by as much, {unknown} new or gone.\n\
             Where that is meant, keep the new figures and say why in the commit:\n    \
             cargo bench --bench instructions -- --accept\n",
            TOLERANCE * 100.0
        );
    }
    let verdict = if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    };
    (report, verdict)
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/kept.json");

/// As a fraction of the kept figure.
const TOLERANCE: f64 = 0.05;
