//! Teams on the desk, by what can be asked of them now. A team that has not checked in is unknown, whatever its
//! certificates say.

use std::collections::BTreeMap;

use linli_core::id::RecordId;
use linli_domain::desk::{Desk, TeamLine};
use linli_domain::summary::Summary;
use maud::{Markup, html};

use super::layout::{tag, when_empty};
use super::rows::{Row, list};
use super::summaries::heading;
use crate::status::AsOf;
use crate::words::{Lang, Word};

/// Teams in the same situation.
struct Group<'d> {
    key: &'static str,
    word: Word,
    class: &'static str,
    teams: Vec<&'d TeamLine>,
}

/// The card. Groups that nobody looks through in a hurry are folded; their number is not.
pub(crate) fn section(lang: Lang, desk: &Desk, summaries: &[Summary], as_of: &AsOf) -> Markup {
    let known: BTreeMap<RecordId, &Summary> = summaries.iter().map(|summary| (summary.id, summary)).collect();
    let groups: Vec<Group<'_>> = groups(desk).into_iter().filter(|group| !group.teams.is_empty()).collect();
    let total: usize = groups.iter().map(|group| group.teams.len()).sum();
    html! {
        section.card data-live="teams" aria-labelledby="h-teams" {
            div.card-head {
                h2 #h-teams tabindex="-1" { (lang.t(Word::TeamsByReadiness)) @if total > 0 { " " span.count { (total) } } }
                @if total == 0 { p.empty { (lang.t(when_empty(as_of, Word::NoTeams))) } }
            }
            @for group in &groups {
                details.fold-out id={ "teams-" (group.key) } open[matches!(group.key, "deployed" | "ready")] {
                    summary { (tag(group.class, lang.t(group.word))) " " span.count { (group.teams.len()) } }
                    div.inside { (list(lang, &rows(lang, group, &known), as_of.now_ms)) }
                }
            }
        }
    }
}

fn groups(desk: &Desk) -> [Group<'_>; 5] {
    let teams = &desk.teams;
    let (ready, ready_unknown): (Vec<_>, Vec<_>) = teams.ready.iter().partition(|line| line.readiness.is_some());
    let (limited, limited_unknown): (Vec<_>, Vec<_>) = teams.limited.iter().partition(|line| line.readiness.is_some());
    let unknown = ready_unknown.into_iter().chain(limited_unknown).collect();
    [
        Group { key: "deployed", word: Word::TeamDeployed, class: "amber", teams: teams.deployed.iter().collect() },
        Group { key: "ready", word: Word::TeamReady, class: "blue", teams: ready },
        Group { key: "limited", word: Word::TeamLimited, class: "orange", teams: limited },
        Group { key: "unknown", word: Word::NotCheckedIn, class: "unknown", teams: unknown },
        Group {
            key: "unavailable",
            word: Word::TeamUnavailable,
            class: "red",
            teams: teams.unavailable.iter().collect(),
        },
    ]
}

fn rows(lang: Lang, group: &Group<'_>, known: &BTreeMap<RecordId, &Summary>) -> Vec<Row> {
    let title = |incident: &RecordId| {
        known.get(incident).map_or_else(|| incident.to_string(), |summary| heading(lang, summary))
    };
    let row = |line: &&TeamLine| {
        let mut parts: Vec<String> = line.deployed.iter().chain(&line.assigned).map(title).collect();
        parts.push(lang.fill(Word::CertifiedPeople, &[&line.certified]));
        Row {
            href: Some(format!("/records/{}", line.team)),
            title: line.name.clone(),
            detail: parts.join(" · "),
            tags: vec![],
            at: known.get(&line.team).map(|summary| (Word::UpdatedAt, summary.last_ms)),
        }
    };
    group.teams.iter().map(row).collect()
}
