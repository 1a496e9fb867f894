//! The program as a user runs it, with scripts in the place of Ringway and scenarios of the tests' own. Figures are not
//! judged here; that errors end a run, and that a run that ended well leaves its results, is.

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
    assert_eq!(loadtest(&["run", "--gateways", "apache"]).status.code(), Some(2));
    assert_eq!(loadtest(&["run", "--rounds", "0"]).status.code(), Some(2));
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
        "run",
        "--scenarios",
        "small-keep-alive",
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

/// Scenarios of the relay alone, so small that they are over in a second.
fn scenarios(folder: &Path, plans: &[(&str, &str)]) -> String {
    let root = folder.join("scenarios");
    for (index, (name, plan)) in plans.iter().enumerate() {
        let rest = format!(
            "measures: of a test\norder: {index}\nquick: {{ rounds: 2, seconds: 1 }}\nfull: {{ rounds: 9, seconds: 9 }}\n"
        );
        fs::create_dir_all(root.join(name)).expect("the folder can be made");
        fs::write(root.join(name).join("plan.yaml"), rest + plan).expect("it can be written");
    }
    root.to_str().expect("a path in UTF-8").to_owned()
}

/// The one folder below `results`.
fn day(results: &Path) -> PathBuf {
    let mut list = fs::read_dir(results).expect("results");
    list.next().expect("a folder").expect("readable").path()
}

fn json(day: &Path, scenario: &str) -> serde_json::Value {
    let text = fs::read(day.join(format!("{scenario}.json"))).expect("figures");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn a_run_leaves_tables_figures_and_a_summary() {
    if !wrk_is_there() {
        return;
    }
    let folder = folder("run");
    let scenarios = scenarios(
        &folder,
        &[
            (
                "small",
                "gateways: [floor]\nload: { kind: keep-alive, connections: 4 }\n\
                 variants: [{ name: few }, { name: more, connections: 8 }]\n",
            ),
            (
                "large",
                "gateways: [floor]\nper: GiB\nload: { kind: transfer, connections: 2 }\n\
                 origin: { body: 1MiB }\nfloor: { buffer: 64KiB }\n",
            ),
            (
                "short",
                "gateways: [floor]\nper: connection\nload: { kind: short, connections: 4 }\nfloor: { style: short }\n",
            ),
        ],
    );
    let results = folder.join("results");
    let output = loadtest_here(&[
        "run",
        "--drivers",
        "epoll",
        "--no-calls",
        "--folder",
        &scenarios,
        "--results",
        results.to_str().expect("a path in UTF-8"),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let day = day(&results);
    for (name, variants) in [("small", 2), ("large", 1), ("short", 1)] {
        let report = json(&day, name);
        assert_eq!(
            report["variants"].as_array().map(Vec::len),
            Some(variants),
            "{name}"
        );
        for variant in report["variants"].as_array().expect("a list") {
            let relay = &variant["gateways"][0];
            assert_eq!(relay["rounds"].as_array().map(Vec::len), Some(2), "{name}");
            assert!(
                relay["figures"]["cpu_us"].as_f64().expect("a number") > 0.0,
                "{name}"
            );
            assert!(
                relay["figures"]["peak_resident_bytes"]
                    .as_f64()
                    .expect("a number")
                    > 0.0
            );
            assert_eq!(
                relay["ratios"]["relay"]["cpu_us"]["value"].as_f64(),
                Some(1.0),
                "to itself"
            );
        }
        let markdown = fs::read_to_string(day.join(format!("{name}.md"))).expect("a table");
        assert!(markdown.contains("| bare relay, epoll |"), "{markdown}");
        let (printed, plots) = markdown.split_once("\n![").expect("a plot");
        assert!(String::from_utf8_lossy(&output.stdout).contains(printed));
        let plot = plots.split(['(', ')']).nth(1).expect("its file");
        let svg = fs::read_to_string(day.join(plot)).expect("it is there");
        assert!(
            svg.starts_with("<svg") && svg.contains("bare relay, epoll"),
            "{svg}"
        );
    }
    assert!(stderr(&output).contains("1/3 small") && stderr(&output).contains("left"));
    let summary = fs::read_to_string(day.join("summary.md")).expect("a summary");
    assert!(summary.contains("[large](large.md)"), "{summary}");
}

#[test]
fn a_plan_with_a_mistake_ends_the_run_with_its_place() {
    let folder = folder("mistake");
    let root = scenarios(
        &folder,
        &[(
            "some",
            "gateways: [floor]\nload: { kind: keep-alive, conections: 4 }\n",
        )],
    );
    let output = loadtest_here(&["run", "--folder", &root]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("plan.yaml:6:") && text.contains("conections"),
        "{text}"
    );
}

#[test]
fn what_ringway_cannot_do_yet_is_skipped_and_said() {
    let folder = folder("skipped");
    let script =
        "#!/bin/sh\n[ $1 = version ] && { echo pretender; exit; }\necho \"$3:7:1: no such policy\"\nexit 1\n";
    let program = folder.join("ringway");
    fs::write(&program, script).expect("it can be written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let plan = "gateways: [ringway]\nneeds: policies\nload: { kind: keep-alive, connections: 4 }\n";
    let root = scenarios(&folder, &[("some", plan)]);
    fs::write(
        Path::new(&root).join("some/ringway.yaml"),
        "address: {{ address }}\n",
    )
    .expect("it is ours");
    let output = loadtest_here(&[
        "run",
        "--ringway",
        program.to_str().expect("a path in UTF-8"),
        "--drivers",
        "epoll",
        "--folder",
        &root,
        "--results",
        folder.join("results").to_str().expect("a path in UTF-8"),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("skipped: this Ringway does not have policies yet: no such policy"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn list_and_show_say_what_is_compared() {
    let output = loadtest(&["list"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("small-keep-alive\n  The plain case"),
        "{text}"
    );
    let output = loadtest(&["show", "small-keep-alive", "--gateways", "nginx"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("listen 127.0.0.1:8081") && text.contains("server 127.0.0.1:3000;"),
        "{text}"
    );
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
    let folder = folder("idle");
    let plan = "gateways: [floor]\nload: { kind: none, connections: 0, idle: 50 }\n";
    let root = scenarios(&folder, &[("waiting", plan)]);
    let results = folder.join("results");
    let output = loadtest_here(&[
        "run",
        "--drivers",
        "epoll",
        "--rounds",
        "1",
        "--folder",
        &root,
        "--results",
        results.to_str().expect("a path in UTF-8"),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report = json(&day(&results), "waiting");
    let figures = &report["variants"][0]["gateways"][0]["figures"];
    assert!(figures["connection_bytes"].as_f64().is_some(), "{figures}");
}

/// What the repository's README says Ringway costs was measured, and by the last run that was kept.
#[test]
fn the_readme_shows_the_newest_results_and_no_others() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(["readme", "--check", "--results"])
        .arg(tree.join("results"))
        .arg("--readme")
        .arg(tree.join("../README.md"))
        .output()
        .expect("it was built");
    assert!(output.status.success(), "{}", stderr(&output));
}
