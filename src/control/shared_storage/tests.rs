//! Against a real server, started on a free port; what it takes to reach one in other ways is tested through the binary.

use super::*;
use crate::storage::{Secret, tests::settings};
use redis::pipe;
use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};
use tokio::time::{sleep, timeout_at};

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// None where there is no server to be started.
    async fn start(port: Option<u16>, arguments: &[&str]) -> Option<Self> {
        for _ in 0..5 {
            let free = || {
                TcpListener::bind("127.0.0.1:0")
                    .unwrap()
                    .local_addr()
                    .unwrap()
                    .port()
            };
            let port = port.unwrap_or_else(free);
            let child = Command::new("redis-server")
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
                .args([
                    "--cluster-config-file",
                    &format!("ringway-test-nodes-{}-{port}", std::process::id()),
                ])
                .current_dir(std::env::temp_dir())
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(child) = child else {
                assert!(std::env::var_os("CI").is_none(), "redis-server is not installed");
                return None;
            };
            let mut server = Self { child, port };
            for _ in 0..1000 {
                if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                    return Some(server);
                }
                if server.child.try_wait().unwrap().is_some() {
                    break;
                }
                sleep(Duration::from_millis(5)).await;
            }
        }
        panic!("redis-server does not start");
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let nodes = format!("ringway-test-nodes-{}-{}", std::process::id(), self.port);
        let _ = std::fs::remove_file(std::env::temp_dir().join(nodes));
    }
}

/// A storage at that port, and what keeps it going.
fn storage(port: u16, change: impl FnOnce(&mut Settings)) -> (Storage, watch::Sender<bool>) {
    let mut settings = settings("127.0.0.1", port);
    change(&mut settings);
    let (stop, stopped) = watch::channel(false);
    (Storage::new(Arc::new(settings), stopped), stop)
}

async fn until(link: &Link, wanted: impl Fn(&State) -> bool) -> State {
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    let mut state = link.state();
    let reached = timeout_at(limit, state.wait_for(|state| wanted(state))).await;
    reached.expect("in time").expect("the link lives").clone()
}

fn up(state: &State) -> bool {
    matches!(state, State::Up { .. })
}

fn down(state: &State) -> bool {
    matches!(state, State::Down { .. })
}

#[tokio::test]
async fn commands_are_answered_in_order_and_refusals_stand_among_the_answers() {
    let Some(server) = Server::start(None, &[]).await else {
        return;
    };
    let (storage, _stop) = storage(server.port, |_| {});
    let link = storage.link(Purpose::Limits);
    assert_eq!(
        link.exchange(&pipe()).await,
        Err(Trouble::Away),
        "nothing is waited for"
    );
    until(&link, up).await;
    let mut commands = pipe();
    commands.cmd("SET").arg("a").arg("x");
    commands.cmd("INCR").arg("a");
    commands.cmd("EVALSHA").arg("0".repeat(40)).arg(0);
    commands.cmd("GET").arg("a");
    let values = link.exchange(&commands).await.unwrap();
    assert_eq!(values.len(), 4);
    assert_eq!(
        (&values[0], &values[3]),
        (&Value::Okay, &Value::BulkString(b"x".to_vec()))
    );
    let code = |value: &Value| match value {
        Value::ServerError(error) => error.code().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (code(&values[1]).as_str(), code(&values[2]).as_str()),
        ("ERR", "NOSCRIPT")
    );
    assert!(link.is_up(), "what concerns one command is no trouble");
    assert_eq!(link.counters().exchanges.get(), 1);
    assert_eq!(link.counters().commands.get(), 4);
    assert!(link.counters().round_trip.get() > 0);
}

#[tokio::test]
async fn a_server_that_is_away_is_found_when_it_comes_and_when_it_comes_back() {
    let Some(mut server) = Server::start(None, &[]).await else {
        return;
    };
    let port = server.port;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let (storage, _stop) = storage(port, |_| {});
    let link = storage.link(Purpose::Limits);
    let State::Down { reason, .. } = until(&link, down).await else {
        unreachable!()
    };
    assert!(reason.contains("refused"), "{reason}");
    server = Server::start(Some(port), &[]).await.unwrap();
    until(&link, up).await;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    until(&link, down).await;
    assert_eq!(link.exchange(pipe().cmd("PING")).await, Err(Trouble::Away));
    let _server = Server::start(Some(port), &[]).await.unwrap();
    let State::Up { connection, .. } = until(&link, up).await else {
        unreachable!()
    };
    assert_eq!(connection, 2);
    assert_eq!(
        link.exchange(pipe().cmd("PING")).await,
        Ok(vec![Value::SimpleString("PONG".to_owned())])
    );
}

