//! Sockets with what belongs to them: owned buffers, deadlines, options, TLS. Leaves; nothing here knows HTTP.

mod buffers;
mod deadline;
mod listen;
mod pipe;
mod secured;
mod slab;
mod wire;

pub use buffers::{Buffer, Buffers, LARGE, SMALL};
pub use deadline::{Deadline, Deadlines, SWEEP};
use listen::reset_on_close;
pub use listen::{
    Accepted, BACKLOG, accept, bind, connect, connect_result, connect_unix, duplicate, local_address,
    peek_now, raise_descriptor_limit, refuse_new_connections, send_now, shut, shut_write, take_now,
};
pub use pipe::{Lent, PIPE, Pipe, Pipes};
pub use secured::{Detached, Insecure};
pub use slab::{Slab, Slot};
pub use wire::{Reader, Watch, Wire, WriteError, Writer};

use crate::{
    clock::Clock,
    runtime::{Driver, Turns},
};
use std::rc::Rc;

/// What everything that does I/O on one shard shares. Passed by reference, never global.
pub struct Net {
    pub driver: Driver,
    pub clock: Clock,
    pub buffers: Buffers,
    pub pipes: Pipes,
    pub deadlines: Rc<Deadlines>,
    /// Where futures live that the connections which wait do not carry.
    pub futures: Rc<Slab>,
    pub turns: Turns,
}

impl Net {
    pub fn new(driver: Driver, clock: Clock) -> Self {
        Self {
            driver,
            clock,
            buffers: Buffers::default(),
            pipes: Pipes::default(),
            deadlines: Rc::default(),
            futures: Rc::default(),
            turns: Turns::default(),
        }
    }
}
