//! nginx: one worker, a keep-alive pool to the origin as its documentation describes it. Buffering and the rest stay
//! as a user gets them.

use std::io;
use std::process::Command;

use super::Place;

/// What it does to a request's headers besides what proxying needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// Sets those that Ringway sets: the same work.
    AsRingway,
    /// None. `$request_id` alone draws 16 bytes from OpenSSL's generator for each request, so a ratio to the other
    /// would be read as more than it is if this one were not in the table.
    Untouched,
}

impl Headers {
    pub(super) fn name(self) -> &'static str {
        match self {
            Headers::AsRingway => "nginx",
            Headers::Untouched => "nginx, no headers",
        }
    }
}

pub(super) fn command(headers: Headers, place: Place<'_>) -> io::Result<Command> {
    let Place {
        address,
        origin,
        folder,
        descriptors,
    } = place;
    let name = match headers {
        Headers::AsRingway => "nginx",
        Headers::Untouched => "nginx-bare",
    };
    let scratch = folder.path(name);
    std::fs::create_dir_all(&scratch)?;
    let scratch = scratch.display();
    let connections = descriptors.saturating_sub(100);
    let set_headers = match headers {
        Headers::AsRingway => format!(
            "proxy_set_header Host {origin}; \
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
             proxy_set_header X-Forwarded-Proto $scheme; \
             proxy_set_header X-Forwarded-Host $http_host; \
             proxy_set_header X-Request-Id $request_id;"
        ),
        Headers::Untouched => String::new(),
    };
    // Requests per connection are limited to 1,000 by default, on both sides; the others have no such limit.
    let config = folder.write(
        &format!("{name}.conf"),
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
      {set_headers}
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
