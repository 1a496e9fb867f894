//! Configurations with placeholders. The templates are minijinja's (`{{ address }}`, loops, `{% extends %}`), found by
//! their place below the scenarios folder; a name that is not filled in is an error with file and line.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};
use serde::Serialize;

use crate::Outcome;

/// What a template may name.
#[derive(Debug, Clone, Serialize)]
pub struct Values {
    /// Where clients come: `127.0.0.1:4711`; and its port.
    pub address: SocketAddr,
    pub port: u16,
    /// Where requests go, and its port.
    pub origin: SocketAddr,
    pub origin_port: u16,
    /// Threads or processes that serve.
    pub workers: u32,
    /// Where a gateway with several workers tells about them; 0 where there is one.
    pub admin_port: u16,
    /// Descriptors each may hold.
    pub descriptors: u64,
    /// A folder of this gateway's own.
    pub folder: PathBuf,
    /// APIs and routes in each; 0 where one route takes everything.
    pub apis: u32,
    pub routes: u32,
    /// How many policies.
    pub policies: u32,
    /// PEM files; empty without TLS.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Values {
    /// The same for a gateway at `address` that tells about itself at `admin`, where it has something to tell.
    pub fn at(&self, address: SocketAddr, admin: Option<SocketAddr>) -> Self {
        Self {
            address,
            port: address.port(),
            admin_port: admin.map_or(0, |admin| admin.port()),
            ..self.clone()
        }
    }

    pub fn admin(&self) -> Option<SocketAddr> {
        (self.admin_port != 0).then_some(SocketAddr::from((Ipv4Addr::LOCALHOST, self.admin_port)))
    }
}

/// Fills in the template at `name`, a path below `root`.
pub fn render(root: &Path, name: &str, values: &Values) -> Outcome<String> {
    let mut environment = Environment::new();
    // A name without a value would become nothing, and the gateway perhaps start all the same.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // Lines of instructions alone leave no trace.
    let syntax = SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    let folder = root.to_owned();
    environment.set_loader(move |name| load(&folder, name));
    let text = environment
        .get_template(name)
        .and_then(|template| template.render(Serde(values)));
    text.map_err(|error| located(root, name, &error).into())
}

fn load(root: &Path, name: &str) -> Result<Option<String>, Error> {
    // What stands in a template is a name below the folder and nothing else.
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Ok(None);
    }
    match std::fs::read_to_string(root.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(
            minijinja::ErrorKind::InvalidOperation,
            format!("cannot be read: {error}"),
        )),
    }
}

/// The innermost place that is known: in a template that extends another, the other's line is the one to mend.
fn located(root: &Path, name: &str, error: &Error) -> String {
    let mut innermost = error;
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(cause) = cause
            .downcast_ref::<Error>()
            .filter(|cause| cause.line().is_some())
        {
            innermost = cause;
        }
        source = cause.source();
    }
    let file = root.join(innermost.name().unwrap_or(name));
    let what = match innermost.detail() {
        Some(detail) => format!("{}: {detail}", innermost.kind()),
        None => innermost.kind().to_string(),
    };
    // The value that is missing is best named by the line it stands in.
    let line = innermost.line().unwrap_or(1);
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let written = text
        .lines()
        .nth(line.saturating_sub(1))
        .unwrap_or_default()
        .trim();
    format!("{}:{line}: {what} in `{written}`", file.display())
}

#[cfg(test)]
#[path = "template/tests.rs"]
mod tests;