#[tokio::test]
async fn a_server_that_stands_still_is_waited_for_once() {
    let Some(server) = Server::start(None, &[]).await else {
        return;
    };
    let (storage, _stop) = storage(server.port, |settings| {
        settings.command_timeout = Duration::from_millis(50);
        settings.connect_timeout = Duration::from_millis(200);
    });
    let link = storage.link(Purpose::Caches);
    until(&link, up).await;
    server.signal("-STOP");
    assert_eq!(link.exchange(pipe().cmd("PING")).await, Err(Trouble::TimedOut));
    assert_eq!(
        link.exchange(pipe().cmd("PING")).await,
        Err(Trouble::Away),
        "at once"
    );
    // A connection is taken by the kernel; it does not count before the server has spoken.
    let slow = |state: &State| matches!(state, State::Down { reason, .. } if reason.contains("no connection within 200 ms"));
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    while link.counters().connect_failures.get() == 0 || !slow(&link.state().borrow()) {
        assert!(tokio::time::Instant::now() < limit, "{:?}", link.state().borrow());
        sleep(Duration::from_millis(5)).await;
    }
    server.signal("-CONT");
    until(&link, up).await;
}

#[tokio::test]
async fn wrong_credentials_and_what_they_may_not_do_are_told() {
    let Some(server) = Server::start(None, &["--requirepass", "right"]).await else {
        return;
    };
    let reason_for = async |username: Option<&str>, password: &str| {
        let (storage, _stop) = storage(server.port, |settings| {
            settings.credentials.username = username.map(str::to_owned);
            settings.credentials.password = Some(Secret(password.to_owned()));
        });
        let link = storage.link(Purpose::Limits);
        match until(&link, |state| up(state) || down(state)).await {
            State::Down { reason, .. } => reason,
            _ => {
                let mut user = pipe();
                user.cmd("ACL")
                    .arg(&["SETUSER", "gate", "on", ">secret", "~mine:*", "+@all"]);
                link.exchange(&user).await.unwrap();
                "none".to_owned()
            }
        }
    };
    let wrong = reason_for(None, "not-this-one").await;
    assert!(wrong.contains("authentication failed"), "{wrong}");
    assert!(!wrong.contains("not-this-one"), "{wrong}");
    assert_eq!(reason_for(None, "right").await, "none");
    let elsewhere = reason_for(Some("gate"), "secret").await;
    assert!(
        elsewhere.contains("a key can't be written") && elsewhere.contains("NOPERM"),
        "{elsewhere}"
    );
}

#[tokio::test]
async fn a_replica_a_full_server_and_a_cluster_are_none() {
    let Some(server) = Server::start(None, &[]).await else {
        return;
    };
    let (storage, _stop) = storage(server.port, |settings| {
        settings.command_timeout = Duration::from_secs(5)
    });
    let link = storage.link(Purpose::Limits);
    until(&link, up).await;
    let mut become_replica = pipe();
    become_replica.cmd("REPLICAOF").arg("127.0.0.1").arg(1);
    link.exchange(&become_replica).await.unwrap();
    let mut write = pipe();
    write.cmd("SET").arg("a").arg(1);
    assert_eq!(link.exchange(&write).await, Err(Trouble::Failed));
    // It is dialled again at once, and what is found then is told.
    let is_replica =
        |state: &State| matches!(state, State::Down { reason, .. } if reason.starts_with("READONLY"));
    until(&link, is_replica).await;

    let Some(full) = Server::start(None, &["--maxmemory", "1"]).await else {
        return;
    };
    let Some(cluster) = Server::start(None, &["--cluster-enabled", "yes"]).await else {
        return;
    };
    for (server, said) in [(&full, "OOM"), (&cluster, "Cluster")] {
        let (storage, _stop) = self::storage(server.port, |_| {});
        let link = storage.link(Purpose::Limits);
        let State::Down { reason, .. } = until(&link, down).await else {
            unreachable!()
        };
        assert!(reason.contains(said), "{reason}");
    }
}
