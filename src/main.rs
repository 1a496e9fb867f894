//! The `ringway` program: everything is in the library.

use std::process::ExitCode;

/// Connections come and go in bursts on every shard; mimalloc's per-thread heaps keep that without a lock, and
/// it gives memory back where glibc's arenas keep it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ringway::cli::main()
}
