//! Programs from outside: other people's clients and origins.

use super::{Client, eventually, gateway::Folder, ports, tls};
use std::{
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

/// Whether every program is there. On a build machine (`CI` set) a missing one is a failure; elsewhere it is said.
#[track_caller]
pub fn present(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs
        .iter()
        .filter(|program| !on_path(program))
        .copied()
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "not installed: {missing:?}");
    super::skipped(&format!("{} not installed", missing.join(", ")));
    false
}

/// A server that serves `/hello` ("hello from it") and `/big` (see [`BIG`]) from a folder.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    _folder: Folder,
}

pub const HELLO: &str = "hello from it";
/// Length of the file `/big`.
pub const BIG: usize = 3 * 1024 * 1024 + 7;

impl Server {
    /// nginx with keep-alive and its defaults otherwise.
    pub fn nginx() -> Self {
        Self::nginx_with("", "")
    }

    pub fn nginx_tls(pair: &tls::Pair) -> Self {
        let (crt, key) = (pair.crt.display(), pair.key.display());
        Self::nginx_with(
            " ssl",
            &format!("ssl_certificate {crt}; ssl_certificate_key {key};"),
        )
    }

    fn nginx_with(how: &str, more: &str) -> Self {
        Self::start(|folder, address| {
            let root = folder.path().display();
            let configuration = format!(
                "daemon off; master_process off; pid {root}/pid; error_log stderr;\n\
                 events {{ worker_connections 512; }}\n\
                 http {{ access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;\n\
                 fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;\n\
                 server {{ listen {address}{how}; {more} root {root}; }} }}\n"
            );
            let file = folder.write("nginx.conf", &configuration);
            let mut command = Command::new("nginx");
            command
                .arg("-c")
                .arg(file)
                .arg("-p")
                .arg(folder.path())
                .args(["-e", "stderr"]);
            command
        })
    }

    /// HAProxy in front of somebody; `how` stands behind that one's address. A client names itself in `X-Source`.
    pub fn haproxy(target: SocketAddr, how: &str) -> Self {
        Self::start(|folder, address| {
            let configuration = format!(
                "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
                 frontend f\n  bind {address}\n  default_backend b\n\
                 backend b\n  http-request set-src hdr(x-source)\n  server s {target} {how}\n"
            );
            let file = folder.write("haproxy.cfg", &configuration);
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(file);
            command
        })
    }

    /// `python3 -m http.server`: HTTP/1.0 unless told otherwise, a close after each response.
    pub fn python() -> Self {
        Self::start(|folder, address| {
            let mut command = Command::new("python3");
            command.args([
                "-m",
                "http.server",
                "--bind",
                &address.ip().to_string(),
                "--directory",
            ]);
            command.arg(folder.path()).arg(address.port().to_string());
            command
        })
    }

    /// The same over TLS.
    pub fn python_tls(pair: &tls::Pair) -> Self {
        Self::start(|folder, address| {
            let program = format!(
                "import functools, http.server, ssl\n\
                 handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory='{}')\n\
                 server = http.server.ThreadingHTTPServer(('{}', {}), handler)\n\
                 context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
                 context.load_cert_chain('{}', '{}')\n\
                 server.socket = context.wrap_socket(server.socket, server_side=True)\n\
                 server.serve_forever()\n",
                folder.path().display(),
                address.ip(),
                address.port(),
                pair.crt.display(),
                pair.key.display(),
            );
            let mut command = Command::new("python3");
            command.args(["-c", &program]);
            command
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn start(command: impl Fn(&Folder, SocketAddr) -> Command) -> Self {
        let (folder, address) = (Folder::new(), ports::free());
        folder.write("hello", HELLO);
        folder.write("big", &"0123456789abcdef".repeat(BIG.div_ceil(16))[..BIG]);
        let child = command(&folder, address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server");
        let server = Self {
            child,
            address,
            _folder: folder,
        };
        eventually("the server listens", || Client::try_connect(address).is_ok());
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([std::path::PathBuf::from("/usr/sbin")])
        .any(|folder| folder.join(program).is_file())
}
