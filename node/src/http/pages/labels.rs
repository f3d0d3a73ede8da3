//! Labels of domain values: a word, a shape and a colour that say the same.

use linli_domain::date::Date;
use linli_domain::events::hazard_reported::HazardGrade;
use linli_domain::events::incident_reported::Severity;
use linli_domain::events::team_checked_in::Readiness;
use linli_domain::limits::EXPIRING_DAYS;
use linli_domain::state::StateWord;
use maud::{Markup, html};

use super::layout::tag;
use crate::words::{Lang, Word};

/// A row's label: colour class and text.
pub(crate) type Label = (&'static str, String);

/// How grave.
pub(crate) fn severity_label(lang: Lang, severity: Severity) -> Label {
    let class = match severity {
        Severity::I => "red",
        Severity::II => "orange",
        Severity::III => "amber",
        Severity::IV => "blue",
    };
    (class, lang.of(severity.zh(), severity.en()).to_owned())
}

/// How grave, as a tag.
pub(crate) fn severity(lang: Lang, severity: Severity) -> Markup {
    let (class, text) = severity_label(lang, severity);
    tag(class, &text)
}

/// How grave a hazard is.
pub(crate) fn grade_label(lang: Lang, grade: HazardGrade) -> Label {
    let class = match grade {
        HazardGrade::Major => "red",
        HazardGrade::General => "amber",
    };
    (class, lang.of(grade.zh(), grade.en()).to_owned())
}

/// The same as a tag.
pub(crate) fn grade(lang: Lang, grade: HazardGrade) -> Markup {
    let (class, text) = grade_label(lang, grade);
    tag(class, &text)
}

/// Where a record stands.
pub(crate) fn state_label(lang: Lang, word: StateWord) -> Label {
    let class = match word {
        StateWord::Reported | StateWord::Collected => "orange",
        StateWord::Reopened => "red",
        StateWord::Active | StateWord::Deployed | StateWord::Dispatched | StateWord::Handled | StateWord::Draft => {
            "amber"
        }
        StateWord::Verified | StateWord::Filed | StateWord::Answered | StateWord::Approved | StateWord::Standby => {
            "blue"
        }
        StateWord::Issued | StateWord::Revising | StateWord::RevisionApproved => "green",
        StateWord::Expired => "amber",
        StateWord::Unknown => "unknown",
        StateWord::Closed
        | StateWord::CheckedAndClosed
        | StateWord::Superseded
        | StateWord::Listed
        | StateWord::Surveyed => "",
    };
    (class, lang.of(word.zh(), word.en()).to_owned())
}

/// How ready a team says it is.
pub(crate) fn readiness_label(lang: Lang, readiness: Readiness) -> Label {
    let (class, word) = match readiness {
        Readiness::Ready => ("blue", Word::ReadinessReady),
        Readiness::Limited => ("amber", Word::ReadinessLimited),
        Readiness::Unavailable => ("red", Word::ReadinessUnavailable),
    };
    (class, lang.t(word).to_owned())
}

/// How ready, as a tag.
pub(crate) fn readiness(lang: Lang, readiness: Readiness) -> Markup {
    let (class, text) = readiness_label(lang, readiness);
    tag(class, &text)
}

/// Whether a day is past or near. Nothing is said of a day far off.
pub(crate) fn expiry_label(lang: Lang, day: Date, today: Date) -> Option<Label> {
    match day.days_since(today) {
        ..0 => Some(("red", lang.t(Word::Expired).to_owned())),
        left @ 0..=EXPIRING_DAYS => Some(("amber", lang.fill(Word::DaysLeft, &[&left]))),
        _ => None,
    }
}

/// The same as a tag.
pub(crate) fn expiry(lang: Lang, day: Date, today: Date) -> Markup {
    match expiry_label(lang, day, today) {
        Some((class, text)) => tag(class, &text),
        None => html! {},
    }
}

/// A movement's verb.
pub(crate) fn movement(lang: Lang, kind: &str) -> String {
    let info = linli_domain::events::kind_info(linli_core::id::Stream::SUPPLIES, kind);
    info.map_or_else(|| kind.to_owned(), |info| lang.of(info.zh, info.en).to_owned())
}

/// A movement's quantity with its sign; a count is a quantity, not a change.
pub(crate) fn signed(kind: &str, quantity: i64) -> String {
    if kind == "counted" { format!("= {quantity}") } else { format!("{quantity:+}") }
}

/// The label of a key of a profile; keys that the catalogue does not know are shown as they are.
pub(crate) fn profile_key(lang: Lang, key: &str) -> String {
    let word = match key {
        "name" => Word::Name,
        "address" => Word::Address,
        "kind" => Word::KindLabel,
        "service_radius_m" => Word::RadiusMetres,
        "keeper" => Word::Keeper,
        "team_kind" => Word::TeamKind,
        "lead" => Word::TeamLead,
        "role" => Word::Role,
        "minimums" => Word::Minimum,
        "quantity" => Word::Quantity,
        "unit" => Word::Unit,
        "roster" => Word::Roster,
        "kit" => Word::Kit,
        "lat_e7" => Word::Latitude,
        "lon_e7" => Word::Longitude,
        "members" => Word::People,
        "assignee" => Word::Assignee,
        "transfer" => Word::TransferNumber,
        "reference" => Word::ImportReference,
        "change" => Word::TextChange,
        "heads" => Word::TextVersion,
        "phone" => Word::Telephone,
        "post" => Word::Post,
        "building" => Word::BuildingNumber,
        "households" => Word::Households,
        "residents" => Word::Residents,
        "conflict" => Word::Conflict,
        _ => return key.to_owned(),
    };
    lang.t(word).to_owned()
}
