//! Figures into JSON, Markdown and plots, and where they are kept.

pub mod markdown;
mod plots;
pub mod readme;
pub mod report;
pub mod summary;

use std::fs;
use std::path::{Path, PathBuf};

use report::Report;

use crate::Outcome;

/// Writes the scenario's `.json`, `.md` and plots into the day's folder below `results`, and returns the folder. A second
/// run on the same day replaces the first: a history is what version control keeps.
pub fn keep(results: &Path, report: &Report) -> Outcome<PathBuf> {
    let folder = results.join(report.machine.folder());
    fs::create_dir_all(&folder)?;
    let file = |extension: &str| folder.join(format!("{}.{extension}", report.scenario));
    fs::write(file("json"), serde_json::to_string(report)? + "\n")?;
    let plots = plots::of(report);
    let mut markdown = report.markdown();
    for plot in &plots {
        fs::write(folder.join(&plot.file), &plot.svg)?;
        markdown += &format!("\n![{}]({})\n", plot.title, plot.file);
    }
    fs::write(file("md"), markdown)?;
    Ok(folder)
}
