//! The origin behind `ringway demo`: small answers of every kind a gateway forwards, so that one process shows
//! them. Also a handy peer for trying things by hand; not meant to be reached by anyone else.

use axum::{
    Json, Router,
    body::{Body, HttpBody},
    extract::{DefaultBodyLimit, Path},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::{any, get},
    serve::ListenerExt,
};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use serde_json::{Map, Value, json};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{Interval, MissedTickBehavior, interval, sleep},
};

/// Answers until `shutdown` says true (or its sender is gone), then lets open exchanges end for a second.
pub async fn serve(listener: TcpListener, shutdown: watch::Receiver<bool>) {
    let listener = listener.tap_io(|stream| {
        // An event of a stream must not wait for the last one's acknowledgement. Where it cannot be had, it is
        // a matter of milliseconds.
        let _: std::io::Result<()> = stream.set_nodelay(true);
    });
    let stop = |mut shutdown: watch::Receiver<bool>| async move {
        let _: Result<_, _> = shutdown.wait_for(|stop| *stop).await;
    };
    let serving = axum::serve(listener, pages()).with_graceful_shutdown(stop(shutdown.clone()));
    let cut = async {
        stop(shutdown).await;
        sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        _ = serving => {}
        () = cut => {}
    }
}

fn pages() -> Router {
    Router::new()
        .route("/", get(welcome))
        .route("/greetings", get(|| greeting("stranger")))
        .route(
            "/greetings/{name}",
            get(|Path(name): Path<String>| async move { greeting(&name).await }),
        )
        .route("/echo", any(echo))
        .route("/echo/{*rest}", any(echo))
        .route("/status/{code}", any(status))
        .route("/stream", get(stream))
        .route("/bytes/{count}", get(bytes))
        .fallback(|uri: Uri| async move {
            (
                StatusCode::NOT_FOUND,
                Json(json!({ "error": "no such page", "path": uri.path() })),
            )
        })
        .layer(DefaultBodyLimit::max(ECHO_BYTES))
}

async fn welcome() -> Json<Value> {
    Json(json!({
        "message": "This answer came through Ringway.",
        "pages": {
            "/greetings/{name}": "a greeting",
            "/echo": "your request, as the origin got it",
            "/status/{code}": "an answer of that status",
            "/stream": "five server-sent events, 200 ms apart",
            "/bytes/{count}": "that many bytes, at most 67108864",
        },
    }))
}

async fn greeting(name: &str) -> Json<Value> {
    Json(json!({ "greeting": format!("Hello, {name}!") }))
}

/// A header that was sent more than once is a list. Bytes that are not UTF-8 become U+FFFD.
async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let mut shown = Map::new();
    for name in headers.keys() {
        let mut values: Vec<Value> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into())
            .collect();
        let value = if values.len() == 1 {
            values.remove(0)
        } else {
            Value::Array(values)
        };
        shown.insert(name.as_str().to_owned(), value);
    }
    Json(json!({
        "method": method.as_str(),
        "path": uri.path(),
        "query": uri.query(),
        "headers": shown,
        "body": String::from_utf8_lossy(&body),
        "body_bytes": body.len(),
    }))
}

async fn status(Path(code): Path<u16>) -> Response {
    // 1xx are interim answers; a final one of that class would leave the client waiting.
    match StatusCode::from_u16(code) {
        Ok(status) if (200..=599).contains(&code) => match status {
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => {
                status.into_response()
            }
            _ => (status, Json(json!({ "status": code }))).into_response(),
        },
        _ => (
            StatusCode::BAD_REQUEST,
            Json(json!({ "error": "a status is 200 to 599" })),
        )
            .into_response(),
    }
}

async fn stream() -> Response {
    let mut ticks = interval(EVENT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, Body::new(Events { sent: 0, ticks })).into_response()
}

async fn bytes(Path(count): Path<u64>) -> Response {
    if count > MOST_BYTES {
        let error = json!({ "error": "at most 67108864 bytes" });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
    (headers, Body::new(Filler { left: count })).into_response()
}

/// `/stream`: the first at once, then one a tick.
struct Events {
    sent: u32,
    ticks: Interval,
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == EVENTS {
            return Poll::Ready(None);
        }
        ready!(self.ticks.poll_tick(context));
        self.sent += 1;
        let event = format!(
            "id: {0}\nevent: tick\ndata: {{\"tick\":{0},\"of\":{EVENTS}}}\n\n",
            self.sent
        );
        Poll::Ready(Some(Ok(Frame::data(event.into()))))
    }
}

/// `/bytes`: one static block, over and over; nothing is built in memory. Its length is known, so the answer
/// carries Content-Length.
struct Filler {
    left: u64,
}

impl HttpBody for Filler {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = self.left.min(FILLER.len() as u64);
        self.left -= length;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(
            &FILLER[..length as usize],
        )))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

const EVENTS: u32 = 5;
const EVENT_EVERY: Duration = Duration::from_millis(200);
const MOST_BYTES: u64 = 64 << 20;
const ECHO_BYTES: usize = 1 << 20;
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Lines of 64 characters, pleasant in a terminal.
static FILLER: [u8; 64 << 10] = {
    let mut block = [b'.'; 64 << 10];
    let mut at = 63;
    while at < block.len() {
        block[at] = b'\n';
        at += 64;
    }
    block
};

#[cfg(test)]
mod tests;
