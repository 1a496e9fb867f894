//! What is in the pictures, read back with an XML parser. How they look is for eyes: `PLOTS=<folder>` has
//! `samples_for_the_eye` leave them there.

use roxmltree::Document;

use super::*;

fn bar(label: &str, values: &[f64]) -> Bar {
    let names = ["user", "system", "other"];
    Bar {
        label: label.to_owned(),
        segments: names
            .iter()
            .zip(values)
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect(),
    }
}

fn series(label: &str, points: &[(f64, f64)]) -> Series {
    Series {
        label: label.to_owned(),
        points: points.to_vec(),
    }
}

fn cpu() -> Vec<Bar> {
    vec![
        bar("Ringway, io_uring", &[1.4, 7.9]),
        bar("Ringway, epoll", &[1.5, 8.1]),
        bar("nginx 1.22", &[2.8, 8.6]),
        bar("HAProxy 2.6", &[5.7, 9.3]),
        bar("Envoy 1.40", &[28.0, 11.4]),
        bar("bare relay, io_uring", &[0.85, 7.85]),
    ]
}

/// A curve as an answering gateway gives: flat, then a tail.
fn tail(label: &str, median: f64, growth: f64) -> Series {
    let points: Vec<(f64, f64)> = (0..=40)
        .map(|step| f64::from(step) / 10.0)
        .map(|nines: f64| {
            (
                100.0 * (1.0 - 10_f64.powf(-nines)),
                median * growth.powf(nines * nines / 4.0),
            )
        })
        .collect();
    series(label, &points)
}

fn latencies() -> Vec<Series> {
    vec![
        tail("Ringway, io_uring", 96.0, 1.9),
        tail("Ringway, epoll", 99.0, 2.0),
        tail("nginx 1.22", 120.0, 2.3),
        tail("HAProxy 2.6", 150.0, 2.6),
        tail("Envoy 1.40", 310.0, 3.1),
        tail("bare relay, io_uring", 85.0, 1.9),
    ]
}

fn throughput() -> Vec<Series> {
    let points = |top: f64| -> Vec<(f64, f64)> {
        [1.0, 16.0, 64.0, 128.0, 256.0]
            .iter()
            .map(|&connections: &f64| (connections, top * connections / (connections + 12.0)))
            .collect()
    };
    vec![
        series("Ringway, io_uring", &points(92_000.0)),
        series("Ringway, epoll", &points(89_000.0)),
        series("nginx 1.22", &points(74_000.0)),
        series("HAProxy 2.6", &points(61_000.0)),
        series("Envoy 1.40", &points(24_000.0)),
    ]
}

/// Each piece of text in the picture, after it was found to be XML of the right size with nothing that is no number.
fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).expect("well-formed");
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "svg");
    assert_eq!(root.attribute("width"), Some("800"));
    for node in document.descendants() {
        for attribute in node.attributes() {
            let value = attribute.value();
            assert!(
                !value.contains("NaN") && !value.contains("inf"),
                "{node:?}: {value}"
            );
        }
    }
    document
        .descendants()
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")))
        .map(|node| node.text().unwrap_or_default().to_owned())
        .collect()
}

fn assert_contains(svg: &str, expected: &[&str]) {
    let texts = texts(svg);
    for text in expected {
        assert!(texts.iter().any(|found| found == text), "{text:?} in {texts:?}");
    }
}

#[test]
fn bars_show_names_sums_and_parts() {
    let svg = bars(
        "Ringway needs less CPU time for a request",
        "CPU µs per request",
        &cpu(),
    );
    assert_contains(
        &svg,
        &[
            "Ringway needs less CPU time for a request",
            "CPU µs per request",
            "user",
            "system",
            "Ringway, io_uring",
            "9.30",
            "39.4",
            "28.0 + 11.4",
            "1.40 + 7.90",
        ],
    );
}

#[test]
fn percentiles_show_nines_and_units() {
    let svg = percentiles("Latency", &latencies());
    assert_contains(
        &svg,
        &[
            "0 %",
            "90 %",
            "99 %",
            "99.9 %",
            "99.99 %",
            "100 µs",
            "1 ms",
            "Envoy 1.40",
        ],
    );
    assert_eq!(
        svg.matches("#0054a6").count(),
        1,
        "one line is Ringway's on io_uring"
    );
}

#[test]
fn lines_show_axes_and_names() {
    let svg = lines("Throughput", "connections", "requests per second", &throughput());
    assert_contains(
        &svg,
        &[
            "connections",
            "requests per second",
            "100,000",
            "300",
            "nginx 1.22",
        ],
    );
    assert_eq!(svg.matches("<circle").count(), 25);
}

#[test]
fn the_same_figures_give_the_same_bytes() {
    for _ in 0..3 {
        assert_eq!(bars("a", "b", &cpu()), bars("a", "b", &cpu()));
        assert_eq!(percentiles("a", &latencies()), percentiles("a", &latencies()));
        assert_eq!(
            lines("a", "b", "c", &throughput()),
            lines("a", "b", "c", &throughput())
        );
    }
}

