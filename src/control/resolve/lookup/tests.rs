use super::{
    super::scripted::{A, AAAA, NXDOMAIN, Reply, SERVFAIL, Server},
    *,
};

fn ips(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

fn asking(server: &Server) -> Lookup {
    Lookup::with(server.address, "/nonexistent/hosts".into())
}

#[tokio::test]
async fn literals_and_localhost_ask_nobody() {
    let server = Server::start(|_, _| Reply::Failure(NXDOMAIN));
    let lookup = asking(&server);
    for (host, expected) in [
        ("192.0.2.1", vec!["192.0.2.1"]),
        ("2001:db8::1", vec!["2001:db8::1"]),
        ("[2001:db8::1]", vec!["2001:db8::1"]),
        ("localhost", vec!["127.0.0.1", "::1"]),
        ("LocalHost.", vec!["127.0.0.1", "::1"]),
        ("a.localhost", vec!["127.0.0.1", "::1"]),
    ] {
        let answer = lookup.addresses(host).await.unwrap();
        assert_eq!(
            answer,
            Answer {
                addresses: ips(&expected),
                ttl: None
            },
            "{host}"
        );
    }
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn both_families_and_the_sooner_ttl() {
    let server = Server::start(|name, kind| match (name, kind) {
        ("two.example", A) => Reply::with(60, &["192.0.2.2", "192.0.2.1"]),
        ("two.example", AAAA) => Reply::with(30, &["2001:db8::1"]),
        _ => Reply::Failure(NXDOMAIN),
    });
    let mut answer = asking(&server).addresses("two.example").await.unwrap();
    answer.addresses.sort_unstable();
    assert_eq!(answer.addresses, ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
    let ttl = answer.ttl.unwrap();
    assert!(
        ttl > Duration::from_secs(20) && ttl <= Duration::from_secs(30),
        "{ttl:?}"
    );
}

#[tokio::test]
async fn one_family_may_fail_or_be_missing() {
    let server = Server::start(|name, kind| match (name, kind) {
        (_, A) => Reply::with(60, &["192.0.2.1"]),
        ("fails.example", AAAA) => Reply::Failure(SERVFAIL),
        _ => Reply::with(60, &[]),
    });
    for name in ["fails.example", "missing.example"] {
        let answer = asking(&server).addresses(name).await.unwrap();
        assert_eq!(answer.addresses, ips(&["192.0.2.1"]), "{name}");
    }
}

#[tokio::test]
async fn failures_say_why() {
    let server = Server::start(|name, _| match name {
        "empty.example" => Reply::with(60, &[]),
        "broken.example" => Reply::Failure(SERVFAIL),
        _ => Reply::Failure(NXDOMAIN),
    });
    for (name, why) in [
        ("empty.example", "neither A nor AAAA"),
        ("nobody.example", "no such name"),
        ("broken.example", "error"),
        ("..", "not a name for DNS"),
        (&"x".repeat(64), "not a name for DNS"),
    ] {
        let error = asking(&server).addresses(name).await.unwrap_err();
        assert!(error.contains(why), "{name}: {error}");
    }
}

#[tokio::test]
async fn names_as_container_networks_make_them() {
    let server = Server::start(|name, kind| match (name, kind) {
        ("my_service", A) => Reply::with(60, &["192.0.2.1"]),
        ("xn--bcher-kva.example", A) => Reply::with(60, &["192.0.2.2"]),
        _ => Reply::with(60, &[]),
    });
    assert_eq!(
        asking(&server).addresses("my_service").await.unwrap().addresses,
        ips(&["192.0.2.1"])
    );
    assert_eq!(
        asking(&server)
            .addresses("bücher.example")
            .await
            .unwrap()
            .addresses,
        ips(&["192.0.2.2"])
    );
}

#[tokio::test]
async fn the_hosts_file_comes_first_and_is_read_anew() {
    let server = Server::start(|_, _| Reply::with(60, &["192.0.2.9", "2001:db8::9"]));
    let path = std::env::temp_dir().join(format!("ringway-hosts-{}", std::process::id()));
    fs::write(&path, "192.0.2.1 other Api.internal # note\n").unwrap();
    let lookup = Lookup::with(server.address, path.clone());
    let answer = lookup.addresses("api.INTERNAL.").await.unwrap();
    assert_eq!(
        answer,
        Answer {
            addresses: ips(&["192.0.2.1"]),
            ttl: Some(HOSTS_FILE_TTL)
        }
    );
    assert_eq!(server.asked(), 0, "not even for the other family");

    fs::write(&path, "192.0.2.2 api.internal\n2001:db8::2\tapi.internal\n").unwrap();
    let answer = lookup.addresses("api.internal").await.unwrap();
    assert_eq!(answer.addresses, ips(&["192.0.2.2", "2001:db8::2"]));
    fs::remove_file(&path).unwrap();
    assert_eq!(lookup.addresses("api.internal").await.unwrap().addresses.len(), 2);
    assert!(server.asked() > 0, "now it is asked of DNS");
}

#[test]
fn lines_of_a_hosts_file() {
    let text = "# 192.0.2.8 name\n\n  192.0.2.1\tname name2#name3\nfe80::1%eth0 name\nnonsense name\n192.0.2.3 names\n";
    assert_eq!(in_hosts_file(text, "name"), ips(&["192.0.2.1"]));
    assert_eq!(in_hosts_file(text, "name2"), ips(&["192.0.2.1"]));
    assert!(in_hosts_file(text, "name3").is_empty());
    assert!(
        in_hosts_file(text, "192.0.2.1").is_empty(),
        "the address is not a name"
    );
}

#[test]
fn the_servers_address() {
    assert_eq!(
        parse_server("192.0.2.1").unwrap(),
        "192.0.2.1:53".parse().unwrap()
    );
    assert_eq!(
        parse_server("192.0.2.1:5353").unwrap(),
        "192.0.2.1:5353".parse().unwrap()
    );
    assert_eq!(
        parse_server("[2001:db8::1]:53").unwrap(),
        "[2001:db8::1]:53".parse().unwrap()
    );
    assert_eq!(
        parse_server("2001:db8::1").unwrap(),
        "[2001:db8::1]:53".parse().unwrap()
    );
    assert!(
        parse_server("dns.example")
            .unwrap_err()
            .contains("RINGWAY_DNS_SERVER")
    );
}
