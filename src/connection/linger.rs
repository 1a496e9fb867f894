//! Closing in a way the client can follow. A socket closed with unread bytes sends a reset, which may overtake
//! the reply in the client's kernel and destroy it there (RFC 9112 §9.6). So: say the end, read away what still
//! comes, within limits, then close.

use crate::net::{Net, Wire};

/// How long a client may go on sending, and how much of it is read away.
const TIME_MS: u64 = 2_000;
const BYTES: usize = 4 * 1024 * 1024;

pub(super) async fn linger(net: &Net, wire: &mut Wire) {
    wire.writer().shut(net, TIME_MS).await;
    wire.deadline.set(net.clock.now() + TIME_MS);
    // What is secured is read away as it comes: nobody wants to know what it says.
    let mut buffer = net.buffers.small();
    let mut read = 0;
    while read < BYTES {
        let (result, returned) = wire.socket().receive(buffer).await;
        buffer = returned;
        buffer.clear();
        match result {
            Ok(length) if length > 0 => read += length,
            _ => break,
        }
    }
    net.buffers.give(buffer);
}
