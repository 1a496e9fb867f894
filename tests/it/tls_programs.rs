//! TLS with other people's clients, origins and examiners; and what `tls-outbound` says of origins.

use crate::support::{
    DEADLINE, Driver, Gateway, Origin, both_drivers, config, eventually,
    gateway::{Outcome, run_to_end},
    message::ok,
    tls::{Authority, Pair},
    tools::{BIG, HELLO, Server, present},
};
use std::{process::Command, time::Duration};

const HERE: &[&str] = &["localhost", "127.0.0.1"];

both_drivers! {
    fn curl_with_and_without_certificates(driver) {
        if !present(&["curl"]) {
            return;
        }
        let authority = Authority::new();
        let origin = Origin::echoing();
        let own = authority.pair(HERE);
        let trust = config::certificate(&own) + &format!("trustedCA: \"$file:{}\"\n", authority.file.display());
        let open = Gateway::start(driver, config::secured(&origin.url, &config::certificate(&own)));
        let closed = Gateway::start(driver, config::secured(&origin.url, &(trust + "requireClientCertificate: true\n")));
        let good = authority.pair(&["client.test"]);
        let expired = authority.expired_pair(&["client.test"]);
        let others = Authority::new();
        let strange = others.pair(&["client.test"]);
        let ask = |gateway: &Gateway, extra: &[&str], pair: Option<&Pair>| {
            let mut command = Command::new("curl");
            let url = format!("https://localhost:{}/", gateway.address.port());
            command.args(["-sS", "--http1.1", "--cacert"]).arg(&authority.file).args(["--data-binary", "hello"]);
            if let Some(pair) = pair {
                command.arg("--cert").arg(&pair.crt).arg("--key").arg(&pair.key);
            }
            run_to_end(command.args(extra).arg(url), DEADLINE)
        };
        for versions in [&["--tlsv1.2", "--tls-max", "1.2"][..], &["--tlsv1.3"]] {
            assert_eq!(ask(&open, versions, None).stdout, "hello");
            assert_eq!(ask(&closed, versions, Some(&good)).stdout, "hello");
            for refused in [None, Some(&expired), Some(&strange)] {
                let outcome = ask(&closed, versions, refused);
                assert!(outcome.code != Some(0) && outcome.stdout.is_empty(), "{outcome:?}");
            }
        }
        assert_ne!(ask(&open, &["--tls-max", "1.1"], None).code, Some(0));
        // Whom a client believes is the client's to say.
        let stranger = Gateway::start(driver, config::secured(&origin.url, &config::certificate(&others.pair(HERE))));
        // 60, or 35 where an authority of the same name is believed.
        assert!(matches!(ask(&stranger, &[], None).code, Some(35 | 60)));
        let named = Gateway::start(driver, config::secured(&origin.url, &config::certificate(&authority.pair(&["other.test"]))));
        assert_eq!(ask(&named, &[], None).code, Some(60));
        let big = "x".repeat(3_000_000);
        let file = open.folder.write("body", &big);
        let outcome = run("curl", &["-sS", "--fail", "--http1.1", "--cacert", &authority.file.display().to_string(),
            "--data-binary", &format!("@{}", file.display()), &format!("https://localhost:{}/", open.address.port())]);
        assert!(outcome.stdout == big, "{} bytes", outcome.stdout.len());
        // To the wrong port with the wrong scheme.
        let plain = run("curl", &["-sS", "-o", "-", "-w", "%{http_code}", &open.url("/")]);
        assert!(plain.stdout.ends_with("400"), "{plain:?}");
    }

    fn python_keeps_its_connection(driver) {
        if !present(&["python3"]) {
            return;
        }
        let authority = Authority::new();
        let origin = Origin::echoing();
        let gateway = secured(driver, &authority, &origin);
        let program = format!(
            "import http.client, ssl\n\
             context = ssl.create_default_context(cafile='{}')\n\
             session = None\n\
             for round in range(3):\n\
             \x20   c = http.client.HTTPSConnection('localhost', {}, timeout=20, context=context)\n\
             \x20   for n in range(30):\n\
             \x20       body = b'x' * n * 1000\n\
             \x20       c.request('POST', '/p', body=body if n % 2 else iter([body]), encode_chunked=True,\n\
             \x20                 headers={{}} if n % 2 else {{'Transfer-Encoding': 'chunked'}})\n\
             \x20       r = c.getresponse()\n\
             \x20       assert r.status == 200 and r.read() == body, (n, r.status)\n\
             \x20   assert c.sock.version() == 'TLSv1.3', c.sock.version()\n\
             \x20   c.close()\n\
             print('fine')\n",
            authority.file.display(), gateway.address.port()
        );
        assert_eq!(run("python3", &["-c", &program]).stdout.trim(), "fine");
    }

    fn node_keeps_alive_and_resumes(driver) {
        if !present(&["node"]) {
            return;
        }
        let authority = Authority::new();
        let origin = Origin::echoing();
        let gateway = secured(driver, &authority, &origin);
        let program = format!(
            "const https = require('https'), fs = require('fs');\n\
             const ca = fs.readFileSync('{}');\n\
             const agent = new https.Agent({{ keepAlive: true, maxSockets: 4, ca }});\n\
             const ask = (n, agent) => new Promise((done, fail) => {{\n\
               const body = 'y'.repeat(n * 500);\n\
               const q = https.request({{ host: 'localhost', port: {}, path: '/n', method: 'POST', agent }}, (r) => {{\n\
                 const resumed = r.socket.isSessionReused();\n\
                 let got = ''; r.on('data', (d) => got += d); r.on('error', fail);\n\
                 r.on('end', () => r.statusCode === 200 && got === body ? done(resumed) : fail(new Error(r.statusCode)));\n\
               }});\n\
               q.on('error', fail); q.end(body);\n\
             }});\n\
             (async () => {{\n\
               await Promise.all(Array.from({{ length: 40 }}, (_, n) => ask(n, agent)));\n\
               agent.destroy();\n\
               const short = new https.Agent({{ keepAlive: false, ca }});\n\
               const reused = [];\n\
               for (let n = 0; n < 5; n++) reused.push(await ask(n, short));\n\
               if (!reused.slice(1).every((r) => r)) throw new Error('not resumed: ' + reused);\n\
               console.log('fine'); process.exit(0);\n\
             }})().catch((e) => {{ console.error(e); process.exit(1); }});\n",
            authority.file.display(), gateway.address.port()
        );
        assert_eq!(run("node", &["-e", &program]).stdout.trim(), "fine");
    }

    fn openssl_resumes(driver) {
        if !present(&["openssl"]) {
            return;
        }
        let authority = Authority::new();
        let origin = Origin::answering(ok("x"));
        let gateway = Gateway::setup(driver, config::secured(&origin.url, &config::certificate(&authority.pair(HERE)))).shards(2).start();
        let at = format!("localhost:{}", gateway.address.port());
        for version in ["-tls1_2", "-tls1_3"] {
            let session = gateway.folder.path().join(format!("session{version}"));
            let ask = |how: &str| {
                // A request, so that the tickets of TLS 1.3 come with its answer.
                let script = format!(
                    "printf 'GET / HTTP/1.1\\r\\nHost: h\\r\\nConnection: close\\r\\n\\r\\n' | \
                     openssl s_client -connect {at} -CAfile {} -verify_return_error -ign_eof {version} {how} {} 2>&1",
                    authority.file.display(), session.display()
                );
                run("sh", &["-c", &script]).stdout
            };
            let first = ask("-sess_out");
            assert!(first.contains("\nNew, TLSv1.") && first.contains("200 OK"), "{first}");
            let second = ask("-sess_in");
            assert!(second.contains("\nReused, TLSv1.") && second.contains("200 OK"), "{second}");
        }
    }

    fn nginx_serves_behind_it(driver) {
        if !present(&["nginx"]) {
            return;
        }
        let authority = Authority::new();
        let pair = authority.pair(HERE);
        let origin = Server::nginx_tls(&pair);
        serves_files(&trusting(driver, &authority, &origin.url().replace("http://", "https://"), ""));
    }

    fn python_serves_behind_it(driver) {
        if !present(&["python3"]) {
            return;
        }
        let authority = Authority::new();
        let pair = authority.pair(HERE);
        let origin = Server::python_tls(&pair);
        serves_files(&trusting(driver, &authority, &origin.url().replace("http://", "https://"), ""));
    }

    fn an_origin_asks_for_a_certificate(driver) {
        let authority = Authority::new();
        let origin = Origin::start_tls(&authority.server_asking(HERE), |peer| {
            while peer.request().is_some() {
                peer.send(ok("let in"));
            }
        });
        let good = authority.pair(&["gateway.test"]);
        let gateway = trusting(driver, &authority, &origin.url, &config::certificate(&good));
        assert_eq!(gateway.get("/").text(), "let in");
        let none = trusting(driver, &authority, &origin.url, "");
        assert_eq!(none.get("/").status, 502);
        let others = Authority::new();
        let strange = others.pair(&["gateway.test"]);
        let stranger = trusting(driver, &authority, &origin.url, &config::certificate(&strange));
        assert_eq!(stranger.get("/").status, 502);
    }

    fn whom_a_service_believes(driver) {
        let (authority, other) = (Authority::new(), Authority::new());
        let serve = |server| Origin::start_tls(&server, |peer| {
            while peer.request().is_some() {
                peer.send(ok("believed"));
            }
        });
        let origin = serve(authority.server(&["inner.test"]));
        let named = trusting(driver, &authority, &origin.url, "serverName: inner.test\n");
        assert_eq!(named.get("/").text(), "believed");
        let unnamed = trusting(driver, &authority, &origin.url, "");
        assert_eq!(unnamed.get("/").status, 502, "the address is not its name");
        let untrusted = trusting(driver, &other, &origin.url, "serverName: inner.test\n");
        assert_eq!(untrusted.get("/").status, 502);
        let lax = trusting(driver, &other, &origin.url, "skipValidation: true\n");
        assert_eq!(lax.get("/").text(), "believed");
        lax.wait_for_log("whoever answers for this service is believed");
        let old = serve(authority.server_speaking(HERE, &rustls::version::TLS12));
        assert_eq!(trusting(driver, &authority, &old.url, "").get("/").text(), "believed");
        assert_eq!(trusting(driver, &authority, &old.url, "minversion: \"1.3\"\n").get("/").status, 502);
        assert_eq!(trusting(driver, &authority, &old.url, "ciphers: [ TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 ]\n").get("/").text(), "believed");
        assert_eq!(trusting(driver, &authority, &old.url, "ciphers: [ TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 ]\n").get("/").status, 502, "of another key");
    }
}

