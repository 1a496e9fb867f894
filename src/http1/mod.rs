//! HTTP/1.1 as bytes: heads, body framing, encoding. No sockets, no clock; fed at every split point in tests.
//! The only place that names `httparse`.
//!
//! Everything a peer can get wrong is refused here, before anything is forwarded. What leaves is always
//! written anew from what was understood, never passed through.

pub mod body;
pub mod encode;
pub mod headers;
pub mod limits;
pub mod parse;

pub use body::{BodyDecoder, Event, Framing};
pub use headers::{Headers, Range};
pub use limits::Limits;
