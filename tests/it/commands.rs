//! The command line: what it prints, and what it exits with.

use crate::support::{
    Client, DEADLINE, Driver, Gateway, Origin, Outcome, both_drivers, config, eventually,
    gateway::{Folder, ringway, run_to_end},
    message::ok,
    ports::free,
    skipped,
};
use std::{
    fs::File,
    process::{Command, Stdio},
    sync::Mutex,
};

fn run(arguments: &[&str]) -> Outcome {
    run_to_end(ringway().args(arguments), DEADLINE)
}

/// `check` of one file: its outcome, and the lines that tell of a problem in it.
fn check(yaml: &str) -> (Outcome, Vec<String>) {
    let folder = Folder::new();
    let file = folder.write("a.yaml", yaml);
    let file = file.to_str().expect("UTF-8");
    let outcome = run(&["check", "--config", file]);
    let all = format!("{}\n{}", outcome.stdout, outcome.stderr);
    let problems = all
        .lines()
        .filter_map(|line| line.strip_prefix(file))
        .map(str::to_owned)
        .collect();
    (outcome, problems)
}

#[track_caller]
fn refused(yaml: &str, expected: &[&str]) {
    let (outcome, problems) = check(yaml);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let all = problems.join("\n");
    for text in expected {
        assert!(all.contains(text), "{text:?} is not in:\n{all}\n{outcome:?}");
    }
}

#[test]
fn check_accepts_what_is_right() {
    let (outcome, problems) =
        check(&config::api("http://127.0.0.1:9000").replace("@listen@", "127.0.0.1:8081"));
    assert_eq!((outcome.code, problems.len()), (Some(0), 0), "{outcome:?}");
}

/// One line a problem, `file:line:column: Kind/name: path: message`, all of them at once.
#[test]
fn check_tells_every_problem_with_its_place() {
    let yaml = "apiVersion: ringway/v1\n\
                kind: ApiInstance\n\
                metadata:\n\
                \x20 name: orders\n\
                spec:\n\
                \x20 address: http://127.0.0.1:8081\n\
                \x20 servces: {}\n\
                ---\n\
                apiVersion: ringway/v1\n\
                kind: Service\n\
                metadata: { name: stock }\n\
                spec:\n\
                \x20 address: ftp://stock\n";
    let (outcome, problems) = check(yaml);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let starts = |place: &str, object: &str| {
        problems
            .iter()
            .any(|line| line.starts_with(place) && line.contains(&format!(" {object}: ")))
    };
    assert!(starts(":7:3: ", "ApiInstance/orders"), "{problems:#?}");
    assert!(starts(":13:12: ", "Service/stock"), "{problems:#?}");
    assert!(
        problems
            .iter()
            .any(|line| line.contains("servces") && line.contains("services")),
        "{problems:#?}"
    );
}

#[test]
fn names_that_are_not_known_are_refused_with_the_nearest() {
    let good = config::api("http://127.0.0.1:9000").replace("@listen@", "127.0.0.1:8081");
    refused(
        &good.replace("ringway/v1", "ringway/v9"),
        &["ringway/v9", "ringway/v1"],
    );
    refused(
        &good.replace("kind: ApiInstance", "kind: ApiInstanse"),
        &["ApiInstanse", "ApiInstance"],
    );
    refused(&good.replace("services:", "service:"), &["service", "services"]);
    refused(
        &(good.clone() + &config::configuration("limits", "headByte: 5000")),
        &["headByte", "headBytes"],
    );
    refused(
        &(good.clone() + &config::configuration("limit", "headBytes: 5000")),
        &["limits"],
    );
    let binding = "targetRef: { name: test }\npolicyRef: { name: rooute }\nconfig: {}";
    refused(
        &(good + &config::document("PolicyBinding", "b", binding)),
        &["rooute", "route"],
    );
}

