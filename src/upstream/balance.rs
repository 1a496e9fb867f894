//! placeholder, replaced by the pure choice
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    RoundRobin,
    LeastRequest,
    Random,
    ConsistentHash(HashOn),
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashOn {
    /// Lower case.
    Header(String),
    ClientAddress,
}
