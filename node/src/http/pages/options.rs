//! What the choices of a form are, from what this node knows.

use std::collections::BTreeMap;

use linli_core::id::RecordId;
use linli_domain::commands::{Act, may};
use linli_domain::desk::TransitLine;
use linli_domain::state::{RecordKind, State};
use linli_domain::summary::{Detail, Summary};

use super::labels;
use super::summaries::heading;
use crate::http::catalogue::first_of;
use crate::http::forms::{BIN_SEPARATOR, Form, Kind, Source};
use crate::http::input::Fields;
use crate::node::{Node, today};
use crate::words::{Lang, Word};

/// Choices by source: value and label.
#[derive(Default)]
pub(crate) struct Options(BTreeMap<Source, Vec<(String, String)>>);

impl Options {
    /// Reads what the given forms offer. `about` holds the record that a form is about, if one is known.
    pub(crate) fn gather(node: &Node, lang: Lang, forms: &[&Form], about: &Fields) -> Self {
        let in_fields = forms.iter().flat_map(|form| form.fields).filter_map(|field| match field.kind {
            Kind::Among(source) => Some(source),
            _ => None,
        });
        let first = forms.iter().filter_map(|form| first_of(form)).filter(|first| about.text(first.name).is_empty());
        let first = first.map(|first| first.source);
        let mut wanted: Vec<Source> = in_fields.chain(first).collect();
        wanted.sort();
        wanted.dedup();
        if wanted.is_empty() {
            return Self::default();
        }
        let all = node.summaries();
        let itself = itself(forms, about);
        let offered = |source| {
            let mut found = choices(node, lang, source, &all, about);
            if matches!(source, Source::SupplyPoints | Source::Incidents) {
                found.retain(|(id, _)| !itself.contains(id));
            }
            (source, found)
        };
        Self(wanted.into_iter().map(offered).collect())
    }

    /// The records that an act may be chosen for: where it has its steps, only those that allow it as they stand.
    pub(crate) fn allowing(&self, node: &Node, act: &str, source: Source) -> Vec<(String, String)> {
        let mut found = self.of(source);
        let stepwise = matches!(source, Source::Plans | Source::Hazards | Source::ClosedHazards | Source::Teams);
        if let Some(act) = Act::named(act).filter(|_| stepwise) {
            let view = |id: &str| id.parse().ok().and_then(|id| node.view(&id).ok().flatten());
            found.retain(|(id, _)| view(id).is_some_and(|view| may(act, &view).is_ok()));
        }
        found
    }

    /// The choices of a source.
    pub(crate) fn of(&self, source: Source) -> Vec<(String, String)> {
        self.0.get(&source).cloned().unwrap_or_default()
    }
}

/// The records that the forms are about: nothing is sent to where it is, and nothing is a duplicate of itself.
fn itself(forms: &[&Form], about: &Fields) -> Vec<String> {
    let fixed = forms.iter().flat_map(|form| form.fixed).filter(|name| matches!(**name, "point" | "incident"));
    fixed.map(|name| about.text(name).to_owned()).filter(|id| !id.is_empty()).collect()
}

fn choices(node: &Node, lang: Lang, source: Source, all: &[Summary], about: &Fields) -> Vec<(String, String)> {
    let named = |summary: &Summary| (summary.id.to_string(), heading(lang, summary));
    // Nothing is its own duplicate, its own successor or the other end of its own transfer.
    let own = match source {
        Source::SupplyPoints => about.text("point"),
        Source::Plans => about.text("plan"),
        Source::Incidents => about.text("incident"),
        _ => "",
    };
    let of_kind = |kind: RecordKind| {
        let others = all.iter().filter(|summary| summary.kind == kind).map(named).filter(|(id, _)| id != own);
        let mut found: Vec<_> = others.collect();
        found.sort_by(|a, b| a.1.cmp(&b.1));
        found
    };
    match source {
        Source::SupplyPoints => of_kind(RecordKind::SupplyPoint),
        Source::Teams => {
            let mut found: Vec<_> = all.iter().filter(|summary| summary.kind == RecordKind::Team).collect();
            found.sort_by(|a, b| a.title.cmp(&b.title));
            found.into_iter().map(|summary| (summary.id.to_string(), team(lang, summary))).collect()
        }
        Source::Plans => of_kind(RecordKind::Plan),
        Source::Incidents => {
            let mut open = latest(lang, all, |detail| matches!(detail, Detail::Incident { open: true, .. }));
            open.retain(|(id, _)| id != own);
            open
        }
        Source::ClosedIncidents => latest(lang, all, |detail| matches!(detail, Detail::Incident { open: false, .. })),
        Source::Hazards => latest(lang, all, |detail| matches!(detail, Detail::Hazard { open: true, .. })),
        Source::ClosedHazards => latest(lang, all, |detail| matches!(detail, Detail::Hazard { open: false, .. })),
        Source::Deployments => about.text("team").parse().map(|team| deployments(lang, all, &team)).unwrap_or_default(),
        Source::Items => about.text("point").parse().map(|point| items(all, &point)).unwrap_or_default(),
        Source::Transits => about.text("point").parse().map(|point| transits(node, &point)).unwrap_or_default(),
        Source::Bins => about.text("point").parse().map(|point| bins(node, lang, &point)).unwrap_or_default(),
        Source::Sides => vec![],
    }
}

