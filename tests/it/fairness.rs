//! Nobody has a shard to himself: who never stops sending, or taking, waits for his turn like all others.

use crate::support::{
    Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

/// What each of several endless downloads must come to: far more than a turn.
const SHARE: u64 = 32 << 20;

both_drivers! {
    /// Answers of the gateway's own need no origin to be waited for.
    fn a_client_that_never_stops_asking_holds_up_nobody(driver) {
        let origin = Origin::answering(ok("served"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let stop = AtomicBool::new(false);
        let greedy = TcpStream::connect(gateway.address).expect("connected");
        thread::scope(|scope| {
            scope.spawn(|| {
                let requests = "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n".repeat(4096);
                while !stop.load(Relaxed) {
                    if (&greedy).write_all(requests.as_bytes()).is_err() {
                        break;
                    }
                }
                let _ = greedy.shutdown(std::net::Shutdown::Both);
            });
            scope.spawn(|| {
                let mut answers = vec![0; 1 << 20];
                while matches!((&greedy).read(&mut answers), Ok(1..)) {}
            });
            let _stop = SetOnDrop(&stop);
            let mut client = gateway.client();
            for _ in 0..20 {
                assert_eq!(client.get("/").text(), "served");
            }
        });
    }

    fn downloads_that_never_end_share_the_shard(driver) {
        let origin = Origin::start(|peer| {
            let request = peer.request().expect("a request");
            if request.target == "/small" {
                peer.send(ok("served"));
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\n\r\n");
            let piece = vec![b'x'; 256 * 1024];
            while peer.wire.try_send(&piece).is_ok() {}
        });
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let stop = AtomicBool::new(false);
        let got = [const { AtomicU64::new(0) }; 4];
        thread::scope(|scope| {
            for count in &got {
                let (gateway, stop) = (&gateway, &stop);
                scope.spawn(move || {
                    let mut stream = TcpStream::connect(gateway.address).expect("connected");
                    stream.write_all(&get_request("/endless", "")).expect("room");
                    let mut piece = vec![0; 256 * 1024];
                    while !stop.load(Relaxed) {
                        match stream.read(&mut piece) {
                            Ok(length @ 1..) => count.fetch_add(length as u64, Relaxed),
                            _ => return,
                        };
                    }
                });
            }
            let _stop = SetOnDrop(&stop);
            eventually("all are well under way", || got.iter().all(|bytes| bytes.load(Relaxed) > SHARE));
            for _ in 0..5 {
                assert_eq!(gateway.get("/small").text(), "served");
            }
        });
    }
}

/// Also when an assertion fails: the threads would never end.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
