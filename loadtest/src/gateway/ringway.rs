//! Ringway: one API, one service, one shard, no admin server.

use std::io;
use std::path::Path;
use std::process::Command;

use super::{Place, first_line};
use crate::Outcome;
use crate::driver::Driver;

pub(super) fn command(program: &Path, driver: Driver, place: Place<'_>) -> io::Result<Command> {
    let Place {
        address,
        origin,
        folder,
        ..
    } = place;
    let config = folder.write(
        &format!("ringway-{driver}.yaml"),
        &format!(
            r#"apiVersion: ringway/v1
kind: ApiInstance
metadata: {{ name: bench }}
spec:
  address: "http://{address}"
  services:
    origin: {{ address: "http://{origin}" }}
"#
        ),
    )?;
    let mut command = Command::new(program);
    command
        .args([
            "run",
            "--driver",
            driver.name(),
            "--shards",
            "1",
            "--admin",
            "off",
            "--config",
        ])
        .arg(config);
    Ok(command)
}

pub(super) fn version(program: &Path) -> Outcome<String> {
    first_line(Command::new(program).arg("version"), "cargo build --release")
}
