//! A record's summary as a row of a list.

use linli_domain::date::Date;
use linli_domain::state::StateWord;
use linli_domain::summary::{Detail, Summary};

use super::labels;
use super::rows::Row;
use crate::words::{Lang, Word};

/// What people call a record; its kind and the end of its id while nothing was said yet.
pub(crate) fn heading(lang: Lang, summary: &Summary) -> String {
    match summary.title.is_empty() {
        true => format!("{} {}", lang.of(summary.kind.zh(), summary.kind.en()), &summary.id.to_string()[28..]),
        false => summary.title.clone(),
    }
}

/// The row of a record.
pub(crate) fn row(lang: Lang, summary: &Summary, today: Date) -> Row {
    let mut tags = vec![];
    if !summary.conflicts_open.is_empty() {
        tags.push(("red", lang.t(Word::Conflict).to_owned()));
    }
    let detail = describe(lang, &summary.detail, today, &mut tags);
    // A register's entry is simply there; saying so on every line would hide what differs. A team that is not out is as
    // ready as it last said, which stands before.
    if !matches!(summary.state, StateWord::Listed | StateWord::Surveyed | StateWord::Standby) {
        tags.push(labels::state_label(lang, summary.state_on(today)));
    }
    if summary.outside > 0 {
        tags.push(("orange", lang.fill(Word::ActsFromOutside, &[&summary.outside])));
    }
    if summary.incomplete > 0 {
        tags.push(("unknown", lang.t(Word::Incomplete).to_owned()));
    }
    Row {
        href: Some(format!("/records/{}", summary.id)),
        title: heading(lang, summary),
        detail,
        tags,
        at: Some((Word::UpdatedAt, summary.last_ms)),
    }
}

fn describe(lang: Lang, detail: &Detail, today: Date, tags: &mut Vec<labels::Label>) -> String {
    match detail {
        Detail::Incident { severity, .. } => {
            tags.extend(severity.map(|severity| labels::severity_label(lang, severity)));
            String::new()
        }
        Detail::Hazard { grade, due, open, .. } => {
            tags.extend(grade.map(|grade| labels::grade_label(lang, grade)));
            if *open && due.is_some_and(|due| due < today) {
                tags.push(("red", lang.t(Word::Overdue).to_owned()));
            }
            due.map(|due| format!("{} {due}", lang.t(Word::Due))).unwrap_or_default()
        }
        Detail::Team { certified_until, readiness, members, .. } => {
            tags.push(match readiness {
                Some(readiness) => labels::readiness_label(lang, *readiness),
                None => ("unknown", lang.t(Word::NotCheckedIn).to_owned()),
            });
            let valid = certified_until.iter().filter(|day| **day >= today).count();
            let certificates = lang.fill(Word::CertifiedPeople, &[&valid]);
            match members {
                0 => certificates,
                n => format!("{certificates} · {}", lang.fill(Word::Members, &[n])),
            }
        }
        Detail::SupplyPoint { stock, .. } => {
            let short = stock.iter().filter(|line| line.balance < line.minimum.unwrap_or(0)).count();
            if short > 0 {
                tags.push(("orange", lang.fill(Word::ItemsShort, &[&short])));
            }
            lang.fill(Word::ItemKinds, &[&stock.len()])
        }
        Detail::Plan { tier, scope, valid_to, to_be_read } => {
            if *to_be_read > 0 {
                tags.push(("orange", lang.t(Word::LinesToRead).to_owned()));
            }
            tags.extend(valid_to.and_then(|day| labels::expiry_label(lang, day, today)));
            let tier = tier.map(|tier| lang.of(tier.zh(), tier.en())).unwrap_or_default();
            format!("{tier} {scope}")
        }
        Detail::Building { households, residents, position } => {
            if position.is_none() {
                tags.push(("unknown", lang.t(Word::NoPosition).to_owned()));
            }
            lang.fill(Word::HouseholdsResidents, &[households, residents])
        }
        Detail::Contact { scope, .. } => scope.as_ref().map(ToString::to_string).unwrap_or_default(),
        Detail::Unknown => String::new(),
    }
}
