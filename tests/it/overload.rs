//! More than there is room for: slow clients by the thousand, no descriptor left.

use crate::support::{
    Client, Gateway, Origin, both_drivers, config, eventually,
    message::{get_request, ok},
    os, say, trouble,
};

both_drivers! {
    fn a_thousand_half_open_requests_do_not_stop_the_next(driver) {
        os::raise_own_descriptor_limit();
        let origin = Origin::answering(ok("served"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let slow = trouble::HalfOpen::new(gateway.address, 1000);
        for _ in 0..20 {
            assert_eq!(gateway.get("/").text(), "served");
        }
        drop(slow);
    }

    fn half_open_requests_are_cleared_away(driver) {
        os::raise_own_descriptor_limit();
        let origin = Origin::answering(ok(""));
        let yaml = config::api(&origin.url) + &config::configuration("limits", "headTimeoutSeconds: 1");
        let gateway = Gateway::start(driver, yaml);
        let slow = trouble::HalfOpen::new(gateway.address, 200);
        assert!(slow.outcomes().iter().all(|status| *status == Some(408)));
        eventually("their descriptors are given back", || gateway.descriptors() < 100);
    }

    fn clients_that_reset_leave_nothing_behind(driver) {
        let origin = Origin::answering(ok("served"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        assert_eq!(gateway.get("/").text(), "served");
        let before = gateway.descriptors();
        for n in 0..200 {
            let whole = get_request("/reset", "");
            trouble::reset_after(gateway.address, &whole[..whole.len().min(1 + n % (whole.len() + 10))]);
        }
        assert_eq!(gateway.get("/").text(), "served");
        eventually("their descriptors are given back", || gateway.descriptors() <= before + 8);
    }

    /// EMFILE: those inside are served on, accepting pauses without burning a CPU, and resumes.
    fn running_out_of_descriptors_is_survived(driver) {
        let origin = Origin::answering(ok("served"));
        let gateway = Gateway::setup(driver, config::api(&origin.url)).descriptors(100).start();
        let mut inside = gateway.client();
        assert_eq!(inside.get("/").text(), "served");
        let crowd: Vec<_> = (0..150).filter_map(|_| Client::try_connect(gateway.address).ok()).collect();
        eventually("the crowd is taken in as far as it goes", || gateway.descriptors() >= 80);
        assert_eq!(inside.get("/").text(), "served", "those inside are served on");
        drop(crowd);
        eventually("a newcomer is served", || {
            Client::try_connect(gateway.address).is_ok_and(|mut client| {
                client.wire.try_send(&get_request("/", "")).is_ok() && client.try_response("GET").is_ok()
            })
        });
    }

    /// What one waiting connection costs. The bound is loose; the figure is printed for the record.
    fn a_waiting_connection_is_small(driver) {
        const CONNECTIONS: u64 = 5_000;
        if os::raise_own_descriptor_limit() < 2 * CONNECTIONS + 500 {
            return crate::support::skipped("the descriptor limit is too low for 5,000 connections");
        }
        let origin = Origin::answering(ok("x"));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let mut idle: Vec<Client> = (0..50).map(|_| gateway.client()).collect();
        idle.iter_mut().for_each(|client| assert_eq!(client.get("/").text(), "x"));
        let before = gateway.rss();
        for _ in 0..CONNECTIONS {
            let mut client = gateway.client();
            assert_eq!(client.get("/").text(), "x");
            idle.push(client);
        }
        let each = gateway.rss().saturating_sub(before) / CONNECTIONS;
        say(&format!("{CONNECTIONS} idle connections on {}: {each} bytes of memory each", driver.name()));
        assert!(each <= 4096, "{each} bytes a connection");
    }

    /// Reading a head byte by byte costs CPU in proportion to the bytes, not to their square.
    fn a_dripped_head_costs_linear_time(driver) {
        let origin = Origin::answering(ok(""));
        let gateway = Gateway::start(driver, config::api(&origin.url));
        let cost = |bytes: usize| {
            let before = gateway.cpu_ticks();
            let mut client = gateway.client();
            client.drip(get_request("/", &format!("X-Fill: {}\r\n", "a".repeat(bytes))));
            assert_eq!(client.response().status, 200);
            gateway.cpu_ticks() - before
        };
        let (short, long) = (cost(5_000), cost(50_000));
        // Linear is 10, quadratic 100; the ticks of a short run are coarse, hence the constant.
        assert!(long <= 30 * short + 30, "{short} ticks for 5,000 bytes, {long} for 50,000");
    }
}
