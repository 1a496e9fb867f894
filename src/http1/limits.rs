//! How much of a head is read before it is refused.

/// What a peer's head may be at most. Numbers in bytes unless said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Request line and header lines together, with their line ends. 60 KiB as in Flex Gateway → 431.
    pub head_bytes: usize,
    /// The request target alone → 414.
    pub target_bytes: usize,
    /// Header lines in one head, a count → 431.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 60 * 1024,
            target_bytes: 16 * 1024,
            headers: 200,
        }
    }
}
