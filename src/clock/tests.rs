use super::*;

fn date(unix_seconds: u64) -> String {
    String::from_utf8(http_date(unix_seconds).to_vec()).unwrap()
}

#[test]
fn the_example_of_rfc_9110_and_the_epoch() {
    assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

#[test]
fn leap_years_and_their_neighbours() {
    assert_eq!(date(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
    assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
    assert_eq!(date(951_868_800), "Wed, 01 Mar 2000 00:00:00 GMT");
    assert_eq!(date(1_709_164_800), "Thu, 29 Feb 2024 00:00:00 GMT");
    assert_eq!(date(1_735_689_599), "Tue, 31 Dec 2024 23:59:59 GMT");
    // 2100 is divisible by 100 and not by 400: its February has 28 days.
    assert_eq!(date(4_107_542_399), "Sun, 28 Feb 2100 23:59:59 GMT");
    assert_eq!(date(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
}

/// Counts the calendar up day by day with the rule as everyone knows it, and compares 500 years of it.
#[test]
fn every_day_follows_the_one_before() {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut month, mut day) = (1970, 1, 1);
    for days in 0..182_622_u64 {
        let civil = Civil::from_unix(days * 86_400 + 86_399);
        assert_eq!(
            (civil.year, civil.month, civil.day),
            (year, month, day),
            "day {days}"
        );
        assert_eq!((civil.hour, civil.minute, civil.second), (23, 59, 59));
        assert_eq!(u64::from(civil.weekday), (days + 4) % 7);
        let length = match month {
            2 if leap(year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        day += 1;
        if day > length {
            day = 1;
            month += 1;
        }
        if month > 12 {
            month = 1;
            year += 1;
        }
    }
    assert_eq!((year, month, day), (2470, 1, 1));
}

#[test]
fn years_past_four_digits_keep_the_format() {
    assert_eq!(&date(u64::MAX / 2)[12..16], "9999");
}

#[test]
fn a_manual_clock_moves_ticks_wall_clock_and_date_together() {
    let clock = Clock::manual(784_111_777_250);
    assert_eq!(
        (clock.now(), clock.micros(), clock.unix_millis()),
        (0, 0, 784_111_777_250)
    );
    assert_eq!(&clock.http_date(), b"Sun, 06 Nov 1994 08:49:37 GMT");

    clock.advance(Duration::from_micros(749_999));
    assert_eq!(
        (clock.now(), clock.micros(), clock.unix_millis()),
        (749, 749_999, 784_111_777_999)
    );
    assert_eq!(&clock.http_date(), b"Sun, 06 Nov 1994 08:49:37 GMT");

    clock.advance(Duration::from_micros(1));
    assert_eq!((clock.now(), clock.unix_millis()), (750, 784_111_778_000));
    assert_eq!(&clock.http_date(), b"Sun, 06 Nov 1994 08:49:38 GMT");

    clock.refresh();
    assert_eq!(clock.now(), 750, "a manual clock does not run by itself");
}

#[test]
fn a_real_clock_stands_still_between_refreshes_and_agrees_with_the_system() {
    let (before, clock) = (wall_clock(), Clock::new());
    let first = clock.micros();
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(3) {
        assert_eq!(clock.micros(), first);
    }
    clock.refresh();
    assert!(clock.micros() >= first + 3_000);
    assert!(clock.unix_millis() >= before + 2 && clock.unix_millis() <= wall_clock() + 1_000);
    assert_eq!(clock.http_date(), http_date(clock.unix_millis() / 1000));
}

#[test]
fn clocks_of_two_shards_share_their_origin() {
    let first = Clock::new();
    let second = std::thread::spawn(|| Clock::new().micros()).join().unwrap();
    assert!(second >= first.micros() && second - first.micros() < 60_000_000);
}
