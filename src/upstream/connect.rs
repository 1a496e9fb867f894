//! Opening a connection, within its time, and securing it where its host wants that.

use super::{Host, HostAddress};
use crate::{
    clock::millis,
    fault::{Fault, Kind, Phase, Retry},
    net::{self, Insecure, Net, Wire},
    tls::Failure,
};
use std::{io, os::fd::AsRawFd, time::Duration};

/// # Errors
/// Always with `Retry::Always`: no byte of a request was written.
pub(super) async fn open(net: &Net, host: &Host, timeout: Duration) -> Result<Wire, Fault> {
    let begun = match &host.key.address {
        HostAddress::Tcp(address) => net::connect(*address),
        HostAddress::Unix(path) => net::connect_unix(path),
    };
    let descriptor = begun.map_err(|error| refused(&error))?;
    let raw = descriptor.as_raw_fd();
    let mut wire = Wire::new(net, descriptor).map_err(|error| refused(&error))?;
    wire.deadline.set(net.clock.now() + millis(timeout));
    let waited = wire.socket().writable().await;
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
    if let Some(connector) = &host.connector {
        let session = connector
            .session()
            .map_err(|failure| insecure(Insecure::Failed(failure)))?;
        let secured = net.futures.hold(wire.secure(net, session)).await;
        net.clock.refresh();
        if wire.deadline.expired() {
            return Err(Fault::upstream(
                Kind::TimedOut,
                Phase::Connect,
                "the upstream did not complete a TLS handshake in time",
            )
            .retry(Retry::Always));
        }
        secured.map_err(insecure)?;
    }
    wire.deadline.clear();
    Ok(wire)
}

/// A host that is to be secured is not talked to otherwise, whatever happened. Another endpoint may do better.
fn insecure(why: Insecure) -> Fault {
    let (kind, detail) = match why {
        Insecure::Failed(Failure::CertificateExpired) => (
            Kind::CertificateExpired,
            "the upstream's certificate has expired or is not valid yet",
        ),
        Insecure::Failed(Failure::CertificateName) => (
            Kind::CertificateName,
            "the upstream's certificate is for another name",
        ),
        Insecure::Failed(Failure::CertificateUntrusted | Failure::NoCertificate) => (
            Kind::CertificateUntrusted,
            "the upstream's certificate is not one that is trusted",
        ),
        Insecure::Failed(Failure::Refused) => (Kind::TlsFailed, "the upstream refused the TLS handshake"),
        Insecure::Failed(Failure::NothingInCommon) => (
            Kind::TlsFailed,
            "the upstream has no TLS version or cipher suite that is accepted here",
        ),
        Insecure::Failed(Failure::Broken) | Insecure::NotTls => {
            (Kind::TlsFailed, "the upstream does not speak TLS as it should")
        }
        Insecure::Closed => (
            Kind::TlsFailed,
            "the upstream closed the connection within the TLS handshake",
        ),
    };
    Fault::upstream(kind, Phase::Connect, detail).retry(Retry::Always)
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
