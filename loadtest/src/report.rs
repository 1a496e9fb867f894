//! Figures into Markdown and JSON, and where they are kept.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Outcome;
use crate::machine::Machine;

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

/// Writes `name.json` and `name.md` into the day's folder below `results` and returns the folder. A second run on the
/// same day replaces the first: a history is what version control keeps.
pub fn keep(
    results: &Path,
    machine: &Machine,
    name: &str,
    json: &impl Serialize,
    markdown: &str,
) -> Outcome<PathBuf> {
    let folder = results.join(machine.folder());
    fs::create_dir_all(&folder)?;
    fs::write(
        folder.join(format!("{name}.json")),
        serde_json::to_string_pretty(json)? + "\n",
    )?;
    fs::write(folder.join(format!("{name}.md")), markdown)?;
    Ok(folder)
}

/// The middle value; the mean of the two in the middle when their number is even; NaN of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([7.0]), 7.0);
        assert!(median([]).is_nan());
    }

    #[test]
    fn a_table_is_markdown() {
        let text = table(&["a".into(), "b".into()], &[vec!["x".into(), "1".into()]]);
        assert_eq!(text, "| a | b |\n| --- | ---: |\n| x | 1 |\n");
    }
}
