//! The connection to a real Redis, through the real binary: every way to reach one, and what is said of those that fail.
//! That it is there shows in what a distributed cache keeps in it; what that comes to, `shared_storage_cache` says.

use crate::{
    policies::{binding, with},
    support::{
        Gateway, Origin, Redis, both_drivers, config, eventually, gateway::Setup, message::ok,
        redis::Sentinel, tls::Authority,
    },
};

/// An API with a cache in the storage that these fields of `redis` describe.
pub fn sharing(origin: &Origin, cache: &str, redis: &str) -> String {
    let fields: String = redis.lines().map(|line| format!("  {line}\n")).collect();
    let cache = binding(
        "cache",
        "http-caching-flex",
        &format!("distributed: true\nlookupTimeoutMilliseconds: 1000\n{cache}"),
        "order: 90\n",
    );
    with(origin, &[cache]) + &config::configuration("sharedStorage", &format!("redis:\n{fields}"))
}

/// Names of answers that are kept below a prefix.
pub fn answers(redis: &Redis, prefix: &str) -> Vec<String> {
    let mut keys = redis.keys(&format!("{prefix}:cache:*"));
    keys.retain(|key| key.rsplit(':').next().is_some_and(|last| last.len() == 32));
    keys
}

pub const CONNECTED: &str = "connected to the shared storage";
pub const AWAY: &str = "the shared storage is not to be had";
pub const BACK: &str = "the shared storage is to be had again";

/// Text as a block of YAML, for a field that `indent` spaces stand before.
fn block(text: &str, indent: usize) -> String {
    let lines: String = text
        .lines()
        .map(|line| format!("\n{}{line}", " ".repeat(indent + 2)))
        .collect();
    format!("|{lines}")
}

#[track_caller]
fn serves_and_keeps(setup: Setup, redis: &Redis, what: &str) {
    let gateway = setup.start();
    gateway.wait_for_log(CONNECTED);
    assert_eq!(gateway.get("/").status, 200, "{what}");
    eventually(what, || !keys_with_password(redis).is_empty());
}

/// Of all databases: with a user that may look.
fn keys_with_password(redis: &Redis) -> Vec<String> {
    let mut found = Vec::new();
    let mut wire = crate::support::redis::Wire::connect(redis.address).expect("redis");
    let _ = wire.command(&["AUTH", "right"]);
    for database in ["0", "3"] {
        let _ = wire.command(&["SELECT", database]);
        if let Ok(crate::support::redis::Reply::List(keys)) = wire.command(&["KEYS", "ringway:cache:*"]) {
            found.extend(keys.iter().map(|key| key.text()));
        }
    }
    found
}

