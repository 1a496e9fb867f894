//! What users copy, started and asked: everything in `config/`, and every example of the policies' page. Addresses to
//! listen on become the test's, services become an origin of its own.

use crate::support::{
    Client, Driver, Gateway, Origin, both_drivers, config,
    message::{get_request, ok},
    tls::Authority,
};
use std::path::Path;

/// An example with its addresses replaced, and the paths that its APIs are now at.
fn placed(example: &str, origin: &str) -> (String, Vec<String>) {
    let mut out = String::new();
    let mut paths = Vec::new();
    let mut rest = example;
    while let Some(start) = rest.find("http://") {
        out += &rest[..start];
        let url = &rest[start..];
        let end = url
            .find(|char: char| char.is_whitespace() || "\"'},#`".contains(char))
            .unwrap_or(url.len());
        let (url, behind) = url.split_at(end);
        rest = behind;
        let authority = url["http://".len()..].split('/').next().unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
        let path = &url["http://".len() + authority.len()..];
        if port.starts_with("808") && ["0.0.0.0", "[::]", "127.0.0.1"].contains(&host) {
            // All on one port, told apart by theirs.
            let base = format!("/p{port}{path}");
            out += &format!("http://@listen@{base}");
            paths.push(base);
        } else if host.starts_with("10.") || host.ends_with(".example") || host == "127.0.0.1" {
            out += origin;
            out += path;
        } else {
            out += url;
        }
    }
    (secured(&(out + rest), &mut paths), paths)
}

/// Addresses with TLS become the test's as well; one example has no other to listen on beside them.
fn secured(example: &str, paths: &mut Vec<String>) -> String {
    const LISTENS: &str = "https://0.0.0.0:8443";
    for part in example.split(LISTENS).skip(1) {
        let end = part.find(|char: char| char.is_whitespace() || "\"'},#`".contains(char));
        paths.push(part[..end.unwrap_or(part.len())].to_owned());
    }
    example.replace(LISTENS, "https://@listen@")
}

/// `$NAME` stands for something in each of them.
fn variables(example: &str) -> Vec<String> {
    let names = example.split('$').skip(1).map(|rest| {
        let end = rest
            .find(|char: char| !char.is_ascii_uppercase() && char != '_')
            .unwrap_or(rest.len());
        rest[..end].to_owned()
    });
    names.filter(|name| name.len() > 2).collect()
}

fn runs(driver: Driver, name: &str, example: &str) {
    let origin = Origin::answering(ok("{}"));
    let (mut yaml, mut paths) = placed(example, &origin.url);
    if paths.is_empty() {
        // What is said of the gateway as a whole.
        yaml += &config::api(&origin.url);
        paths.push("/".to_owned());
    }
    let mut setup = Gateway::setup(driver, yaml);
    // Keys of an example would be taken for somebody's: each run makes its own.
    let authority = Authority::new();
    let pair = authority.pair(&["localhost"]);
    let root = std::fs::read_to_string(&authority.file).expect("PEM");
    for variable in variables(example) {
        let value = match variable.rsplit('_').nth(1) {
            Some("KEY") if variable.ends_with("_PEM") => &pair.key_text,
            Some("CERT") => &pair.crt_text,
            Some("CA") => &root,
            _ => "/something-as-long-as-a-secret-has-to-be",
        };
        setup = setup.environment(&variable, value);
    }
    let gateway = setup.start();
    let client = authority.client(Some(&pair));
    for path in paths {
        let mut connection = if example.contains("https://0.0.0.0") {
            Client::connect_tls(gateway.address, &client)
        } else {
            gateway.client()
        };
        let answer = connection
            .send(get_request(&format!("{}/x", path.trim_end_matches('/')), ""))
            .response();
        assert!(
            (200..=504).contains(&answer.status) && answer.status != 500,
            "{name} {path}: {}",
            answer.status
        );
    }
}

both_drivers! {
    fn every_configuration_runs(driver) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("text");
            runs(driver, &path.display().to_string(), &text);
            count += 1;
        }
        assert!(count >= 10, "{count}");
    }

    fn every_example_of_the_policies_page_runs(driver) {
        let page = include_str!("../../docs/policies.md");
        let examples = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let mut count = 0;
        for example in examples {
            runs(driver, example, example);
            count += 1;
        }
        assert!(count >= 7, "{count}");
    }
}
