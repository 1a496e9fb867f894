//! nginx: one worker, a keep-alive pool to the origin as its documentation describes it. Buffering and the rest stay
//! as a user gets them.

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
    let scratch = folder.path("nginx");
    std::fs::create_dir_all(&scratch)?;
    let scratch = scratch.display();
    let connections = descriptors.saturating_sub(100);
    // Requests per connection are limited to 1,000 by default, on both sides; the others have no such limit.
    let config = folder.write(
        "nginx.conf",
        &format!(
            r#"daemon off;
worker_processes 1;
pid {scratch}/pid;
error_log stderr warn;
events {{ worker_connections {connections}; }}
http {{
  access_log off;
  keepalive_timeout 60s;
  keepalive_requests 1000000000;
  client_body_temp_path {scratch}/client_body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  upstream origin {{
    server {origin};
    keepalive 128;
    keepalive_requests 1000000000;
    keepalive_timeout 60s;
  }}
  server {{
    listen {address} backlog=4096;
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host {origin};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Request-Id $request_id;
    }}
  }}
}}
"#
        ),
    )?;
    let mut command = Command::new("nginx");
    // -e: without it the built-in log path is opened before the file is read.
    command.args(["-e", "stderr", "-c"]).arg(config);
    Ok(command)
}