/// Somebody else's opinion of the default settings: nothing above "low". One driver, because it takes its time and sees
/// nothing of drivers.
#[test]
fn testssl_finds_nothing_of_note() {
    if !present(&["testssl"]) {
        return;
    }
    let authority = Authority::new();
    let origin = Origin::answering(ok("x"));
    let gateway = secured(Driver::Epoll, &authority, &origin);
    let report = gateway.folder.path().join("report.json");
    let mut command = Command::new("testssl");
    command
        .args([
            "--quiet",
            "--color",
            "0",
            "--warnings",
            "off",
            "--ip",
            "127.0.0.1",
            "--nodns",
            "none",
        ])
        .arg("--add-ca")
        .arg(&authority.file)
        .arg("--jsonfile")
        .arg(&report)
        .arg(format!("https://localhost:{}", gateway.address.port()));
    let outcome = run_to_end(&mut command, Duration::from_secs(900));
    let text = std::fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {outcome:?}"));
    let findings: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a report");
    assert!(findings.len() > 80, "{} findings: {outcome:?}", findings.len());
    let of_note: Vec<String> = findings
        .iter()
        .filter(|finding| {
            matches!(
                finding["severity"].as_str(),
                Some("MEDIUM" | "HIGH" | "CRITICAL" | "FATAL")
            )
        })
        .filter(|finding| !of_the_test(finding["id"].as_str().unwrap_or_default()))
        .map(ToString::to_string)
        .collect();
    assert!(of_note.is_empty(), "{}", of_note.join("\n"));
}

