//! Messages from control into a shard: a queue that is looked at when a byte on a socket pair says so.
//!
//! A waker across threads would need monoio's `sync` machinery on every park; a socket is what a shard waits
//! on anyhow, on both drivers. Messages are rare (reload, names, drain), so a byte each costs nothing.

use crate::runtime::{Driver, Socket};
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
    /// Accept what is queued, close the listeners, answer with `Connection: close`, end when the last
    /// connection has.
    Drain,
    /// The drain limit: end now.
    Cut,
}

/// Control's end.
#[derive(Debug)]
pub struct Outbox {
    messages: mpsc::Sender<Message>,
    bell: UnixStream,
}

/// The shard's end, not yet on its thread.
#[derive(Debug)]
pub struct Inbox {
    messages: mpsc::Receiver<Message>,
    bell: UnixStream,
}

/// # Errors
/// No descriptors left.
pub fn inbox() -> io::Result<(Outbox, Inbox)> {
    let (sender, messages) = mpsc::channel();
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((
        Outbox {
            messages: sender,
            bell: ours,
        },
        Inbox {
            messages,
            bell: theirs,
        },
    ))
}

impl Outbox {
    /// A shard that has ended does not listen; that is not an error here.
    pub fn send(&self, message: Message) {
        if self.messages.send(message).is_ok() {
            // A full pipe has unread bytes, which wake the shard as well.
            let _ = (&self.bell).write(&[1]);
        }
    }
}

impl Inbox {
    /// Hands every message to `handle` until control's end is gone or `handle` says stop.
    ///
    /// # Errors
    /// The driver refused the bell.
    pub async fn listen(self, driver: Driver, mut handle: impl FnMut(Message)) -> io::Result<()> {
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
            while let Ok(message) = self.messages.try_recv() {
                handle(message);
            }
        }
    }
}
