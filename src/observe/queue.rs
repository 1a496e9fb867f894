//! From a shard to control: a bounded ring of bytes with one writer and one reader.
//!
//! Bytes and not values, because a record borrows from the exchange's buffers and would have to own its strings
//! to be queued. Encoding is a few copies into a buffer the sender keeps, and one more into the ring; the ring
//! itself is wait-free, with a plain release store on each side and no locked instruction.
//!
//! A full ring costs records, never time: the record is dropped and counted.

use super::{
    counters::Counter,
    labels::{KINDS, PHASES, SIDES},
    message::{Level, Message, TEXT_LIMIT},
    record::{Ended, Protocol, Record},
};
use rtrb::{Consumer, Producer, RingBuffer};
use std::{
    cell::RefCell,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// A queue of `capacity` bytes, at least the longest form of a record and of a message. A record without long strings takes some
/// 150 bytes plus its names and target.
#[must_use]
pub fn queue(capacity: usize) -> (RecordSender, RecordReceiver) {
    let (producer, consumer) = RingBuffer::new(capacity.max(LONGEST));
    let dropped = Arc::new(Counter::default());
    (
        RecordSender {
            ring: RefCell::new((producer, Vec::with_capacity(LONGEST))),
            dropped: dropped.clone(),
        },
        RecordReceiver {
            ring: consumer,
            bytes: Vec::new(),
            dropped,
        },
    )
}

/// The shard's end. Its methods never wait, allocate or suspend.
pub struct RecordSender {
    /// The ring, and the buffer a record is put together in.
    ring: RefCell<(Producer<u8>, Vec<u8>)>,
    dropped: Arc<Counter>,
}

impl RecordSender {
    /// False when the record was dropped, because the queue is full.
    pub fn push(&self, record: &Record<'_>) -> bool {
        let (producer, bytes) = &mut *self.ring.borrow_mut();
        bytes.clear();
        encode(record, bytes);
        self.send(producer, bytes)
    }

    /// The same for a message.
    pub fn push_message(&self, message: &Message<'_>) -> bool {
        let (producer, bytes) = &mut *self.ring.borrow_mut();
        bytes.clear();
        encode_message(message, bytes);
        self.send(producer, bytes)
    }

    fn send(&self, producer: &mut Producer<u8>, bytes: &[u8]) -> bool {
        // All or nothing: what is in the ring is always whole entries.
        let pushed = producer.push_entire_slice(bytes).is_ok();
        if !pushed {
            self.dropped.add(1);
        }
        pushed
    }
}

/// What is in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    Record(Record<'a>),
    Message(Message<'a>),
}

/// Control's end.
pub struct RecordReceiver {
    ring: Consumer<u8>,
    bytes: Vec<u8>,
    dropped: Arc<Counter>,
}

impl RecordReceiver {
    /// Hands over every entry that was complete when it was called, in order; says how many.
    pub fn drain(&mut self, mut each: impl FnMut(&Entry<'_>)) -> usize {
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
        while let Some(entry) = reader.entry() {
            each(&entry);
            count += 1;
        }
        debug_assert!(reader.0.is_empty(), "only whole entries are in the ring");
        count
    }

    /// Entries the shard had to drop so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Whether the shard's end is gone; nothing more comes once it is and `drain` has been called after.
    pub fn is_closed(&self) -> bool {
        self.ring.is_abandoned()
    }
}

fn encode_message(message: &Message<'_>, out: &mut Vec<u8>) {
    out.push(MESSAGE);
    out.extend_from_slice(&message.unix_millis.to_le_bytes());
    out.push(message.level as u8);
    let flags_at = out.len();
    out.push(0);
    let strings = [
        (message.api.as_bytes(), NAME_LIMIT),
        (message.request_id, REQUEST_ID_LIMIT),
        (message.category.as_bytes(), CATEGORY_LIMIT),
        (message.text, TEXT_LIMIT),
    ];
    if put_strings(&strings, out) || message.truncated {
        out[flags_at] = TRUNCATED;
    }
}

fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    out.push(RECORD);
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

    let strings = [
        (record.api.as_bytes(), NAME_LIMIT),
        (record.cluster.as_bytes(), NAME_LIMIT),
        (record.method, METHOD_LIMIT),
        (record.target, TARGET_LIMIT),
        (record.host, HOST_LIMIT),
        (record.request_id, REQUEST_ID_LIMIT),
    ];
    let mut cut = put_strings(&strings, out);
    // Most requests have neither.
    if !record.policy.is_empty() || !record.client_id.is_empty() {
        flags |= HAS_POLICY_FACTS;
        let strings = [
            (record.policy.as_bytes(), NAME_LIMIT),
            (record.client_id, CLIENT_ID_LIMIT),
        ];
        cut |= put_strings(&strings, out);
    }
    if !record.tls.is_empty() {
        flags |= HAS_TLS;
        let strings = [
            (record.tls.as_bytes(), NAME_LIMIT),
            (record.client_certificate.as_bytes(), NAME_LIMIT),
        ];
        cut |= put_strings(&strings, out);
    }
    if cut || record.truncated {
        flags |= TRUNCATED;
    }
    out[flags_at] = flags;
}

/// Each with its length before it, cut to its limit. Whether any was.
#[inline]
fn put_strings(strings: &[(&[u8], usize)], out: &mut Vec<u8>) -> bool {
    let mut any = false;
    for (bytes, limit) in strings {
        let cut = bytes.len().min(*limit);
        any |= cut < bytes.len();
        out.extend_from_slice(&(cut as u16).to_le_bytes());
        out.extend_from_slice(&bytes[..cut]);
    }
    any
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
    fn entry(&mut self) -> Option<Entry<'a>> {
        let [tag] = self.take()?;
        match tag {
            RECORD => self.record().map(Entry::Record),
            _ => self.message().map(Entry::Message),
        }
    }

    fn message(&mut self) -> Option<Message<'a>> {
        let unix_millis = self.u64()?;
        let [level, flags] = self.take()?;
        Some(Message {
            unix_millis,
            level: *Level::ALL.get(usize::from(level))?,
            api: self.name()?,
            request_id: self.bytes()?,
            category: self.name()?,
            text: self.bytes()?,
            truncated: flags & TRUNCATED != 0,
        })
    }

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
        let mut record = Record {
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
            policy: "",
            client_id: b"",
            tls: "",
            client_certificate: "",
        };
        if flags & HAS_POLICY_FACTS != 0 {
            record.policy = self.name()?;
            record.client_id = self.bytes()?;
        }
        if flags & HAS_TLS != 0 {
            record.tls = self.name()?;
            record.client_certificate = self.name()?;
        }
        Some(record)
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

