use super::*;
use crate::policy::jwt::{Algorithm, Place};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const SOON: Pace = Pace {
    first_retry: Duration::from_millis(1),
    longest_retry: Duration::from_millis(4),
    wanted: Duration::from_millis(1),
    look: Duration::from_millis(1),
};

/// Serves the answer that `script` has for the n-th request, counted from 0.
struct Issuer {
    source: Arc<KeySource>,
    asked: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Issuer {
    async fn start(ttl: Duration, script: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (asked, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let place = Place {
            secure: false,
            host: "127.0.0.1".to_owned(),
            port,
            authority: format!("127.0.0.1:{port}"),
            path: "/keys?a=b".to_owned(),
        };
        let source = Arc::new(KeySource::new(
            Algorithm::Es256,
            ttl,
            Duration::from_secs(10),
            place,
        ));
        let (count, seen) = (asked.clone(), heads.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                        break;
                    }
                    head.push(byte[0]);
                }
                seen.lock()
                    .expect("a list")
                    .push(String::from_utf8(head).expect("text"));
                let _ = stream
                    .write_all(&script(count.fetch_add(1, Ordering::SeqCst)))
                    .await;
            }
        });
        Self { source, asked, heads }
    }

    fn sources(&self) -> KeySources {
        let lookup = Lookup::with(([127, 0, 0, 1], 1).into(), "/nonexistent".into());
        KeySources::with([self.source.clone()], None, lookup, SOON)
    }
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The curve's base point is on it.
fn keys(count: usize) -> Vec<u8> {
    let x = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY";
    let y = "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(x).map(|x| x.len()), Ok(32));
    let jwks: Vec<_> = (0..count)
        .map(|n| format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","kid":"{n}"}}"#))
        .collect();
    answer("200 OK", format!(r#"{{"keys":[{}]}}"#, jwks.join(",")).as_bytes())
}

/// The next set; every test has it within its deadline or fails.
async fn next(sources: &mut KeySources) -> usize {
    let news = async {
        loop {
            if let Some((0, keys)) = sources.step().await {
                return keys.len();
            }
        }
    };
    timeout(Duration::from_secs(20), news).await.expect("a set")
}

#[tokio::test]
async fn a_set_is_fetched_at_once_and_again_when_its_time_is_over() {
    let issuer = Issuer::start(Duration::from_millis(1), |n| keys(n + 1)).await;
    let mut sources = issuer.sources();
    let first = sources.first(Duration::from_secs(20)).await;
    assert_eq!(
        first
            .iter()
            .map(|(index, keys)| (*index, keys.len()))
            .collect::<Vec<_>>(),
        [(0, 1)]
    );
    assert_eq!(next(&mut sources).await, 2);
    assert_eq!(next(&mut sources).await, 3);
    let head = issuer.heads.lock().expect("a list")[0].to_ascii_lowercase();
    assert!(head.starts_with("get /keys?a=b http/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("host: {}\r\n", issuer.source.authority)),
        "{head}"
    );
}

#[tokio::test]
async fn what_is_no_set_is_tried_again_and_never_published() {
    let issuer = Issuer::start(Duration::from_secs(3600), |n| match n {
        0 => Vec::new(),
        1 => answer("503 Service Unavailable", b""),
        2 => answer("200 OK", b"<html>"),
        3 => answer("200 OK", br#"{"keys":[]}"#),
        4 => b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".to_vec(),
        5 => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec(),
        // More than is taken, whatever its length says.
        6 => [
            &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n"[..],
            &vec![b' '; 0x20_0000],
            b"\r\n0\r\n\r\n",
        ]
        .concat(),
        _ => keys(1),
    })
    .await;
    let mut sources = issuer.sources();
    assert!(
        sources.first(Duration::from_secs(20)).await.is_empty(),
        "the first fails, and is not waited for"
    );
    assert_eq!(next(&mut sources).await, 1);
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 8);
}

/// The issuer has a new key; a token names it.
#[tokio::test]
async fn an_unknown_key_fetches_the_set_before_its_time() {
    let issuer = Issuer::start(Duration::from_secs(3600), |n| keys(n + 1)).await;
    let mut sources = issuer.sources();
    assert_eq!(next(&mut sources).await, 1);
    issuer.source.want();
    assert_eq!(next(&mut sources).await, 2);
    assert!(!issuer.source.take_wanted(), "once is enough");
}

#[tokio::test]
async fn an_issuer_that_says_nothing_costs_its_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let place = Place {
        secure: false,
        host: "localhost".to_owned(),
        port,
        authority: "localhost".to_owned(),
        path: "/".to_owned(),
    };
    let source = KeySource::new(
        Algorithm::Es256,
        Duration::from_secs(1),
        Duration::from_millis(20),
        place,
    );
    let lookup = Lookup::with(([127, 0, 0, 1], 1).into(), "/nonexistent".into());
    let mut sources = KeySources::with([Arc::new(source)], None, lookup, SOON);
    assert!(sources.step().await.is_none());
    assert_eq!(sources.states[0].failures, 1);
}

#[test]
fn retries_grow_to_a_bound_and_never_fall_in_step() {
    let steps: Vec<_> = (1..20).map(|failures| PACE.retry(failures, 512)).collect();
    assert!(steps.is_sorted());
    assert_eq!(
        (steps[0], steps[18]),
        (Duration::from_secs(1), Duration::from_secs(60))
    );
    assert!(PACE.retry(1, 0) < PACE.retry(1, 1023));
    assert!(PACE.retry(u32::MAX, 1023) < Duration::from_secs(76));
}
