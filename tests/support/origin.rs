//! A scripted origin: a thread a connection, each running the same script; what it saw is kept.
//!
//! An origin is as strict as the tests' client: a request that is not clean HTTP/1.1 fails the test when the
//! origin is dropped, whatever the test itself looks at.

use super::{
    DEADLINE, Gate,
    message::{Framing, Request, ok},
    tls,
    wire::{Broken, Wire},
};
use rustls::HandshakeKind;
use socket2::{Domain, SockAddr, Socket, Type};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

pub struct Origin {
    /// As it stands in a configuration: `http://127.0.0.1:4711` or `unix:/path`.
    pub url: String,
    /// Unset for a Unix socket.
    pub address: Option<SocketAddr>,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    listening: SockAddr,
}

#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    connections: usize,
    requests: Vec<Request>,
    /// TLS: how each began; None where it came to nothing.
    handshakes: Vec<Option<HandshakeKind>>,
    faults: Vec<String>,
}

/// The origin's side of one connection.
pub struct Peer {
    pub wire: Wire,
    /// From 0, in the order of accepting.
    pub connection: usize,
    seen: Arc<Seen>,
}

impl Origin {
    pub fn start(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).expect("socket");
        socket
            .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .expect("a port from the kernel");
        Self::serve(socket, script)
    }

    /// Its URL is `https://127.0.0.1:…`; the script runs after each handshake that came to its end.
    pub fn start_tls(server: &tls::Server, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let config = Arc::new(server.config.clone());
        let mut origin = Self::start(move |peer| {
            let handshake = peer.wire.secure(config.clone()).ok();
            peer.seen.change(|state| state.handshakes.push(handshake));
            if handshake.is_some() {
                script(peer);
            }
        });
        origin.url = origin.url.replace("http://", "https://");
        origin
    }

    /// How each TLS handshake began; None: it failed.
    pub fn handshakes(&self) -> Vec<Option<HandshakeKind>> {
        self.seen.state.lock().unwrap().handshakes.clone()
    }

    pub fn start_unix(path: &Path, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None).expect("socket");
        socket
            .bind(&SockAddr::unix(path).expect("a short path"))
            .expect("bind");
        Self::serve(socket, script)
    }

    /// The same bytes to every request.
    pub fn answering(response: impl Into<Vec<u8>>) -> Self {
        let response = response.into();
        Self::start(move |peer| {
            while peer.request().is_some() {
                peer.send(&response);
            }
        })
    }

    /// 200 with a body that tells which origin answered.
    pub fn named(name: &str) -> Self {
        Self::answering(ok(name))
    }

    /// 200 with the request's body as the body.
    pub fn echoing() -> Self {
        Self::start(|peer| {
            while let Some(request) = peer.request() {
                peer.send(ok(&request.body));
            }
        })
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.state.lock().unwrap().requests.clone()
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.seen.state.lock().unwrap().connections
    }

    /// The only request so far.
    #[track_caller]
    pub fn request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "requests seen by the origin: {requests:#?}");
        requests.into_iter().next().expect("one")
    }

    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) -> Vec<Request> {
        let state = self.seen.state.lock().unwrap();
        let (state, _) = self
            .seen
            .changed
            .wait_timeout_while(state, DEADLINE, |s| s.requests.len() < count)
            .unwrap();
        assert!(
            state.requests.len() >= count,
            "{} requests came, {count} awaited",
            state.requests.len()
        );
        state.requests.clone()
    }

    #[track_caller]
    pub fn expect_nothing(&self) {
        let requests = self.requests();
        assert!(
            requests.is_empty(),
            "the origin should have seen nothing, saw {requests:#?}"
        );
    }

    fn serve(socket: Socket, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        socket.listen(1024).expect("listen");
        let listening = socket.local_addr().expect("bound");
        let address = listening.as_socket();
        let url = match (address, listening.as_pathname()) {
            (Some(address), _) => format!("http://{address}"),
            (None, path) => format!("unix:{}", path.expect("a path").display()),
        };
        let (seen, stop, script) = (
            Arc::new(Seen::default()),
            Arc::new(AtomicBool::new(false)),
            Arc::new(script),
        );
        let origin = Self {
            url,
            address,
            seen: seen.clone(),
            stop: stop.clone(),
            listening,
        };
        spawn("origin", move || {
            for connection in 0.. {
                let Ok((accepted, _)) = socket.accept() else {
                    return;
                };
                if stop.load(Ordering::Acquire) {
                    return;
                }
                seen.change(|state| state.connections += 1);
                let _ = accepted.set_tcp_nodelay(true);
                let (script, seen) = (script.clone(), seen.clone());
                spawn("origin connection", move || {
                    script(&mut Peer {
                        wire: Wire::new(accepted),
                        connection,
                        seen,
                    });
                });
            }
        });
        origin
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Ok(socket) = Socket::new(self.listening.domain(), Type::STREAM, None) {
            let _ = socket.connect(&self.listening);
        }
        let faults = std::mem::take(&mut self.seen.state.lock().unwrap().faults);
        if !std::thread::panicking() {
            assert!(
                faults.is_empty(),
                "an origin was sent what is not HTTP/1.1: {faults:#?}"
            );
        }
    }
}

