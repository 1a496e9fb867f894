//! A conformance suite kept beside this repository on machines that have it: raw HTTP/1.1 vectors and their runner.
//! It is not part of the project, so its absence is said and is no failure; `strictness` and `framing` cover the
//! same ground with the project's own vectors.

use crate::support::{Gateway, both_drivers, config, gateway::run_to_end, ports, skipped, tools::present};
use std::{path::Path, process::Command, time::Duration};

both_drivers! {
    fn every_vector_passes(driver) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance");
        if !folder.join("run.py").is_file() {
            return skipped("../shared/conformance is not on this machine");
        }
        if !present(&["python3"]) {
            return;
        }
        let backend = ports::free();
        let gateway = Gateway::start(driver, config::api_preserving_host(&format!("http://{backend}")));
        let mut command = Command::new("python3");
        command.arg(folder.join("run.py")).arg("--vectors").arg(folder.join("vectors-open.jsonl"));
        command.args(["--gateway", &gateway.address.to_string(), "--backend-port", &backend.port().to_string()]);
        let outcome = run_to_end(&mut command, Duration::from_secs(300));
        let verdict = outcome.stdout.lines().last().unwrap_or_default();
        assert_eq!(outcome.code, Some(0), "{}\n{}", outcome.stdout, outcome.stderr);
        assert!(verdict.ends_with(" 0 failed"), "{verdict:?}");
        crate::support::say(&format!("conformance on {}: {verdict}", driver.name()));
    }
}
