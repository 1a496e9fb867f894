//! The bare relay: this program again, in a process of its own so that its time can be told apart.

use std::process::Command;
use std::{env, io};

use super::Place;
use crate::driver::Driver;

pub(super) fn command(driver: Driver, place: Place<'_>) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command
        .args(["floor", "--driver", driver.name()])
        .args(["--port", &place.address.port().to_string()])
        .args(["--origin", &place.origin.to_string()]);
    Ok(command)
}