/// What happened last is what people look for.
fn latest(lang: Lang, all: &[Summary], wanted: impl Fn(&Detail) -> bool) -> Vec<(String, String)> {
    let mut found: Vec<&Summary> = all.iter().filter(|summary| wanted(&summary.detail)).collect();
    found.sort_by_key(|summary| std::cmp::Reverse(summary.last_ms));
    found.into_iter().map(|summary| (summary.id.to_string(), heading(lang, summary))).collect()
}

/// A team with what can be asked of it.
fn team(lang: Lang, summary: &Summary) -> String {
    let name = heading(lang, summary);
    let Detail::Team { deployed, readiness, .. } = &summary.detail else { return name };
    let state = match readiness {
        _ if !deployed.is_empty() => lang.t(Word::TeamDeployed).to_owned(),
        Some(readiness) => labels::readiness_label(lang, *readiness).1,
        None => lang.t(Word::NotCheckedIn).to_owned(),
    };
    format!("{name} · {state}")
}

/// The incidents that a team is deployed to.
fn deployments(lang: Lang, all: &[Summary], team: &RecordId) -> Vec<(String, String)> {
    let of_team = all.iter().filter(|summary| summary.id == *team).filter_map(|summary| match &summary.detail {
        Detail::Team { deployed, .. } => Some(deployed),
        _ => None,
    });
    let title = |incident: &RecordId| {
        let known = all.iter().find(|summary| summary.id == *incident);
        known.map_or_else(|| incident.to_string(), |summary| heading(lang, summary))
    };
    of_team.flatten().map(|incident| (incident.to_string(), title(incident))).collect()
}

/// What a supply point holds, with what the books show. Which lots go first is the domain's rule.
fn items(all: &[Summary], point: &RecordId) -> Vec<(String, String)> {
    let of_point = all.iter().filter(|summary| summary.id == *point).filter_map(|summary| match &summary.detail {
        Detail::SupplyPoint { stock, .. } => Some(stock),
        _ => None,
    });
    of_point
        .flatten()
        .map(|line| (line.item.clone(), format!("{} · {} {}", line.item, line.balance, line.unit)))
        .collect()
}

/// What is on its way to a supply point.
fn transits(node: &Node, point: &RecordId) -> Vec<(String, String)> {
    let lines = node.desk().in_transit.into_iter().filter(|line| line.transfer.to_point == *point);
    let choice = |line: TransitLine| {
        let lot = line.transfer.lot.as_ref().map(|lot| format!(" · {lot}")).unwrap_or_default();
        let label = format!("{} {}{lot} · {}", line.transfer.item, quantity_on_the_way(&line), line.from_name);
        (format!("{}{BIN_SEPARATOR}{}", line.transfer.transfer, line.from_point), label)
    };
    lines.map(choice).collect()
}

/// How much is on its way, and of how much, where a part of it has arrived.
pub(crate) fn quantity_on_the_way(line: &TransitLine) -> String {
    match (line.rest, line.transfer.quantity) {
        (rest, sent) if rest == sent => sent.to_string(),
        (rest, sent) => format!("{rest} / {sent}"),
    }
}

/// What a supply point holds, lot by lot: first to expire first, with what the books show.
fn bins(node: &Node, lang: Lang, point: &RecordId) -> Vec<(String, String)> {
    let Ok(Some(view)) = node.view(point) else { return vec![] };
    let State::SupplyPoint(point) = &view.state else { return vec![] };
    let mut found = vec![];
    for (item, stock) in &point.stock {
        for (lot, bin) in stock.lots_by_expiry() {
            let mut label = format!("{item} · {} {}", bin.balance(), stock.unit);
            if !lot.is_empty() {
                label.push_str(&format!(" · {} {lot}", lang.t(Word::Lot)));
            }
            if let Some(expires) = bin.expires {
                label.push_str(&format!(" · {} {expires}", lang.t(Word::Expires)));
                let near = labels::expiry_label(lang, expires, today());
                label.extend(near.map(|(_, text)| format!(" · {text}")));
            }
            found.push((format!("{item}{BIN_SEPARATOR}{lot}"), label));
        }
    }
    found
}
