//! Bytes between two connections: bodies re-framed on the way, bounded buffers, each read written onward before
//! the next is made. That is all the back-pressure there is and all that is needed: a peer that does not read
//! stops the reads from the other one.

mod body;
mod plain;
mod splice;
mod tunnel;

pub use body::{Broken, Filter, Output, Transfer, body};
pub use tunnel::{Ended, tunnel};
