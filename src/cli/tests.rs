use super::{AdminAddress, Cli, LogLevel, name_variable, parse, parse_admin, parse_level};
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
fn a_wrong_variable_is_named() {
    let arguments = |words: &[&str]| words.iter().map(Into::into).collect::<Vec<_>>();
    let wrong = || Cli::try_parse_from(["ringway", "run", "--shards", "x"]).unwrap_err();
    let shown = |words: &[&str], set: bool| {
        let value = set.then(|| "x".into());
        name_variable(wrong(), &arguments(words), |_| value.clone()).to_string()
    };
    assert!(shown(&["ringway", "run"], true).contains("the value comes from the variable RINGWAY_SHARDS"));
    for words in [["run", "--shards", "x"], ["run", "--shards=x", ""]] {
        assert!(!shown(&words, true).contains("RINGWAY_SHARDS"));
    }
    assert!(!shown(&["ringway", "run"], false).contains("RINGWAY_SHARDS"));
}

#[test]
fn a_path_given_as_a_flag_may_hold_a_colon() {
    let words = ["ringway", "check", "--config", "a:b.yaml", "-c", "c.yaml"];
    let cli = parse(words.map(Into::into), |_| None).unwrap();
    let super::Command::Check { sources } = cli.command else {
        panic!("{cli:?}")
    };
    assert_eq!(
        sources.config,
        ["a:b.yaml", "c.yaml"].map(std::path::PathBuf::from)
    );
}

#[test]
fn sharing_ports_is_never_a_misspelling_away() {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let flag = run
        .get_arguments()
        .find(|argument| argument.get_id() == "share_ports");
    // A flag's parser reads its variable alone.
    let parser = format!("{:?}", flag.unwrap().get_value_parser());
    assert!(!parser.contains("Falsey"), "{parser}");
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
