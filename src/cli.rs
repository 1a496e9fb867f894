//! The command line: flags, their `RINGWAY_*` variables, and what each command answers.
//!
//! Exit codes: 0 done, 1 the configuration is wrong or the gateway could not start, 2 bad usage.

use crate::{
    config::{self, DumpFormat, Environment, Options},
    located::Problem,
    server::{self, AdminAddress, LogLevel, ProcessOptions, RunOptions},
    shard::snapshot::DriverChoice,
};
use clap::{
    Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::BoolishValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Parses the process's arguments and does what they say.
pub fn main() -> ExitCode {
    match parse(std::env::args_os(), |name| std::env::var_os(name)) {
        Ok(cli) => cli.command.run(),
        Err(error) => refuse(&error),
    }
}

/// Arguments, and the variables of what they leave out.
///
/// A variable that is set to nothing is as good as unset, as compose files and charts write what they leave to
/// the default; the vendor's are read the same way.
fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<Cli, clap::Error> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let blank = |argument: &Arg| {
        let value = argument.get_env().and_then(&variable);
        value.is_some_and(|value| value.as_encoded_bytes().trim_ascii().is_empty())
    };
    let command = Cli::command().mut_subcommands(|command| {
        command.mut_args(|argument| match blank(&argument) {
            true => argument.env(None::<&str>),
            false => argument,
        })
    });
    let mut matches = command
        .try_get_matches_from(&arguments)
        .map_err(|error| name_variable(error, &arguments, &variable))?;
    let from_variable = matches.subcommand().is_some_and(|(_, command)| {
        command.try_contains_id(CONFIG).is_ok()
            && command.value_source(CONFIG) == Some(ValueSource::EnvVariable)
    });
    let mut cli = Cli::from_arg_matches_mut(&mut matches)?;
    if let Command::Run { sources, .. } | Command::Check { sources } | Command::Dump { sources, .. } =
        &mut cli.command
        && from_variable
    {
        // As PATH is written. The flag is not split: it can be repeated, and a path may hold a colon.
        let paths = sources.config.iter().flat_map(std::env::split_paths);
        sources.config = paths.filter(|path| !path.as_os_str().is_empty()).collect();
    }
    Ok(cli)
}

/// Says of a wrong value that was not written on the command line where it was: clap names the flag alone.
fn name_variable(
    mut error: clap::Error,
    arguments: &[OsString],
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> clap::Error {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(shown)) => shown.split(' ').next().unwrap_or("").to_owned(),
        _ => return error,
    };
    let written = arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .any(|argument| argument.split('=').next() == Some(&flag));
    let definition = Cli::command();
    let name = (definition
        .get_subcommands()
        .flat_map(clap::Command::get_arguments))
    .filter(|argument| {
        argument
            .get_long()
            .is_some_and(|long| flag.strip_prefix("--") == Some(long))
    })
    .find_map(Arg::get_env)
    .filter(|name| !written && variable(name).is_some());
    if let Some(name) = name {
        let tip = format!("the value comes from the variable {}", name.display());
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// An HTTP edge gateway: one thread a core, on io_uring or epoll.
#[derive(Debug, Parser)]
#[command(name = "ringway", version, max_term_width = 100, after_help = EXAMPLES, subcommand_required = true)]
#[command(arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a configuration until SIGTERM or SIGINT.
    #[command(after_help = SOURCES)]
    Run {
        #[command(flatten)]
        sources: Sources,
        #[command(flatten)]
        process: Process,
    },
    /// Check a configuration: every problem at once, one a line, on stderr.
    ///
    /// A line is `file:line:column: Kind/name: path: message`. Exits 1 if there is any.
    #[command(after_help = SOURCES)]
    Check {
        #[command(flatten)]
        sources: Sources,
    },
    /// Print the effective configuration: defaults filled in, inline parts written out, secrets hidden.
    #[command(after_help = SOURCES)]
    Dump {
        #[command(flatten)]
        sources: Sources,
        /// How to write it.
        #[arg(long, value_enum, env = "RINGWAY_FORMAT", default_value = "yaml")]
        format: FormatWord,
    },
    /// Start on http://127.0.0.1:8081 with a built-in origin and a small API, and say what to try.
    Demo {
        #[command(flatten)]
        process: Process,
    },
    /// Print the version, the driver that would be used here, and why.
    Version {
        #[command(flatten)]
        driver: Driver,
    },
    /// Print the JSON Schema of configuration documents, for editors.
    Schema,
}

