//! Tables of figures made up so that the right text is plain.

use super::*;
use crate::gateway::Gateway;
use crate::results::report::tests::{report, turns};
use crate::scenario::goal::Against;

#[test]
fn a_table_is_markdown() {
    let text = table(&["a".into(), "b".into()], &[vec!["x".into(), "1".into()]]);
    assert_eq!(text, "| a | b |\n| --- | ---: |\n| x | 1 |\n");
}

#[test]
fn there_is_a_column_for_what_was_measured_and_for_each_peer_that_took_part() {
    let report = report(
        "",
        &[
            (Gateway::Nginx, turns(&[10.0])),
            (Gateway::Haproxy, turns(&[15.0])),
        ],
    );
    let markdown = report.markdown();
    let lines: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(
        lines[0],
        "| gateway | CPU µs/request | user µs/request | × nginx | × HAProxy | user × nginx | requests/s |"
    );
    assert_eq!(lines[3], "| HAProxy | 15.00 | 3.75 | 1.50 | 1.00 | 1.50 | 1000 |");
    assert!(!markdown.contains("Not a quiet machine"), "{markdown}");
}

#[test]
fn a_noisy_turn_is_told() {
    let mut noisy = turns(&[10.0, 10.0]);
    noisy[1].set(Figure::Disturbance, 0.4);
    let markdown = report("", &[(Gateway::Nginx, noisy)]).markdown();
    assert!(markdown.contains("in one turn 40 %"), "{markdown}");
}

#[test]
fn time_for_a_gibibyte_is_in_milliseconds() {
    let plan = "per: GiB\nload: {kind: transfer, connections: 1}";
    let markdown = report(plan, &[(Gateway::Nginx, turns(&[512_345.0]))]).markdown();
    assert!(
        markdown.contains("CPU ms/GiB") && markdown.contains("| 512.3 |"),
        "{markdown}"
    );
    assert!(markdown.contains("| GiB/s |"), "{markdown}");
}

#[test]
fn what_is_in_no_table_has_a_name_all_the_same() {
    assert_eq!(Figure::PerSecond.title("connection"), "connections/s");
    assert_eq!(Figure::BusiestShare.show(0.5), "50.0 %");
    assert_eq!(Figure::PeakResidentBytes.show(3.0 * 1024.0 * 1024.0), "3.0");
    assert_eq!(Against::BestPeer.name(), "best peer");
}
