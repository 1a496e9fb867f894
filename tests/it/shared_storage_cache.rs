//! `http-caching-flex` with `distributed: true`: several gateways, one real Redis.

use crate::{
    policies::binding,
    shared_storage::{AWAY, BACK, CONNECTED, answers, sharing},
    support::{
        Driver, Gate, Gateway, Origin, Redis, both_drivers, config, eventually,
        message::{get_request, post_request, response},
        redis::Reply,
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

/// 200 with the number of the request as its body, and these lines.
fn counting(lines: &'static str) -> Origin {
    let number = AtomicUsize::new(0);
    Origin::start(move |peer| {
        while peer.request().is_some() {
            let number = number.fetch_add(1, SeqCst) + 1;
            peer.send(response("200 OK", lines, number.to_string()));
        }
    })
}

/// One that has reached the storage.
fn started(driver: Driver, origin: &Origin, cache: &str, redis: &str) -> Gateway {
    let gateway = Gateway::start(driver, sharing(origin, cache, redis));
    gateway.wait_for_log(CONNECTED);
    gateway
}

fn at(redis: &Redis) -> String {
    format!("address: {}\n", redis.address)
}

fn kept(redis: &Redis, count: usize) {
    eventually("so many answers are kept", || {
        answers(redis, "ringway").len() == count
    });
}

both_drivers! {
    fn what_one_has_fetched_another_gives(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let origin = counting("ETag: \"v\"\r\nCache-Control: max-age=60\r\nX-Kept: 2\r\n");
        let first = started(driver, &origin, "", &at(&redis));
        let fetched = first.get("/a?b=c");
        assert_eq!((fetched.text(), fetched.get("age")), ("1".to_owned(), None));
        kept(&redis, 1);
        let second = started(driver, &origin, "", &at(&redis));
        let given = second.get("/a?b=c");
        assert_eq!((given.status, given.text()), (200, "1".to_owned()));
        assert_eq!((given.get("x-kept"), given.get("etag")), (Some("2"), Some("\"v\"")));
        assert_eq!(given.get("date"), fetched.get("date"), "of the answer that was stored");
        assert!(given.get("age").is_some());
        // From its front now: nothing is asked, and the storage need not be there.
        eventually("its front has it", || {
            let before = redis.calls("getrange");
            second.get("/a?b=c").text() == "1" && redis.calls("getrange") == before
        });
        redis.pause();
        assert_eq!(second.get("/a?b=c").text(), "1");
        redis.resume();
        let third = started(driver, &origin, "", &at(&redis));
        let mut client = third.client();
        let head = String::from_utf8(get_request("/a?b=c", "")).unwrap().replace("GET", "HEAD");
        assert_eq!(client.send(head).response_to_head().get("content-length"), Some("1"));
        assert_eq!(client.send(get_request("/a?b=c", "If-None-Match: \"v\"\r\n")).response().status, 304);
        assert_eq!(client.send(get_request("/a?b=c", "Cache-Control: only-if-cached\r\n")).response().text(), "1");
        assert_eq!(client.send(get_request("/other", "Cache-Control: only-if-cached\r\n")).response().status, 504);
        assert_eq!(origin.requests().len(), 1);
        assert_eq!(client.send(get_request("/a?b=c", "Cache-Control: no-cache\r\n")).response().text(), "2");
        let Reply::Number(left) = redis.command(&["PTTL", &answers(&redis, "ringway")[0]]) else { panic!("a number") };
        assert!((1..=60_000).contains(&left), "{left}");
    }

    fn shards_have_one_storage(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let origin = counting("");
        let gateway = Gateway::setup(driver, sharing(&origin, "persistCache: true", &at(&redis))).shards(2).start();
        gateway.wait_for_log(CONNECTED);
        assert_eq!(gateway.get("/").text(), "1");
        kept(&redis, 1);
        let mut clients: Vec<_> = (0..20).map(|_| gateway.client()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").text(), "1");
        }
        assert_eq!(origin.requests().len(), 1);
    }

    fn answers_are_told_apart_by_vary(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                let language = request.get("accept-language").unwrap_or("none").to_owned();
                peer.send(response("200 OK", "Vary: Accept-Language\r\n", language));
            }
        });
        let first = started(driver, &origin, "", &at(&redis));
        let ask = |gateway: &Gateway, language: &str| {
            gateway.client().send(get_request("/", &format!("Accept-Language: {language}\r\n"))).response().text()
        };
        assert_eq!((ask(&first, "de").as_str(), ask(&first, "en").as_str()), ("de", "en"));
        // Two answers, and where it says that they are told apart.
        kept(&redis, 3);
        let second = started(driver, &origin, "", &at(&redis));
        for language in ["en", "de", "en"] {
            assert_eq!(ask(&second, language), language);
        }
        assert_eq!(origin.requests().len(), 2);
        assert_eq!(ask(&second, "fr"), "fr");
        assert_eq!(origin.requests().len(), 3);
    }

    fn one_clients_answer_is_nobody_elses(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let origin = counting("");
        let first = started(driver, &origin, "", &at(&redis));
        let second = started(driver, &origin, "", &at(&redis));
        let authorization = "Authorization: Bearer ann\r\n";
        let ask = |gateway: &Gateway, lines: &str| gateway.client().send(get_request("/", lines)).response().text();
        assert_eq!(ask(&first, authorization), "1");
        assert_eq!(ask(&second, authorization), "2");
        assert_eq!(ask(&second, ""), "3");
        kept(&redis, 1);
        assert_eq!((ask(&first, "").as_str(), ask(&first, authorization).as_str()), ("3", "4"));
    }

    fn invalidations_reach_everybody(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let origin = counting("");
        let cache = "invalidationHeader: x-drop";
        let (one, other) = (started(driver, &origin, cache, &at(&redis)), started(driver, &origin, cache, &at(&redis)));
        let number = |answer: crate::support::Response| answer.text().parse::<usize>().unwrap_or(0);
        let cached = |path: &str| {
            number(other.client().send(get_request(path, "Cache-Control: only-if-cached\r\n")).response())
        };
        for (lines, paths) in [("X-Drop: invalidate\r\n", &["/a"][..]), ("X-Drop: invalidate-all\r\n", &["/b", "/c"])] {
            for path in paths {
                let given = number(one.get(path));
                eventually("the other one has it", || cached(path) == given);
            }
            let before = origin.requests().len();
            let newest = one.client().send(get_request(paths[0], lines)).response();
            assert_eq!(number(newest), before + 1, "who drops it is served by the origin");
            for path in paths {
                eventually("the other one drops its front", || number(other.get(path)) > before);
            }
        }
        // A method that changes something.
        let given = number(one.get("/d"));
        eventually("the other one has it", || cached("/d") == given);
        assert_eq!(other.client().send(post_request("/d", "", "x")).response().status, 200);
        eventually("it is dropped", || number(one.get("/d")) > given);
    }

    /// What one fetched before another invalidated it must not become the newest answer there is.
    fn a_fetch_that_began_before_an_invalidation_is_not_kept(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let gate = Arc::new(Gate::default());
        let (opened, number) = (gate.clone(), AtomicUsize::new(0));
        let origin = Origin::start(move |peer| {
            while peer.request().is_some() {
                let number = number.fetch_add(1, SeqCst) + 1;
                if number == 1 {
                    opened.wait();
                }
                peer.send(response("200 OK", "", number.to_string()));
            }
        });
        let cache = "invalidationHeader: x-drop\nrequestExpression: \"#[attributes.headers['x-past'] != 'yes']\"";
        let slow = started(driver, &origin, cache, &at(&redis));
        let other = started(driver, &origin, cache, &at(&redis));
        let mut waiting = slow.client();
        waiting.send(get_request("/", ""));
        origin.wait_for_requests(1);
        let counted = || redis.keys("ringway:cache:*:count").iter().map(|key| redis.command(&["GET", key.as_str()]).text()).collect::<Vec<_>>();
        let before = counted();
        let dropped = other.client().send(get_request("/", "X-Drop: invalidate\r\nX-Past: yes\r\n")).response();
        assert_eq!(dropped.text(), "2");
        eventually("the storage has heard of it", || counted() != before);
        gate.open();
        assert_eq!(waiting.response().text(), "1", "it began before");
        kept(&redis, 1);
        assert_eq!(other.get("/").text(), "3", "and is not given to others");
    }

    fn an_invalidation_that_the_storage_could_not_hear_is_made_good(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let origin = counting("");
        let cache = "invalidationHeader: x-drop";
        let fields = at(&redis) + "commandTimeoutMilliseconds: 50\nconnectTimeoutMilliseconds: 300\n";
        let one = started(driver, &origin, cache, &fields);
        assert_eq!(one.get("/").text(), "1");
        kept(&redis, 1);
        redis.pause();
        let newest = one.client().send(get_request("/", "X-Drop: invalidate\r\n")).response().text();
        assert_eq!(newest, "2", "at once here");
        one.wait_for_log(AWAY);
        assert_eq!(one.get("/").text(), "2", "the front goes on");
        redis.resume();
        one.wait_for_log(BACK);
        let other = started(driver, &origin, cache, &fields);
        eventually("nobody is given what was dropped", || other.get("/").text() != "1");
    }

    fn two_gateways_on_one_server_do_not_touch(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let origin = counting("");
        let mine = started(driver, &origin, "invalidationHeader: x-drop", &(at(&redis) + "keyPrefix: mine"));
        let other = started(driver, &origin, "invalidationHeader: x-drop", &(at(&redis) + "keyPrefix: other"));
        assert_eq!((mine.get("/").text(), other.get("/").text()), ("1".to_owned(), "2".to_owned()));
        eventually("both keep theirs", || answers(&redis, "mine").len() == 1 && answers(&redis, "other").len() == 1);
        assert!(redis.keys("*").iter().all(|key| key.starts_with("mine:") || key.starts_with("other:")));
        mine.client().send(get_request("/", "X-Drop: invalidate-all\r\n")).response();
        let third = started(driver, &origin, "", &(at(&redis) + "keyPrefix: other"));
        assert_eq!(third.get("/").text(), "2");
        // The same prefix and another secret: neither finds what is the other's, nor takes it for its own.
        let stranger = started(driver, &origin, "", &(at(&redis) + "keyPrefix: other\nsecret: another"));
        assert_eq!(stranger.get("/").text(), "4");
    }

    fn what_somebody_else_wrote_is_not_given_to_anybody(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let origin = counting("");
        let fields = at(&redis) + "secret: of-the-gateways";
        let first = started(driver, &origin, "", &fields);
        for (path, number) in [("/a", "1"), ("/b", "2")] {
            assert_eq!(first.get(path).text(), number);
        }
        kept(&redis, 2);
        let names = answers(&redis, "ringway");
        let record = |name: &str| redis.command(&["GET", name]).bytes().expect("a record").to_vec();
        let (a, b) = (record(&names[0]), record(&names[1]));
        let mut changed = a.clone();
        let last = changed.len() - 40;
        changed[last] ^= 1;
        let poison: [&[u8]; 6] = [b"", b"garbage", &a[..a.len() - 1], &changed, &vec![b'x'; 5 << 20], &b];
        let mut expected = origin.requests().len();
        for value in poison {
            redis.command(&[b"SET".as_slice(), names[0].as_bytes(), value, b"PX", b"600000"]);
            // Each has an empty front.
            let gateway = started(driver, &origin, "", &fields);
            let given: Vec<_> = ["/a", "/b"].map(|path| gateway.get(path).text()).to_vec();
            let fetched = origin.requests().len();
            assert_eq!(fetched, expected + 1, "{given:?}: one is fetched anew, one is given");
            assert!(given.contains(&fetched.to_string()) && given.iter().any(|text| text == "1" || text == "2"), "{given:?}");
            expected = fetched;
            eventually("it is kept again", || record(&names[0]) != value);
            // Where a value was another's, the true one is put back.
            redis.command(&[b"SET".as_slice(), names[0].as_bytes(), &a, b"PX", b"600000"]);
        }
        redis.command(&["DEL", names[0].as_str()]);
        redis.command(&["LPUSH", names[0].as_str(), "x"]);
        let gateway = started(driver, &origin, "", &fields);
        assert_eq!(["/a", "/b"].map(|path| gateway.get(path).status), [200, 200], "not even of a string's type");
    }

    fn an_emptied_storage_is_a_miss(driver) {
        if !Redis::is_there() {
            return;
        }
        let redis = Redis::start();
        let origin = counting("");
        let first = started(driver, &origin, "", &at(&redis));
        assert_eq!(first.get("/").text(), "1");
        kept(&redis, 1);
        redis.flush();
        let second = started(driver, &origin, "", &at(&redis));
        assert_eq!(second.get("/").text(), "2");
        kept(&redis, 1);
        eventually("what the first had in its front is gone", || first.get("/").text() == "2");
    }

    fn without_a_storage_it_is_refused_and_with_a_local_one_it_is_each_ones_own(driver) {
        let origin = counting("");
        let cache = binding("cache", "http-caching-flex", "distributed: true", "order: 90\n");
        let local = config::configuration("sharedStorage", "local: { enabled: true }");
        let gateway = Gateway::start(driver, crate::policies::with(&origin, &[cache]) + &local);
        assert_eq!([gateway.get("/").text(), gateway.get("/").text()], ["1", "1"]);
    }
}
