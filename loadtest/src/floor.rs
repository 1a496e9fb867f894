//! The floor: a relay that does nothing but what no gateway on this runtime can do without. It reads what comes from
//! the client, writes it to an upstream connection of the client's own, and the other way round. No parsing, no pool,
//! no header. What a gateway costs above it is what its features cost.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use monoio::io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, Splitable};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};

use crate::driver::Driver;

/// Relays 127.0.0.1:`port` (0: the kernel chooses) to `origin` for ever, on one thread. `ready` is told the address
/// once connections are accepted.
pub fn serve(
    driver: Driver,
    port: u16,
    origin: SocketAddr,
    ready: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> io::Result<()> {
    driver.run(async move {
        let options = ListenerOpts::new().backlog(BACKLOG).reuse_port(false);
        let listener =
            TcpListener::bind_with_config(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &options)?;
        ready(listener.local_addr()?)?;
        loop {
            let (client, _) = listener.accept().await?;
            monoio::spawn(async move {
                // A connection that breaks is seen, and counted, by the client it was made for.
                let _ = relay(client, origin).await;
            });
        }
    })?
}

/// Two tasks rather than one that waits for each side in turn: a body of many reads, an early answer and pipelined
/// requests pass too, for the same four socket operations a request.
async fn relay(client: TcpStream, origin: SocketAddr) -> io::Result<()> {
    let upstream = TcpStream::connect_addr(origin).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (client_read, client_write) = client.into_split();
    let (upstream_read, upstream_write) = upstream.into_split();
    monoio::spawn(copy(client_read, upstream_write));
    copy(upstream_read, client_write).await
}

async fn copy(mut from: impl AsyncReadRent, mut to: impl AsyncWriteRent) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let (read, filled) = from.read(buffer).await;
        if !matches!(read, Ok(1..)) {
            // The end of one direction is passed on; the other goes on until it ends itself.
            to.shutdown().await?;
            return read.map(drop);
        }
        let (written, emptied) = to.write_all(filled).await;
        written?;
        buffer = emptied;
    }
}

/// Enough for every client of a run to connect at once.
const BACKLOG: i32 = 4096;
const BUFFER_BYTES: usize = 16 * 1024;
