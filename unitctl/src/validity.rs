//! Dates of certificates as the API writes them, `Nov 21 04:47:35 2026 GMT`.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const DAY_S: i64 = 86_400;

/// The moment a date names, in seconds since 1970.
pub(crate) fn parse(date: &str) -> Option<i64> {
    let mut words = date.split_whitespace();
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let day: i64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let year: i64 = words.next()?.parse().ok().filter(|year| (0..=9999).contains(year))?;
    let sensible =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    if words.next() != Some("GMT") || words.next().is_some() || time.next().is_some() || !sensible {
        return None;
    }
    let days = days_before(year, i64::try_from(month).ok()? + 1) + day - 1;
    Some(days * DAY_S + hour * 3600 + minute * 60 + second)
}

/// Whole days from `now` to a moment; negative when it is over.
pub(crate) fn days_left(until: i64, now: i64) -> i64 {
    (until - now).div_euclid(DAY_S)
}

/// The present, in seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Days from 1970 to the first of a month, in the calendar that goes on for ever. Years are counted
/// from March, so that a leap day is the last one of its year.
fn days_before(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let months_from_march = (month + 9) % 12;
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * months_from_march + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_become_moments() {
        for (date, moment) in [
            ("Jan  1 00:00:00 1970 GMT", 0),
            ("Nov 21 04:47:35 2026 GMT", 1_795_236_455),
            ("Feb 29 12:00:00 2024 GMT", 1_709_208_000),
            ("Dec 31 23:59:59 1999 GMT", 946_684_799),
        ] {
            assert_eq!(parse(date), Some(moment), "{date}");
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        for date in [
            "",
            "Nov 21 04:47:35 2026",
            "Nov 21 04:47:35 2026 CET",
            "Foo 21 04:47:35 2026 GMT",
            "Nov 32 04:47:35 2026 GMT",
            "Nov 21 24:47:35 2026 GMT",
            "Nov 21 04:47 2026 GMT",
            "Nov 21 04:47:35 99999999999999999999 GMT",
        ] {
            assert_eq!(parse(date), None, "{date}");
        }
    }

    #[test]
    fn an_expired_certificate_has_less_than_no_days_left() {
        assert_eq!(days_left(10 * DAY_S + 5, 0), 10);
        assert_eq!(days_left(-1, 0), -1);
    }
}
