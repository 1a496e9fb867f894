//! Ports that are taken. SO_REUSEPORT would share them in silence, and half of the requests with them.

use crate::support::{
    Client, DEADLINE, Driver, Gateway, Origin, both_drivers, config, eventually,
    gateway::{Folder, ringway, run_to_end},
    message::{get_request, ok},
    ports::free,
    skipped,
};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

both_drivers! {
    fn a_taken_port_is_an_error_that_names_it(driver) {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        refuses(driver, taken.local_addr().expect("bound"));
    }

    /// The dangerous case: the other process allows sharing as well.
    fn a_port_that_could_be_shared_is_an_error_too(driver) {
        let other = shareable();
        refuses(driver, other.local_addr().expect("bound").as_socket().expect("tcp"));
    }

    fn a_second_gateway_on_the_port_is_an_error(driver) {
        let origin = Origin::answering(ok(""));
        let first = Gateway::start(driver, config::api(&origin.url));
        refuses(driver, first.address);
        assert_eq!(first.get("/").status, 200, "the first is not disturbed");
    }

    fn share_ports_allows_it(driver) {
        let origin = Origin::answering(ok("shared"));
        let first = Gateway::setup(driver, config::api(&origin.url)).argument("--share-ports").start();
        let yaml = config::api(&origin.url).replace("@listen@", &first.address.to_string());
        let second = Gateway::setup(driver, yaml).argument("--share-ports").start();
        assert_eq!(first.get("/").text(), "shared");
        let address = first.address;
        drop(first);
        // The kernel may take a moment to close a killed process' listener, and hand it a connection meanwhile.
        eventually("the second serves alone", || {
            Client::try_connect(address).is_ok_and(|mut client| {
                client.wire.try_send(&get_request("/", "")).is_ok() && client.try_response("GET").is_ok()
            })
        });
        drop(second);
    }

    /// A configured admin address that is taken is an error; nothing must believe it watches this process.
    fn a_taken_admin_address_is_an_error(driver) {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = taken.local_addr().expect("bound").to_string();
        let origin = Origin::answering(ok(""));
        let folder = Folder::new();
        let yaml = config::api(&origin.url).replace("@listen@", &free().to_string());
        let file = folder.write("a.yaml", &yaml);
        let mut command = ringway();
        command.args(["run", "--driver", driver.name(), "--shards", "1", "--admin", &address, "--config"]).arg(file);
        let outcome = run_to_end(&mut command, DEADLINE);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(&address), "{outcome:?}");
    }

    fn ipv6_is_listened_on(driver) {
        let Ok(probe) = TcpListener::bind("[::1]:0") else {
            return skipped("this machine has no IPv6 loopback");
        };
        let address: SocketAddr = probe.local_addr().expect("bound");
        drop(probe);
        let origin = Origin::answering(ok("six"));
        let yaml = config::api(&origin.url).replace("@listen@", &address.to_string());
        let _gateway = Gateway::start(driver, yaml);
        assert_eq!(Client::connect(address).get("/").text(), "six");
        assert_eq!(origin.request().get("x-forwarded-for"), Some("::1"));
    }
}

/// A listener with SO_REUSEPORT, such as another gateway's.
fn shareable() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.cloexec(), None).expect("socket");
    socket.set_reuse_port(true).expect("set");
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .expect("a port");
    socket.listen(16).expect("listen");
    socket
}

#[track_caller]
fn refuses(driver: Driver, taken: SocketAddr) {
    let yaml = config::api("http://127.0.0.1:9").replace("@listen@", &taken.to_string());
    let mut gateway = Gateway::setup(driver, yaml).launch();
    let status = gateway.wait_exit();
    eventually("it says why", || gateway.stderr().contains(&taken.to_string()));
    assert_eq!(status.code(), Some(1), "{}", gateway.stderr());
}
