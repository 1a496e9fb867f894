//! Instructions of what every request passes through, compared with the figures kept beside this file.
//!
//! `cargo bench --bench instructions` counts and compares; `-- --accept` keeps what was counted. Times on a shared
//! machine differ by a third from run to run, so a change that costs 5 % is lost among them; counts by valgrind are
//! the same each time. `docs/decisions/0008-instruction-counts.md` says what they do not see.

#![allow(clippy::print_stdout, reason = "the report is what this program is for")]

use std::process::{Command, ExitCode, Stdio};

mod cases;
mod kept;
#[path = "../samples/mod.rs"]
mod samples;

use kept::{Counts, Kept};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == COUNTED) {
        return cases::run_each();
    }
    match count() {
        Ok(counted) if arguments.iter().any(|argument| argument == "--accept") => {
            println!("{}", kept::accept(&counted));
            ExitCode::SUCCESS
        }
        Ok(counted) => {
            let (report, verdict) = kept::compare(&Kept::read(), &counted);
            println!("{report}");
            verdict
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs this program again under callgrind, once for all cases.
fn count() -> Result<Counts, String> {
    let out = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("callgrind.out");
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let run = Command::new("valgrind")
        .args([
            "--quiet",
            "--tool=callgrind",
            "--combine-dumps=yes",
            "--collect-atstart=no",
        ])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(format!("--dump-after={MEASURED}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(&program)
        .arg(COUNTED)
        // The environment lies on the stack, so its size moves everything there by some bytes.
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "valgrind is not installed (apt-get install valgrind)".to_owned(),
            _ => format!("valgrind: {error}"),
        })?;
    if !run.status.success() {
        return Err(format!("valgrind: {}", run.status));
    }
    let told = String::from_utf8_lossy(&run.stdout);
    let mut told = told.lines();
    let processor = told.next().unwrap_or_default().to_owned();
    let written = std::fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    // One part for each time the measured function was left, in that order, and one for the end.
    let counts = written
        .lines()
        .filter_map(|line| line.strip_prefix("totals: "))
        .filter_map(|count| count.trim().parse().ok());
    let counts: Vec<(String, u64)> = told.map(str::to_owned).zip(counts).collect();
    println!(
        "Which functions: callgrind_annotate --inclusive=yes {}\n",
        out.display()
    );
    Ok(Counts {
        conditions: conditions(&processor),
        counts,
    })
}

/// What counts depend on beside the sources. The processor's model is not among it: valgrind shows one of its own,
/// with AVX2 or without, and memchr and libc choose their loops by that.
fn conditions(processor: &str) -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let first_line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok();
        let text = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        text.lines().next().unwrap_or("unknown").trim().to_owned()
    };
    [
        first_line(&rustc, "--version"),
        first_line("getconf", "GNU_LIBC_VERSION"),
        first_line("valgrind", "--version"),
        processor.to_owned(),
    ]
    .join(", ")
}

/// The argument that says: this is the run that is counted.
const COUNTED: &str = "--counted";
/// The function within which is counted, as valgrind sees its name; `--dump-after` takes no wildcards.
const MEASURED: &str = "instructions::cases::measured";
