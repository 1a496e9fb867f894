//! located
