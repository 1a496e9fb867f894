//! Credentials that the gateway adds for an upstream, so that clients need not know them.

pub(super) mod api_key;
pub(super) mod basic;
pub(super) mod oauth2;

use super::{Refusal, Request, Step, headers};
use crate::{
    fault::Kind,
    http1::is_token,
    located::{Located, Problems},
    outcall::FRAMING,
};

/// The header that carries a credential. None after a problem at `key`.
fn header(
    key: &str,
    written: Option<&Located<String>>,
    default: &str,
    problems: &mut Problems,
) -> Option<Box<[u8]>> {
    let Some(written) = written else {
        return Some(default.as_bytes().into());
    };
    let framing = |name: &&str| written.eq_ignore_ascii_case(name);
    let message = if !is_token(written.as_bytes()) {
        "is not the name of a header"
    } else if FRAMING.iter().any(framing) {
        "can't carry a credential: it frames the message"
    } else {
        return Some(written.as_bytes().into());
    };
    problems.within(key, |problems| problems.report(&written.origin, message));
    None
}

/// Puts it where no client could have put it beside: one line of that name, or the client's own, is all that goes on. Nor
/// does a client's line that is read as the same name behind us.
fn inject(request: &mut Request<'_>, header: &[u8], value: &[u8], overwrite: bool) -> Step {
    if !overwrite
        && request
            .head
            .headers
            .values(request.bytes, header)
            .next()
            .is_some()
    {
        return Step::Continue;
    }
    take_out(request, header);
    match request.head.headers.append(header, value) {
        Ok(()) => Step::Continue,
        // Checked when it was compiled, or made of what a server sent; without it the request is not what it should be.
        Err(_) => Refusal::new(Kind::Internal, "the upstream's credential can't be sent").into(),
    }
}

fn take_out(request: &mut Request<'_>, header: &[u8]) {
    let bytes = request.bytes;
    (request.head.headers).remove(bytes, |written, _| headers::is_read_as(written, header));
}
