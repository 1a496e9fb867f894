use super::*;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};

struct Admin {
    address: SocketAddr,
    state: Arc<AdminState>,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Admin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(AdminState::new());
        let (stop, shutdown) = watch::channel(false);
        let running = tokio::spawn(serve(listener, state.clone(), shutdown));
        Self {
            address,
            state,
            stop,
            running,
        }
    }

    /// Status and body; the connection must end by itself.
    async fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: admin\r\n\r\n"))
            .await
    }
}

#[tokio::test]
async fn shards_are_told_one_by_one() {
    let admin = Admin::start().await;
    assert_eq!(admin.get("/shards").await, (200, r#"{"shards":[]}"#.into()));
    let counters = [Arc::new(Counters::default()), Arc::new(Counters::default())];
    admin.state.set_shards(counters.to_vec());
    counters[1].connections_open.add(2);
    counters[1].requests.add(7);
    counters[0].connections_accepted.add(3);
    counters[0].connections_handed_over.add(1);
    counters[0].connections_moved.add(1);
    assert_eq!(
        admin.get("/shards").await.1,
        concat!(
            r#"{"shards":[{"connections":0,"requests":0,"accepted":3,"handedOver":1,"moved":1},"#,
            r#"{"connections":2,"requests":7,"accepted":0,"handedOver":0,"moved":0}]}"#
        )
    );
}

#[tokio::test]
async fn readiness_changes_and_liveness_stays() {
    let admin = Admin::start().await;
    let live = || async {
        assert_eq!(admin.get("/livez").await, (200, r#"{"status":"live"}"#.into()));
    };
    assert_eq!(
        admin.get("/readyz").await,
        (503, r#"{"status":"not ready","reason":"starting"}"#.into())
    );
    live().await;
    admin.state.set(Readiness::Ready);
    assert_eq!(admin.state.readiness(), Readiness::Ready);
    assert_eq!(admin.get("/readyz").await, (200, r#"{"status":"ready"}"#.into()));
    live().await;
    admin.state.set(Readiness::Draining);
    assert_eq!(
        admin.get("/readyz").await,
        (503, r#"{"status":"not ready","reason":"draining"}"#.into())
    );
    live().await;
}

#[tokio::test]
async fn everything_else_is_a_json_error() {
    let admin = Admin::start().await;
    let (status, body) = admin.get("/nothing").await;
    assert_eq!(status, 404);
    assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["error"].is_string());
    let (status, body) = admin
        .ask("POST /readyz HTTP/1.1\r\nHost: admin\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(status, 405);
    assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["error"].is_string());
    let (status, body) = admin.ask("HEAD /livez HTTP/1.1\r\nHost: admin\r\n\r\n").await;
    assert_eq!((status, body.as_str()), (200, ""));
}

#[tokio::test]
async fn silent_clients_hold_all_connections_for_the_head_limit_and_no_longer() {
    let admin = Admin::start().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(b"GET /liv").await.unwrap();
        silent.push(stream);
    }
    let answer = timeout(HEAD_LIMIT * 4, admin.get("/livez"))
        .await
        .expect("a probe gets through");
    assert_eq!(answer.0, 200);
}

#[tokio::test]
async fn a_shutdown_closes_the_port_and_does_not_wait_for_silent_clients() {
    let admin = Admin::start().await;
    assert_eq!(admin.get("/livez").await.0, 200);
    let _silent = TcpStream::connect(admin.address).await.unwrap();
    admin.stop.send(true).unwrap();
    timeout(LAST_ANSWERS * 4, admin.running)
        .await
        .expect("ends")
        .unwrap();
    assert!(TcpStream::connect(admin.address).await.is_err());
}
