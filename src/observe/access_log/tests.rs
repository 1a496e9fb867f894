use super::*;
use crate::{
    fault::{Kind, Phase, Side},
    observe::record::{Ended, Protocol},
};
use proptest::prelude::*;

fn line(record: &Record<'_>) -> String {
    let mut out = Vec::new();
    render_json(record, &mut out);
    String::from_utf8(out).expect("a line is UTF-8")
}

fn parsed(record: &Record<'_>) -> serde_json::Value {
    serde_json::from_str(&line(record)).expect("a line is JSON")
}

#[test]
fn a_line_in_full() {
    let record = Record {
        unix_millis: 784_111_777_042,
        client: "192.0.2.7:50123".parse().unwrap(),
        api: "default/orders",
        cluster: "default/orders-v2",
        endpoint: Some("[2001:db8::1]:8080".parse().unwrap()),
        method: b"GET",
        target: b"/orders?id=1",
        host: b"api.example.com",
        request_id: b"r-1",
        protocol: Protocol::Http11,
        status: 200,
        bytes_in: 321,
        bytes_out: 4567,
        duration_micros: 1234,
        upstream_micros: 1100,
        retries: 1,
        keep_alive: true,
        ended: None,
        policy: "",
        client_id: b"",
        tls: "",
        client_certificate: "",
        truncated: false,
    };
    assert_eq!(
        line(&record),
        concat!(
            r#"{"time":"1994-11-06T08:49:37.042Z","client":"192.0.2.7","client_port":50123,"#,
            r#""protocol":"HTTP/1.1","method":"GET","host":"api.example.com","target":"/orders?id=1","#,
            r#""status":200,"bytes_in":321,"bytes_out":4567,"duration_us":1234,"upstream_us":1100,"#,
            r#""api":"default/orders","service":"default/orders-v2","upstream":"[2001:db8::1]:8080","#,
            r#""retries":1,"request_id":"r-1","keep_alive":true,"ended_by":"complete"}"#,
            "\n"
        )
    );
}

#[test]
fn a_line_says_which_policy_and_which_client() {
    let record = Record {
        policy: "default/limit",
        client_id: b"a\"\xff\n",
        ..Record::default()
    };
    let parsed = parsed(&record);
    assert_eq!(parsed["policy"], "default/limit");
    assert_eq!(parsed["client_id"], "a\"\u{fffd}\n");
    assert!(!line(&Record::default()).contains("policy"));
    assert!(!line(&Record::default()).contains("client_id"));
}

