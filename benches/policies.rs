//! What policies cost for a request.
//!
//! `cargo bench --bench policies`

use criterion::{Criterion, criterion_group, criterion_main};

mod access;
mod protection;

fn policies(c: &mut Criterion) {
    access::verifying_tokens(c);
    protection::looking_into_requests(c);
}

criterion_group!(benches, policies);
criterion_main!(benches);
