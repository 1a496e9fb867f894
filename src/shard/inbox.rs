//! Messages into a shard, from control and from other shards: a queue that is looked at when a byte on a socket
//! pair says so.
//!
//! A waker across threads would need monoio's `sync` machinery on every park; a socket is what a shard waits
//! on anyhow, on both drivers. Messages are rare (reload, names, drain, a connection handed over), so a byte each
//! costs nothing; what shared storage tells comes as many as there are, with one byte.

use crate::{
    connection::Arrival,
    policy::{jwt::KeySet, shared::Told},
    runtime::{Driver, Socket},
};
use std::{
    io::{self, Write},
    net::IpAddr,
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, mpsc},
};

#[derive(Debug, Clone)]
pub enum Message {
    /// A name's addresses.
    Resolved {
        name: Arc<str>,
        addresses: Arc<[IpAddr]>,
    },
    /// The keys of the snapshot's source of this index.
    Keys { source: usize, keys: Arc<KeySet> },
    /// What shared storage had of what this shard has asked for.
    Told(Told),
    /// Accept what is queued, close the listeners, answer with `Connection: close`, end when the last
    /// connection has.
    Drain,
    /// The drain limit: end now.
    Cut,
}

/// What arrives.
#[derive(Debug)]
pub enum Letter {
    Message(Message),
    /// A connection that another shard gives away.
    Connection(Arrival),
}

/// The senders' end.
#[derive(Debug)]
pub struct Outbox {
    letters: mpsc::Sender<Letter>,
    bell: UnixStream,
}

/// The shard's end, not yet on its thread.
#[derive(Debug)]
pub struct Inbox {
    letters: mpsc::Receiver<Letter>,
    bell: UnixStream,
}

/// # Errors
/// No descriptors left.
pub fn inbox() -> io::Result<(Outbox, Inbox)> {
    let (sender, letters) = mpsc::channel();
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((
        Outbox {
            letters: sender,
            bell: ours,
        },
        Inbox {
            letters,
            bell: theirs,
        },
    ))
}

impl Outbox {
    /// A shard that has ended does not listen; that is not an error here.
    pub fn send(&self, message: Message) {
        if self.letters.send(Letter::Message(message)).is_ok() {
            self.ring();
        }
    }

    /// All of them, with one look by the shard.
    pub fn send_all(&self, messages: Vec<Message>) {
        let mut sent = false;
        for message in messages {
            sent |= self.letters.send(Letter::Message(message)).is_ok();
        }
        if sent {
            self.ring();
        }
    }

    /// # Errors
    /// The shard has ended; the connection comes back.
    pub(super) fn hand_over(&self, connection: Arrival) -> Result<(), Arrival> {
        if let Err(mpsc::SendError(Letter::Connection(connection))) =
            self.letters.send(Letter::Connection(connection))
        {
            return Err(connection);
        }
        self.ring();
        Ok(())
    }

    /// Never waits: a full pipe has unread bytes, which wake the shard as well.
    fn ring(&self) {
        let _ = (&self.bell).write(&[1]);
    }
}

impl Inbox {
    /// Hands every letter to `handle` until the senders are gone.
    ///
    /// # Errors
    /// The driver refused the bell.
    pub async fn listen(self, driver: Driver, mut handle: impl FnMut(Letter)) -> io::Result<()> {
        self.bell.set_nonblocking(driver.wants_nonblocking())?;
        let bell = Socket::new(OwnedFd::from(self.bell))?;
        let mut buffer = crate::net::Buffer::with_capacity(64);
        loop {
            let (result, returned) = bell.receive(buffer).await;
            buffer = returned;
            buffer.clear();
            if result? == 0 {
                return Ok(());
            }
            while let Ok(letter) = self.letters.try_recv() {
                handle(letter);
            }
        }
    }
}
