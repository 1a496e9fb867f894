//! Keys, their periods and what they open.

use super::*;

const CONTEXT: [u8; 32] = [7; 32];

fn at(periods: u64) -> SystemTime {
    UNIX_EPOCH + PERIOD * (1000 + periods as u32) + Duration::from_secs(5)
}

fn secret(text: &str) -> TicketSecret {
    TicketSecret::new(&text.repeat(8)).expect("long enough")
}

#[test]
fn a_ticket_lives_for_one_period_and_the_next() {
    for shared in [None, Some(secret("abcd"))] {
        let tickets = Tickets::new(shared.as_ref(), at(0)).expect("keys");
        let ticketer = tickets.ticketer(CONTEXT);
        let ticket = ticketer.encrypt(b"session").expect("a ticket");
        assert_eq!(ticketer.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        tickets.rotate(at(0)).expect("keys");
        assert!(ticketer.decrypt(&ticket).is_some(), "the period has not ended");
        tickets.rotate(at(1)).expect("keys");
        assert_eq!(ticketer.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        let second = ticketer.encrypt(b"second").expect("a ticket");
        tickets.rotate(at(2)).expect("keys");
        assert!(ticketer.decrypt(&ticket).is_none() && ticketer.decrypt(&second).is_some());
        tickets.rotate(at(0)).expect("keys");
        assert!(ticketer.decrypt(&ticket).is_none(), "a clock went back");
        tickets.rotate(at(9)).expect("keys");
        assert!(
            ticketer.decrypt(&second).is_none(),
            "asleep for longer than a period"
        );
    }
}

#[test]
fn replicas_share_by_the_secret_alone() {
    let (one, same) = (secret("abcd"), secret("abcd"));
    let of = |secret: Option<&TicketSecret>, now| Tickets::new(secret, now).expect("keys").ticketer(CONTEXT);
    let ticket = of(Some(&one), at(1)).encrypt(b"x").expect("a ticket");
    for now in [at(0), at(1), at(2)] {
        assert!(
            of(Some(&same), now).decrypt(&ticket).is_some(),
            "clocks differ a little"
        );
    }
    assert!(of(Some(&same), at(3)).decrypt(&ticket).is_none());
    assert!(of(Some(&secret("abce")), at(1)).decrypt(&ticket).is_none());
    assert!(of(None, at(1)).decrypt(&ticket).is_none());
    assert!(TicketSecret::new(&"x".repeat(31)).is_err());
}

#[test]
fn nothing_but_its_own_tickets() {
    let tickets = Tickets::new(None, at(0)).expect("keys");
    let ticketer = tickets.ticketer(CONTEXT);
    let ticket = ticketer.encrypt(b"session").expect("a ticket");
    assert!(
        tickets.ticketer([8; 32]).decrypt(&ticket).is_none(),
        "of other settings"
    );
    for at in 0..ticket.len() {
        let mut changed = ticket.clone();
        changed[at] ^= 1;
        assert!(ticketer.decrypt(&changed).is_none(), "byte {at}");
        assert!(ticketer.decrypt(&ticket[..at]).is_none(), "{at} bytes of it");
    }
    assert_ne!(ticket, ticketer.encrypt(b"session").expect("a ticket"));
}

#[test]
fn the_next_period_is_ahead() {
    for second in [0, 1, PERIOD.as_secs() - 1] {
        let now = UNIX_EPOCH + PERIOD * 3 + Duration::from_secs(second);
        let next = now + Tickets::until_next(now);
        assert_eq!(epoch(next), epoch(now) + 1);
    }
}
