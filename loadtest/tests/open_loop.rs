//! The open-loop command as a user runs it, against the origin the scenarios use. Its figures are not judged here; that
//! they are there, whole and in both forms, is.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

struct Origin {
    process: Child,
    address: String,
}

impl Origin {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_loadtest"))
            .args(["origin", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was built");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("it says where it listens");
        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Self { process, address }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn open_loop(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .arg("open-loop")
        .args(arguments)
        .output()
        .expect("it was built")
}

#[test]
fn json_has_the_counts_and_the_histogram() {
    let origin = Origin::start();
    let arguments = [
        "--address",
        &origin.address,
        "--rate",
        "200",
        "--connections",
        "8",
        "--seconds",
        "1",
    ];
    let output = open_loop(&[&arguments[..], &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["sent"], &report["answered"]), (&200.into(), &200.into()));
    assert_eq!(report["errors"], 0);
    assert!(report["behind"].is_u64());
    // HdrHistogram's V2 compressed cookie in base64.
    let histogram = report["histogram"].as_str().expect("a text");
    assert!(histogram.starts_with("HISTFAAA"), "{histogram}");
}

#[test]
fn people_get_a_table() {
    let origin = Origin::start();
    let output = open_loop(&["--address", &origin.address, "--rate", "200", "--seconds", "1"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        "200 requests a second over 64 connections",
        "99.9 %",
        "maximum",
        "answered 200",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // On a machine with no time for it, it says so and that is an error; nothing else here can be one.
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || words.contains("generator itself was late"),
        "{words}"
    );
}

#[test]
fn errors_are_its_exit_code() {
    let origin = Origin::start();
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let request = folder.join("coded.request");
    // The origin does not do coded bodies and closes the connection.
    std::fs::write(
        &request,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )
    .expect("it can be written");
    let request = request.to_str().expect("a path in UTF-8");
    let output = open_loop(&[
        "--address",
        &origin.address,
        "--rate",
        "50",
        "--seconds",
        "1",
        "--request",
        request,
    ]);
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("50 errors in 50 requests"), "{words}");
}

#[test]
fn bad_usage_exits_2() {
    let address = ["--address", "127.0.0.1:1"];
    for wrong in [&["--rate", "0"][..], &["--rate", "9", "--connections", "0"], &[]] {
        assert_eq!(
            open_loop(&[&address[..], wrong].concat()).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
}