/// What is said of the test's own certificate, whose authority nobody publishes, and of the origin's answer.
fn of_the_test(id: &str) -> bool {
    [
        "cert_",
        "OCSP",
        "DNS_CAArecord",
        "HSTS",
        "security_headers",
        "overall_grade",
        "grade_cap",
    ]
    .iter()
    .any(|part| id.starts_with(part))
}

fn secured(driver: Driver, authority: &Authority, origin: &Origin) -> Gateway {
    Gateway::start(
        driver,
        config::secured(&origin.url, &config::certificate(&authority.pair(HERE))),
    )
}

/// A service that believes the authority, with more of the policy's configuration (whole lines).
fn trusting(driver: Driver, authority: &Authority, url: &str, more: &str) -> Gateway {
    let fields: String = format!("trustedCA: \"$file:{}\"\n{more}", authority.file.display())
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect();
    let binding = config::document(
        "PolicyBinding",
        "outbound",
        &format!(
            "targetRef: {{ kind: Service, name: origin }}\npolicyRef: {{ name: tls-outbound }}\nconfig:\n{fields}"
        ),
    );
    Gateway::start(
        driver,
        config::api_with_service(&format!("address: {url}")) + &binding,
    )
}

fn serves_files(gateway: &Gateway) {
    assert_eq!(gateway.get("/hello").text(), HELLO);
    let mut client = gateway.client();
    for _ in 0..3 {
        let big = client.get("/big");
        assert!(
            big.status == 200 && big.body.len() == BIG,
            "{} {}",
            big.status,
            big.body.len()
        );
        if big.says_close() {
            client = gateway.client();
        }
    }
    eventually("a missing file is missing", || {
        gateway.get("/missing").status == 404
    });
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) -> Outcome {
    let outcome = run_to_end(Command::new(program).args(arguments), DEADLINE);
    assert_eq!(outcome.code, Some(0), "{program}: {outcome:?}");
    outcome
}