#[test]
fn nothing_is_said_to_be_nothing() {
    assert_contains(&bars("a", "b", &[]), &["no data"]);
    assert_contains(&percentiles("a", &[]), &["no data"]);
    assert_contains(&lines("a", "b", "c", &[]), &["no data"]);
    assert_contains(
        &percentiles("a", &[series("nginx", &[])]),
        &["no data", "nginx: no data"],
    );
    assert_contains(&bars("a", "b", &[bar("nginx", &[])]), &["no data", "nginx"]);
    assert_contains(&bars("", "", &[bar("", &[])]), &["no data"]);
}

#[test]
fn what_is_no_figure_is_left_out() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        let svg = bars("a", "b", &[bar("nginx", &[1.0, bad]), bar("Envoy", &[1.0, 2.0])]);
        assert_contains(&svg, &["no data", "3.00"]);
        let points = [(50.0, bad), (100.0, 5.0), (200.0, 5.0), (bad, 5.0)];
        assert_contains(
            &percentiles("a", &[series("nginx", &points)]),
            &["nginx: no data"],
        );
        let svg = lines("a", "b", "c", &[series("nginx", &[(1.0, bad), (2.0, 3.0)])]);
        assert_contains(&svg, &["nginx"]);
        assert_eq!(svg.matches("<circle").count(), 1, "the point that is one");
    }
}

#[test]
fn extremes_stay_on_the_card() {
    for values in [[0.0, 0.0], [1e-7, 1e-7], [1e12, 1e12], [5.0, 5.0]] {
        texts(&bars("a", "b", &[bar("nginx", &values)]));
        texts(&percentiles(
            "a",
            &[series("nginx", &[(0.0, values[0]), (99.99999, values[1])])],
        ));
        let svg = lines(
            "a",
            "b",
            "c",
            &[series("nginx", &[(values[0], values[1]), (1.0, 1.0)])],
        );
        texts(&svg);
        let document = Document::parse(&svg).expect("well-formed");
        for node in document.descendants().filter(|node| node.has_attribute("cx")) {
            let place = |name| node.attribute(name).and_then(|value| value.parse::<f64>().ok());
            assert!(
                place("cx").is_some_and(|x| (0.0..=800.0).contains(&x)),
                "{node:?}"
            );
            assert!(
                place("cy").is_some_and(|y| (0.0..=500.0).contains(&y)),
                "{node:?}"
            );
        }
    }
}

#[test]
fn long_and_strange_labels_are_cut_and_escaped() {
    let long =
        "a gateway whose name goes on & on <for> \"ever\" and never seems to come to an end\u{7}\u{1b}[1m";
    let title = long.repeat(4);
    for svg in [
        bars(&title, long, &[bar(long, &[1.0, 2.0])]),
        percentiles(&title, &[series(long, &[(0.0, 1.0), (99.0, 2.0)])]),
        lines(&title, long, long, &[series(long, &[(0.0, 1.0), (9.0, 2.0)])]),
    ] {
        let texts = texts(&svg);
        assert!(
            texts.iter().filter(|text| text.ends_with('…')).count() >= 2,
            "{texts:?}"
        );
        for text in texts {
            assert!(text::width(&text, 13.0) <= 800.0, "{text}");
        }
    }
}

#[test]
fn the_same_colour_twice_is_told_apart() {
    let points = [(0.0, 1.0), (99.0, 2.0)];
    let svg = percentiles(
        "a",
        &[series("nginx", &points), series("nginx, no headers", &points)],
    );
    assert_eq!(svg.matches("stroke-dasharray").count(), 1);
}

#[test]
fn samples_for_the_eye() {
    let mut crowded = latencies();
    crowded.push(series("a gateway whose name goes on and on for ever", &[]));
    crowded.push(tail("nginx, no headers at all", 118.0, 2.29));
    crowded.push(tail("Caddy 2.6", 180.0, 2.55));
    let mut odd = cpu();
    odd.push(bar("a gateway whose name goes on and on for ever", &[f64::NAN]));
    odd.push(bar("Caddy 2.6", &[40.0, 0.3]));
    let title = "Small keep-alive requests: CPU time a request costs the gateway";
    let samples = [
        (
            "bars",
            bars(title, "CPU µs per request, median of 5 rounds", &cpu()),
        ),
        ("bars-odd", bars(&title.repeat(2), "CPU µs per request", &odd)),
        ("bars-empty", bars(title, "CPU µs per request", &[])),
        (
            "bars-one",
            bars(
                "Memory of an idle connection",
                "bytes",
                &[bar("Ringway, io_uring", &[1743.0]), bar("nginx", &[2163.0])],
            ),
        ),
        (
            "percentiles",
            percentiles(
                "At 20,000 requests a second the slowest answers are those of Envoy",
                &latencies(),
            ),
        ),
        (
            "percentiles-odd",
            percentiles("Names that would overlap stand apart", &crowded),
        ),
        ("percentiles-empty", percentiles("Nothing was measured", &[])),
        (
            "lines",
            lines(
                "Throughput grows with connections until a core is busy",
                "connections",
                "requests per second",
                &throughput(),
            ),
        ),
    ];
    for (name, svg) in samples {
        texts(&svg);
        if let Some(folder) = std::env::var_os("PLOTS") {
            let path = std::path::Path::new(&folder).join(format!("{name}.svg"));
            std::fs::write(path, svg).expect("the folder can be written to");
        }
    }
}
