//! From settings to a connection that can be used: the address (of sentinels: whom they name), TCP, TLS, the server's
//! welcome, and a key that was written.
//!
//! The library is given a stream: names are resolved as all others are, and TLS is that of everybody else (`tls`).

use super::Shared;
use crate::storage::{Address, Credentials, Place, Sentinels};
use redis::{
    AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use socket2::{SockRef, TcpKeepalive};
use std::{net::SocketAddr, pin::Pin, time::Duration};
use tokio::{net::TcpStream, time::timeout};

pub(super) struct Dialled {
    pub(super) connection: MultiplexedConnection,
    /// Carries out what is asked of the connection; its end is the connection's.
    pub(super) driver: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// `turn`: sentinels are asked in another order each time.
///
/// # Errors
/// A sentence for the log, without credentials.
pub(super) async fn dial(shared: &Shared, turn: u32) -> Result<Dialled, String> {
    let settings = &shared.settings;
    let address = match &settings.place {
        Place::Server(address) => address.clone(),
        Place::Sentinels(sentinels) => master(shared, sentinels, turn).await?,
    };
    let limit = settings.connect_timeout;
    let all = async {
        let mut dialled = open(shared, &address, &settings.credentials, settings.database).await?;
        let proof = prove(shared, &mut dialled.connection);
        drive(&mut dialled.driver, proof).await?;
        Ok(dialled)
    };
    timeout(limit, all)
        .await
        .unwrap_or_else(|_| Err(format!("no connection within {} ms", limit.as_millis())))
        .map_err(|reason: String| match &settings.place {
            Place::Server(_) => reason,
            Place::Sentinels(_) => format!("{address}, which the sentinels name: {reason}"),
        })
}

/// Whom a sentinel names; the first that answers with a name.
async fn master(shared: &Shared, sentinels: &Sentinels, turn: u32) -> Result<Address, String> {
    let limit = shared.settings.connect_timeout;
    let mut failed = String::new();
    let count = sentinels.addresses.len();
    for position in 0..count {
        let address = &sentinels.addresses[(position + turn as usize) % count];
        let asked = timeout(limit, ask(shared, address, sentinels)).await;
        match asked.unwrap_or_else(|_| Err(format!("no answer within {} ms", limit.as_millis()))) {
            Ok(master) => return Ok(master),
            Err(reason) => failed = format!("sentinel {address}: {reason}"),
        }
    }
    Err(failed)
}

async fn ask(shared: &Shared, address: &Address, sentinels: &Sentinels) -> Result<Address, String> {
    let mut dialled = open(shared, address, &sentinels.credentials, 0).await?;
    let mut question = Cmd::new();
    question
        .arg("SENTINEL")
        .arg("get-master-addr-by-name")
        .arg(&sentinels.master);
    let asked = async {
        let answer = dialled.connection.req_packed_command(&question).await;
        answer.map_err(|error| said(&error))
    };
    let answer = drive(&mut dialled.driver, asked).await?;
    match redis::from_redis_value::<Option<(String, u16)>>(answer) {
        Ok(Some((host, port))) => Ok(Address { host, port }),
        Ok(None) => Err(format!(
            "does not know of a master `{}`",
            clean(&sentinels.master)
        )),
        Err(_) => Err("its answer is none".to_owned()),
    }
}

/// To the first of its addresses that takes it, up to the server's welcome.
async fn open(
    shared: &Shared,
    address: &Address,
    credentials: &Credentials,
    database: u32,
) -> Result<Dialled, String> {
    let mut info = RedisConnectionInfo::default().set_db(i64::from(database));
    if let Some(name) = &credentials.username {
        info = info.set_username(name);
    }
    if let Some(password) = &credentials.password {
        info = info.set_password(&password.0);
    }
    // Time is ours to bound, of all of it together.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None);
    let stream = connect(shared, address).await?;
    let Some(client) = &shared.settings.tls else {
        let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
        return dialled(made);
    };
    let target = client.target(&address.host)?;
    let connector = tokio_rustls::TlsConnector::from(target.config());
    let secured = connector.connect(target.name(), stream).await;
    let secured = secured.map_err(|error| format!("TLS: {error}"))?;
    dialled(MultiplexedConnection::new_with_config(&info, secured, config).await)
}

fn dialled(
    made: Result<(MultiplexedConnection, impl Future<Output = ()> + Send + 'static), RedisError>,
) -> Result<Dialled, String> {
    made.map(|(connection, driver)| Dialled {
        connection,
        driver: Box::pin(driver),
    })
    .map_err(|error| said(&error))
}

async fn connect(shared: &Shared, address: &Address) -> Result<TcpStream, String> {
    let answer = shared.lookup.addresses(&address.host).await?;
    let mut failed = String::new();
    for ip in answer.addresses {
        match TcpStream::connect(SocketAddr::new(ip, address.port)).await {
            Ok(stream) => {
                // Neither changes what is said, so neither is worth failing for.
                let _ = stream.set_nodelay(true);
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                return Ok(stream);
            }
            Err(error) => failed = error.to_string(),
        }
    }
    Err(failed)
}

/// That this is a server which takes what will be asked of it: a master, with its data loaded, with memory left, no part of
/// a cluster, and with these credentials allowed to write below the prefix. Better found out here than by a request.
async fn prove(shared: &Shared, connection: &mut MultiplexedConnection) -> Result<(), String> {
    let mut proof = redis::pipe();
    proof
        .cmd("SET")
        .arg(format!("{}:alive", shared.settings.prefix))
        .arg(1)
        .arg("EX")
        .arg(PROOF_SECONDS);
    let values = send(connection.clone(), &proof).await?;
    match values.into_iter().next() {
        Some(Value::ServerError(error)) => Err(clean(&format!(
            "a key can't be written: {} {}",
            error.code(),
            error.details().unwrap_or_default()
        ))),
        Some(_) => Ok(()),
        None => Err("no answer".to_owned()),
    }
}

/// # Errors
/// The connection is of no use any more, or the server is not: a sentence for the log.
pub(super) async fn send(
    mut connection: MultiplexedConnection,
    commands: &Pipeline,
) -> Result<Vec<Value>, String> {
    let values = connection
        .req_packed_commands(commands, 0, commands.len())
        .await
        .map_err(|error| said(&error))?;
    match values.iter().find_map(unable) {
        Some(reason) => Err(reason),
        None => Ok(values),
    }
}

/// What says that nothing else would be carried out either.
fn unable(value: &Value) -> Option<String> {
    let Value::ServerError(error) = value else {
        return None;
    };
    let code = error.code();
    let of_a_cluster = ["MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN"].contains(&code);
    if of_a_cluster {
        return Some(CLUSTER.to_owned());
    }
    let unable = [
        "READONLY",
        "LOADING",
        "MASTERDOWN",
        "NOAUTH",
        "NOREPLICAS",
        "OOM",
        "MISCONF",
    ];
    unable
        .contains(&code)
        .then(|| clean(&format!("{code} {}", error.details().unwrap_or_default())))
}

/// Until `wanted` is there, or the connection's driver ends.
async fn drive<T>(
    driver: &mut Pin<Box<dyn Future<Output = ()> + Send>>,
    wanted: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    tokio::select! {
        wanted = wanted => wanted,
        () = driver => Err("the connection ended".to_owned()),
    }
}

/// What the library says, in one line.
fn said(error: &RedisError) -> String {
    clean(&error.to_string())
}

/// A server's own words, which may be anything.
fn clean(text: &str) -> String {
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    text.chars().take(SAID).map(printable).collect()
}

const SAID: usize = 200;

/// A peer that is gone without a word is noticed though nothing is sent.
const KEEPALIVE: Duration = Duration::from_secs(15);

const PROOF_SECONDS: u32 = 60;

const CLUSTER: &str =
    "it is part of a Redis Cluster, which Ringway does not speak to yet: it takes one server, or sentinels";
