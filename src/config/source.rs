//! Where the configuration comes from: files and folders, a variable, the usual folders, or text that is built in.

use super::{environment::Environment, yaml};
use crate::located::{Origin, Problem, Problems};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// One text and the name it goes by in problems.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) name: Arc<str>,
    pub(super) text: String,
}

impl Source {
    pub(super) fn new(name: &str, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// What registration with the vendor's control plane writes; see `resource`.
    pub(super) fn is_registration(&self) -> bool {
        let name = Path::new(&*self.name).file_name().and_then(|name| name.to_str());
        matches!(name, Some("registration.yaml" | "registration.yml"))
    }
}

/// `paths` as given on the command line; else the first variable of [`VARIABLES`] that is set; else all of
/// [`FOLDERS`] that exist. `root` is put before those (`/` but in tests).
pub(super) fn gather(
    paths: &[PathBuf],
    environment: &Environment,
    root: &Path,
    problems: &mut Problems,
) -> Vec<Source> {
    if !paths.is_empty() {
        return paths.iter().flat_map(|path| read_path(path, problems)).collect();
    }
    for variable in VARIABLES {
        if let Some(text) = environment
            .text(variable, problems)
            .filter(|text| !text.trim().is_empty())
        {
            return vec![Source::new(&format!("${variable}"), text)];
        }
    }
    let folders = FOLDERS.map(|folder| root.join(folder.trim_start_matches('/')));
    let sources: Vec<_> = folders
        .iter()
        .filter(|folder| !is_absent(folder))
        .flat_map(|folder| read_folder(folder, problems))
        .collect();
    if sources.is_empty() && problems.is_empty() {
        problems.push(Problem::general(format!(
            "no configuration: give --config FILE_OR_FOLDER, set {}, or put .yaml files in {}; \
             `ringway demo` shows a gateway at work without any",
            VARIABLES.join(" or "),
            FOLDERS.join(", "),
        )));
    }
    sources
}

fn read_path(path: &Path, problems: &mut Problems) -> Vec<Source> {
    if path.is_dir() {
        let before = problems.len();
        let sources = read_folder(path, problems);
        if sources.is_empty() && problems.len() == before {
            report(path, "the folder has no .yaml or .yml file", problems);
        }
        return sources;
    }
    read_file(path, problems).into_iter().collect()
}

/// The folder's own `.yaml` and `.yml` files by name. Hidden ones are skipped, which also skips the
/// bookkeeping of a mounted Kubernetes ConfigMap (`..data`).
fn read_folder(folder: &Path, problems: &mut Problems) -> Vec<Source> {
    let listed: io::Result<Vec<_>> = fs::read_dir(folder).and_then(Iterator::collect);
    let mut paths: Vec<_> = match listed {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) => {
            report(folder, &format!("can't be read: {error}"), problems);
            return Vec::new();
        }
    };
    // What can't be looked at (a link to nowhere, or into a closed folder) stays, to be told when it is read:
    // a binding that is missed in silence may be the one that guards an API.
    paths.retain(|path| is_document(path) && !path.is_dir());
    paths.sort();
    paths
        .iter()
        .filter_map(|path| match path.metadata() {
            // Opening a pipe that nobody writes to would wait for ever.
            Ok(metadata) if !metadata.is_file() => {
                report(path, "is not a file", problems);
                None
            }
            _ => read_file(path, problems),
        })
        .collect()
}

/// Not there, as opposed to there and closed to this process.
fn is_absent(folder: &Path) -> bool {
    matches!(folder.metadata(), Err(error)
        if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

fn is_document(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden
        && path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn read_file(path: &Path, problems: &mut Problems) -> Option<Source> {
    match read_bounded(path) {
        Ok(text) => Some(Source::new(&path.to_string_lossy(), text)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            report(path, "is not UTF-8 text", problems);
            None
        }
        Err(error) => {
            report(path, &format!("can't be read: {error}"), problems);
            None
        }
    }
}

/// One byte past the bound is enough for the reader of documents to refuse the text; a mistaken `/dev/zero` or
/// disk image would otherwise fill the memory first.
fn read_bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(yaml::TEXT_BYTES).unwrap_or(u64::MAX);
    fs::File::open(path)?
        .take(bound.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // Its end may have cut a character; that it is too large is what is wrong with it.
        Err(error) if error.as_bytes().len() > yaml::TEXT_BYTES => {
            Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
        Err(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn report(path: &Path, message: &str, problems: &mut Problems) {
    let origin = Origin {
        file: path.to_string_lossy().into(),
        line: 1,
        column: 1,
    };
    problems.report_at(&origin, "", "", message);
}

/// Hold documents as text; the first that is set counts.
pub const VARIABLES: [&str; 2] = ["RINGWAY_CONFIG", "FLEX_CONFIG"];

/// The gateway's own, then the two of Flex Gateway: its container image's, its Linux packages'.
pub const FOLDERS: [&str; 3] = [
    "/etc/ringway/conf.d",
    "/usr/local/share/mulesoft/flex-gateway/conf.d",
    "/etc/mulesoft/flex-gateway/conf.d/custom",
];

#[cfg(test)]
#[path = "source/tests.rs"]
mod tests;