/// What an entry begins with.
const RECORD: u8 = 0;
const MESSAGE: u8 = 1;

const KEEP_ALIVE: u8 = 1;
const HTTP_10: u8 = 2;
const HAS_ENDPOINT: u8 = 4;
const TRUNCATED: u8 = 8;
const HAS_POLICY_FACTS: u8 = 16;
const HAS_TLS: u8 = 32;

/// Bytes of `namespace/name`: two Kubernetes names of 253 bytes and the slash.
const NAME_LIMIT: usize = 507;
const METHOD_LIMIT: usize = 32;
/// Longer than what browsers and proxies commonly send, short enough that an attacker's long targets cost the
/// queue room for tens of ordinary records, not hundreds.
const TARGET_LIMIT: usize = 4096;
/// A DNS name of 253 bytes, a colon and a port.
const HOST_LIMIT: usize = 259;
const REQUEST_ID_LIMIT: usize = 128;
const CATEGORY_LIMIT: usize = 256;
/// That of a contract; a token may say more.
const CLIENT_ID_LIMIT: usize = 256;

const LONGEST: usize = if LONGEST_RECORD > LONGEST_MESSAGE {
    LONGEST_RECORD
} else {
    LONGEST_MESSAGE
};
const LONGEST_MESSAGE: usize =
    1 + 8 + 2 + 4 * 2 + NAME_LIMIT + REQUEST_ID_LIMIT + CATEGORY_LIMIT + TEXT_LIMIT;
const LONGEST_RECORD: usize = 1
    + 5 * 8
    + 2 * 18
    + 2
    + 5
    + 10 * 2
    + 5 * NAME_LIMIT
    + CLIENT_ID_LIMIT
    + METHOD_LIMIT
    + TARGET_LIMIT
    + HOST_LIMIT
    + REQUEST_ID_LIMIT;

const _: () = assert!(TARGET_LIMIT <= u16::MAX as usize, "lengths travel in two bytes");
const _: () = assert!(TEXT_LIMIT <= u16::MAX as usize, "so does that of a message");
const _: () = assert!(KINDS.len() < NONE as usize, "255 stands for no fault");

#[cfg(test)]
mod tests;
