//! Header lines as ranges into the head's bytes, in a vector that is recycled: parsing allocates nothing.

/// A range of bytes in a head. u32: a head is at most a few MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    pub start: u32,
    pub end: u32,
}

impl Range {
    #[inline]
    pub fn of<'h>(&self, head: &'h [u8]) -> &'h [u8] {
        &head[self.start as usize..self.end as usize]
    }
}

/// Names the gateway itself must know, told apart once while parsing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Known {
    Other,
    Connection,
    ContentLength,
    Date,
    Expect,
    Host,
    KeepAlive,
    MaxForwards,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    RetryAfter,
    Server,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XRequestId,
}

#[derive(Debug, Clone, Copy)]
pub struct Line {
    pub name: Range,
    pub value: Range,
    pub known: Known,
    /// Named by the sender's own `Connection` header (RFC 9110 §7.6.1): not forwarded.
    pub hop_by_hop: bool,
}

#[derive(Debug, Default)]
pub struct Headers {
    pub lines: Vec<Line>,
}
