//! Expressions: parsing once at load, and evaluating as policies do for each request.
//!
//! `cargo bench --bench expr`

use criterion::{Criterion, criterion_group, criterion_main};
use samples::{EXPRESSION_SCOPE, EXPRESSIONS, Exchange};
use std::hint::black_box;

use ringway::expr::Template;

mod samples;

fn parsing(c: &mut Criterion) {
    for (name, expression, _) in EXPRESSIONS {
        c.bench_function(&format!("expr/parse: {name}"), |b| {
            b.iter(|| Template::parse(black_box(expression), &EXPRESSION_SCOPE).is_ok());
        });
    }
}

fn evaluating(c: &mut Criterion) {
    for (name, expression, expected) in EXPRESSIONS {
        let template = Template::parse(expression, &EXPRESSION_SCOPE).expect("it parses");
        let exchange = Exchange;
        assert_eq!(template.text(&exchange).as_deref(), Ok(expected.as_bytes()));
        c.bench_function(&format!("expr/evaluate: {name}"), |b| {
            b.iter(|| template.text(black_box(&exchange)).map_or(0, |text| text.len()));
        });
    }
}

criterion_group!(benches, parsing, evaluating);
criterion_main!(benches);