/// What Ringway knows of and does not have is refused by name: nobody must believe that it protects them.
#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    let good = config::api("http://127.0.0.1:9000").replace("@listen@", "127.0.0.1:8081");
    for policy in ["spec-validation-flex", "tracing-flex"] {
        let binding = format!("targetRef: {{ name: test }}\npolicyRef: {{ name: {policy} }}\nconfig: {{}}");
        refused(
            &(good.clone() + &config::document("PolicyBinding", "b", &binding)),
            &[policy],
        );
    }
    // TLS without a certificate.
    refused(
        &good.replace("http://127.0.0.1:8081", "https://127.0.0.1:8081"),
        &["https", "`tls`"],
    );
    refused(
        &good.replace("http://127.0.0.1:9000", "h2://127.0.0.1:9000"),
        &["h2"],
    );
    refused(
        &(good.clone() + &config::configuration("logging", "runtimeLogs: { logLevel: info }")),
        &["logging"],
    );
    refused(
        &(good + &config::document("Extension", "mine", "a: b")),
        &["Extension"],
    );
}

#[test]
fn contradictions_are_refused() {
    let api = |name: &str, base: &str| {
        let spec = format!(
            "address: http://127.0.0.1:8081{base}\nservices:\n  s:\n    address: http://127.0.0.1:9000"
        );
        config::document("ApiInstance", name, &spec)
    };
    refused(
        &(api("cats", "/cats") + &api("dogs", "/cats/dogs")),
        &["cats", "dogs"],
    );
    refused(&(api("one", "") + &api("two", "")), &["one", "two"]);
    refused(&(api("same", "/a") + &api("same", "/b")), &["same"]);
    let binding = |target: &str| {
        let spec = format!(
            "targetRef: {{ name: {target} }}\npolicyRef: {{ name: route }}\nconfig: {{ destinationRef: {{ name: s }} }}"
        );
        config::document("PolicyBinding", "b", &spec)
    };
    let service = config::document("Service", "s", "address: http://127.0.0.1:9000");
    refused(&(api("test", "") + &service + &binding("nobody")), &["nobody"]);
    refused(&(api("test", "") + &service + &binding("test")), &["test"]);
    let limits = config::configuration("limits", "headBytes: 5000");
    refused(
        &(api("test", "") + &limits + &limits.replace("name: limits", "name: other")),
        &["limits"],
    );
}

#[test]
fn expressions_that_cannot_be_matched_in_linear_time_are_refused() {
    for path in ["/(a", r"/(a)\1", "/(?<=b)a"] {
        let yaml = [
            config::document("ApiInstance", "test", "address: http://127.0.0.1:8081"),
            config::document("Service", "s", "address: http://127.0.0.1:9000"),
            config::route("r", "s", 50, &format!("  - path: '{path}'"), ""),
        ];
        refused(&yaml.concat(), &["PolicyBinding/r", "path"]);
    }
}

#[test]
fn yaml_that_is_none_is_refused_with_its_place() {
    refused("apiVersion: ringway/v1\nkind: [\n", &[":"]);
    let bomb = (0..12).fold("a0: &a0 x\n".to_owned(), |text, n| {
        format!(
            "{text}a{}: &a{} [{}]\n",
            n + 1,
            n + 1,
            vec![format!("*a{n}"); 10].join(", ")
        )
    });
    refused(&bomb, &[":"]);
}

/// Files of the vendor's registration may lie in the folder: said, not served.
#[test]
fn registration_documents_are_accepted_and_ignored() {
    let registration = config::configuration("platformConnection", "mode: offline\nagentId: 1234")
        .replace("ringway/v1", "gateway.mulesoft.com/v1alpha1");
    let yaml = config::api("http://127.0.0.1:9000").replace("@listen@", "127.0.0.1:8081") + &registration;
    assert_eq!(check(&yaml).0.code, Some(0));
}

#[test]
fn run_refuses_a_bad_configuration_with_1() {
    let folder = Folder::new();
    let file = folder.write(
        "bad.yaml",
        "apiVersion: ringway/v1\nkind: Nothing\nmetadata: { name: x }\n",
    );
    let outcome = run(&["run", "--admin", "off", "--config", file.to_str().expect("UTF-8")]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("bad.yaml:2:"), "{outcome:?}");
}

