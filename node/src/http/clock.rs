//! Times as pages show them: the wall clock of China, UTC+8 without daylight saving.

use maud::{Markup, html};

const ZONE_MS: u64 = 8 * 3_600_000;
/// The same in minutes, for calendar days.
pub(crate) const ZONE_MINUTES: i64 = 8 * 60;
const DAY_MS: u64 = 86_400_000;

/// Unix milliseconds now. A clock before 1970 reads as 1970.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Year, month and day of a count of days since 1970-01-01, after Hinnant's `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// `2026-11-24 14:05`.
pub(crate) fn minute(unix_ms: u64) -> String {
    // Times past the year 10889 do not occur in events; the bound keeps hostile ones from overflowing.
    let local = unix_ms.min(1 << 48) + ZONE_MS;
    let (year, month, day) = civil(local / DAY_MS);
    let minutes = local % DAY_MS / 60_000;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

/// `14:05` for today, else `11-23 14:05`, else with the year.
pub(crate) fn short(unix_ms: u64, now_ms: u64) -> String {
    let (full, now) = (minute(unix_ms), minute(now_ms));
    match full {
        _ if full[..10] == now[..10] => full[11..].to_owned(),
        _ if full[..4] == now[..4] => full[5..].to_owned(),
        _ => full,
    }
}

/// A `<time>` with the short text and the exact moment.
pub(crate) fn time(unix_ms: u64, now_ms: u64) -> Markup {
    let exact = minute(unix_ms);
    let machine = format!("{}+08:00", exact.replace(' ', "T"));
    html! { time datetime=(machine) title=(exact) { (short(unix_ms, now_ms)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_wall_clock_in_china() {
        assert_eq!(minute(0), "1970-01-01 08:00");
        assert_eq!(minute(951_782_399_000), "2000-02-29 07:59");
        let now = 1_795_500_300_000;
        assert_eq!(minute(now), "2026-11-24 14:05");
        assert_eq!(short(now - 60_000, now), "14:04");
        assert_eq!(short(now - DAY_MS, now), "11-23 14:05");
        assert_eq!(short(now - 365 * DAY_MS, now), "2025-11-24 14:05");
        assert!(!minute(u64::MAX).is_empty());
    }
}
