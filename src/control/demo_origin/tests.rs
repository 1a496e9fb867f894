use super::*;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

struct Origin {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Origin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, shutdown) = watch::channel(false);
        Self {
            address,
            stop,
            running: tokio::spawn(serve(listener, shutdown)),
        }
    }

    async fn ask(&self, request: String) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Head and body of an answer that ends with the connection.
    async fn get(&self, path: &str) -> (String, Vec<u8>) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n");
        split(self.ask(request).await).await
    }
}

async fn split(mut stream: TcpStream) -> (String, Vec<u8>) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let body = answer.split_off(end);
    (String::from_utf8(answer).unwrap().to_ascii_lowercase(), body)
}

#[tokio::test]
async fn the_welcome_page_is_json() {
    let origin = Origin::start().await;
    let (head, body) = origin.get("/").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["message"], "This answer came through Ringway.");
    assert_eq!(
        origin.get("/greetings").await.1,
        br#"{"greeting":"Hello, stranger!"}"#
    );
    assert_eq!(
        origin.get("/greetings/ring%20way").await.1,
        br#"{"greeting":"Hello, ring way!"}"#
    );
    assert!(origin.get("/nothing").await.0.starts_with("http/1.1 404 "));
}

#[tokio::test]
async fn echo_shows_the_request_as_it_came() {
    let origin = Origin::start().await;
    let request = "PUT /echo/a/b?c=d HTTP/1.1\r\nHost: demo\r\nX-Two: one\r\nX-Two: two\r\nContent-Length: 6\r\n\
                   Connection: close\r\n\r\nbodyé";
    let (_, body) = split(origin.ask(request.to_owned()).await).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&body["method"], &body["path"], &body["query"]),
        (&json!("PUT"), &json!("/echo/a/b"), &json!("c=d"))
    );
    assert_eq!(body["headers"]["x-two"], json!(["one", "two"]));
    assert_eq!(body["headers"]["host"], "demo");
    assert_eq!((&body["body"], &body["body_bytes"]), (&json!("bodyé"), &json!(6)));
}

#[tokio::test]
async fn statuses_from_200_to_599() {
    let origin = Origin::start().await;
    for code in [200, 204, 304, 404, 503, 599] {
        let (head, body) = origin.get(&format!("/status/{code}")).await;
        assert!(head.starts_with(&format!("http/1.1 {code} ")), "{head}");
        assert_eq!(body.is_empty(), [204, 304].contains(&code), "{code}");
    }
    for code in ["100", "199", "600", "x", "-1"] {
        assert!(
            origin
                .get(&format!("/status/{code}"))
                .await
                .0
                .starts_with("http/1.1 400 "),
            "{code}"
        );
    }
}

#[tokio::test]
async fn bytes_come_with_their_length_and_have_a_bound() {
    let origin = Origin::start().await;
    for count in [0, 1, 65_536, 1_000_001] {
        let (head, body) = origin.get(&format!("/bytes/{count}")).await;
        assert!(head.contains(&format!("content-length: {count}\r\n")), "{head}");
        assert_eq!(body.len(), count);
    }
    assert!(
        origin
            .get(&format!("/bytes/{}", MOST_BYTES + 1))
            .await
            .0
            .starts_with("http/1.1 400 ")
    );
}

#[tokio::test]
async fn five_events_and_an_end() {
    let origin = Origin::start().await;
    let (head, body) = origin.get("/stream").await;
    assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
    let body = String::from_utf8(body).unwrap();
    assert_eq!(body.matches("event: tick\n").count(), EVENTS as usize);
}

#[tokio::test]
async fn an_event_goes_out_at_once_and_the_next_on_its_tick() {
    let mut events = Events {
        sent: 0,
        ticks: interval(Duration::from_secs(3600)),
    };
    let first = std::future::poll_fn(|context| Pin::new(&mut events).poll_frame(context))
        .await
        .unwrap();
    assert!(first.unwrap().into_data().unwrap().starts_with(b"id: 1\n"));
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut events).poll_frame(&mut context).is_pending());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_idle_connections() {
    let origin = Origin::start().await;
    let _idle = TcpStream::connect(origin.address).await.unwrap();
    origin.stop.send(true).unwrap();
    timeout(LAST_ANSWERS * 4, origin.running)
        .await
        .expect("ends")
        .unwrap();
}
