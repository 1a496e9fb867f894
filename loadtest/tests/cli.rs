//! The program as a user runs it, with scripts in the place of Ringway. Figures are not judged here; that errors end
//! a run, and that a run that ended well leaves its results, is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of this test's, emptied first.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

fn loadtest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments)
        .output()
        .expect("it was built")
}

/// The same on one CPU that this machine has, so that the tests pass on any.
fn loadtest_here(arguments: &[&str]) -> Output {
    let status = fs::read_to_string("/proc/self/status").expect("proc is there");
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .expect("a mask");
    let cpu = list.trim().split(['-', ',']).next().expect("a first CPU");
    loadtest(&[arguments, &["--gateway-cpu", cpu, "--load-cpu", cpu]].concat())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An executable that stands where Ringway would. `$port` is the port its configuration asks for.
fn pretender(folder: &Path, serve: &str) -> String {
    let path = folder.join("ringway");
    let script = format!(
        r#"#!/bin/sh
[ "$1" = version ] && {{ echo pretender; exit; }}
for config; do :; done
port=$(sed -n '/address:/{{s/.*:\([0-9]*\)".*/\1/p;q}}' "$config")
{serve}
"#
    );
    fs::write(&path, script).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn wrk_is_there() -> bool {
    let there = Command::new("wrk").arg("-v").output().is_ok();
    if !there {
        eprintln!("skipped: wrk is not installed");
    }
    there
}

#[test]
fn bad_usage_exits_2() {
    assert_eq!(
        loadtest(&["compare", "--gateways", "apache"]).status.code(),
        Some(2)
    );
    assert_eq!(loadtest(&["compare", "--rounds", "0"]).status.code(), Some(2));
    assert_eq!(loadtest(&[]).status.code(), Some(2));
}

#[test]
fn a_gateway_that_does_not_start_is_an_error_with_its_last_words() {
    let folder = folder("no-start");
    let program = pretender(&folder, "echo 'cannot bind' >&2; exit 7");
    let output = loadtest_here(&["soak", "--ringway", &program, "--drivers", "epoll"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot bind"), "{}", stderr(&output));
}

#[test]
fn a_gateway_that_answers_otherwise_is_not_compared() {
    let folder = folder("other-answer");
    let serve = format!(
        "exec {} origin --port $port --body-bytes 5",
        env!("CARGO_BIN_EXE_loadtest")
    );
    let program = pretender(&folder, &serve);
    let results = folder.join("results");
    let output = loadtest_here(&[
        "compare",
        "--gateways",
        "ringway",
        "--ringway",
        &program,
        "--drivers",
        "epoll",
        "--results",
        results.to_str().expect("a path in UTF-8"),
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("does not answer as the others"),
        "{}",
        stderr(&output)
    );
    assert!(!results.exists(), "nothing is kept of a run that failed");
}

#[test]
fn a_comparison_leaves_a_table_and_its_figures() {
    if !wrk_is_there() {
        return;
    }
    let results = folder("compared");
    let output = loadtest_here(&[
        "compare",
        "--gateways",
        "floor",
        "--drivers",
        "epoll",
        "--rounds",
        "2",
        "--seconds",
        "1",
        "--connections",
        "4",
        "--results",
        results.to_str().expect("a path in UTF-8"),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let day = fs::read_dir(&results)
        .expect("results")
        .next()
        .expect("a folder")
        .expect("readable")
        .path();
    let json = fs::read(day.join("small-keep-alive.json")).expect("figures");
    let report: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let relay = &report["gateways"][0];
    assert_eq!(relay["rounds"].as_array().map(Vec::len), Some(2));
    assert!(relay["median"]["cpu_us"].as_f64().expect("a number") > 0.0);
    assert_eq!(relay["ratios"][0]["cpu"].as_f64(), Some(1.0), "to itself");
    let markdown = fs::read_to_string(day.join("small-keep-alive.md")).expect("a table");
    assert!(markdown.contains("| bare relay, epoll |"), "{markdown}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), markdown.trim());
}

#[test]
fn a_gateway_that_just_dies_loses_requests_and_says_so() {
    let folder = folder("dies");
    let serve = format!(
        "exec {} floor --driver epoll --port $port --origin $origin",
        env!("CARGO_BIN_EXE_loadtest")
    );
    let serve = format!(
        r#"origin=$(sed -n 's/.*origin:.*http:..\([0-9.:]*\)".*/\1/p' "$config")
{serve}"#
    );
    let program = pretender(&folder, &serve);
    let output = loadtest_here(&[
        "drain",
        "--ringway",
        &program,
        "--drivers",
        "epoll",
        "--seconds",
        "1",
        "--connections",
        "8",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("Term in the middle") && !text.contains(" 0 failed requests"),
        "{text}"
    );
    assert!(
        stderr(&output).contains("requests were lost: Ringway, epoll"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn idle_connections_are_held_and_counted() {
    if !wrk_is_there() {
        return;
    }
    let results = folder("idle");
    let output = loadtest_here(&[
        "idle",
        "--gateways",
        "floor",
        "--drivers",
        "epoll",
        "--connections",
        "50",
        "--results",
        results.to_str().expect("a path in UTF-8"),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("to 50 keep-alive connections") && text.contains("| bare relay, epoll |"),
        "{text}"
    );
}
