//! A scenario is a folder: `plan.yaml` says what is done, and beside it lies the configuration of every gateway that
//! takes part. They are read from the source tree and not built in, so that somebody who doubts a configuration changes
//! it and runs again; a program that is carried elsewhere takes the folder along (`--folder`).

pub mod goal;
pub mod plan;
pub mod size;
pub mod template;

use std::fs;
use std::path::{Path, PathBuf};

pub use plan::{LoadKind, Plan, Unit};
use template::Values;

use crate::Outcome;
use crate::gateway::Kind;

#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: String,
    pub plan: Plan,
    /// The folder of all scenarios.
    root: PathBuf,
}

impl Scenario {
    /// Reads the one called `name` and checks that its folder holds what its plan names, and nothing else.
    pub fn load(root: &Path, name: &str) -> Outcome<Self> {
        let folder = root.join(name);
        let path = folder.join(PLAN);
        let text = fs::read_to_string(&path).map_err(|error| {
            let known = names(root).unwrap_or_default().join(", ");
            format!(
                "no scenario {name}: {}: {error} (there are: {known})",
                path.display()
            )
        })?;
        let plan = Plan::parse(&path, &text)?;
        let mut expected: Vec<&str> = plan.gateways.iter().filter_map(|kind| kind.template()).collect();
        expected.extend(plan.files.iter().map(String::as_str));
        expected.push(PLAN);
        for file in &expected {
            if !folder.join(file).is_file() {
                return Err(format!("{}: its plan needs {file}", folder.display()).into());
            }
        }
        for entry in fs::read_dir(&folder)? {
            let file = entry?.file_name();
            if !expected.iter().any(|name| file == *name) {
                let file = file.display();
                return Err(format!("{}: nothing in its plan uses {file}", folder.display()).into());
            }
        }
        Ok(Self {
            name: name.to_owned(),
            plan,
            root: root.to_owned(),
        })
    }

    /// Those named, in that order, or all, in the plans' order.
    pub fn several(root: &Path, wanted: Option<&[String]>) -> Outcome<Vec<Self>> {
        let load = |names: &[String]| names.iter().map(|name| Self::load(root, name)).collect();
        match wanted {
            Some(names) => load(names),
            None => {
                let mut all: Vec<Self> = load(&names(root)?)?;
                all.sort_by_key(|scenario| scenario.plan.order);
                Ok(all)
            }
        }
    }

    /// The configuration of `kind`, filled in; None for the one that has none.
    pub fn configuration(&self, kind: Kind, values: &Values) -> Outcome<Option<String>> {
        kind.template().map(|file| self.render(file, values)).transpose()
    }

    /// Any of the folder's templates, filled in.
    pub fn render(&self, file: &str, values: &Values) -> Outcome<String> {
        template::render(&self.root, &format!("{}/{file}", self.name), values)
    }
}

/// Every folder that has a plan, by name.
pub fn names(root: &Path) -> Outcome<Vec<String>> {
    let list = fs::read_dir(root).map_err(|error| {
        format!(
            "no scenarios at {}: {error} (name their folder: --folder)",
            root.display()
        )
    })?;
    let mut names = Vec::new();
    for entry in list {
        let entry = entry?;
        if entry.path().join(PLAN).is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Where they lie in the tree this program was built from.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
const PLAN: &str = "plan.yaml";

#[cfg(test)]
pub mod tests;
