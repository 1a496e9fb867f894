//! One document by HTTP, on a connection of its own: a set is asked for once an hour, no pool would keep one that long.

use super::Lookup;
use crate::{policy::jwt::KeySource, tls};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::AbortHandle,
};

/// The caller bounds its time. No redirect is followed: whom an operator believes is whom they have named.
///
/// # Errors
/// A sentence for the log, without a byte of what came.
pub(super) async fn fetch(
    source: &KeySource,
    lookup: &Lookup,
    tls: Option<Result<tls::Client, String>>,
) -> Result<Vec<u8>, String> {
    let stream = connect(source, lookup).await?;
    if !source.secure {
        return get(source, stream).await;
    }
    let client = tls.unwrap_or_else(|| Err("no root certificates were read".to_owned()))?;
    let target = client.target(&source.host)?;
    let connector = tokio_rustls::TlsConnector::from(target.config());
    let secured = connector.connect(target.name(), stream).await;
    get(source, secured.map_err(|error| format!("TLS: {error}"))?).await
}

/// To the first of its addresses that takes it.
async fn connect(source: &KeySource, lookup: &Lookup) -> Result<TcpStream, String> {
    let answer = lookup.addresses(&source.host).await?;
    let mut failed = String::new();
    for address in answer.addresses {
        match TcpStream::connect(SocketAddr::new(address, source.port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error.to_string(),
        }
    }
    Err(failed)
}

async fn get<S>(source: &KeySource, stream: S) -> Result<Vec<u8>, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let _driver = Abort(tokio::spawn(connection).abort_handle());
    let request = Request::get(&source.path)
        .header(header::HOST, &source.authority)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::USER_AGENT, concat!("ringway/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK {
        return Err(format!("answered {}", answer.status().as_u16()));
    }
    let body = Limited::new(answer.into_body(), MAX_DOCUMENT).collect().await;
    Ok(body.map_err(|error| error.to_string())?.to_bytes().to_vec())
}

/// A fetch that was given up leaves nothing running.
struct Abort(AbortHandle);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Bytes. The largest sets in use have some ten thousand.
const MAX_DOCUMENT: usize = 1024 * 1024;
