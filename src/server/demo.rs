//! `ringway demo`: something to try within a minute, from one process.

use super::{ProcessOptions, RunOptions};
use crate::{config, control::demo_origin};
use tokio::sync::watch;

#[allow(clippy::print_stdout, reason = "the command's answer")]
pub(super) async fn serve(process: ProcessOptions) -> Result<(), String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(|error| format!("the demo's origin could not listen: {error}"))?;
    let port = listener
        .local_addr()
        .map_err(|error| format!("the demo's origin has no address: {error}"))?
        .port();
    // Ends with the process; the gateway in front of it drains first.
    let (_running, stopped) = watch::channel(false);
    tokio::spawn(demo_origin::serve(listener, stopped));

    let loaded = config::load_text("demo", &config::demo_yaml(port), &config::Environment::default())
        .map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            format!("the built-in configuration is wrong:\n{}", lines.join("\n"))
        })?;
    println!(
        "A small API behind Ringway on http://127.0.0.1:8081. Try:\n\n  \
         curl -i http://127.0.0.1:8081/\n  \
         curl -i http://127.0.0.1:8081/echo -d 'hello'\n  \
         curl -N http://127.0.0.1:8081/stream\n\n\
         Ctrl-C drains and ends it."
    );
    super::serve(RunOptions {
        snapshot: loaded.snapshot,
        notes: loaded.notes,
        paths: Vec::new(),
        process,
    })
    .await
}
