//! How connections are spread over shards: few long ones evenly, busy ones by what they do, and none is lost on
//! its way from one shard to another.

use crate::support::{
    Client, Gate, Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok},
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

both_drivers! {
    /// By the hash alone all 20 rounds would be even once in 10^11.
    fn eight_long_connections_are_four_a_shard(driver) {
        evenly_spread(driver, 2, 8, 20);
    }

    fn eight_long_connections_are_two_on_each_of_four(driver) {
        evenly_spread(driver, 4, 8, 20);
    }

    fn an_odd_number_is_spread_as_evenly_as_it_goes(driver) {
        evenly_spread(driver, 2, 5, 20);
    }

    fn more_shards_than_cpus(driver) {
        evenly_spread(driver, 16, 16, 4);
    }

    fn connections_of_several_listeners_are_counted_together(driver) {
        let origin = Origin::answering(ok("served"));
        let yaml = config::api(&origin.url)
            + &config::document(
                "ApiInstance",
                "second",
                &format!("address: http://@listen2@\nservices:\n  origin:\n    address: {}", origin.url),
            );
        let gateway = Gateway::setup(driver, yaml).shards(2).start();
        for _ in 0..5 {
            let served = |n: usize| {
                let mut client = Client::connect([gateway.address, gateway.second][n % 2]);
                assert_eq!(client.get("/").text(), "served");
                client
            };
            let clients: Vec<Client> = (0..8).map(served).collect();
            assert_eq!(connections(&gateway), [4, 4]);
            drop(clients);
            eventually("they are gone", || connections(&gateway) == [0, 0]);
        }
    }

    /// As many connections on each shard, but all that is busy on one: half of it moves.
    fn busy_connections_leave_quiet_ones_behind(driver) {
        let origin = Origin::answering(ok("served"));
        let gateway = Gateway::setup(driver, config::api(&origin.url)).shards(2).start();
        let mut clients = one_after_another(&gateway, 8);
        let homes: Vec<usize> = clients.iter_mut().map(|client| home(&gateway, client)).collect();
        assert_eq!(connections(&gateway), [4, 4]);
        let (busy, quiet): (Vec<_>, Vec<_>) = clients.into_iter().zip(homes).partition(|(_, home)| *home == 0);
        let working = Working::start(busy.into_iter().map(|(client, _)| client));
        eventually("two of the busy ones have moved", || connections(&gateway) == [2, 6]);
        assert!(moved(&gateway)[0] >= 2);
        // The shard that had nothing to do now works, whichever of the busy ones it has.
        let before = requests(&gateway)[1];
        eventually("both shards work", || requests(&gateway)[1] > before + 1_000);
        working.stop();
        // The quiet ones never noticed.
        for (mut client, _) in quiet {
            assert_eq!(client.get("/").text(), "served");
        }
    }

    /// Six on one shard, two on the other, as many clients end: by the hash it would stay so.
    fn what_is_left_after_others_ended_is_evened_out(driver) {
        let origin = Origin::answering(ok("served"));
        let gateway = Gateway::setup(driver, config::api(&origin.url)).shards(2).start();
        let mut clients = one_after_another(&gateway, 12);
        let homes: Vec<usize> = clients.iter_mut().map(|client| home(&gateway, client)).collect();
        let mut leaving = 4;
        let staying = clients.into_iter().zip(homes).filter(|(_, home)| {
            let leaves = *home == 1 && leaving > 0;
            leaving -= usize::from(leaves);
            !leaves
        });
        let staying: Vec<Client> = staying.map(|(client, _)| client).collect();
        eventually("four are gone", || connections(&gateway) == [6, 2]);
        let working = Working::start(staying);
        eventually("they are even", || connections(&gateway) == [4, 4]);
        assert!(moved(&gateway)[0] >= 2);
        working.stop();
    }

    fn short_connections_lose_nothing(driver) {
        let origin = Origin::answering(ok("served"));
        let gateway = Gateway::setup(driver, config::api(&origin.url)).shards(2).start();
        let address = gateway.address;
        let clients: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    for _ in 0..250 {
                        let mut client = Client::connect(address);
                        client.send(get_request("/", "Connection: close\r\n"));
                        assert_eq!(client.response().text(), "served");
                        client.expect_close();
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().expect("all were served"));
        eventually("all are counted out", || connections(&gateway) == [0, 0]);
        // Each was accepted once, wherever it was served.
        assert_eq!(sum(&gateway, "accepted"), 1000);
        eventually("each is served once", || sum(&gateway, "requests") == 1000);
        assert!(sum(&gateway, "handedOver") > 0, "some came to the fuller shard");
    }

    /// Long connections keep coming while the signal comes: none that was accepted is left without its answer,
    /// also when it was just changing hands.
    fn a_drain_amid_hand_overs_loses_nothing(driver) {
        for shards in [2, 4] {
            let origin = Origin::answering(ok("served"));
            let mut gateway = Gateway::setup(driver, config::api(&origin.url)).shards(shards).start();
            let address = gateway.address;
            let running = Gate::new();
            let crowds: Vec<_> = (0..4)
                .map(|_| {
                    let running = running.clone();
                    std::thread::spawn(move || knock_in_crowds(address, &running))
                })
                .collect();
            running.wait();
            assert!(sum(&gateway, "handedOver") > 0);
            gateway.terminate();
            assert_eq!(gateway.wait_exit().code(), Some(0));
            for crowd in crowds {
                let (served, lost) = crowd.join().expect("a crowd's thread");
                assert!(served > 0 && lost.is_none(), "after {served} served: {lost:?}");
            }
        }
    }

    /// Connections move while they are at work, and the signal comes amid it.
    fn a_drain_amid_moves_loses_nothing(driver) {
        let origin = Origin::answering(ok("served"));
        let mut gateway = Gateway::setup(driver, config::api(&origin.url)).shards(2).start();
        let mut clients = one_after_another(&gateway, 16);
        let homes: Vec<usize> = clients.iter_mut().map(|client| home(&gateway, client)).collect();
        let (busy, quiet): (Vec<_>, Vec<_>) = clients.into_iter().zip(homes).partition(|(_, home)| *home == 0);
        let working = Working::start(busy.into_iter().map(|(client, _)| client));
        eventually("the first has moved", || moved(&gateway)[0] > 0);
        gateway.terminate();
        // A client that is told that its connection ends has lost nothing; one that is cut has.
        working.until_told_to_close();
        for (mut client, _) in quiet {
            let answer = client.get("/");
            assert_eq!((answer.text().as_str(), answer.says_close()), ("served", true));
        }
        assert_eq!(gateway.wait_exit().code(), Some(0));
    }

    fn one_shard_hands_nothing_over(driver) {
        let origin = Origin::answering(ok("served"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut clients: Vec<Client> = (0..8).map(|_| gateway.client()).collect();
        clients.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), "served"));
        assert_eq!((connections(&gateway), sum(&gateway, "handedOver"), moved(&gateway)), (vec![8], 0, vec![0]));
    }
}

