//! HAProxy: one thread, upstream connections shared among clients as the others do.

use std::io;
use std::process::Command;

use super::Place;

pub(super) fn command(place: Place<'_>) -> io::Result<Command> {
    let Place {
        address,
        origin,
        folder,
        descriptors,
    } = place;
    // It wants two descriptors a connection, and some for itself.
    let connections = descriptors.saturating_sub(200) / 2;
    let config = folder.write(
        "haproxy.cfg",
        &format!(
            r#"global
  nbthread 1
  maxconn {connections}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
  http-reuse always
frontend clients
  bind {address} backlog 4096
  option forwardfor
  unique-id-format %{{+X}}o\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-Id
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header Host {origin}
  default_backend origin
backend origin
  server origin {origin}
"#
        ),
    )?;
    let mut command = Command::new("haproxy");
    // -db: in the foreground, one process.
    command.args(["-db", "-f"]).arg(config);
    Ok(command)
}
