//! What a handshake said of the other side.

use super::Certificate;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// IANA's name of the cipher suite.
    pub suite: &'static str,
    /// The handshake was a short one, on a session that an earlier one began.
    pub resumed: bool,
    /// Checked; none where none was asked for or shown.
    pub certificate: Option<Box<Certificate>>,
    /// The value of `X-Forwarded-Client-Cert`, where origins are to be told.
    pub forwarded: Option<Box<str>>,
}
