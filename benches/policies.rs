//! What policies cost for a request.
//!
//! `cargo bench --bench policies`
//!
//! All but `verify and read` include parsing the request's head, which `(head alone)` says the cost of.

use criterion::{Criterion, criterion_group, criterion_main};

mod access;
mod chain;
mod protection;

fn policies(c: &mut Criterion) {
    chain::each_policy(c);
    access::verifying_tokens(c);
    protection::looking_into_requests(c);
}

criterion_group!(benches, policies);
criterion_main!(benches);