#[test]
fn bad_usage_exits_with_2() {
    for arguments in [
        &["run", "--nonsense"][..],
        &["walk"],
        &["run", "--driver", "kqueue"],
        &["run", "--shards", "0"],
    ] {
        let outcome = run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert!(!outcome.stderr.is_empty());
    }
}

#[test]
fn help_names_every_command() {
    let outcome = run(&["--help"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    for command in ["run", "check", "dump", "demo", "version", "schema"] {
        assert!(
            outcome.stdout.contains(command),
            "{command} is not in:\n{}",
            outcome.stdout
        );
    }
    let run_help = run(&["run", "--help"]).stdout;
    for text in [
        "--config",
        "--driver",
        "--shards",
        "--admin",
        "--share-ports",
        "RINGWAY_DRIVER",
        "RINGWAY_SHARDS",
    ] {
        assert!(run_help.contains(text), "{text} is not in:\n{run_help}");
    }
}

#[test]
fn version_says_the_driver_and_why() {
    let outcome = run(&["version"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains(env!("CARGO_PKG_VERSION")), "{outcome:?}");
    assert!(
        outcome.stdout.contains("io_uring") || outcome.stdout.contains("epoll"),
        "{outcome:?}"
    );
}

#[test]
fn schema_is_json() {
    let outcome = run(&["schema"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let schema: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert!(schema.is_object() && outcome.stdout.contains("ApiInstance"));
}

/// What came through `$NAME` may be a secret.
#[test]
fn dump_shows_the_effective_configuration_without_secrets() {
    let folder = Folder::new();
    let file = folder.write("a.yaml", &routed("$PREFIX"));
    let mut command = ringway();
    command
        .args(["dump", "--config"])
        .arg(&file)
        .env("PREFIX", "/hush-hush");
    let outcome = run_to_end(&mut command, DEADLINE);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!outcome.stdout.contains("hush-hush"), "{}", outcome.stdout);
    for text in ["ApiInstance", "Service", "http://127.0.0.1:9000", "/a.*"] {
        assert!(
            outcome.stdout.contains(text),
            "{text} is not in:\n{}",
            outcome.stdout
        );
    }
}

#[test]
fn what_dump_prints_loads_to_the_same_again() {
    let folder = Folder::new();
    let dump = |file: &std::path::Path| run(&["dump", "--config", file.to_str().expect("UTF-8")]);
    let first = dump(&folder.write("a.yaml", &routed("/v1")));
    let second = dump(&folder.write("again.yaml", &first.stdout));
    assert_eq!(
        (second.code, second.stdout),
        (Some(0), first.stdout),
        "{}",
        second.stderr
    );
}

fn routed(destination: &str) -> String {
    [
        config::document("ApiInstance", "test", "address: http://127.0.0.1:8081"),
        config::document("Service", "s", "address: http://127.0.0.1:9000"),
        config::route("r", "s", 50, "  - path: /a.*", destination),
    ]
    .concat()
}

#[test]
fn a_name_that_is_not_set_is_refused() {
    let yaml = [
        config::document("ApiInstance", "test", "address: http://127.0.0.1:8081"),
        config::document("Service", "s", "address: http://127.0.0.1:9000"),
        config::route("r", "s", 50, "", "$RINGWAY_TEST_NOBODY_SETS_THIS"),
    ];
    refused(
        &yaml.concat(),
        &["RINGWAY_TEST_NOBODY_SETS_THIS", "PolicyBinding/r"],
    );
}

#[test]
fn without_configuration_the_way_out_is_named() {
    let folders = [
        "/etc/ringway/conf.d",
        "/usr/local/share/mulesoft/flex-gateway/conf.d",
        "/etc/mulesoft/flex-gateway/conf.d/custom",
    ];
    if folders.iter().any(|folder| std::path::Path::new(folder).exists()) {
        return skipped("this machine has a configuration of its own");
    }
    let outcome = run(&["run", "--admin", "off"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for text in folders.iter().chain(&["ringway demo"]) {
        assert!(
            outcome.stderr.contains(text),
            "{text} is not in:\n{}",
            outcome.stderr
        );
    }
}

#[test]
fn the_same_object_twice_names_both_places() {
    let folder = Folder::new();
    let yaml = config::document("Service", "twin", "address: http://127.0.0.1:9000");
    folder.write("a.yaml", &yaml);
    folder.write("b.yml", &yaml);
    let outcome = run(&["check", "--config", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let all = outcome.stdout + &outcome.stderr;
    assert!(
        all.contains("a.yaml:") && all.contains("b.yml:") && all.contains("twin"),
        "{all}"
    );
}

both_drivers! {
    fn inline_configuration_comes_from_the_environment(driver) {
        let origin = Origin::answering(ok("inline"));
        for variable in ["RINGWAY_CONFIG", "FLEX_CONFIG"] {
            let (listen, admin) = (free(), free());
            let mut command = ringway();
            command.args(["run", "--driver", driver.name(), "--shards", "1", "--admin", &admin.to_string()]);
            command.env(variable, config::api(&origin.url).replace("@listen@", &listen.to_string()));
            let _running = Running::start(&mut command);
            eventually("it serves", || Client::try_connect(listen).is_ok());
            assert_eq!(Client::connect(listen).get("/").text(), "inline", "{variable}");
        }
    }

    fn a_folder_is_read_whole(driver) {
        let (one, two) = (Origin::named("one"), Origin::named("two"));
        let folder = Folder::new();
        let api = |name: &str, origin: &Origin| {
            let spec = format!("address: http://@listen@/{name}\nservices:\n  s:\n    address: {}", origin.url);
            config::document("ApiInstance", name, &spec)
        };
        let (listen, admin) = (free(), free());
        folder.write("1.yaml", &api("one", &one).replace("@listen@", &listen.to_string()));
        folder.write("2.yml", &api("two", &two).replace("@listen@", &listen.to_string()));
        folder.write("notes.txt", "not: [yaml");
        let mut command = ringway();
        command.args(["run", "--driver", driver.name(), "--shards", "1", "--admin", &admin.to_string()]);
        let _running = Running::start(command.arg("--config").arg(folder.path()));
        eventually("it serves", || Client::try_connect(listen).is_ok());
        let mut client = Client::connect(listen);
        assert_eq!((client.get("/one").text(), client.get("/two").text()), ("one".into(), "two".into()));
    }

    fn the_start_line_says_driver_and_shards(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::setup(driver, config::api(&origin.url)).shards(2).start();
        gateway.wait_for_log(driver.name());
    }

    fn the_demo_answers_and_says_how_to_ask(driver) {
        the_demo(driver);
    }
}

/// The demo's port is fixed, so its tests take turns.
fn the_demo(driver: Driver) {
    static PORT: Mutex<()> = Mutex::new(());
    let _turn = PORT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let address = "127.0.0.1:8081".parse().expect("an address");
    if Client::try_connect(address).is_ok() {
        return skipped("something else listens on 127.0.0.1:8081");
    }
    let folder = Folder::new();
    let said = folder.path().join("said");
    let mut command = ringway();
    command
        .arg("demo")
        .env("RINGWAY_DRIVER", driver.name())
        .env("RINGWAY_ADMIN", free().to_string());
    let file = File::create(&said).expect("a file");
    command.stdout(file.try_clone().expect("a file")).stderr(file);
    let _running = Running(command.stdin(Stdio::null()).spawn().expect("the binary"));
    let words = || std::fs::read_to_string(&said).unwrap_or_default();
    eventually("the demo listens", || Client::try_connect(address).is_ok());
    let home = Client::connect(address).get("/");
    assert_eq!(home.status, 200, "{}\n{}", home.text(), words());
    eventually("three lines to try", || {
        words().lines().filter(|line| line.contains("curl ")).count() >= 3
    });
}

struct Running(std::process::Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().expect("the binary"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
