//! `$NAME` in a policy's configuration, in a contract's client and in what is said of shared storage.
//!
//! A whole scalar is replaced, in the tree, after YAML was read: a value can't bring syntax with it, and what was
//! put in is never looked at again, so a value that happens to start with a dollar is safe.

use super::environment::Environment;
use crate::located::{Node, Problems, Scalar, Style, Value};
use std::{fs, path::Path};

/// Replaces in every policy configuration of a document.
pub(super) fn substitute_policies(root: &mut Node, environment: &Environment, problems: &mut Problems) {
    at(root, CONFIGURATIONS, environment, problems);
}

/// Follows a path of keys, `*` being any key or element.
fn at(node: &mut Node, paths: &[&[&str]], environment: &Environment, problems: &mut Problems) {
    for path in paths {
        match (path, &mut node.value) {
            ([], _) => substitute(node, environment, problems),
            (["*", rest @ ..], Value::List(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    problems.within_element(index, |problems| at(item, &[rest], environment, problems));
                }
            }
            ([step, rest @ ..], Value::Map(map)) => {
                for (key, item) in map
                    .entries
                    .iter_mut()
                    .filter(|(key, _)| *step == "*" || key.value == *step)
                {
                    problems.within(key, |problems| at(item, &[rest], environment, problems));
                }
            }
            _ => {}
        }
    }
}

/// Replaces in every scalar below `node`; keys stay. Problems carry the path below the current one.
fn substitute(node: &mut Node, environment: &Environment, problems: &mut Problems) {
    match &mut node.value {
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                problems.within_element(index, |problems| substitute(item, environment, problems));
            }
        }
        Value::Map(map) => {
            for (key, item) in &mut map.entries {
                problems.within(key, |problems| substitute(item, environment, problems));
            }
        }
        Value::Scalar(scalar) => match replacement(&scalar.text, environment) {
            Ok(Some(replaced)) => *scalar = replaced,
            Ok(None) => {}
            Err(message) => {
                scalar.style = Style::Refused;
                problems.report(&node.origin, message);
            }
        },
    }
}

fn replacement(text: &str, environment: &Environment) -> Result<Option<Scalar>, String> {
    let Some(reference) = text.strip_prefix('$') else {
        return Ok(None);
    };
    let put_in = |text| {
        Ok(Some(Scalar {
            text,
            style: Style::Substituted,
        }))
    };
    if reference.starts_with('$') {
        // Never read as anything but text: nobody escapes a dollar in front of a number.
        return Ok(Some(Scalar {
            text: reference.to_owned(),
            style: Style::Quoted,
        }));
    }
    if let Some(path) = reference.strip_prefix("file:") {
        return read_secret(path)
            .map_err(|why| format!("`{text}`: {why}"))
            .and_then(put_in);
    }
    if is_variable_name(reference) {
        let value = environment.get(reference);
        return value
            .map_err(|why| format!("the environment variable `{reference}` {why}"))
            .and_then(put_in);
    }
    if reference.starts_with('{') {
        // Taken as text it would make the reference itself the password.
        return Err(format!(
            "`{text}` is not replaced: write $NAME as the whole value, or $$ for a dollar"
        ));
    }
    Ok(None)
}

fn is_variable_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The file's text without the line end that editors and `echo` put after it.
fn read_secret(path: &str) -> Result<String, String> {
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err("must be an absolute path".to_owned());
    }
    // A pipe would block the start, a device might never end.
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    if metadata.len() > SECRET_BYTES {
        return Err(format!("is larger than {} KiB", SECRET_BYTES >> 10));
    }
    let mut text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Where policies are configured: bindings, inline policies, inline routes; and a contract's client, a Secret's pair, the
/// shared storage and what secures connections, whose secrets are best not in a file that many read.
const CONFIGURATIONS: &[&[&str]] = &[
    &["spec", "config"],
    &["spec", "policies", "*", "config"],
    &["spec", "services", "*", "routes", "*", "config"],
    &["spec", "client"],
    &["spec", "tls"],
    &["spec", "defaultTLS"],
    &["spec", "sessionTickets"],
    &["spec", "sharedStorage"],
];

/// A bundle of certificates fits; a mistaken path to a log does not.
const SECRET_BYTES: u64 = 1 << 20;

#[cfg(test)]
#[path = "substitute/tests.rs"]
mod tests;
