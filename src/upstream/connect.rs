//! Opening a connection, within its time.

use super::HostAddress;
use crate::{
    clock::millis,
    fault::{Fault, Kind, Phase, Retry},
    net::{self, Net, Wire},
};
use std::{io, os::fd::AsRawFd, time::Duration};

/// # Errors
/// Always with `Retry::Always`: no byte of a request was written.
pub async fn open(net: &Net, address: &HostAddress, timeout: Duration) -> Result<Wire, Fault> {
    let begun = match address {
        HostAddress::Tcp(address) => net::connect(*address),
        HostAddress::Unix(path) => net::connect_unix(path),
    };
    let descriptor = begun.map_err(|error| refused(&error))?;
    let raw = descriptor.as_raw_fd();
    let wire = Wire::new(net, descriptor).map_err(|error| refused(&error))?;
    wire.deadline.set(net.clock.now() + millis(timeout));
    let waited = wire.socket().writable().await;
    wire.deadline.clear();
    net.clock.refresh();
    if wire.deadline.expired() {
        return Err(Fault::upstream(
            Kind::TimedOut,
            Phase::Connect,
            "the upstream did not accept a connection in time",
        )
        .retry(Retry::Always));
    }
    waited
        .and_then(|()| net::connect_result(raw, net.driver))
        .map_err(|error| refused(&error))?;
    Ok(wire)
}

fn refused(error: &io::Error) -> Fault {
    // Our own limits are not the origin's fault, and the operator must be able to tell.
    let detail = match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => "no descriptor left for an upstream connection",
        Some(libc::EADDRNOTAVAIL) => "no local port left for an upstream connection",
        _ => "the upstream refused the connection",
    };
    Fault::upstream(Kind::Refused, Phase::Connect, detail).retry(Retry::Always)
}