both_drivers! {
    fn each_way_to_reach_one_works(driver) {
        if !Redis::is_there() {
            return;
        }
        let origin = Origin::answering(ok("x"));
        let authority = Authority::new();
        let plain = |redis: &Redis| format!("address: 127.0.0.1:{}\n", redis.port());
        let secured = |redis: &Redis, host: &str| format!("address: {host}:{}\n", redis.secured.expect("tls").port());
        let ca = format!("tls:\n  trustedCA: {}\n", block(&authority.pem(), 2));
        let setup = |fields: String| Gateway::setup(driver, sharing(&origin, "", &fields));

        let redis = Redis::start();
        serves_and_keeps(setup(plain(&redis)), &redis, "without anything");
        let redis = Redis::start();
        serves_and_keeps(setup(format!("address: localhost:{}\nDB: 3", redis.port())), &redis, "a name, another database");
        assert!(answers(&redis, "ringway").is_empty(), "in database 0");
        let redis = Redis::setup().arguments(&["--requirepass", "right"]).start();
        serves_and_keeps(setup(plain(&redis) + "password: right"), &redis, "a password");
        let redis = Redis::setup().arguments(&["--requirepass", "right", "--user", "gate", "on", ">secret", "~ringway:*", "+@all"]).start();
        let by_variable = setup(plain(&redis) + "user: gate\npassword: $REDIS_PASSWORD").environment("REDIS_PASSWORD", "secret");
        serves_and_keeps(by_variable, &redis, "an ACL user, its password from the environment");
        let redis = Redis::setup().secured(&authority, false).start();
        serves_and_keeps(setup(secured(&redis, "localhost") + &ca), &redis, "TLS with an authority of its own");
        let redis = Redis::setup().secured(&authority, false).start();
        let unchecked = setup(secured(&redis, "127.0.0.1") + "tls: { skipValidation: true }").start();
        unchecked.wait_for_log("is NOT checked");
        unchecked.wait_for_log(CONNECTED);
        let redis = Redis::setup().secured(&authority, true).start();
        let shown = authority.pair(&["gateway"]);
        let pair = format!("  certificate:\n    crt: {}\n    key: {}\n  minversion: \"1.3\"\n", block(&shown.crt_text, 4), block(&shown.key_text, 4));
        serves_and_keeps(setup(secured(&redis, "127.0.0.1") + &ca + &pair), &redis, "TLS with a client certificate");
    }

    fn sentinels_say_where_the_master_is(driver) {
        if !Redis::is_there() {
            return;
        }
        let origin = Origin::answering(ok("x"));
        let mut master = Redis::start();
        let replica = Redis::setup().arguments(&["--replicaof", "127.0.0.1", &master.port().to_string()]).start();
        let sentinel = Sentinel::start(&master, "requirepass watch");
        let nobody = crate::support::ports::Refusing::new();
        let fields = format!(
            "sentinel:\n  addresses: [ \"{}\", \"{}\" ]\n  masterName: mymaster\n  password: watch",
            nobody.address, sentinel.address
        );
        let gateway = Gateway::start(driver, sharing(&origin, "", &fields));
        gateway.wait_for_log(CONNECTED);
        assert_eq!(gateway.get("/a").status, 200);
        eventually("it is kept at the master", || !answers(&master, "ringway").is_empty());
        eventually("the sentinel knows the replica", || {
            let mut wire = crate::support::redis::Wire::connect(sentinel.address).expect("a sentinel");
            let _ = wire.command(&["AUTH", "watch"]);
            wire.command(&["SENTINEL", "replicas", "mymaster"]).is_ok_and(|reply| format!("{reply:?}").contains("List([List("))
        });
        eventually("the replica follows", || !answers(&replica, "ringway").is_empty());
        master.kill();
        gateway.wait_for_log(AWAY);
        assert_eq!(gateway.get("/b").status, 200, "without a storage");
        gateway.wait_for_log(BACK);
        let before = answers(&replica, "ringway").len();
        assert_eq!(gateway.get("/c").status, 200);
        eventually("it is kept at the new master", || answers(&replica, "ringway").len() > before);
    }

    fn what_does_not_let_us_in_is_told_and_served_without(driver) {
        if !Redis::is_there() {
            return;
        }
        let origin = Origin::answering(ok("x"));
        let (authority, other) = (Authority::new(), Authority::new());
        let locked = Redis::setup().arguments(&["--requirepass", "right"]).start();
        let secured = Redis::setup().secured(&authority, true).start();
        let master = Redis::start();
        let sentinel = Sentinel::start(&master, "");
        let nobody = crate::support::ports::Refusing::new();
        let tls = secured.secured.expect("tls").port();
        let trusting = |authority: &Authority| format!("  trustedCA: {}\n", block(&authority.pem(), 2));
        for (fields, said) in [
            (format!("address: {}", nobody.address), "refused"),
            (format!("address: {}\npassword: not-this-one", locked.address), "authentication failed"),
            (format!("address: {}", locked.address), "uthentication"),
            (format!("address: 127.0.0.1:{tls}\ntls:\n{}", trusting(&other)), "TLS"),
            (format!("address: 127.0.0.1:{tls}\ntls:\n{}", trusting(&authority)), "reason="),
            (format!("address: 127.0.0.1:{tls}\ntls:\n  serverName: another.example\n{}", trusting(&authority)), "TLS"),
            (format!("sentinel: {{ addresses: [ \"{}\" ], masterName: not-mine }}", sentinel.address), "not-mine"),
            (format!("sentinel: {{ addresses: [ \"{}\" ], masterName: mymaster }}", nobody.address), "sentinel 127.0.0.1"),
        ] {
            let gateway = Gateway::start(driver, sharing(&origin, "", &fields));
            gateway.wait_for_log(AWAY);
            assert_eq!(gateway.get("/").status, 200, "{fields}");
            let log = gateway.stderr();
            assert!(log.contains(said), "{said}:\n{log}");
            assert!(!log.contains("not-this-one") && !log.contains(CONNECTED), "{log}");
            assert_eq!(log.matches(AWAY).count(), 1, "{log}");
        }
    }

    fn one_that_comes_late_or_goes_is_waited_for_by_nobody(driver) {
        if !Redis::is_there() {
            return;
        }
        let origin = Origin::answering(ok("x"));
        let mut redis = Redis::start();
        redis.kill();
        let gateway = Gateway::start(driver, sharing(&origin, "", &format!("address: {}", redis.address)));
        gateway.wait_for_log(AWAY);
        assert_eq!(gateway.get("/a").status, 200);
        redis.restart();
        gateway.wait_for_log(BACK);
        assert_eq!(gateway.get("/b").status, 200);
        eventually("it is kept", || answers(&redis, "ringway").len() == 1);
        redis.kill();
        eventually("it is noticed", || gateway.stderr().matches(AWAY).count() == 2);
        let page = || crate::support::Client::connect(gateway.admin).get("/shared-storage").text();
        assert!(page().contains("\"purpose\":\"caches\",\"state\":\"down\""), "{}", page());
        assert_eq!(gateway.get("/c").status, 200);
        redis.restart();
        eventually("and so is its return", || gateway.stderr().matches(BACK).count() == 2);
        assert!(page().contains("\"state\":\"up\""), "{}", page());
        assert_eq!(gateway.get("/d").status, 200);
        eventually("it is kept", || answers(&redis, "ringway").len() == 1);
    }

    /// The start is not held up either: the kernel takes the connection, and nobody speaks.
    fn one_that_stands_still_holds_nothing_up(driver) {
        if !Redis::is_there() {
            return;
        }
        let origin = Origin::answering(ok("x"));
        let redis = Redis::start();
        redis.pause();
        let fields = format!("address: {}\nconnectTimeoutMilliseconds: 500\ncommandTimeoutMilliseconds: 50", redis.address);
        let gateway = Gateway::start(driver, sharing(&origin, "", &fields));
        assert_eq!(gateway.get("/a").status, 200);
        gateway.wait_for_log("no connection within 500 ms");
        redis.resume();
        gateway.wait_for_log(BACK);
        redis.pause();
        // Each of them misses; one waits for the storage until it is known to stand still.
        let mut client = gateway.client();
        for number in 0..100 {
            assert_eq!(client.get(&format!("/{number}")).status, 200);
        }
        eventually("it is noticed", || gateway.stderr().matches(AWAY).count() == 2);
        assert_eq!(gateway.admin_status("/livez"), Some(200));
        redis.resume();
        eventually("and so is its return", || gateway.stderr().matches(BACK).count() == 2);
        assert_eq!(origin.requests().len(), 101, "none of them failed or was sent twice");
    }
}
