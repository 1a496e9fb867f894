//! Other people's clients and servers, as their users run them.

use crate::support::{
    DEADLINE, Gateway, Origin, Outcome, both_drivers, config,
    gateway::run_to_end,
    message::ok,
    tools::{BIG, HELLO, Server, present},
};
use std::process::Command;

both_drivers! {
    fn curl_gets_and_posts(driver) {
        if !present(&["curl"]) {
            return;
        }
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let url = gateway.url("/");
        let body = "x".repeat(200_000);
        let file = gateway.folder.write("body", &body);
        let plain = run("curl", &["-sS", "--fail", "--data-binary", "small", &url]);
        assert_eq!(plain.stdout, "small");
        // Longer than what curl sends unasked: `Expect: 100-continue`.
        let big = run("curl", &["-sS", "--fail", "-H", "Expect: 100-continue", "--data-binary", &at(&file), &url]);
        assert!(big.stdout == body, "{} bytes of {}", big.stdout.len(), body.len());
        let chunked =
            run("curl", &["-sS", "--fail", "-H", "Transfer-Encoding: chunked", "--data-binary", &at(&file), &url]);
        assert!(chunked.stdout == body, "{} bytes of {}", chunked.stdout.len(), body.len());
        let old = run("curl", &["-sS", "--fail", "--http1.0", "--data-binary", "old", &url]);
        assert_eq!(old.stdout, "old");
    }

    fn python_keeps_its_connection(driver) {
        if !present(&["python3"]) {
            return;
        }
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let program = format!(
            "import http.client\n\
             c = http.client.HTTPConnection('{}', timeout=20)\n\
             for n in range(50):\n\
             \x20   body = b'x' * n * 1000\n\
             \x20   c.request('POST', '/p', body=body if n % 2 else iter([body]), encode_chunked=True,\n\
             \x20             headers={{}} if n % 2 else {{'Transfer-Encoding': 'chunked'}})\n\
             \x20   r = c.getresponse()\n\
             \x20   assert r.status == 200 and r.read() == body, (n, r.status)\n\
             print('fine')\n",
            gateway.address
        );
        assert_eq!(run("python3", &["-c", &program]).stdout.trim(), "fine");
    }

    fn node_fetches_and_keeps_alive(driver) {
        if !present(&["node"]) {
            return;
        }
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let program = format!(
            "const url = '{}';\n\
             const http = require('http');\n\
             const agent = new http.Agent({{ keepAlive: true, maxSockets: 4 }});\n\
             const ask = (n) => new Promise((done, fail) => {{\n\
               const body = 'y'.repeat(n * 500);\n\
               const q = http.request(url, {{ method: 'POST', agent }}, (r) => {{\n\
                 let got = ''; r.on('data', (d) => got += d); r.on('error', fail);\n\
                 r.on('end', () => r.statusCode === 200 && got === body ? done() : fail(new Error(r.statusCode)));\n\
               }});\n\
               q.on('error', fail); q.end(body);\n\
             }});\n\
             (async () => {{\n\
               await Promise.all(Array.from({{ length: 40 }}, (_, n) => ask(n)));\n\
               if (typeof fetch === 'function') {{\n\
                 for (let n = 0; n < 20; n++) {{\n\
                   const r = await fetch(url, {{ method: 'PUT', body: 'z'.repeat(n) }});\n\
                   if (await r.text() !== 'z'.repeat(n)) throw new Error('fetch ' + n);\n\
                 }}\n\
               }}\n\
               console.log('fine'); process.exit(0);\n\
             }})().catch((e) => {{ console.error(e); process.exit(1); }});\n",
            gateway.url("/n")
        );
        assert_eq!(run("node", &["-e", &program]).stdout.trim(), "fine");
    }

    fn wrk_sees_no_error(driver) {
        if !present(&["wrk", "nginx"]) {
            return;
        }
        let origin = Server::nginx();
        let gateway = Gateway::setup(driver, config::api(&origin.url())).shards(2).start();
        let outcome = run("wrk", &["-t", "1", "-c", "64", "-d", "2s", &gateway.url("/hello")]);
        for bad in ["Socket errors", "Non-2xx"] {
            assert!(!outcome.stdout.contains(bad), "{}", outcome.stdout);
        }
        assert!(outcome.stdout.contains("Requests/sec"), "{outcome:?}");
    }

    fn h2load_sees_no_error(driver) {
        if !present(&["h2load", "nginx"]) {
            return;
        }
        let origin = Server::nginx();
        let gateway = Gateway::setup(driver, config::api(&origin.url())).shards(2).start();
        let outcome = run("h2load", &["--h1", "-t", "1", "-c", "32", "-n", "20000", &gateway.url("/hello")]);
        assert!(outcome.stdout.contains("20000 succeeded, 0 failed, 0 errored, 0 timeout"), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("20000 2xx"), "{}", outcome.stdout);
    }

    fn nginx_serves_behind_it(driver) {
        if !present(&["nginx"]) {
            return;
        }
        let origin = Server::nginx();
        serves_files(&Gateway::start(driver, config::api(&origin.url())));
    }

    fn python_serves_behind_it(driver) {
        if !present(&["python3"]) {
            return;
        }
        let origin = Server::python();
        serves_files(&Gateway::start(driver, config::api(&origin.url())));
    }

    /// A whole WebSocket conversation with somebody else's handshake.
    fn python_speaks_websocket_through_it(driver) {
        if !present(&["python3"]) {
            return;
        }
        let origin = websocket_echo();
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(run("python3", &["-c", &WEBSOCKET_CLIENT.replace("ADDRESS", &gateway.address.to_string())]).stdout.trim(), "fine");
    }

    /// Several clients of one gateway at a time, each with its own answers.
    fn many_clients_at_once_get_their_own(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                peer.send(ok(&request.target));
            }
        });
        let gateway = Gateway::setup(driver, config::api(&origin.url)).shards(2).start();
        let address = gateway.address;
        let clients: Vec<_> = (0..16)
            .map(|client| {
                std::thread::spawn(move || {
                    let mut connection = crate::support::Client::connect(address);
                    for n in 0..200 {
                        let target = format!("/{client}/{n}");
                        assert_eq!(connection.get(&target).text(), target);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().expect("its own answers");
        }
    }
}

#[track_caller]
fn serves_files(gateway: &Gateway) {
    for _ in 0..3 {
        let mut client = gateway.client();
        assert_eq!(client.get("/hello").text(), HELLO);
        assert_eq!(client.get("/big").body.len(), BIG);
        assert_eq!(client.get("/missing").status, 404);
        client.send("HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(
            client.response_to_head().get("content-length"),
            Some(BIG.to_string().as_str())
        );
        assert_eq!(client.get("/hello").text(), HELLO);
    }
}

/// Echoes frames as they are: a masked frame of the client is unmasked by the client itself.
fn websocket_echo() -> Origin {
    Origin::start(|peer| {
        if peer.request().is_some() {
            peer.send(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            );
            peer.wire.echo();
        }
    })
}

const WEBSOCKET_CLIENT: &str = r"
import base64, hashlib, os, socket, struct
host, port = 'ADDRESS'.split(':')
s = socket.create_connection((host, int(port)), timeout=20)
key = 'dGhlIHNhbXBsZSBub25jZQ=='
s.sendall(('GET /chat HTTP/1.1\r\nHost: ADDRESS\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
           'Sec-WebSocket-Key: ' + key + '\r\nSec-WebSocket-Version: 13\r\n\r\n').encode())
f = s.makefile('rb')
assert f.readline().startswith(b'HTTP/1.1 101 ')
head = {}
for line in iter(f.readline, b'\r\n'):
    name, value = line.split(b':', 1)
    head[name.lower()] = value.strip().decode()
want = base64.b64encode(hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()).decode()
assert head[b'sec-websocket-accept'] == want
for size in (0, 5, 126, 70000):
    data, mask = os.urandom(size), os.urandom(4)
    length = bytes([0x80 | size]) if size < 126 else b'\xfe' + struct.pack('>H', size) if size < 65536 else b'\xff' + struct.pack('>Q', size)
    frame = b'\x82' + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))
    s.sendall(frame)
    assert f.read(len(frame)) == frame, size
s.shutdown(socket.SHUT_WR)
assert f.read() == b''
print('fine')
";

fn at(file: &std::path::Path) -> String {
    format!("@{}", file.display())
}

/// Runs it; a status other than 0 fails the test with what it said.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> Outcome {
    let outcome = run_to_end(Command::new(program).args(arguments), 2 * DEADLINE);
    assert_eq!(
        outcome.code,
        Some(0),
        "{program}: {}\n{}",
        outcome.stdout,
        outcome.stderr
    );
    outcome
}
