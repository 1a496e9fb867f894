//! Routing: one look-up in large tables, and what normalising a path costs.
//!
//! `cargo bench --bench route`

use criterion::{Criterion, criterion_group, criterion_main};
use ringway::route::{Found, Lookup, Scratch, Table};
use samples::{NoHeaders, api, catch_all, thousand_apis};
use std::hint::black_box;

mod samples;

fn look_up(c: &mut Criterion, name: &str, table: &Table<(), usize>, path: &str, route: usize) {
    let mut scratch = Scratch::default();
    let lookup = Lookup {
        method: b"GET",
        path: path.as_bytes(),
        host: b"api.example.com:8081",
        headers: &NoHeaders,
    };
    assert!(
        matches!(table.find(&lookup, &mut scratch), Found::Route { route: found, .. } if found.payload == route)
    );
    c.bench_function(name, |b| {
        b.iter(|| {
            black_box(table.find(black_box(&lookup), &mut scratch));
            black_box(scratch.suffix().len())
        });
    });
}

fn routing(c: &mut Criterion) {
    look_up(
        c,
        "route/1 API, catch-all",
        &catch_all(),
        "/orders/4711/items/3",
        0,
    );

    let apis = thousand_apis();
    let path = "/team-17/api-527/resource-7/4711/items";
    look_up(c, "route/1000 APIs of 10 routes", &apis, path, 7);
    let path = "/team-17/api-527/./resource-7//4711/%69tems";
    look_up(c, "route/1000 APIs of 10 routes, path rewritten", &apis, path, 7);
    let path = "/team-17/api-527/resource-7/a%2Fb/items";
    look_up(c, "route/1000 APIs of 10 routes, two readings", &apis, path, 7);

    let literal = Table::new(vec![api(
        "/shop".to_owned(),
        (0..1000).map(|n| format!("/resource-{n}(/.*)")),
    )]);
    look_up(
        c,
        "route/1000 routes in one API",
        &literal,
        "/shop/resource-777/4711",
        777,
    );
    let automata = Table::new(vec![api(
        "/shop".to_owned(),
        (0..1000).map(|n| format!("/r{n}(/[^/]+)/items(/.*)")),
    )]);
    look_up(
        c,
        "route/1000 routes in one API, automata with groups",
        &automata,
        "/shop/r777/4711/items/3",
        777,
    );
    let unindexed = (0..1000).map(|n| format!("/[^/]+/items-{n}"));
    let unindexed = Table::new(vec![api(String::new(), unindexed)]);
    look_up(
        c,
        "route/1000 routes in one API, none with a literal beginning",
        &unindexed,
        "/4711/items-777",
        777,
    );
}

fn normalising(c: &mut Criterion) {
    // An API that has no routes and no base path: what is left is normalisation.
    let table: Table<(), ()> = Table::new(vec![]);
    let mut scratch = Scratch::default();
    for (name, path) in [
        ("normalise/plain, 30 bytes", "/shop/orders/4711/items/123456"),
        (
            "normalise/plain, 300 bytes",
            &*"/shop/orders/4711/items/123456".repeat(10),
        ),
        (
            "normalise/rewritten, 38 bytes",
            "/shop/./orders//4711/%69tems/x/../1234",
        ),
    ] {
        let lookup = Lookup {
            method: b"GET",
            path: path.as_bytes(),
            host: b"h",
            headers: &NoHeaders,
        };
        c.bench_function(name, |b| {
            b.iter(|| matches!(table.find(black_box(&lookup), &mut scratch), Found::NoApi))
        });
    }
}

criterion_group!(benches, routing, normalising);
criterion_main!(benches);
