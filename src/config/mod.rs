//! Configuration: from sources to a [`Snapshot`], or every problem with its place.
//!
//! ```text
//! source (files, folders, variables) ─ yaml (located trees) ─ resource (documents as written)
//!        ─ compile (checks across documents, → model) ─ snapshot, or dump
//! ```

mod catalogue;
mod compile;
mod demo;
mod dump;
mod environment;
mod model;
mod resource;
mod schema;
mod source;
mod substitute;
mod yaml;

pub use demo::demo_yaml;
pub use dump::Format as DumpFormat;
pub use environment::Environment;
pub use schema::json_schema;
pub use source::{FOLDERS, VARIABLES};

use crate::{
    located::{Problem, Problems},
    shard::snapshot::Snapshot,
};
use model::Model;
use resource::Resources;
use source::Source;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where to load from.
#[derive(Debug, Default)]
pub struct Options {
    /// Files and folders; empty: the variables, then the usual folders.
    pub paths: Vec<PathBuf>,
    pub environment: Environment,
}

/// A configuration without problems.
#[derive(Debug)]
pub struct Loaded {
    pub snapshot: Snapshot,
    /// What was ignored, and what may surprise: a line each, for the log.
    pub notes: Vec<String>,
    /// How many `ApiInstance`s.
    pub apis: usize,
    /// How many services, inline ones included.
    pub services: usize,
}

/// Reads, decodes and checks everything.
///
/// # Errors
/// Every problem, in the order of the sources.
pub fn load(options: &Options) -> Result<Loaded, Vec<Problem>> {
    finish(read_model(options))
}

/// The same for one text, called `name` in problems.
///
/// # Errors
/// As [`load`].
pub fn load_text(name: &str, text: &str, environment: &Environment) -> Result<Loaded, Vec<Problem>> {
    finish(model_of(
        &[Source::new(name, text)],
        environment,
        Problems::default(),
    ))
}

/// The effective configuration as documents, inline parts written out, defaults filled in, secrets hidden.
///
/// # Errors
/// As [`load`].
pub fn dump(options: &Options, format: DumpFormat) -> Result<String, Vec<Problem>> {
    read_model(options).map(|(model, _)| dump::write(&model, format))
}

type Read = Result<(Model, Vec<String>), Vec<Problem>>;

fn finish(read: Read) -> Result<Loaded, Vec<Problem>> {
    let (model, notes) = read?;
    let (apis, services) = (model.apis.len(), model.services.len());
    Ok(Loaded {
        snapshot: compile::build(model),
        notes,
        apis,
        services,
    })
}

fn read_model(options: &Options) -> Read {
    let mut problems = Problems::default();
    let sources = source::gather(
        &options.paths,
        &options.environment,
        Path::new("/"),
        &mut problems,
    );
    model_of(&sources, &options.environment, problems)
}

fn model_of(sources: &[Source], environment: &Environment, mut problems: Problems) -> Read {
    let mut resources = Resources::default();
    // What could not be read at all may hold any name.
    let mut complete = problems.is_empty();
    for source in sources {
        let documents = yaml::read(&source.name, &source.text);
        complete &= documents.complete;
        for problem in documents.problems {
            problems.push(problem);
        }
        for root in &documents.roots {
            resources.add(root, source.is_registration(), &mut problems);
        }
    }
    // An object whose own name is wrong is missing to all that refer to it, and so is one that is still to come.
    complete &= resources.unnamed == 0;
    let mut notes: Vec<_> = resources
        .registrations
        .first()
        .into_iter()
        .map(|first| {
            let count = resources.registrations.len();
            format!(
                "{first}: {count} document(s) of a registration ignored: Ringway connects to no control plane"
            )
        })
        .collect();
    let model = compile::compile(resources, environment, complete, &mut problems);
    if problems.is_empty() {
        notes.extend(compile::notes(&model));
        return Ok((model, notes));
    }
    Err(in_order(problems.into_list(), sources))
}

/// As a user reads: by source, then by line. A problem met twice on the way is one.
fn in_order(mut problems: Vec<Problem>, sources: &[Source]) -> Vec<Problem> {
    let order: HashMap<&Arc<str>, usize> = sources
        .iter()
        .enumerate()
        .map(|(index, source)| (&source.name, index))
        .collect();
    problems.sort_by_key(|problem| {
        let place = problem.origin.as_ref();
        place.map(|place| {
            (
                order.get(&place.file).map_or(0, |index| index + 1),
                place.line,
                place.column,
            )
        })
    });
    problems.dedup();
    problems
}

#[cfg(test)]
mod tests;
