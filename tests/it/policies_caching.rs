//! `http-caching-flex` through the real binary.

use crate::{
    policies::{USER, binding, with},
    support::{
        DEADLINE, Gate, Gateway, Origin, both_drivers,
        message::{get_request, ok, post_request, response},
    },
};
use std::{sync::Arc, time::Instant};

/// 200 with the number of the request as its body, and these lines.
fn counting(lines: &'static str) -> Origin {
    let number = std::sync::atomic::AtomicUsize::new(0);
    Origin::start(move |peer| {
        while peer.request().is_some() {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            peer.send(response("200 OK", lines, number.to_string()));
        }
    })
}

fn cached(origin: &Origin, config: &str, before: &[String]) -> String {
    let cache = binding("cache", "http-caching-flex", config, "order: 90\n");
    with(origin, &[before, &[cache]].concat())
}

both_drivers! {
    fn what_was_fetched_is_given_again(driver) {
        let origin = counting("ETag: \"v1\"\r\nCache-Control: max-age=60\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Kept: 2\r\n");
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut client = gateway.client();
        let first = client.get("/a?b=c");
        assert_eq!((first.text(), first.get("age")), ("1".to_owned(), None));
        let again = client.get("/a?b=c");
        assert_eq!((again.status, again.text()), (200, "1".to_owned()));
        assert_eq!((again.get("age"), again.get("x-kept"), again.get("x-hop")), (Some("0"), Some("2"), None));
        assert_eq!(again.get("date"), first.get("date"), "of the answer that was stored");
        assert_eq!(client.get("/a?b=d").text(), "2", "another query is another request");
        let head = client.send(String::from_utf8(get_request("/a?b=c", "")).unwrap().replace("GET", "HEAD")).response_to_head();
        assert_eq!(head.get("content-length"), Some("1"));
        let known = client.send(get_request("/a?b=c", "If-None-Match: \"v0\", W/\"v1\"\r\n")).response();
        assert_eq!((known.status, known.get("etag"), known.get("x-kept")), (304, Some("\"v1\""), None));
        let other = client.send(get_request("/a?b=c", "If-None-Match: \"v2\"\r\n")).response();
        assert_eq!((other.status, other.text()), (200, "1".to_owned()));
        assert_eq!(origin.requests().len(), 2);
    }

    fn what_may_not_be_kept_is_not(driver) {
        for lines in [
            "Cache-Control: no-store\r\n", "Cache-Control: private\r\n", "Cache-Control: a=\"b\", no-cache\r\n",
            "Set-Cookie: a=b\r\n", "Vary: Accept, *\r\n", "Cache-Control: max-age=0\r\n", "Expires: 0\r\n",
            "Cache-Control: max-age=60\r\nAge: 60\r\n",
        ] {
            let origin = counting(lines);
            let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
            let mut client = gateway.client();
            assert_eq!((client.get("/").text(), client.get("/").text()), ("1".to_owned(), "2".to_owned()), "{lines}");
        }
        let origin = counting("Cache-Control: no-store\r\nExpires: 0\r\n");
        let gateway = Gateway::setup(driver, cached(&origin, "useHttpCacheHeaders: false", &[])).shards(1).start();
        let mut client = gateway.client();
        assert_eq!((client.get("/").text(), client.get("/").text()), ("1".to_owned(), "1".to_owned()));
    }

    fn the_request_has_its_say(driver) {
        let origin = counting("");
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut client = gateway.client();
        let mut ask = |lines: &str| client.send(get_request("/", lines)).response();
        assert_eq!(ask("Cache-Control: only-if-cached\r\n").status, 504);
        assert_eq!(ask("Cache-Control: no-store\r\n").text(), "1");
        assert_eq!(ask("").text(), "2", "that was not kept");
        assert_eq!(ask("Cache-Control: no-store\r\n").text(), "2", "but may be answered");
        assert_eq!(ask("Cache-Control: no-cache\r\n").text(), "3");
        assert_eq!(ask("").text(), "3", "and that is kept");
        assert_eq!(ask("Range: bytes=0-0\r\n").text(), "4");
        assert_eq!(ask("Cache-Control: only-if-cached\r\n").text(), "3");
    }

    fn answers_are_told_apart_by_vary(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                let language = request.get("accept-language").unwrap_or("none").to_owned();
                peer.send(response("200 OK", "Vary: Accept-Language\r\n", language));
            }
        });
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut client = gateway.client();
        for _ in 0..3 {
            for language in ["de", "en", "none"] {
                let line = if language == "none" { String::new() } else { format!("Accept-Language: {language}\r\n") };
                assert_eq!(client.send(get_request("/", &line)).response().text(), language);
            }
        }
        assert_eq!(origin.requests().len(), 3);
    }

    fn one_clients_answer_is_not_anothers(driver) {
        let authorization = "Authorization: Basic YW5uOnBhc3M6d29yZA==\r\n";
        // Nobody looks at the credentials: not kept, and what is kept is not given.
        let origin = counting("");
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut client = gateway.client();
        let mut ask = |lines: &str| client.send(get_request("/", lines)).response().text();
        assert_eq!([ask(authorization), ask(authorization), ask(""), ask(""), ask(authorization)], ["1", "2", "3", "3", "4"]);
        // The origin says that it is for everybody.
        let origin = counting("Cache-Control: public\r\n");
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut client = gateway.client();
        let mut ask = |lines: &str| client.send(get_request("/", lines)).response().text();
        assert_eq!([ask(authorization), ask(authorization), ask("")], ["1", "1", "1"]);
        // An access policy ahead admits; where its rules leave a request alone, that is not given what is not for it.
        let origin = counting("");
        let basic = binding("basic", "http-basic-authentication-flex", USER, "rules:\n- { path: '.*', headers: { x-open: '^$|no' } }\n");
        let config = "httpCachingKey: \"#['everything']\"";
        let gateway = Gateway::setup(driver, cached(&origin, config, &[basic])).shards(1).start();
        let mut client = gateway.client();
        let closed = format!("X-Open: no\r\n{authorization}");
        let mut ask = |lines: &str| client.send(get_request("/", lines)).response();
        assert_eq!([ask(&closed).text(), ask(&closed).text()], ["1", "1"]);
        assert_eq!(ask("X-Open: no\r\n").status, 401, "a hit is for those who are admitted");
        assert_eq!(ask("X-Open: yes\r\n").text(), "2");
    }

    fn concurrent_misses_are_one_fetch(driver) {
        let gate = Arc::new(Gate::default());
        let opened = gate.clone();
        let origin = Origin::start(move |peer| {
            while peer.request().is_some() {
                opened.wait();
                peer.send(ok("slow"));
            }
        });
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut clients: Vec<_> = (0..20).map(|_| gateway.client()).collect();
        for client in &mut clients {
            client.send(get_request("/", ""));
        }
        origin.wait_for_requests(1);
        gate.open();
        for client in &mut clients {
            assert_eq!(client.response().text(), "slow");
        }
        assert_eq!(origin.requests().len(), 1);
    }

    /// The second waits for the first, whose answer can't be kept: it is served all the same, and nobody waits any more.
    fn what_cannot_be_kept_is_not_waited_for_twice(driver) {
        let origin = counting("Cache-Control: no-store\r\n");
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut clients: Vec<_> = (0..10).map(|_| gateway.client()).collect();
        for client in &mut clients {
            client.send(get_request("/", ""));
        }
        let mut all: Vec<_> = clients.iter_mut().map(|client| client.response().text()).collect();
        all.sort_by_key(|text| text.parse::<u32>().expect("a number"));
        assert_eq!(all, (1..=10).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    /// The first that fetches gets nothing; those who waited for it ask for themselves.
    fn a_fetch_that_breaks_off_is_not_kept(driver) {
        let origin = Origin::start(|peer| {
            if peer.connection == 0 {
                peer.request();
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                return;
            }
            while peer.request().is_some() {
                peer.send(ok("whole"));
            }
        });
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut first = gateway.client();
        first.send(get_request("/", ""));
        assert!(first.try_response("GET").is_err());
        let mut client = gateway.client();
        assert_eq!((client.get("/").text(), client.get("/").text()), ("whole".to_owned(), "whole".to_owned()));
        assert_eq!(origin.requests().len(), 2);
    }

    fn an_invalidation_is_of_all_shards(driver) {
        let origin = counting("");
        let config = "invalidationHeader: X-Purge";
        let gateway = Gateway::setup(driver, cached(&origin, config, &[])).shards(2).start();
        let mut clients: Vec<_> = (0..8).map(|_| gateway.client()).collect();
        let mut warm = |path: &str| {
            let texts = clients.iter_mut().map(|client| client.get(path).text().parse::<usize>().expect("a number"));
            texts.collect::<Vec<_>>()
        };
        for (path, value) in [("/a", "invalidate"), ("/b", "invalidate-all")] {
            let before = origin.requests().len();
            let (first, second) = (warm(path), warm(path));
            assert!((1..=2).contains(&(origin.requests().len() - before)), "once a shard");
            assert_eq!(first, second);
            let purge = gateway.client().send(get_request(path, &format!("X-Purge: {value}\r\n"))).response();
            let newest = purge.text().parse::<usize>().expect("a number");
            assert!(warm(path).iter().all(|number| *number >= newest), "nothing older on any shard");
        }
    }

    fn a_fetch_that_began_before_an_invalidation_is_not_kept(driver) {
        let gate = Arc::new(Gate::default());
        let opened = gate.clone();
        let origin = Origin::start(move |peer| {
            while let Some(request) = peer.request() {
                if request.get("x-slow").is_some() {
                    opened.wait();
                }
                let text = if request.get("x-slow").is_some() { "old" } else { "new" };
                peer.send(ok(text));
            }
        });
        let gateway = Gateway::setup(driver, cached(&origin, "invalidationHeader: X-Purge", &[])).shards(1).start();
        let mut slow = gateway.client();
        slow.send(get_request("/", "X-Slow: 1\r\n"));
        origin.wait_for_requests(1);
        // A method that changes something invalidates as well.
        assert_eq!(gateway.client().send(post_request("/", "", "x")).response().text(), "new");
        gate.open();
        assert_eq!(slow.response().text(), "old");
        assert_eq!(gateway.client().get("/").text(), "new");
    }

    fn entries_and_bytes_are_bounded(driver) {
        let large = "x".repeat(1_100_000);
        let origin = Origin::start(move |peer| {
            while let Some(request) = peer.request() {
                peer.send(ok(if request.path() == "/large" { large.as_str() } else { "small" }));
            }
        });
        let gateway = Gateway::setup(driver, cached(&origin, "maxCacheEntries: 2", &[])).shards(1).start();
        let mut client = gateway.client();
        for path in ["/large", "/large", "/a", "/b", "/a", "/b", "/c", "/a"] {
            assert_eq!(client.get(path).status, 200);
        }
        let asked: Vec<_> = origin.requests().iter().map(|request| request.path().to_owned()).collect();
        assert_eq!(asked, ["/large", "/large", "/a", "/b", "/c", "/a"], "first in, first out");
    }

    fn a_chunked_answer_comes_back_with_a_length(driver) {
        let origin = Origin::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut client = gateway.client();
        assert_eq!(client.get("/").text(), "abcde");
        let again = client.get("/");
        assert_eq!((again.text(), again.get("content-length")), ("abcde".to_owned(), Some("5")));
        assert_eq!(origin.requests().len(), 1);
    }

    fn an_answer_is_kept_for_its_time(driver) {
        let origin = counting("Cache-Control: max-age=1\r\n");
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut client = gateway.client();
        assert_eq!((client.get("/").text(), client.get("/").text()), ("1".to_owned(), "1".to_owned()));
        let end = Instant::now() + DEADLINE;
        while client.get("/").text() == "1" {
            assert!(Instant::now() < end, "it never grows old");
        }
    }

    /// Policies before the cache see the answer again, those behind it not even the request.
    fn a_hit_passes_back_through_the_policies_before_it(driver) {
        let origin = counting("X-Inner: 1\r\n");
        let outer = binding("outer", "header-removal-flex", "outboundHeaders: [ x-outer ]", "order: 1\n");
        let cors = binding("cors", "cors-flex", "", "");
        let inner = binding("inner", "access-block", "", "order: 99\nrules:\n- { path: '/', headers: { x-blocked: 'yes' } }\n");
        let gateway = Gateway::setup(driver, cached(&origin, "", &[outer, cors, inner])).shards(1).start();
        let mut client = gateway.client();
        assert_eq!(client.get("/").status, 200);
        let hit = client.send(get_request("/", "Origin: https://a.example\r\nX-Blocked: yes\r\n")).response();
        assert_eq!((hit.status, hit.text(), hit.get("access-control-allow-origin")), (200, "1".to_owned(), Some("*")));
        let miss = client.send(get_request("/", "Cache-Control: no-cache\r\nX-Blocked: yes\r\n")).response();
        assert_eq!(miss.status, 403);
        assert_eq!(client.get("/").text(), "1", "a refusal is not kept");
    }

    /// A tunnel's answer never ends: whoever waits for it waits for as long as it is open.
    fn a_request_for_another_protocol_goes_by_the_cache(driver) {
        let origin = Origin::start(|peer| {
            while peer.request().is_some() {
                peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nwelcome");
            }
        });
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut clients = [gateway.client(), gateway.client()];
        for client in &mut clients {
            client.send(get_request("/", "Connection: upgrade\r\nUpgrade: x\r\n"));
            assert_eq!(client.response_head("GET").map(|head| head.status).ok(), Some(101));
        }
    }

    /// Whoever asks first and never has done keeps the others no longer than the bound.
    fn a_fetch_without_an_end_is_not_waited_for_without_one(driver) {
        let gate = Arc::new(Gate::default());
        let closed = gate.clone();
        let origin = Origin::start(move |peer| {
            while let Some(request) = peer.request() {
                if request.get("x-stuck").is_some() {
                    closed.wait();
                }
                peer.send(ok("there"));
            }
        });
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut stuck = gateway.client();
        stuck.send(get_request("/", "X-Stuck: 1\r\n"));
        origin.wait_for_requests(1);
        let mut clients = [gateway.client(), gateway.client()];
        for client in &mut clients {
            client.send(get_request("/", ""));
        }
        for client in &mut clients {
            assert_eq!(client.response().text(), "there");
        }
        gate.open();
        assert_eq!(stuck.response().text(), "there");
    }

    fn what_a_body_asks_for_is_not_what_others_get(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                peer.send(ok(format!("{} {body}", request.method)));
            }
        });
        let fat = "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nevil";
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut client = gateway.client();
        assert_eq!(client.send(fat).response().text(), "GET evil");
        assert_eq!(client.get("/").text(), "GET ");
        assert_eq!(client.send(fat).response().text(), "GET evil", "nor is it answered with theirs");
        // Also where other methods are to be answered from the cache.
        for (key, bodies) in [("", ["POST one", "POST two"]), ("\nhttpCachingKey: \"#['everything']\"", ["POST one", "POST one"])] {
            let config = format!("requestExpression: \"#[attributes.method != 'PUT']\"{key}");
            let gateway = Gateway::setup(driver, cached(&origin, &config, &[])).shards(1).start();
            let answers = ["one", "two"].map(|body| gateway.client().send(post_request("/", "", body)).response().text());
            assert_eq!(answers, bodies, "{config}");
            assert_eq!(gateway.client().get("/").text(), "GET ", "{config}");
        }
    }

    /// The origin's answer is to what the policies behind the cache made of the request.
    fn what_later_policies_write_is_nobodys_choice(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                let user = request.get("x-user").unwrap_or("nobody").to_owned();
                peer.send(response("200 OK", "Vary: X-User\r\n", user));
            }
        });
        let user = "inboundHeaders:\n- { key: X-User, value: \"#[attributes.headers['x-real']]\" }";
        let later = [
            binding("without", "header-removal-flex", "inboundHeaders: [ x-user ]", "order: 98\n"),
            binding("user", "header-injection-flex", user, "order: 99\n"),
        ];
        let gateway = Gateway::setup(driver, cached(&origin, "", &later)).shards(1).start();
        let mut client = gateway.client();
        let mut ask = |lines: &str| client.send(get_request("/", lines)).response().text();
        assert_eq!(ask("X-Real: ann\r\n"), "ann");
        assert_eq!(ask("X-Real: bob\r\nX-User: ann\r\n"), "bob");
        // Nor is what a client keeps from the origin the origin's.
        let gateway = Gateway::setup(driver, cached(&origin, "", &[])).shards(1).start();
        let mut client = gateway.client();
        let mut ask = |lines: &str| client.send(get_request("/", lines)).response().text();
        assert_eq!(ask("Connection: X-User\r\nX-User: ann\r\n"), "nobody");
        assert_eq!(ask("X-User: ann\r\n"), "ann");
        // Credentials that a later policy takes out were credentials all the same.
        let origin = counting("");
        let later = [binding("without", "header-removal-flex", "inboundHeaders: [ authorization ]", "order: 99\n")];
        let gateway = Gateway::setup(driver, cached(&origin, "", &later)).shards(1).start();
        let mut client = gateway.client();
        let mut ask = |lines: &str| client.send(get_request("/", lines)).response().text();
        assert_eq!([ask("Authorization: Basic YTpi\r\n"), ask(""), ask("")], ["1", "2", "2"]);
    }

    fn an_answer_to_a_condition_is_not_the_content(driver) {
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                if request.get("if-none-match").is_some() {
                    peer.send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n");
                } else if request.get("if-match").is_some() {
                    peer.send(response("412 Precondition Failed", "", "no"));
                } else {
                    peer.send(ok("content"));
                }
            }
        });
        let config = "responseExpression: \"#[attributes.statusCode < 500]\"";
        let gateway = Gateway::setup(driver, cached(&origin, config, &[])).shards(1).start();
        let mut client = gateway.client();
        for (path, line, status) in [("/a", "If-None-Match: \"a\"\r\n", 304), ("/b", "If-Match: \"b\"\r\n", 412)] {
            assert_eq!(client.send(get_request(path, line)).response().status, status);
            let plain = client.get(path);
            assert_eq!((plain.status, plain.text()), (200, "content".to_owned()));
        }
    }
}
