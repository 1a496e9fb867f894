//! The gateways that are compared: a closed set, one file each, which writes the configuration that makes it do the
//! same work: one worker, keep-alive on both sides without a request limit, pooled upstream connections, Host
//! rewritten, X-Forwarded-For, -Proto and -Host and X-Request-Id set, no access log.

mod floor;
mod haproxy;
mod nginx;
mod ringway;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fmt, io};

use crate::Outcome;
use crate::driver::Driver;
use crate::scratch::Scratch;
use crate::sys::Signal;

/// One contender. Those on monoio run on a driver each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gateway {
    Ringway { program: PathBuf, driver: Driver },
    Nginx { headers: nginx::Headers },
    Haproxy,
    Floor { driver: Driver },
}

/// Where a gateway is to stand.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub address: SocketAddr,
    pub origin: SocketAddr,
    pub folder: &'a Scratch,
    /// Descriptors a process may hold.
    pub descriptors: u64,
}

impl Gateway {
    /// The one that others are held against.
    pub const NGINX: Gateway = Gateway::Nginx {
        headers: nginx::Headers::AsRingway,
    };

    /// As it stands in tables.
    pub fn name(&self) -> String {
        match self {
            Gateway::Ringway { driver, .. } => format!("Ringway, {driver}"),
            Gateway::Nginx { headers } => headers.name().into(),
            Gateway::Haproxy => "HAProxy".into(),
            Gateway::Floor { driver } => format!("bare relay, {driver}"),
        }
    }

    pub fn driver(&self) -> Option<Driver> {
        match self {
            Gateway::Ringway { driver, .. } | Gateway::Floor { driver } => Some(*driver),
            Gateway::Nginx { .. } | Gateway::Haproxy => None,
        }
    }

    /// Writes its configuration and returns the command that runs it in the foreground.
    pub fn command(&self, place: Place<'_>) -> io::Result<Command> {
        match self {
            Gateway::Ringway { program, driver } => ringway::command(program, *driver, place),
            Gateway::Nginx { headers } => nginx::command(*headers, place),
            Gateway::Haproxy => haproxy::command(place),
            Gateway::Floor { driver } => floor::command(*driver, place),
        }
    }

    /// What it says of its version, in one line. An error when it is not there, with how to get it.
    pub fn version(&self) -> Outcome<String> {
        match self {
            Gateway::Ringway { program, .. } => ringway::version(program),
            Gateway::Nginx { .. } => first_line(Command::new("nginx").arg("-v"), "apt-get install nginx"),
            Gateway::Haproxy => first_line(Command::new("haproxy").arg("-v"), "apt-get install haproxy"),
            Gateway::Floor { .. } => {
                Ok(concat!("loadtest ", env!("CARGO_PKG_VERSION"), ", monoio 0.2").into())
            }
        }
    }

    /// How it is asked to finish what it has and end. None: it cannot.
    pub fn graceful_signal(&self) -> Option<Signal> {
        match self {
            Gateway::Ringway { .. } => Some(Signal::Term),
            Gateway::Nginx { .. } => Some(Signal::Quit),
            Gateway::Haproxy => Some(Signal::Usr1),
            Gateway::Floor { .. } => None,
        }
    }
}

/// Which gateways, as the command line says it.
#[derive(Debug, Clone, clap::Args)]
pub struct Selection {
    /// Ringway's binary [default: `ringway` beside this program]
    #[arg(long, value_name = "PATH")]
    ringway: Option<PathBuf>,

    /// Drivers of those that have a choice [default: each that this machine has]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    drivers: Option<Vec<Driver>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Ringway,
    /// Adds the headers that Ringway adds
    Nginx,
    /// Adds none: what those headers cost it
    NginxBare,
    Haproxy,
    Floor,
}

impl Selection {
    /// Every gateway of these kinds, one for each driver. A driver that was asked for and is not to be had is an error;
    /// without asking, it is left out and said.
    pub fn gateways(&self, kinds: &[Kind]) -> Outcome<Vec<Gateway>> {
        let wanted = kinds
            .iter()
            .any(|kind| matches!(kind, Kind::Ringway | Kind::Floor));
        let drivers = if wanted {
            self.usable_drivers()?
        } else {
            Vec::new()
        };
        let mut gateways = Vec::new();
        for kind in kinds {
            match kind {
                Kind::Nginx => gateways.push(Gateway::NGINX),
                Kind::NginxBare => gateways.push(Gateway::Nginx {
                    headers: nginx::Headers::Untouched,
                }),
                Kind::Haproxy => gateways.push(Gateway::Haproxy),
                Kind::Floor => gateways.extend(drivers.iter().map(|&driver| Gateway::Floor { driver })),
                Kind::Ringway => {
                    let program = self.ringway_program()?;
                    let all = drivers.iter().map(|&driver| Gateway::Ringway {
                        program: program.clone(),
                        driver,
                    });
                    gateways.extend(all);
                }
            }
        }
        Ok(gateways)
    }

    fn usable_drivers(&self) -> Outcome<Vec<Driver>> {
        if let Some(drivers) = &self.drivers {
            for driver in drivers {
                driver
                    .probe()
                    .map_err(|error| format!("{driver} is not to be had here: {error}"))?;
            }
            return Ok(drivers.clone());
        }
        let usable = |driver: &Driver| match driver.probe() {
            Ok(()) => true,
            Err(error) => {
                eprintln!("{driver} is left out: {error}");
                false
            }
        };
        Ok(Driver::ALL.into_iter().filter(usable).collect())
    }

    fn ringway_program(&self) -> Outcome<PathBuf> {
        let program = match &self.ringway {
            Some(path) => path.clone(),
            None => env::current_exe()?.with_file_name("ringway"),
        };
        if program.is_file() {
            return Ok(program);
        }
        let program = program.display();
        Err(format!(
            "no Ringway at {program}: build it (cargo build --release), name it (--ringway PATH), or leave it out \
             (--gateways nginx,haproxy,floor)"
        )
        .into())
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// The first line a program prints, on stdout or on stderr (nginx).
fn first_line(command: &mut Command, remedy: &str) -> Outcome<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .map_err(|error| format!("{program}: {error} ({remedy})"))?;
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_on_a_driver_is_a_gateway_and_the_others_are_one() {
        let selection = Selection {
            ringway: Some(env::current_exe().expect("we run")),
            drivers: Some(vec![Driver::Epoll]),
        };
        let kinds = [
            Kind::Ringway,
            Kind::Nginx,
            Kind::NginxBare,
            Kind::Haproxy,
            Kind::Floor,
        ];
        let names: Vec<String> = selection
            .gateways(&kinds)
            .expect("epoll is everywhere")
            .iter()
            .map(Gateway::name)
            .collect();
        assert_eq!(
            names,
            [
                "Ringway, epoll",
                "nginx",
                "nginx, no headers",
                "HAProxy",
                "bare relay, epoll"
            ]
        );
    }

    #[test]
    fn a_missing_ringway_is_said_with_the_remedy() {
        let selection = Selection {
            ringway: Some("/nowhere/ringway".into()),
            drivers: Some(vec![Driver::Epoll]),
        };
        let message = selection
            .gateways(&[Kind::Ringway])
            .expect_err("it is not there")
            .to_string();
        assert!(
            message.contains("/nowhere/ringway") && message.contains("--ringway"),
            "{message}"
        );
        selection
            .gateways(&[Kind::Nginx, Kind::Floor])
            .expect("it is not needed");
    }
}