/// Opens `count` connections, `rounds` times over, and looks how many each shard serves.
#[track_caller]
fn evenly_spread(driver: crate::support::Driver, shards: usize, count: usize, rounds: usize) {
    let origin = Origin::answering(ok("served"));
    let gateway = Gateway::setup(driver, config::api(&origin.url))
        .shards(shards)
        .start();
    for round in 0..rounds {
        // Settled: the last round waited for its count.
        let before = requests(&gateway);
        let mut clients: Vec<Client> = Vec::new();
        for n in 1..=count {
            let mut client = gateway.client();
            assert_eq!(client.get("/").text(), "served");
            clients.push(client);
            assert_eq!(connections(&gateway).iter().sum::<u64>(), n as u64);
        }
        let spread = connections(&gateway);
        let (least, most) = (count / shards, count.div_ceil(shards));
        let even = spread.iter().all(|n| (least as u64..=most as u64).contains(n));
        assert!(even, "round {round}: {spread:?}");
        // And each serves the requests of those it has.
        for _ in 0..3 {
            clients
                .iter_mut()
                .for_each(|client| assert_eq!(client.get("/").text(), "served"));
        }
        let expected: Vec<u64> = before
            .iter()
            .zip(&spread)
            .map(|(before, n)| before + n * 4)
            .collect();
        eventually("each has served its own", || requests(&gateway) == expected);
        drop(clients);
        eventually("they are gone", || connections(&gateway).iter().sum::<u64>() == 0);
    }
    assert_eq!(sum(&gateway, "accepted"), (count * rounds) as u64);
}

