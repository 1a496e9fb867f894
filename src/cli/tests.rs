use super::{AdminAddress, Cli, LogLevel, parse_admin, parse_level};
use clap::{CommandFactory, Parser};

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn bad_usage_exits_2_and_help_0() {
    let code = |arguments: &[&str]| {
        Cli::try_parse_from(arguments)
            .map(|_| ())
            .unwrap_err()
            .exit_code()
    };
    assert_eq!(code(&["ringway", "run", "--shards", "0"]), 2);
    assert_eq!(code(&["ringway", "run", "--driver", "kqueue"]), 2);
    assert_eq!(code(&["ringway", "run", "--admin", "9901"]), 2);
    assert_eq!(code(&["ringway", "serve"]), 2);
    assert_eq!(code(&["ringway"]), 2);
    assert_eq!(code(&["ringway", "--help"]), 0);
    assert_eq!(code(&["ringway", "--version"]), 0);
}

#[test]
fn every_flag_has_a_variable() {
    for command in Cli::command().get_subcommands() {
        for argument in command
            .get_arguments()
            .filter(|argument| argument.get_id() != "help")
        {
            let variable = argument
                .get_env()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            assert!(
                variable.starts_with("RINGWAY_"),
                "{} {}",
                command.get_name(),
                argument.get_id()
            );
        }
    }
}

#[test]
fn every_default_folder_is_in_the_help() {
    for folder in crate::config::FOLDERS {
        assert!(super::SOURCES.contains(folder), "{folder}");
    }
}

#[test]
fn the_admin_address_is_an_address_or_off() {
    assert_eq!(parse_admin("off"), Ok(AdminAddress::Off));
    assert_eq!(
        parse_admin("[::1]:9901"),
        Ok(AdminAddress::At("[::1]:9901".parse().unwrap()))
    );
    assert!(parse_admin("localhost").is_err());
}

#[test]
fn log_levels_are_words_or_the_vendors_numbers() {
    for (text, level) in [
        ("-1", LogLevel::Off),
        ("0", LogLevel::Error),
        ("1", LogLevel::Error),
        ("2", LogLevel::Warn),
        ("4", LogLevel::Info),
        ("8", LogLevel::Debug),
        ("16", LogLevel::Trace),
        ("WARN", LogLevel::Warn),
    ] {
        assert_eq!(parse_level(text), Ok(level), "{text}");
    }
    assert!(parse_level("3").is_err());
    let cli = Cli::try_parse_from(["ringway", "demo", "--log-level", "-1"]);
    assert!(cli.is_ok());
}
