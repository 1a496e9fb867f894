//! An API's policies, where a request meets them and where its answer does.

use super::{
    After, Connection,
    exchange::{self, Facts, RequestHeaders},
};
use crate::{
    http1::{ResponseHead, Version},
    policy::{Chain, Request, Response, State, Step},
    reply,
    route::{self, Lookup},
    shard::{
        Scratch,
        snapshot::{Api, Forward},
    },
};

/// Runs the request's hooks, in order, until one ends the exchange.
pub(super) fn on_request(
    connection: &Connection,
    scratch: &mut Scratch,
    bytes: &[u8],
    api: &route::Api<Api, Forward>,
) -> Step {
    let Scratch {
        request,
        route,
        policies,
        reply,
        ..
    } = scratch;
    reply.clear();
    let mut request = Request {
        head: request,
        bytes,
        client: connection.client,
        reply,
    };
    api.payload
        .policies
        .on_request(&mut request, policies, |rules, request| {
            let head = &*request.head;
            let lookup = Lookup {
                method: head.method.of(bytes),
                path: head.path.of(bytes),
                host: head.host.map_or(&b""[..], |host| host.of(bytes)),
                headers: &RequestHeaders { request: head, bytes },
            };
            route::any_matches(rules, &api.base_path, &lookup, route)
        })
}

/// What the origin's answer meets on its way back.
pub(super) struct OnResponse<'e> {
    pub chain: &'e Chain,
    pub states: &'e [State],
}

impl OnResponse<'_> {
    pub(super) fn run(&self, response: &mut ResponseHead, bytes: &[u8]) {
        if !self.chain.is_empty() {
            let mut response = Response {
                status: response.status,
                headers: &mut response.headers,
                bytes,
            };
            self.chain.on_response(&mut response, self.states);
        }
    }
}

/// What a reply of the gateway's own meets: the hooks of the policies that the request has met.
pub(super) fn on_reply(scratch: &mut Scratch, api: &Api, status: u16) {
    let Scratch { policies, reply, .. } = scratch;
    if api.policies.is_empty() {
        reply.clear();
        return;
    }
    let mut response = Response {
        status,
        headers: reply,
        bytes: b"",
    };
    api.policies.on_response(&mut response, policies);
}

/// A policy's own answer, which is no refusal.
pub(super) async fn answer(
    connection: &mut Connection,
    scratch: &mut Scratch,
    facts: &Facts,
    api: &Api,
    status: u16,
) -> After {
    let shard = connection.shard.clone();
    on_reply(scratch, api, status);
    let request = &scratch.request;
    let keep_alive = request.keep_alive && facts.request_read.get() && !shard.draining();
    let date = shard.net.clock.http_date();
    let mut out = shard.net.buffers.small();
    let terms = reply::Terms {
        date: &date,
        keep_alive,
        http10: request.version == Version::Http10,
        head: false,
        added: &scratch.reply,
    };
    reply::empty(out.vector(), status, terms);
    facts.status.set(status);
    facts.head_out.set(out.len() as u64);
    if exchange::send(&shard, &mut connection.wire, out).await && keep_alive {
        After::KeepAlive
    } else {
        exchange::end(connection, &scratch.request, facts)
    }
}
