//! What policies cost for a request.
//!
//! `cargo bench --bench policies`

use criterion::{Criterion, criterion_group, criterion_main};

mod access;

fn policies(c: &mut Criterion) {
    access::verifying_tokens(c);
}

criterion_group!(benches, policies);
criterion_main!(benches);
