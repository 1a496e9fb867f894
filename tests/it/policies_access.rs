//! The policies that decide who may: tokens, introspection, authorisation services, addresses.

use crate::support::{
    Driver, Gate, Gateway, Origin, Peer, Response, both_drivers, config, eventually,
    message::{get_request, ok, post_request, response},
    ports,
    tls::Authority,
    tokens::{Issuer, base64url, unsigned, with_secret},
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// The API `test` before `origin`, with these policies: name and the lines of its configuration.
fn with(origin: &Origin, policies: &[(&str, String)]) -> String {
    let bindings = policies.iter().enumerate().map(|(n, (policy, config))| {
        let mut spec = format!(
            "order: {n}\ntargetRef: {{ kind: ApiInstance, name: test }}\npolicyRef: {{ name: {policy} }}\nconfig:\n"
        );
        spec.extend(config.lines().map(|line| format!("  {line}\n")));
        config::document("PolicyBinding", &format!("policy-{n}"), &spec)
    });
    config::api(&origin.url) + &bindings.collect::<String>()
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn ask(gateway: &Gateway, lines: &str) -> Response {
    gateway.client().send(get_request("/a?b=c", lines)).response()
}

const SECRET: &str = "thirty-two bytes are enough here";

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

/// Answers with what the list has now: a status line and a body.
fn scripted(answer: &Arc<Mutex<(String, String)>>) -> impl Fn(&mut Peer) + Send + Sync + 'static + use<> {
    let answer = answer.clone();
    move |peer| {
        while peer.request().is_some() {
            let (status, body) = answer.lock().expect("an answer").clone();
            peer.send(response(&status, "Content-Type: application/json\r\n", body));
        }
    }
}

fn answering(status: &str, body: &str) -> Arc<Mutex<(String, String)>> {
    Arc::new(Mutex::new((status.to_owned(), body.to_owned())))
}

fn set(answer: &Arc<Mutex<(String, String)>>, status: &str, body: &str) {
    *answer.lock().expect("an answer") = (status.to_owned(), body.to_owned());
}

both_drivers! {
    fn a_jwt_admits_whom_it_is_for(driver) {
        let origin = Origin::answering(ok("in"));
        let config = format!(
            "signingMethod: hmac\ntextKey: {SECRET}\nskipClientIdValidation: true\nvalidateAudClaim: true\n\
             mandatoryAudClaim: true\nsupportedAudiences: 'orders, stock'\nmandatoryExpClaim: true\nvalidateCustomClaim: true\n\
             mandatoryCustomClaims:\n- {{ key: role, value: \"#[vars.claimSet.role == 'admin' or attributes.method == 'PUT']\" }}\n\
             nonMandatoryCustomClaims:\n- {{ key: tier, value: gold }}\n- {{ key: level, value: '7' }}\n\
             claimsToHeaders:\n- {{ key: sub, value: X-User }}\n- {{ key: email, value: X-Email }}"
        );
        let gateway = Gateway::start(driver, with(&origin, &[("jwt-validation-flex", config)]));
        let soon = now() + 3600;
        let good = format!(r#""sub":"ann","aud":["x","stock"],"exp":{soon},"role":"admin""#);
        let status = |claims: &str| ask(&gateway, &bearer(&with_secret(SECRET, claims))).status;

        let spoofed = bearer(&with_secret(SECRET, &good)) + "X-User: root\r\nx_user: root\r\nX-Email: e@evil.example\r\n";
        assert_eq!(ask(&gateway, &spoofed).status, 200);
        let seen = origin.request();
        assert_eq!(seen.head.all("x-user"), ["ann"]);
        assert_eq!((seen.get("x_user"), seen.get("x-email")), (None, None), "nobody vouches for them");

        assert_eq!(status(&format!("{good},\"tier\":\"gold\",\"level\":7")), 200);
        assert_eq!(status(&good.replace("[\"x\",\"stock\"]", "\"orders\"")), 200);
        for refused in [
            good.replace("stock", "other"),
            good.replace("\"aud\"", "\"oud\""),
            good.replace(&soon.to_string(), &(now() - 1).to_string()),
            good.replace(&soon.to_string(), "\"soon\""),
            good.replace("\"exp\"", "\"esp\""),
            good.replace("admin", "guest"),
            good.replace("\"role\"", "\"rule\""),
            format!("{good},\"tier\":\"silver\""),
            format!("{good},\"level\":\"8\""),
            format!("{good},\"nbf\":{soon}"),
            format!("{good},\"sub\":\"bob\""),
        ] {
            assert_eq!(status(&refused), 401, "{refused}");
        }
        let answer = ask(&gateway, &bearer("a.b.c"));
        assert_eq!((answer.status, answer.get("www-authenticate")), (401, Some("Bearer realm=\"mule-realm\", error=\"invalid_token\"")));
        let forged = with_secret("another secret of 32 bytes, no..", &good);
        assert_eq!(ask(&gateway, &bearer(&forged)).status, 401);
        let none = format!("{}.", unsigned(r#"{"alg":"none"}"#, &good));
        assert_eq!(ask(&gateway, &bearer(&none)).status, 401);
        let token = with_secret(SECRET, &good);
        for absent in ["", "Authorization: Basic YTpi\r\n", "Authorization: Bearer\r\n", &format!("Authorization: {token}\r\n"), &bearer(&token).repeat(2)] {
            assert_eq!(ask(&gateway, absent).status, 400, "{absent:.40}");
        }
        assert_eq!(origin.requests().len(), 3, "what is refused reaches nobody");
    }

    /// A good token of a client that has no contract lets nobody in.
    fn a_tokens_client_may_have_to_be_known(driver) {
        let origin = Origin::answering(ok("in"));
        let contract = crate::support::config::document(
            "Contract", "app", "apiId: test\nclient: { id: app, secret: not-asked-for, name: The app }",
        );
        let jwt = format!("signingMethod: hmac\ntextKey: {SECRET}");
        let gateway = Gateway::start(driver, with(&origin, &[("jwt-validation-flex", jwt)]) + &contract);
        let status = |claims: &str| ask(&gateway, &bearer(&with_secret(SECRET, claims))).status;
        assert_eq!(status(r#""sub":"ann","client_id":"app""#), 200);
        assert_eq!(status(r#""sub":"ann","client_id":"another""#), 401);
        assert_eq!(status(r#""sub":"ann""#), 401);
        let answer = answering("200 OK", r#"{"active":true,"client_id":"app"}"#);
        let service = Origin::start(scripted(&answer));
        let introspection = format!(
            "introspectionURL: {}\nauthorizationValue: Basic Z2F0ZTp3YXk=\nskipClientIdValidation: false\nvalidatedTokenTTL: 1",
            service.url
        );
        let yaml = with(&origin, &[("oauth2-token-introspection-flex", introspection)]) + &contract;
        let gateway = Gateway::start(driver, yaml);
        assert_eq!(ask(&gateway, &bearer("t")).status, 200);
        set(&answer, "200 OK", r#"{"active":true,"client_id":"another"}"#);
        assert_eq!(ask(&gateway, &bearer("u")).status, 403);
        set(&answer, "200 OK", r#"{"active":true}"#);
        assert_eq!(ask(&gateway, &bearer("v")).status, 403);
    }

    fn a_jwt_may_stand_elsewhere_and_tell_who_it_is(driver) {
        let origin = Origin::answering(ok("in"));
        let jwt = format!(
            "jwtOrigin: customExpression\njwtExpression: \"#[attributes.queryParams.token]\"\nsigningMethod: hmac\n\
             textKey: {SECRET}\nskipClientIdValidation: true\nclientIdExpression: \"#[vars.claimSet.azp]\""
        );
        // Who comes behind knows what was found out.
        let custom = format!(
            "jwtOrigin: customExpression\njwtExpression: \"#[authentication.properties.jwt]\"\nsigningMethod: hmac\ntextKey: {SECRET}\n\
             skipClientIdValidation: true\nvalidateCustomClaim: true\nmandatoryCustomClaims:\n\
             - {{ key: sub, value: \"#[authentication.principal == 'ann' and authentication.clientId == 'app' and authentication.properties.claims.nested.deep[1] == 2]\" }}"
        );
        let gateway = Gateway::start(driver, with(&origin, &[("jwt-validation", jwt), ("jwt-validation-flex", custom)]));
        let status = |claims: &str| gateway.get(&format!("/?token={}", with_secret(SECRET, claims))).status;
        assert_eq!(status(r#""sub":"ann","azp":"app","nested":{"deep":[1,2]}"#), 200);
        assert_eq!(status(r#""sub":"bob","azp":"app","nested":{"deep":[1,2]}"#), 401);
        assert_eq!(gateway.get("/").status, 400);
    }

    fn unsigned_tokens_are_for_whom_wrote_none(driver) {
        let origin = Origin::answering(ok("in"));
        let config = "signingMethod: none\nskipClientIdValidation: true".to_owned();
        let gateway = Gateway::start(driver, with(&origin, &[("jwt-validation-flex", config)]));
        let none = unsigned(r#"{"alg":"none"}"#, "");
        assert_eq!(ask(&gateway, &bearer(&format!("{none}."))).status, 200);
        assert_eq!(ask(&gateway, &bearer(&format!("{none}.{}", base64url("x")))).status, 401);
        assert_eq!(ask(&gateway, &bearer(&with_secret(SECRET, ""))).status, 401);
    }

    fn keys_come_from_their_services(driver) {
        let (one, two, stranger) = (Issuer::new("one"), Issuer::new("two"), Issuer::new("one"));
        let keys = [&one, &two].map(|issuer| answering("200 OK", &Issuer::key_set(&[issuer])));
        let services = keys.each_ref().map(|keys| Origin::start(scripted(keys)));
        let origin = Origin::answering(ok("in"));
        let config = format!(
            "jwtKeyOrigin: jwks\njwksUrl: '{}/keys?a=b, {}/keys'\nskipClientIdValidation: true",
            services[0].url, services[1].url
        );
        let gateway = Gateway::setup(driver, with(&origin, &[("jwt-validation-flex", config)])).shards(2).start();
        for _ in 0..4 {
            assert_eq!(ask(&gateway, &bearer(&one.token(r#""sub":"a""#))).status, 200);
            assert_eq!(ask(&gateway, &bearer(&two.token(r#""sub":"a""#))).status, 200);
        }
        assert_eq!(ask(&gateway, &bearer(&stranger.token(r#""sub":"a""#))).status, 401);
        assert_eq!(ask(&gateway, &bearer(&Issuer::new("three").token(""))).status, 401);
        assert_eq!(services[0].request().target, "/keys?a=b");
        assert_eq!(services[1].requests().len(), 1, "a request is no reason to fetch");
    }

    fn without_keys_nobody_gets_in_until_they_come(driver) {
        let issuer = Issuer::new("one");
        let keys = answering("500 Internal Server Error", "");
        let service = Origin::start(scripted(&keys));
        let origin = Origin::answering(ok("in"));
        let config = format!("jwtKeyOrigin: jwks\njwksUrl: {}\nskipClientIdValidation: true", service.url);
        let gateway = Gateway::start(driver, with(&origin, &[("jwt-validation-flex", config)]));
        let token = bearer(&issuer.token(""));
        assert_eq!(ask(&gateway, &token).status, 503);
        assert_eq!(ask(&gateway, "").status, 400, "a token is asked for all the same");
        set(&keys, "200 OK", &Issuer::key_set(&[&issuer]));
        eventually("the keys have come", || ask(&gateway, &token).status == 200);
    }

    fn keys_come_by_https_from_whom_the_system_trusts(driver) {
        let issuer = Issuer::new("one");
        let authority = Authority::new();
        let of = |server| Origin::start_tls(&server, scripted(&answering("200 OK", &Issuer::key_set(&[&issuer]))));
        let (trusted, other) = (of(authority.server(&["127.0.0.1"])), of(Authority::new().server(&["127.0.0.1"])));
        for (service, status) in [(trusted, 200), (other, 503)] {
            let origin = Origin::answering(ok("in"));
            let config = format!("jwtKeyOrigin: jwks\njwksUrl: {}/keys\nskipClientIdValidation: true", service.url);
            let gateway = Gateway::setup(driver, with(&origin, &[("jwt-validation-flex", config)]))
                .environment("SSL_CERT_FILE", &authority.file.display().to_string())
                .start();
            assert_eq!(ask(&gateway, &bearer(&issuer.token(""))).status, status);
        }
    }

    fn a_token_is_asked_about_and_remembered(driver) {
        let answer = answering("200 OK", r#"{"active":true,"client_id":"app","sub":"ann","scope":"read write","level":7,"x":[1]}"#);
        let service = Origin::start(scripted(&answer));
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, introspecting(&origin, &service.url, "scopes: write\nexposeHeaders: true"));
        let answered = ask(&gateway, &(bearer("tok+en/1=") + "X-AGW-Sub: root\r\nx_agw_role: root\r\n"));
        assert_eq!(answered.status, 200);
        let asked = service.request();
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/introspect?a=b"));
        assert_eq!(asked.body, b"token=tok%2Ben%2F1%3D&token_type_hint=access_token");
        assert_eq!(asked.get("authorization"), Some("Basic Z2F0ZTp3YXk="));
        assert_eq!(asked.get("content-type"), Some("application/x-www-form-urlencoded"));
        let seen = origin.request();
        assert_eq!((seen.get("x-agw-sub"), seen.get("x-agw-client_id"), seen.get("x-agw-level")), (Some("ann"), Some("app"), Some("7")));
        assert_eq!((seen.get("x_agw_role"), seen.get("x-agw-x")), (None, None));
        for _ in 0..3 {
            assert_eq!(ask(&gateway, &bearer("tok+en/1=")).status, 200);
        }
        assert_eq!(service.requests().len(), 1, "it is remembered");
        assert_eq!(ask(&gateway, &bearer("another")).status, 200);
        assert_eq!(service.requests().len(), 2);
    }

    fn a_token_that_is_not_active_is_refused(driver) {
        let answer = answering("200 OK", r#"{"active":false}"#);
        let service = Origin::start(scripted(&answer));
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, introspecting(&origin, &service.url, "scopes: read write"));
        let told = |lines: &str| {
            let answer = ask(&gateway, lines);
            (answer.status, answer.get("www-authenticate").unwrap_or_default().replace("Bearer realm=\"mule-realm\"", ""))
        };
        assert_eq!(told(&bearer("t")), (401, ", error=\"invalid_token\"".to_owned()));
        set(&answer, "200 OK", &format!(r#"{{"active":true,"scope":"read write","exp":{}}}"#, now() - 1));
        assert_eq!(told(&bearer("t")), (401, ", error=\"invalid_token\"".to_owned()), "it has ended");
        set(&answer, "200 OK", r#"{"active":true,"scope":"read"}"#);
        assert_eq!(told(&bearer("t")), (403, ", error=\"insufficient_scope\", scope=\"read write\"".to_owned()));
        let asked = service.requests().len();
        assert_eq!(told("").0, 401);
        assert_eq!(told("").1, "");
        assert_eq!(told("Authorization: Basic YTpi\r\n").0, 401);
        assert_eq!(told("Authorization: Bearer\r\n"), (400, ", error=\"invalid_request\"".to_owned()));
        assert_eq!(told(&bearer("t").repeat(2)).0, 400);
        assert_eq!(told("Authorization: Bearer a b\r\n").0, 400);
        assert_eq!(service.requests().len(), asked, "nothing of this is asked about");
        origin.expect_nothing();
    }

    fn a_server_that_does_not_say_admits_nobody(driver) {
        let answer = answering("200 OK", "");
        let service = Origin::start(scripted(&answer));
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, introspecting(&origin, &service.url, ""));
        for (status, body) in [
            ("200 OK", ""),
            ("200 OK", "<html>"),
            ("200 OK", r#"{"active":"true"}"#),
            ("200 OK", r#"{"active":false,"active":true}"#),
            ("401 Unauthorized", r#"{"active":true}"#),
            ("500 Internal Server Error", ""),
            ("200 OK", &format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(100_000))),
        ] {
            set(&answer, status, body);
            assert_eq!(ask(&gateway, &bearer("t")).status, 500, "{status} {body:.40}");
        }
        set(&answer, "200 OK", r#"{"active":true}"#);
        assert_eq!(ask(&gateway, &bearer("t")).status, 200, "what went wrong is not remembered");
        let nobody = ports::Refusing::new();
        let gateway = Gateway::start(driver, introspecting(&origin, &format!("http://{}", nobody.address), ""));
        assert_eq!(ask(&gateway, &bearer("t")).status, 500);
    }

    fn one_of_the_scopes_is_enough_where_it_says_or(driver) {
        let answer = answering("200 OK", r#"{"active":true,"scope":["write"]}"#);
        let service = Origin::start(scripted(&answer));
        let origin = Origin::answering(ok("in"));
        let config = "scopes: read write\nscopeValidationCriteria: OR\nvalidatedTokenTTL: 0";
        let gateway = Gateway::start(driver, introspecting(&origin, &service.url, config));
        assert_eq!(ask(&gateway, &bearer("t")).status, 200);
        set(&answer, "200 OK", r#"{"active":true,"scope":["admin"]}"#);
        assert_eq!(ask(&gateway, &bearer("t")).status, 403, "a time of 0 asks each time");
        set(&answer, "200 OK", r#"{"active":true}"#);
        assert_eq!(ask(&gateway, &bearer("t")).status, 403);
    }

    fn a_service_says_yes(driver) {
        let service = Origin::answering(response(
            "200 OK",
            "X-User: ann\r\nX-Group: one\r\nX-Group: two\r\nX-Secret: s\r\nX-Told: yes\r\n",
            "",
        ));
        let origin = Origin::answering(response("200 OK", "X-Told: origin\r\n", "in"));
        let config = "allowedHeaders: [ x-seen ]\npathPrefix: /check/\n\
                      serviceRequestHeadersToAdd: [ { key: X-Gate, value: '1' } ]\nserviceResponseUpstreamHeaders: [ X-User, X-Absent ]\n\
                      serviceResponseUpstreamHeadersToAppend: [ X-Group ]\nserviceResponseClientHeadersOnSuccess: [ X-Told ]";
        let gateway = Gateway::start(driver, authorized_by(&origin, &service.url, config));
        let lines = "X-Seen: 1\r\nX-Hidden: 2\r\nCookie: c\r\nAuthorization: Bearer t\r\nX-User: root\r\nX_User: root\r\n\
                     X-Absent: root\r\nX-Group: zero\r\nX-Gate: 0\r\nX-Forwarded-Host: evil.example\r\n";
        let answer = gateway.client().send(post_request("/a%20b?c=d", lines, "content")).response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "in"));
        assert_eq!(answer.head.all("x-told"), ["origin", "yes"]);
        assert_eq!(answer.get("x-secret"), None);

        let asked = service.request();
        assert_eq!((asked.method.as_str(), asked.target.as_str(), asked.body.len()), ("POST", "/check/a%20b?c=d", 0));
        assert_eq!((asked.get("x-seen"), asked.get("authorization")), (Some("1"), Some("Bearer t")));
        assert_eq!(asked.head.all("x-gate"), ["1"]);
        assert_eq!((asked.get("x-hidden"), asked.get("cookie")), (None, None));
        assert_eq!(asked.head.all("x-forwarded-host"), ["gateway.test"]);
        assert_eq!(asked.get("x-forwarded-for"), Some("127.0.0.1"));

        let seen = origin.request();
        assert_eq!((seen.head.all("x-user"), seen.get("x_user"), seen.get("x-absent")), (vec!["ann"], None, None));
        assert_eq!(seen.head.all("x-group"), ["zero", "one", "two"]);
        assert_eq!((seen.get("x-secret"), seen.body.as_slice()), (None, &b"content"[..]));
    }

    fn a_service_says_no_in_its_own_words(driver) {
        let service = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                let fields = "Content-Type: text/plain\r\nLocation: /login\r\nWWW-Authenticate: Own\r\nX-Why: because\r\nSet-Cookie: a=b\r\n";
                let status = request.target.trim_start_matches('/').replace("%20", " ");
                peer.send(response(&status, fields, "no entry"));
            }
        });
        let origin = Origin::answering(ok("in"));
        let all = Gateway::start(driver, authorized_by(&origin, &service.url, ""));
        for (path, status) in [("/401%20No", 401), ("/302%20Found", 302), ("/403%20No", 403), ("/429%20Slow", 429)] {
            let answer = all.get(path);
            assert_eq!((answer.status, answer.text().as_str()), (status, "no entry"), "{path}");
            for (name, value) in [("content-type", "text/plain"), ("location", "/login"), ("www-authenticate", "Own"), ("x-why", "because"), ("set-cookie", "a=b")] {
                assert_eq!(answer.get(name), Some(value), "{name}");
            }
        }
        // Neither a yes nor a no.
        for path in ["/500%20Broken", "/503%20Busy", "/204%20Empty", "/201%20Made"] {
            let answer = all.get(path);
            assert_eq!((answer.status, answer.get("x-why")), (403, None), "{path}");
        }
        let some = Gateway::start(driver, authorized_by(&origin, &service.url, "serviceResponseClientHeaders: [ x-why ]"));
        let answer = some.get("/403%20No");
        assert_eq!((answer.get("x-why"), answer.get("www-authenticate"), answer.get("set-cookie")), (Some("because"), Some("Own"), None));
        origin.expect_nothing();
    }

    fn a_service_that_says_nothing_says_no(driver) {
        let origin = Origin::answering(ok("in"));
        let nobody = ports::Refusing::new();
        let gateway = Gateway::start(driver, authorized_by(&origin, &format!("http://{}", nobody.address), ""));
        assert_eq!(ask(&gateway, "").status, 403);
        let gate = Gate::new();
        let wait = gate.clone();
        let silent = Origin::start(move |peer| {
            if peer.request().is_some() {
                wait.wait();
            }
        });
        let gateway = Gateway::start(driver, authorized_by(&origin, &silent.url, "requestTimeout: 50"));
        assert_eq!(ask(&gateway, "").status, 403);
        gate.open();
        let nonsense = Origin::start(|peer| {
            if peer.request().is_some() {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
            }
        });
        let gateway = Gateway::start(driver, authorized_by(&origin, &nonsense.url, ""));
        assert_eq!(ask(&gateway, "").status, 403, "cut off");
        origin.expect_nothing();
    }

    fn addresses_are_let_in_or_kept_out(driver) {
        let origin = Origin::answering(ok("in"));
        let list = "ips: [ 192.0.2.0/24, '198.51', '2001:db8::/32' ]".to_owned();
        let of = |policy| Gateway::start(driver, with(&origin, &[(policy, list.clone())]));
        let (allow, block) = (of("ip-allowlist-flex"), of("ip-blocklist-flex"));
        let status = |gateway: &Gateway, value: &str| ask(gateway, &format!("X-Forwarded-For: {value}\r\n")).status;
        for listed in ["192.0.2.7", "198.51.100.1", "2001:db8::1", "[2001:db8::1]:80", "192.0.2.7:443", "::ffff:192.0.2.7"] {
            assert_eq!((status(&allow, listed), status(&block, listed)), (200, 403), "{listed}");
        }
        for other in ["203.0.113.1", "192.0.3.1", "2001:db9::1", "::ffff:203.0.113.1"] {
            assert_eq!((status(&allow, other), status(&block, other)), (403, 200), "{other}");
        }
        for unread in ["", "unknown", "192.0.2.7, 203.0.113.1", "203.0.113.1, 192.0.2.7", "0xC0000207", "192.0.2"] {
            assert_eq!((status(&allow, unread), status(&block, unread)), (403, 403), "{unread:?}");
        }
        assert_eq!((ask(&allow, "").status, ask(&block, "").status), (403, 403));
        let twice = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 203.0.113.1\r\n";
        assert_eq!((ask(&allow, twice).status, ask(&block, twice).status), (403, 403), "two are none");
    }

    fn the_address_is_what_the_expression_says(driver) {
        let origin = Origin::answering(ok("in"));
        let of = |expression: &str, ips: &str| {
            let config = format!("ips: [ {ips} ]\nipExpression: \"{expression}\"");
            Gateway::start(driver, with(&origin, &[("ip-allowlist-flex", config)]))
        };
        let peer = of("#[attributes.remoteAddress]", "127.0.0.1");
        assert_eq!(ask(&peer, "X-Forwarded-For: 192.0.2.7\r\n").status, 200, "with its port");
        assert_eq!(ask(&of("#[attributes.remoteAddress]", "127.0.0.2"), "").status, 403);
        let first = of("#[splitBy(attributes.headers['x-forwarded-for'], ',')[0]]", "192.0.2.0/24");
        assert_eq!(ask(&first, "X-Forwarded-For: 192.0.2.7, 203.0.113.1\r\n").status, 200);
        assert_eq!(ask(&first, "X-Forwarded-For: 203.0.113.1, 192.0.2.7\r\n").status, 403);
        assert_eq!(ask(&first, "").status, 403, "null can't be split");
    }

    /// Many at once, each with an answer of its own.
    fn who_waits_for_a_service_keeps_nobody_from_another(driver) {
        let waiting = Arc::new(AtomicUsize::new(0));
        let (gate, count) = (Gate::new(), waiting.clone());
        let wait = gate.clone();
        let service = Origin::start(move |peer| {
            while let Some(request) = peer.request() {
                if request.target == "/slow" {
                    count.fetch_add(1, Ordering::SeqCst);
                    wait.wait();
                }
                peer.send(response("200 OK", &format!("X-Path: {}\r\n", request.target), ""));
            }
        });
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                peer.send(ok(request.get("x-path").unwrap_or_default()));
            }
        });
        let gateway = Gateway::start(driver, authorized_by(&origin, &service.url, "serviceResponseUpstreamHeaders: [ x-path ]"));
        let mut slow: Vec<_> = (0..20).map(|_| gateway.client()).collect();
        for client in &mut slow {
            client.send(get_request("/slow", ""));
        }
        eventually("all of them wait", || waiting.load(Ordering::SeqCst) == 20);
        assert_eq!(gateway.get("/quick").text(), "/quick");
        gate.open();
        for client in &mut slow {
            assert_eq!(client.response().text(), "/slow");
        }
    }

    /// A path that the service reads one way and the origin another is nobody's permission.
    fn the_service_is_asked_for_what_the_origin_gets(driver) {
        let service = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                let status = if request.target.starts_with("/public/") { "200 OK" } else { "403 Forbidden" };
                peer.send(response(status, "", ""));
            }
        });
        let origin = Origin::start(|peer| {
            while let Some(request) = peer.request() {
                peer.send(ok(&request.target));
            }
        });
        let gateway = Gateway::start(driver, authorized_by(&origin, &service.url, ""));
        assert_eq!(gateway.get("/public/./a%7Eb?c=%7E").text(), "/public/a~b?c=%7E");
        for path in ["/public/../secret", "/public/%2e%2e/secret", "//secret", "/./secret"] {
            assert_eq!(gateway.get(path).status, 403, "{path}");
            let asked = service.requests().pop().expect("a question");
            assert_eq!(asked.target, "/secret", "{path}");
        }
    }

    fn a_key_of_the_path_has_one_spelling(driver) {
        let origin = Origin::answering(ok("in"));
        let config = "rateLimits: [ { maximumRequests: 1, timePeriodInMilliseconds: 60000 } ]\n\
                      keySelector: \"#[attributes.requestPath]\"\n".to_owned();
        let gateway = Gateway::start(driver, with(&origin, &[("rate-limiting-flex", config)]));
        let statuses = ["/a/b", "/a/./b", "/x/../a/b", "/%61/b", "//a/b", "/c"].map(|path| gateway.get(path).status);
        assert_eq!(statuses, [200, 429, 429, 429, 429, 200]);
    }
}

fn introspecting(origin: &Origin, service: &str, more: &str) -> String {
    let config = format!(
        "introspectionURL: {service}/introspect?a=b\nauthorizationValue: Basic Z2F0ZTp3YXk=\nskipClientIdValidation: true\n\
         consumerBy: client_id\n{more}"
    );
    with(origin, &[("oauth2-token-introspection-flex", config)])
}

fn authorized_by(origin: &Origin, service: &str, more: &str) -> String {
    with(
        origin,
        &[(
            "native-ext-authz-flex",
            format!("uri: {service}\nserverType: http\n{more}"),
        )],
    )
}

/// What is not supported, or can't be meant, is refused with its place.
#[test]
fn what_cannot_be_done_is_said_at_load() {
    let origin = Origin::answering(ok(""));
    let jwt = "skipClientIdValidation: true\n";
    let authz = "uri: http://127.0.0.1:1\n";
    let introspection = "introspectionURL: http://127.0.0.1:1/\nauthorizationValue: Basic YTpi\n";
    for (policy, config, said) in [
        (
            "jwt-validation-flex",
            "textKey: x".to_owned(),
            "or `skipClientIdValidation: true`",
        ),
        (
            "jwt-validation-flex",
            "skipClientIdValidation: false".to_owned(),
            "or `skipClientIdValidation: true`",
        ),
        ("jwt-validation-flex", jwt.to_owned(), "`textKey` is required"),
        (
            "jwt-validation-flex",
            format!("{jwt}signingMethod: hmac\ntextKey: short"),
            "at least 32",
        ),
        (
            "jwt-validation-flex",
            format!("{jwt}textKey: {SECRET}"),
            "is not a public key",
        ),
        (
            "jwt-validation-flex",
            format!("{jwt}signingMethod: es\nsigningKeyLength: 512"),
            "256 or 384",
        ),
        (
            "jwt-validation-flex",
            format!("{jwt}signingMethod: hmac\njwtKeyOrigin: jwks\njwksUrl: http://127.0.0.1:1/"),
            "a secret that is published is none",
        ),
        (
            "jwt-validation-flex",
            format!("{jwt}jwtKeyOrigin: jwks"),
            "`jwksUrl` is required",
        ),
        (
            "jwt-validation-flex",
            format!("{jwt}jwtKeyOrigin: jwks\njwksUrl: 'ftp://a/'"),
            "must be http://host/path",
        ),
        (
            "jwt-validation-flex",
            format!("{jwt}signingMethod: none\nvalidateAudClaim: true"),
            "whom tokens may be for",
        ),
        (
            "jwt-validation-flex",
            format!("{jwt}customKeyExpression: \"#[attributes.headers['key']]\""),
            "`attributes`",
        ),
        (
            "jwt-validation-flex",
            format!("{jwt}signingMethod: none\nclientIdExpression: '#[vars.claims.x]'"),
            "vars.claimSet",
        ),
        (
            "jwt-validation-flex",
            format!("{jwt}signingMethod: none\nclaimsToHeaders: [ {{ key: sub, value: Host }} ]"),
            "written by the gateway",
        ),
        (
            "native-ext-authz-flex",
            format!("{authz}serverType: grpc"),
            "HTTP/2",
        ),
        (
            "native-ext-authz-flex",
            format!("{authz}serverType: http\nserverVersion: v3"),
            "gRPC interface",
        ),
        (
            "native-ext-authz-flex",
            format!("{authz}serverType: http\nincludePeerCertificate: true"),
            "certificates yet",
        ),
        (
            "native-ext-authz-flex",
            format!("{authz}serverType: http\nallowedHeaders: [ 'a b' ]"),
            "no header name",
        ),
        (
            "native-ext-authz-flex",
            format!("{authz}serverType: http\npathPrefix: x"),
            "begins with `/`",
        ),
        (
            "native-ext-authz-flex",
            "uri: h2://127.0.0.1:1\nserverType: http".to_owned(),
            "must be http://host/path",
        ),
        (
            "oauth2-token-introspection-flex",
            introspection.to_owned(),
            "`skipClientIdValidation` is required",
        ),
        (
            "oauth2-token-introspection-flex",
            format!("{introspection}skipClientIdValidation: false"),
            "or `skipClientIdValidation: true`",
        ),
        (
            "oauth2-token-introspection-flex",
            format!("{introspection}{jwt}scopes: 'a\"b'"),
            "RFC 6749",
        ),
        ("ip-allowlist-flex", "ips: []".to_owned(), "must name an address"),
        (
            "ip-blocklist-flex",
            "ips: [ 10.0.0.0/33 ]".to_owned(),
            "is no address",
        ),
        (
            "ip-blocklist-flex",
            "ips: [ 10.0.0.1 ]\nipExpression: '#[attributes.header]'".to_owned(),
            "did you mean",
        ),
    ] {
        let mut gateway = Gateway::setup(Driver::Epoll, with(&origin, &[(policy, config.clone())])).launch();
        assert!(!gateway.wait_exit().success(), "{config}");
        eventually(said, || gateway.stderr().contains(said));
    }
}

/// Neither a dump nor a log says what is secret.
#[test]
fn secrets_stay_where_they_were_written() {
    use crate::support::gateway::{Folder, ringway, run_to_end};
    let origin = Origin::answering(ok(""));
    let folder = Folder::new();
    let jwt = format!(
        "signingMethod: hmac\ntextKey: {SECRET}\nskipClientIdValidation: true\nsigningKeyLength: 256\njwtKeyOrigin: text"
    );
    let introspection = "introspectionURL: http://127.0.0.1:1/\nauthorizationValue: Basic aGlkZGVu\nskipClientIdValidation: true\nvalidatedTokenTTL: 7";
    let yaml = with(
        &origin,
        &[
            ("jwt-validation-flex", jwt),
            ("oauth2-token-introspection-flex", introspection.to_owned()),
        ],
    );
    let file = folder.write("config.yaml", &yaml.replace("@listen@", "127.0.0.1:8081"));
    let dumped = run_to_end(
        ringway().args(["dump", "--config"]).arg(file),
        crate::support::DEADLINE,
    );
    assert_eq!(dumped.code, Some(0), "{}", dumped.stderr);
    for secret in [SECRET, "aGlkZGVu"] {
        assert!(
            !dumped.stdout.contains(secret) && !dumped.stderr.contains(secret),
            "{}",
            dumped.stdout
        );
    }
    for shown in [
        "jwtKeyOrigin: text",
        "signingKeyLength: 256",
        "validatedTokenTTL: 7",
    ] {
        assert!(dumped.stdout.contains(shown), "{shown}: {}", dumped.stdout);
    }
}
