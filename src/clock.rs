//! Time as a value: read once per turn of a shard's event loop, then only looked at.
//!
//! A request asks for the time in several places (deadlines, `Date`, the record). Reading a `Cell` costs
//! nothing beside a `clock_gettime` each; the price is that everything within one turn shares one time.
//! The error is the length of the turn, microseconds to a few milliseconds, far below any limit we keep.

use std::{
    cell::Cell,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Milliseconds since the process first asked for a clock; monotonic, and comparable between shards.
pub type Tick = u64;

/// A time limit in ticks; one that is longer than anything lasts stays so.
#[must_use]
pub fn millis(duration: Duration) -> Tick {
    u64::try_from(duration.as_millis()).unwrap_or(Tick::MAX / 2)
}

/// One shard's clock. Not `Sync`, and made on the thread that uses it.
pub struct Clock {
    /// None: a clock set by hand, for tests and benches.
    origin: Option<Instant>,
    /// Microseconds since the origin.
    micros: Cell<u64>,
    /// Milliseconds to add to the monotonic time to get the wall clock's; taken anew every second, so that
    /// a stepped wall clock is followed within one.
    unix_offset: Cell<i64>,
    /// The second `date` stands for.
    date_second: Cell<u64>,
    date: Cell<HttpDate>,
}

/// An IMF-fixdate (RFC 9110 §5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub type HttpDate = [u8; 29];

impl Clock {
    #[must_use]
    pub fn new() -> Self {
        Self::start(Some(*ORIGIN.get_or_init(Instant::now)), wall_clock())
    }

    /// A clock that stands still at `unix_millis` and tick 0 until [`advance`](Self::advance) moves it.
    #[must_use]
    pub fn manual(unix_millis: u64) -> Self {
        Self::start(None, unix_millis)
    }

    fn start(origin: Option<Instant>, unix_millis: u64) -> Self {
        let micros = origin.map_or(0, micros_since);
        Self {
            origin,
            micros: Cell::new(micros),
            unix_offset: Cell::new(unix_millis.cast_signed() - (micros / 1000).cast_signed()),
            date_second: Cell::new(unix_millis / 1000),
            date: Cell::new(http_date(unix_millis / 1000)),
        }
    }

    /// Once per turn of the event loop: one `clock_gettime`, a second one when the second changes.
    pub fn refresh(&self) {
        let Some(origin) = self.origin else { return };
        self.micros.set(micros_since(origin));
        if self.unix_millis() / 1000 != self.date_second.get() {
            self.unix_offset
                .set(wall_clock().cast_signed() - self.now().cast_signed());
            self.follow();
        }
    }

    /// Moves a manual clock; the wall clock goes along.
    pub fn advance(&self, by: Duration) {
        debug_assert!(self.origin.is_none(), "only a manual clock is moved by hand");
        self.micros.set(self.micros.get() + micros_of(by));
        self.follow();
    }

    /// The time of this turn, in milliseconds.
    pub fn now(&self) -> Tick {
        self.micros.get() / 1000
    }

    /// The time of this turn on the same scale, in microseconds.
    pub fn micros(&self) -> u64 {
        self.micros.get()
    }

    /// The wall clock at this turn, in milliseconds since 1970 UTC. May step backwards; for saying when
    /// something happened, never for measuring.
    pub fn unix_millis(&self) -> u64 {
        self.now().checked_add_signed(self.unix_offset.get()).unwrap_or(0)
    }

    /// What `Date` says now; formatted once a second.
    pub fn http_date(&self) -> HttpDate {
        self.date.get()
    }

    fn follow(&self) {
        let second = self.unix_millis() / 1000;
        if second != self.date_second.replace(second) {
            self.date.set(http_date(second));
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// A moment of UTC in the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: u64,
    /// 1..=12
    pub month: u8,
    /// 1..=31
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    /// 0 is Sunday.
    pub weekday: u8,
}

impl Civil {
    /// From seconds since 1970, without leap seconds, as POSIX counts.
    ///
    /// The year is counted from 1 March, so that the leap day is its last and the lengths of months follow
    /// one linear rule; whole 400-year periods (146,097 days) are taken out first.
    #[must_use]
    pub const fn from_unix(seconds: u64) -> Self {
        let days = seconds / 86_400;
        let of_day = seconds % 86_400;

        let since_march_0000 = days + 719_468;
        let period = since_march_0000 / 146_097;
        let day_of_period = since_march_0000 % 146_097;
        let year_of_period =
            (day_of_period - day_of_period / 1_460 + day_of_period / 36_524 - day_of_period / 146_096) / 365;
        let day_of_year = day_of_period - (365 * year_of_period + year_of_period / 4 - year_of_period / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let after_new_year = month_from_march >= 10;
        Self {
            year: period * 400 + year_of_period + after_new_year as u64,
            month: (if after_new_year {
                month_from_march - 9
            } else {
                month_from_march + 3
            }) as u8,
            day: (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8,
            hour: (of_day / 3_600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
            weekday: ((days + 4) % 7) as u8,
        }
    }
}

/// The IMF-fixdate of a second since 1970. Years past 9999 do not fit the format and are cut to 9999.
#[must_use]
pub fn http_date(unix_seconds: u64) -> HttpDate {
    let time = Civil::from_unix(unix_seconds);
    let mut date = *b"Sun, 00 Jan 0000 00:00:00 GMT";
    date[..3].copy_from_slice(WEEKDAYS[time.weekday as usize]);
    two_digits(&mut date[5..7], time.day);
    date[8..11].copy_from_slice(MONTHS[time.month as usize - 1]);
    let year = time.year.min(9999);
    two_digits(&mut date[12..14], (year / 100) as u8);
    two_digits(&mut date[14..16], (year % 100) as u8);
    two_digits(&mut date[17..19], time.hour);
    two_digits(&mut date[20..22], time.minute);
    two_digits(&mut date[23..25], time.second);
    date
}

fn two_digits(into: &mut [u8], number: u8) {
    into[0] = b'0' + number / 10;
    into[1] = b'0' + number % 10;
}

fn micros_since(origin: Instant) -> u64 {
    micros_of(origin.elapsed())
}

fn micros_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Zero for a wall clock set before 1970.
fn wall_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// One origin for the process, so that ticks of different shards can be compared. Touched only where a clock
/// is made.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

#[cfg(test)]
mod tests;