impl Seen {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

impl Peer {
    /// A whole request; `None` when the gateway closed first.
    pub fn request(&mut self) -> Option<Request> {
        let mut request = self.head_unrecorded()?;
        let framing = request.framing;
        (request.body, request.trailers) = self.understood(|wire| wire.body(framing))?;
        self.seen.change(|state| state.requests.push(request.clone()));
        Some(request)
    }

    /// A request's head alone, recorded at once; its body is read with [`Self::body`].
    pub fn head(&mut self) -> Option<Request> {
        let request = self.head_unrecorded()?;
        self.seen.change(|state| state.requests.push(request.clone()));
        Some(request)
    }

    pub fn body(&mut self, request: &Request) -> Option<Vec<u8>> {
        self.understood(|wire| wire.body(request.framing))
            .map(|(body, _)| body)
    }

    /// A gateway that gave up is not this side's failure.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.try_send(bytes.as_ref());
    }

    /// Sends, then waits until the test opens the gate.
    pub fn send_and_wait(&mut self, bytes: impl AsRef<[u8]>, gate: &Gate) {
        self.send(bytes);
        gate.wait();
    }

    /// RST instead of FIN.
    pub fn reset(&mut self) {
        let _ = self.wire.socket().set_linger(Some(std::time::Duration::ZERO));
    }

    pub fn close(&mut self) {
        let _ = self.wire.socket().shutdown(std::net::Shutdown::Both);
    }

    /// Waits until the gateway closes, dropping what it sends.
    pub fn until_closed(&mut self) {
        let _ = self.wire.rest();
    }

    fn head_unrecorded(&mut self) -> Option<Request> {
        let head = self.understood(Wire::head)?;
        let parsed = head
            .request_line()
            .map(|(method, target, _)| (method.to_owned(), target.to_owned()));
        match (parsed, head.stated_framing()) {
            (Ok((method, target)), Ok(framing)) => Some(Request {
                connection: self.connection,
                head,
                method,
                target,
                framing: framing.unwrap_or(Framing::None),
                body: Vec::new(),
                trailers: Vec::new(),
            }),
            (parsed, framing) => {
                let fault = parsed.err().or(framing.err()).unwrap_or_default();
                self.seen.change(|state| state.faults.push(fault));
                None
            }
        }
    }

    fn understood<T>(&mut self, read: impl FnOnce(&mut Wire) -> Result<T, Broken>) -> Option<T> {
        match read(&mut self.wire) {
            Ok(value) => Some(value),
            Err(Broken::Malformed(fault)) => {
                self.seen.change(|state| state.faults.push(fault));
                None
            }
            Err(Broken::Closed | Broken::Truncated(_) | Broken::TimedOut) => None,
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .expect("a thread");
}
