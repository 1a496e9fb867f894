//! From a shard to control: a bounded ring of bytes with one writer and one reader.
//!
//! Bytes and not values, because a record borrows from the exchange's buffers and would have to own its strings
//! to be queued. Encoding is a few copies into a buffer the sender keeps, and one more into the ring; the ring
//! itself is wait-free, with a plain release store on each side and no locked instruction.
//!
//! A full ring costs records, never time: the record is dropped and counted.

use super::{
    labels::{KINDS, PHASES, SIDES},
    record::{Ended, Protocol, Record},
};
use rtrb::{Consumer, Producer, RingBuffer};
use std::{
    cell::{Cell, RefCell},
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// A queue of `capacity` bytes, at least one record's longest form. A record without long strings takes some
/// 150 bytes plus its names and target.
#[must_use]
pub fn queue(capacity: usize) -> (RecordSender, RecordReceiver) {
    let (producer, consumer) = RingBuffer::new(capacity.max(LONGEST));
    (
        RecordSender {
            ring: RefCell::new((producer, Vec::with_capacity(LONGEST))),
            dropped: Cell::new(0),
        },
        RecordReceiver {
            ring: consumer,
            bytes: Vec::new(),
        },
    )
}

/// The shard's end. Its methods never wait, allocate or suspend.
pub struct RecordSender {
    /// The ring, and the buffer a record is put together in.
    ring: RefCell<(Producer<u8>, Vec<u8>)>,
    dropped: Cell<u64>,
}

impl RecordSender {
    /// False when the record was dropped, because the queue is full.
    pub fn push(&self, record: &Record<'_>) -> bool {
        let (producer, bytes) = &mut *self.ring.borrow_mut();
        bytes.clear();
        encode(record, bytes);
        // All or nothing: what is in the ring is always whole records.
        let pushed = producer.push_entire_slice(bytes).is_ok();
        if !pushed {
            self.dropped.set(self.dropped.get() + 1);
        }
        pushed
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}

/// Control's end.
pub struct RecordReceiver {
    ring: Consumer<u8>,
    bytes: Vec<u8>,
}

impl RecordReceiver {
    /// Hands over every record that was complete when it was called, in order; says how many.
    pub fn drain(&mut self, mut each: impl FnMut(&Record<'_>)) -> usize {
        self.bytes.clear();
        // Copied out first: records may wrap around the ring's end, and the shard gets its room back before
        // anything is rendered.
        if let Ok(chunk) = self.ring.read_chunk(self.ring.slots()) {
            let (first, second) = chunk.as_slices();
            self.bytes.extend_from_slice(first);
            self.bytes.extend_from_slice(second);
            chunk.commit_all();
        }
        let mut reader = Reader(&self.bytes);
        let mut count = 0;
        while let Some(record) = reader.record() {
            each(&record);
            count += 1;
        }
        debug_assert!(reader.0.is_empty(), "only whole records are in the ring");
        count
    }

    /// Whether the shard's end is gone; nothing more comes once it is and `drain` has been called after.
    pub fn is_closed(&self) -> bool {
        self.ring.is_abandoned()
    }
}

fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&record.unix_millis.to_le_bytes());
    out.extend_from_slice(&record.bytes_in.to_le_bytes());
    out.extend_from_slice(&record.bytes_out.to_le_bytes());
    out.extend_from_slice(&record.duration_micros.to_le_bytes());
    out.extend_from_slice(&record.upstream_micros.to_le_bytes());
    address(out, record.client);
    address(out, record.endpoint.unwrap_or(NO_ADDRESS));
    out.extend_from_slice(&record.status.to_le_bytes());
    let ended = record
        .ended
        .map_or([NONE; 3], |e| [e.side as u8, e.kind as u8, e.phase as u8]);
    out.extend_from_slice(&ended);
    out.push(record.retries);
    let mut flags = 0;
    if record.keep_alive {
        flags |= KEEP_ALIVE;
    }
    if record.protocol == Protocol::Http10 {
        flags |= HTTP_10;
    }
    if record.endpoint.is_some() {
        flags |= HAS_ENDPOINT;
    }
    let flags_at = out.len();
    out.push(0);

    for (bytes, limit) in [
        (record.api.as_bytes(), NAME_LIMIT),
        (record.cluster.as_bytes(), NAME_LIMIT),
        (record.method, METHOD_LIMIT),
        (record.target, TARGET_LIMIT),
        (record.host, HOST_LIMIT),
        (record.request_id, REQUEST_ID_LIMIT),
    ] {
        let cut = bytes.len().min(limit);
        if cut < bytes.len() || record.truncated {
            flags |= TRUNCATED;
        }
        out.extend_from_slice(&(cut as u16).to_le_bytes());
        out.extend_from_slice(&bytes[..cut]);
    }
    out[flags_at] = flags;
}

fn address(out: &mut Vec<u8>, address: SocketAddr) {
    // IPv4 travels in its IPv6-mapped form, and comes out as IPv4; so does an address that was mapped, which
    // is what a reader of the log wants of a dual-stack socket.
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    out.extend_from_slice(&ip.octets());
    out.extend_from_slice(&address.port().to_le_bytes());
}

/// What is left to decode.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn record(&mut self) -> Option<Record<'a>> {
        let unix_millis = self.u64()?;
        let bytes_in = self.u64()?;
        let bytes_out = self.u64()?;
        let duration_micros = self.u64()?;
        let upstream_micros = self.u64()?;
        let client = self.address()?;
        let endpoint = self.address()?;
        let status = self.u16()?;
        let [side, kind, phase, retries, flags] = self.take()?;
        let ended = (|| {
            Some(Ended {
                side: *SIDES.get(usize::from(side))?,
                kind: *KINDS.get(usize::from(kind))?,
                phase: *PHASES.get(usize::from(phase))?,
            })
        })();
        Some(Record {
            unix_millis,
            client,
            endpoint: (flags & HAS_ENDPOINT != 0).then_some(endpoint),
            status,
            bytes_in,
            bytes_out,
            duration_micros,
            upstream_micros,
            retries,
            keep_alive: flags & KEEP_ALIVE != 0,
            protocol: if flags & HTTP_10 != 0 {
                Protocol::Http10
            } else {
                Protocol::Http11
            },
            ended,
            truncated: flags & TRUNCATED != 0,
            api: self.name()?,
            cluster: self.name()?,
            method: self.bytes()?,
            target: self.bytes()?,
            host: self.bytes()?,
            request_id: self.bytes()?,
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip = Ipv6Addr::from(self.take::<16>()?).to_canonical();
        Some(SocketAddr::new(ip, self.u16()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        let (taken, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(taken)
    }

    /// A name of the configuration. One that was cut within a character ends before it.
    fn name(&mut self) -> Option<&'a str> {
        let bytes = self.bytes()?;
        Some(bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid()))
    }
}

const NONE: u8 = u8::MAX;
const NO_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

const KEEP_ALIVE: u8 = 1;
const HTTP_10: u8 = 2;
const HAS_ENDPOINT: u8 = 4;
const TRUNCATED: u8 = 8;

/// Bytes of `namespace/name`: two Kubernetes names of 253 bytes and the slash.
const NAME_LIMIT: usize = 507;
const METHOD_LIMIT: usize = 32;
/// Longer than what browsers and proxies commonly send, short enough that an attacker's long targets cost the
/// queue room for tens of ordinary records, not hundreds.
const TARGET_LIMIT: usize = 4096;
/// A DNS name of 253 bytes, a colon and a port.
const HOST_LIMIT: usize = 259;
const REQUEST_ID_LIMIT: usize = 128;

const LONGEST: usize = 5 * 8
    + 2 * 18
    + 2
    + 5
    + 6 * 2
    + 2 * NAME_LIMIT
    + METHOD_LIMIT
    + TARGET_LIMIT
    + HOST_LIMIT
    + REQUEST_ID_LIMIT;

const _: () = assert!(TARGET_LIMIT <= u16::MAX as usize, "lengths travel in two bytes");
const _: () = assert!(KINDS.len() < NONE as usize, "255 stands for no fault");

#[cfg(test)]
mod tests;