#[derive(Debug, Args)]
struct Sources {
    /// A file, or a folder whose .yaml and .yml files are read. May be given several times; the variable parts
    /// several with a colon.
    #[arg(long, short, value_name = "FILE_OR_FOLDER", env = "RINGWAY_CONFIG_PATH")]
    config: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct Driver {
    /// What drives I/O: io_uring, epoll, or auto for io_uring where the kernel grants it.
    #[arg(long, value_enum, env = "RINGWAY_DRIVER")]
    driver: Option<DriverName>,
}

#[derive(Debug, Args)]
struct Process {
    #[command(flatten)]
    driver: Driver,
    /// Threads that serve. Default: the CPUs this process may use.
    #[arg(long, value_name = "N", env = "RINGWAY_SHARDS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    shards: Option<u16>,
    /// Where /livez and /readyz answer: ADDRESS:PORT, or off. Default: 127.0.0.1:9901.
    #[arg(long, value_name = "ADDRESS|off", env = "RINGWAY_ADMIN", value_parser = parse_admin)]
    admin: Option<AdminAddress>,
    /// Serve on ports that another process serves too, sharing their connections with it.
    #[arg(long, env = "RINGWAY_SHARE_PORTS", value_parser = BoolishValueParser::new())]
    share_ports: bool,
    /// How much to log on stderr: off, error, warn, info, debug, trace.
    ///
    /// Flex Gateway's numbers (-1, 0, 1, 2, 4, 8, 16) are understood too, here and in FLEX_LOG_LEVEL, which is
    /// read where neither this flag nor its variable is given. Default: info.
    #[arg(long, value_name = "LEVEL", env = "RINGWAY_LOG", value_parser = parse_level, allow_hyphen_values = true)]
    log_level: Option<LogLevel>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DriverName {
    Auto,
    #[value(name = "io_uring")]
    IoUring,
    Epoll,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatWord {
    Yaml,
    Json,
}

impl Command {
    fn run(self) -> ExitCode {
        match self {
            Self::Run { sources, process } => process.check().map_or_else(
                |error| refuse(&error),
                |process| match config::load(&sources.options()) {
                    Ok(loaded) => {
                        let config::Loaded { snapshot, notes, .. } = loaded;
                        server::run(RunOptions {
                            snapshot,
                            notes,
                            paths: sources.config,
                            process,
                        })
                    }
                    Err(problems) => refuse_configuration(&problems),
                },
            ),
            Self::Check { sources } => check(&sources.options()),
            Self::Dump { sources, format } => match config::dump(&sources.options(), format.into()) {
                Ok(text) => answer(&text),
                Err(problems) => refuse_configuration(&problems),
            },
            Self::Demo { process } => process.check().map_or_else(|error| refuse(&error), server::demo),
            Self::Version { driver } => server::version(driver.choice().unwrap_or_default()),
            Self::Schema => answer(&config::json_schema()),
        }
    }
}

impl Sources {
    fn options(&self) -> Options {
        Options {
            paths: self.config.clone(),
            environment: Environment::default(),
        }
    }
}

impl Driver {
    fn choice(&self) -> Option<DriverChoice> {
        self.driver.map(|name| match name {
            DriverName::Auto => DriverChoice::Auto,
            DriverName::IoUring => DriverChoice::IoUring,
            DriverName::Epoll => DriverChoice::Epoll,
        })
    }
}

impl Process {
    fn check(self) -> Result<ProcessOptions, clap::Error> {
        let vendor = || match std::env::var(VENDOR_LOG_LEVEL) {
            Ok(text) if !text.trim().is_empty() => parse_level(text.trim()).map(Some).map_err(|message| {
                Cli::command().error(
                    ErrorKind::InvalidValue,
                    format!("{VENDOR_LOG_LEVEL}={text}: {message}"),
                )
            }),
            _ => Ok(None),
        };
        let log = match self.log_level {
            Some(level) => level,
            None => vendor()?.unwrap_or_default(),
        };
        Ok(ProcessOptions {
            driver: self.driver.choice(),
            shards: self.shards.map(usize::from),
            admin: self.admin.unwrap_or_default(),
            share_ports: self.share_ports,
            log,
        })
    }
}

impl From<FormatWord> for DumpFormat {
    fn from(word: FormatWord) -> Self {
        match word {
            FormatWord::Yaml => Self::Yaml,
            FormatWord::Json => Self::Json,
        }
    }
}

fn check(options: &Options) -> ExitCode {
    match config::load(options) {
        Ok(loaded) => {
            let notes: Vec<_> = loaded.notes.iter().map(|note| format!("note: {note}")).collect();
            complain(&notes);
            let (apis, services) = (counted(loaded.apis, "API"), counted(loaded.services, "service"));
            answer(&format!("configuration is valid: {apis}, {services}\n"))
        }
        Err(problems) => refuse_configuration(&problems),
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn refuse_configuration(problems: &[Problem]) -> ExitCode {
    complain(problems);
    ExitCode::FAILURE
}

/// A closed stderr is nobody's to be told of.
fn complain(lines: &[impl std::fmt::Display]) {
    // Buffered: problems are written a character at a time, each of which would be a system call.
    let mut stderr = io::BufWriter::new(io::stderr().lock());
    for line in lines {
        let _ = writeln!(stderr, "{line}");
    }
    let _ = stderr.flush();
}

/// A reader that has enough (`ringway schema | head`) is no failure.
fn answer(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// `--help` and `--version` are errors to clap that end well.
fn refuse(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn parse_admin(text: &str) -> Result<AdminAddress, String> {
    if text == "off" {
        return Ok(AdminAddress::Off);
    }
    text.parse()
        .map(AdminAddress::At)
        .map_err(|_| "must be ADDRESS:PORT, such as 127.0.0.1:9901, or off".to_owned())
}

fn parse_level(text: &str) -> Result<LogLevel, String> {
    match text.to_ascii_lowercase().as_str() {
        "off" | "none" | "-1" => Ok(LogLevel::Off),
        "error" | "fatal" | "0" | "1" => Ok(LogLevel::Error),
        "warn" | "warning" | "2" => Ok(LogLevel::Warn),
        "info" | "4" => Ok(LogLevel::Info),
        "debug" | "8" => Ok(LogLevel::Debug),
        "trace" | "16" => Ok(LogLevel::Trace),
        _ => Err("must be one of off, error, warn, info, debug, trace".to_owned()),
    }
}

/// The field of [`Sources`], as clap calls it.
const CONFIG: &str = "config";

const VENDOR_LOG_LEVEL: &str = "FLEX_LOG_LEVEL";

const EXAMPLES: &str = "\
Examples:
  ringway demo                            a gateway and an origin, to try with curl
  ringway check --config gateway.yaml     what is wrong with a configuration, and where
  ringway run --config gateway.yaml       serve it
  ringway dump --config conf.d            what it comes to

The smallest configuration, a gateway on port 8081 in front of one service:
  apiVersion: ringway/v1
  kind: ApiInstance
  metadata: { name: hello }
  spec:
    address: http://0.0.0.0:8081
    services:
      backend: { address: \"http://127.0.0.1:3000\" }";

const SOURCES: &str = "\
Without --config the documents come from the variable RINGWAY_CONFIG or FLEX_CONFIG (YAML text),
else from these folders, all that exist:
  /etc/ringway/conf.d
  /usr/local/share/mulesoft/flex-gateway/conf.d
  /etc/mulesoft/flex-gateway/conf.d/custom";

#[cfg(test)]
mod tests;
