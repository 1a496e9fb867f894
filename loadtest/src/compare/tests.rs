//! The arithmetic of a comparison on figures made up so that the right answer is plain.

use super::*;
use crate::driver::Driver;

fn turn(cpu_us: f64) -> Turn {
    Turn {
        cpu_us,
        user_us: cpu_us / 4.0,
        system_us: cpu_us * 0.75,
        requests_per_second: 1000.0,
        p50_us: 1.0,
        p90_us: 2.0,
        p99_us: 3.0,
        p999_us: 4.0,
        disturbance: 0.0,
    }
}

#[test]
fn a_ratio_is_taken_within_each_round() {
    // The machine is three times slower in the second round and twice in the third; the ratio is 0.8 in two of three.
    let (nginx, ours) = (
        [turn(10.0), turn(30.0), turn(20.0)],
        [turn(8.0), turn(24.0), turn(20.0)],
    );
    let ratio = Peer::Nginx.ratio(&ours, &nginx);
    assert!((ratio.cpu - 0.8).abs() < 1e-9, "{}", ratio.cpu);
    assert!((ratio.user - 0.8).abs() < 1e-9, "{}", ratio.user);
}

#[test]
fn the_floor_of_a_gateway_is_the_relay_on_its_own_driver() {
    let ringway = Gateway::Ringway {
        program: "ringway".into(),
        driver: Driver::Epoll,
    };
    assert!(Peer::Floor.is(
        &Gateway::Floor {
            driver: Driver::Epoll
        },
        &ringway
    ));
    assert!(!Peer::Floor.is(
        &Gateway::Floor {
            driver: Driver::IoUring
        },
        &ringway
    ));
    assert!(!Peer::Floor.is(
        &Gateway::Floor {
            driver: Driver::Epoll
        },
        &Gateway::NGINX
    ));
}

#[test]
fn the_table_has_a_column_for_each_peer_that_took_part() {
    let machine = Machine {
        taken: "2026-01-01T00:00:00Z".into(),
        cpu_model: "some".into(),
        cpus: 2,
        kernel: "6.1".into(),
    };
    let plan = Plan {
        rounds: 1,
        seconds: 1,
        connections: 1,
        body_bytes: 13,
        gateway_cpu: 0,
        load_cpu: 1,
    };
    let measured = |gateway: Gateway, cpu: f64, ratios| Measured {
        name: gateway.name(),
        version: "1".into(),
        rounds: vec![turn(cpu)],
        median: turn(cpu),
        ratios,
    };
    let gateways = vec![
        measured(
            Gateway::NGINX,
            10.0,
            vec![Ratio {
                to: "nginx",
                cpu: 1.0,
                user: 1.0,
            }],
        ),
        measured(
            Gateway::Haproxy,
            15.0,
            vec![Ratio {
                to: "nginx",
                cpu: 1.5,
                user: 2.25,
            }],
        ),
    ];
    let markdown = Report {
        scenario: SCENARIO,
        machine,
        plan,
        gateways,
    }
    .markdown();
    let lines: Vec<&str> = markdown.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(
        lines[0],
        "| gateway | CPU µs/request | user | system | × nginx | user × nginx | requests/s | p50 µs | p99 µs |"
    );
    assert_eq!(
        lines[3],
        "| HAProxy | 15.00 | 3.75 | 11.25 | 1.50 | 2.25 | 1000 | 1 | 3 |"
    );
    assert!(!markdown.contains("Not a quiet machine"), "{markdown}");
}