#[test]
fn a_line_says_how_the_client_was_secured() {
    let record = Record {
        tls: "TLSv1.3",
        client_certificate: r#"CN="a""#,
        ..Record::default()
    };
    let parsed = parsed(&record);
    assert_eq!(
        (&parsed["tls"], &parsed["client_certificate"]),
        (&"TLSv1.3".into(), &r#"CN="a""#.into())
    );
    assert!(!line(&Record::default()).contains("tls"));
}

#[test]
fn a_line_says_who_ended_the_exchange_and_where() {
    let ended = Some(Ended {
        side: Side::Upstream,
        kind: Kind::TimedOut,
        phase: Phase::ResponseHead,
    });
    let line = parsed(&Record {
        ended,
        truncated: true,
        ..Record::default()
    });
    assert_eq!(line["ended_by"], "upstream");
    assert_eq!(line["fault"], "timed_out");
    assert_eq!(line["phase"], "response_head");
    assert_eq!(line["truncated"], true);
    assert_eq!(line["upstream"], "");
}

#[test]
fn hostile_bytes_cannot_break_out_of_their_string() {
    let target = b"/\"},{\"status\":200}\n{\"time\":\"\\\r\0\x1b[2J\x7f";
    let record = Record {
        target,
        ..Record::default()
    };
    assert_eq!(line(&record).matches('\n').count(), 1);
    assert!(line(&record).contains(r#"/\"},{\"status\":200}\n{\"time\":\"\\\r\u0000\u001b[2J\u007f""#));
    assert_eq!(parsed(&record)["target"].as_str().unwrap().as_bytes(), target);
}

#[test]
fn bytes_that_are_not_utf8_become_the_replacement_character() {
    let value = parsed(&Record {
        target: b"/a\xffb\xc3(\xf0\x9f\x98\x80",
        ..Record::default()
    });
    assert_eq!(value["target"], "/a\u{fffd}b\u{fffd}(\u{1f600}");
}

#[test]
fn controls_separators_and_reordering_marks_are_spelled_out() {
    let host = "\u{9b}\u{85}\u{2028}\u{202e}\u{2066}\u{200f}é";
    let record = Record {
        host: host.as_bytes(),
        ..Record::default()
    };
    assert!(line(&record).contains(r#""host":"\u009b\u0085\u2028\u202e\u2066\u200fé""#));
    assert_eq!(parsed(&record)["host"], host);
}

#[test]
fn the_page_names_every_field() {
    let page = include_str!("../../../docs/access-log.md");
    let ended = Some(Ended {
        side: Side::Client,
        kind: Kind::Closed,
        phase: Phase::Tunnel,
    });
    let value = parsed(&Record {
        ended,
        truncated: true,
        ..Record::default()
    });
    for field in value.as_object().unwrap().keys() {
        assert!(
            page.contains(&format!("| `{field}` |")),
            "docs/access-log.md lacks {field}"
        );
    }
    for kind in labels::KINDS {
        let label = labels::kind(kind);
        assert!(
            page.contains(&format!("`{label}`")),
            "docs/access-log.md lacks the fault {label}"
        );
    }
    for phase in labels::PHASES {
        let label = labels::phase(phase);
        assert!(
            page.contains(&format!("`{label}`")),
            "docs/access-log.md lacks the phase {label}"
        );
    }
}

proptest! {
    /// What is written by hand is what the standard library would write.
    #[test]
    fn numbers_addresses_and_times_are_as_usual(
        client: std::net::SocketAddr,
        endpoint: std::net::SocketAddr,
        bytes_in: u64,
        seconds in prop_oneof![0..253_402_300_800_u64, 0..1_u64 << 50],
        millis in 0..1000_u64,
    ) {
        let line = parsed(&Record {
            client,
            endpoint: Some(endpoint),
            bytes_in,
            unix_millis: seconds * 1000 + millis,
            ..Record::default()
        });
        prop_assert_eq!(line["client"].as_str(), Some(&*client.ip().to_string()));
        prop_assert_eq!(line["client_port"].as_u64(), Some(u64::from(client.port())));
        prop_assert_eq!(line["upstream"].as_str(), Some(&*endpoint.to_string()));
        prop_assert_eq!(line["bytes_in"].as_u64(), Some(bytes_in));
        let Civil { year, month, day, hour, minute, second, .. } = Civil::from_unix(seconds);
        let time = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z");
        prop_assert_eq!(line["time"].as_str(), Some(&*time));
    }

    #[test]
    fn whatever_is_sent_it_is_one_line_of_json(
        method: Vec<u8>, target: Vec<u8>, host: Vec<u8>, request_id: Vec<u8>,
    ) {
        let record = Record {
            method: &method, target: &target, host: &host, request_id: &request_id, ..Record::default()
        };
        let line = line(&record);
        prop_assert!(line.ends_with("}\n"), "one object, one newline");
        prop_assert!(!line[..line.len() - 1].chars().any(char::is_control));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["target"].as_str().unwrap(), String::from_utf8_lossy(&target));
        prop_assert_eq!(value["host"].as_str().unwrap(), String::from_utf8_lossy(&host));
    }
}

fn message(text: &[u8]) -> Message<'_> {
    Message {
        unix_millis: 784_111_777_123,
        level: crate::observe::message::Level::Warn,
        api: "default/orders",
        request_id: b"id\n1",
        category: "",
        text,
        truncated: false,
    }
}

#[test]
fn a_message_is_one_line_whatever_is_in_it() {
    let line = |format: Format, message: &Message<'_>| {
        let spec = Spec {
            path: "/dev/stdout".into(),
            format,
        };
        let mut out = Vec::new();
        spec.render_message(message, &mut out);
        String::from_utf8(out).expect("UTF-8")
    };
    let hostile = message(b"a\r\nb \"c\" \\ \x1b[2J \xff \xe2\x80\xae");
    assert_eq!(
        line(Format::MessagesAsText, &hostile),
        "1994-11-06T08:49:37.123Z [ringway][WARN] [req: id\\n1] [accessLog] a\\r\\nb \"c\" \\ \\u001b[2J \u{fffd} \\u202e\n"
    );
    let cut = Message {
        category: "audit",
        truncated: true,
        ..message(b"x")
    };
    assert!(line(Format::MessagesAsText, &cut).ends_with("[audit] x [truncated]\n"));
    let json: serde_json::Value = serde_json::from_str(&line(Format::Json, &hostile)).expect("JSON");
    assert_eq!(json["message"], "a\r\nb \"c\" \\ \u{1b}[2J \u{fffd} \u{202e}");
    assert_eq!(
        (&json["level"], &json["category"]),
        (&"WARN".into(), &"accessLog".into())
    );
    let json: serde_json::Value = serde_json::from_str(&line(Format::Json, &cut)).expect("JSON");
    assert_eq!(
        (&json["truncated"], &json["api"]),
        (&true.into(), &"default/orders".into())
    );
}