/// Each is served before the next comes, so that chance has no part in where they go: of two that come to two
/// shards in the same instant, each may be placed without regard to the other.
#[track_caller]
fn one_after_another(gateway: &Gateway, count: u64) -> Vec<Client> {
    (1..=count)
        .map(|n| {
            let mut client = gateway.client();
            assert_eq!(client.get("/").text(), "served");
            eventually("it is counted", || sum(gateway, "requests") == n);
            client
        })
        .collect()
}

/// The shard that serves this client, told by who counts its request. Nobody else may be asking.
#[track_caller]
fn home(gateway: &Gateway, client: &mut Client) -> usize {
    let before = requests(gateway);
    assert_eq!(client.get("/").text(), "served");
    // Counted when the exchange is over, which is a moment after its answer is here.
    let mut after = Vec::new();
    eventually("it is counted", || {
        after = requests(gateway);
        after != before
    });
    let changed: Vec<usize> = (0..after.len())
        .filter(|shard| after[*shard] != before[*shard])
        .collect();
    assert_eq!(changed.len(), 1, "{before:?} {after:?}");
    changed[0]
}

/// Connections that ask again as soon as they are answered, each on a thread.
struct Working {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<bool>>,
}

impl Working {
    fn start(clients: impl IntoIterator<Item = Client>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = clients.into_iter().map(|mut client| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Relaxed) {
                    let answer = client.get("/");
                    assert_eq!(answer.text(), "served");
                    if answer.says_close() {
                        return true;
                    }
                }
                false
            })
        });
        let threads = threads.collect();
        Self { stop, threads }
    }

    fn stop(self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads {
            assert!(!thread.join().expect("every request was answered"));
        }
    }

    fn until_told_to_close(self) {
        for thread in self.threads {
            assert!(thread.join().expect("every request was answered"));
        }
    }
}

/// Eight connections at a time, two requests on each, until connecting is refused. How many requests were served,
/// and the first that was not.
fn knock_in_crowds(address: SocketAddr, running: &Gate) -> (usize, Option<String>) {
    let mut served = 0;
    loop {
        let mut crowd = Vec::new();
        let mut refused = false;
        while crowd.len() < 8 && !refused {
            match Client::try_connect(address) {
                Ok(client) => crowd.push(client),
                Err(_) => refused = true,
            }
        }
        for _ in 0..2 {
            let mut index = 0;
            while index < crowd.len() {
                let client = &mut crowd[index];
                let sent = client.wire.try_send(&get_request("/", ""));
                match (sent, client.try_response("GET")) {
                    (Ok(()), Ok(answer)) if answer.status == 200 => {
                        served += 1;
                        if answer.says_close() {
                            crowd.swap_remove(index);
                        } else {
                            index += 1;
                        }
                    }
                    (sent, answer) => {
                        return (
                            served,
                            Some(format!("{sent:?} {:?}", answer.map(|answer| answer.status))),
                        );
                    }
                }
            }
        }
        if served >= 200 {
            running.open();
        }
        if refused {
            return (served, None);
        }
    }
}

fn connections(gateway: &Gateway) -> Vec<u64> {
    column(gateway, "connections")
}

fn requests(gateway: &Gateway) -> Vec<u64> {
    column(gateway, "requests")
}

fn moved(gateway: &Gateway) -> Vec<u64> {
    column(gateway, "moved")
}

fn sum(gateway: &Gateway, name: &str) -> u64 {
    column(gateway, name).iter().sum()
}

/// A number of each shard, as the admin address tells it.
#[track_caller]
fn column(gateway: &Gateway, name: &str) -> Vec<u64> {
    let mut client = Client::connect(gateway.admin);
    let page = client.get("/shards").text();
    let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
    let shards = page["shards"].as_array().expect("a list");
    shards
        .iter()
        .map(|shard| shard[name].as_u64().expect("a number"))
        .collect()
}
