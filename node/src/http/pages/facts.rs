//! What stands on record: the facts of each kind of record, as its page shows them.

use std::collections::BTreeSet;

use linli_core::id::{EventId, RecordId};
use linli_domain::date::Date;
use linli_domain::record::RecordView;
use linli_domain::state::document::{ChangeHash, DocumentState};
use linli_domain::state::{
    BuildingState, ContactState, HazardState, IncidentState, PlanState, SupplyPointState, TeamState,
};
use linli_domain::state::{Held, State};
use maud::{Markup, html};

use super::labels;
use super::layout::{tag, unknown};
use crate::http::clock;
use crate::http::forms::degrees;
use crate::words::{Lang, Word};

/// What the facts are shown with.
pub(crate) struct Reading<'r> {
    pub(crate) lang: Lang,
    pub(crate) now_ms: u64,
    pub(crate) today: Date,
    /// The title of another record.
    pub(crate) title_of: &'r dyn Fn(&RecordId) -> String,
    /// The text of a plan in force, where it differs from the present one.
    pub(crate) issued_texts: &'r [(EventId, String)],
}

impl Reading<'_> {
    /// The facts of a record.
    pub(crate) fn facts(&self, view: &RecordView) -> Markup {
        let lost = view.lost();
        match &view.state {
            State::Incident(incident) => self.incident(incident),
            State::Hazard(hazard) => self.hazard(hazard, &lost),
            State::SupplyPoint(point) => self.supply_point(point),
            State::Team(team) => self.team(team, &lost),
            State::Plan(plan) => self.plan(plan, &lost),
            State::Building(building) => self.building(building),
            State::Contact(contact) => self.contact(contact),
            State::Unknown => html! { p { (unknown(self.lang)) } },
        }
    }

    fn link(&self, record: &RecordId) -> Markup {
        html! { a href={ "/records/" (record) } { ((self.title_of)(record)) } }
    }

    /// A line with who said it and when.
    fn said<T>(&self, held: &Held<T>, what: &Markup) -> Markup {
        html! {
            (what) " " span.said { (held.stamp.by) " · " span.mono { (held.stamp.area) } " · " (clock::time(held.stamp.time.unix_ms(), self.now_ms)) }
        }
    }

    fn card(&self, heading: Word, inside: &Markup) -> Markup {
        html! { section.card { h2 { (self.lang.t(heading)) } (inside) } }
    }

    fn incident(&self, incident: &IncidentState) -> Markup {
        let lang = self.lang;
        let reports = html! {
            @for held in &incident.reports {
                dl.facts {
                    dt { (lang.t(Word::Category)) } dd { (held.value.category) }
                    dt { (lang.t(Word::Severity)) } dd { (labels::severity(lang, held.value.severity)) }
                    dt { (lang.t(Word::Place)) } dd { (held.value.place) (position(held.value.lat_e7, held.value.lon_e7)) }
                    dt { (lang.t(Word::Summary)) } dd { (self.said(held, &html! { (held.value.summary) })) }
                }
            }
            @if incident.reports.is_empty() { p { (unknown(lang)) } }
        };
        let losses = html! {
            @for held in incident.casualties.all() {
                @let count = |n: Option<u64>| n.map_or_else(|| unknown(lang), |n| html! { span.num { (n) } });
                p { (self.said(held, &html! {
                    (lang.t(Word::Dead)) " " (count(held.value.dead)) " · " (lang.t(Word::Injured)) " " (count(held.value.injured))
                    " · " (lang.t(Word::Missing)) " " (count(held.value.missing))
                })) }
            }
        };
        html! {
            (self.card(Word::Reported, &reports))
            @if !incident.casualties.all().is_empty() { (self.card(Word::Losses, &losses)) }
            @if !incident.assignments.latest.is_empty() {
                (self.card(Word::Assignments, &html! { ul { @for held in incident.assignments.latest.iter().rev() {
                    li { (self.said(held, &html! { strong { (self.assignee(&held.value.assignee)) } (lang.of("：", ": ")) (held.value.task) })) }
                } } }))
            }
            @if !incident.duplicates.is_empty() {
                (self.card(Word::SameAs, &html! { ul { @for other in &incident.duplicates { li { (self.link(other)) } } } }))
            }
        }
    }

    fn assignee(&self, assignee: &linli_domain::events::incident_assigned::Assignee) -> Markup {
        use linli_domain::events::incident_assigned::Assignee;
        match assignee {
            Assignee::Team(team) => self.link(team),
            Assignee::Post(post) => html! { (post) },
        }
    }

    fn hazard(&self, hazard: &HazardState, lost: &BTreeSet<EventId>) -> Markup {
        let lang = self.lang;
        let overdue = |due: Option<Date>| due.is_some_and(|due| due < self.today && hazard.is_open(lost));
        let reports = html! {
            @for held in &hazard.reports {
                dl.facts {
                    dt { (lang.t(Word::Category)) } dd { (held.value.category) }
                    dt { (lang.t(Word::Grade)) } dd { (labels::grade(lang, held.value.grade)) }
                    dt { (lang.t(Word::Place)) } dd { (held.value.place) }
                    dt { (lang.t(Word::Due)) }
                    dd {
                        @match held.value.due { Some(due) => (due), None => (lang.t(Word::NoneHere)) }
                        @if overdue(held.value.due) { " " (tag("red", lang.t(Word::Overdue))) }
                    }
                    dt { (lang.t(Word::Summary)) } dd { (self.said(held, &html! { (held.value.summary) })) }
                }
            }
        };
        html! {
            (self.card(Word::Reported, &reports))
            (self.card(Word::Handling, &html! {
                dl.facts {
                    @for held in hazard.dispatched.all() { dt { (lang.t(Word::DispatchTo)) } dd { (self.said(held, &html! { (held.value) })) } }
                    @for held in &hazard.handled { dt { (lang.t(Word::WhatWasDone)) } dd { (self.said(held, &html! { (held.value.what) })) } }
                    @for held in hazard.answered.all() { dt { (lang.t(Word::ToldReporter)) } dd { (self.said(held, &html! { (held.value) })) } }
                }
                @if hazard.dispatched.all().is_empty() && hazard.handled.is_empty() { p.empty { (lang.t(Word::NotHandledYet)) } }
            }))
        }
    }

    fn supply_point(&self, point: &SupplyPointState) -> Markup {
        let lang = self.lang;
        let stock = html! {
            @if point.stock.is_empty() { p.empty { (lang.t(Word::NoStock)) } } @else {
                div.scroll { table.fold {
                    thead { tr { @for word in [Word::Item, Word::Balance, Word::Minimum, Word::Lots] { th scope="col" { (lang.t(word)) } } } }
                    tbody { @for (item, stock) in &point.stock { (self.stock_row(point, item, stock)) } }
                } }
            }
        };
        let movements = html! {
            ul.rows { @for held in point.movements.latest.iter().rev().take(20) { li { div.row {
                span.what {
                    strong { (labels::movement(lang, &held.value.kind)) " " (held.value.item) }
                    span.soft { (self.party(&held.value.party)) @if let Some(lot) = &held.value.lot { " · " (lang.t(Word::Lot)) " " (lot) } }
                }
                span.num { (labels::signed(&held.value.kind, held.value.quantity)) }
                span.soft { (held.stamp.by) " · " (clock::time(held.stamp.time.unix_ms(), self.now_ms)) }
            } } } }
        };
        html! {
            (self.card(Word::Stock, &stock))
            (self.card(Word::Profile, &self.profile(&point.profile)))
            @if !point.movements.latest.is_empty() { (self.card(Word::Movements, &movements)) }
        }
    }

    /// Who got it or gave it: in a transfer that is another supply point.
    fn party(&self, text: &str) -> String {
        text.parse().map_or_else(|_| text.to_owned(), |point| (self.title_of)(&point))
    }

    fn stock_row(
        &self,
        point: &SupplyPointState,
        item: &str,
        stock: &linli_domain::state::supply_point::Stock,
    ) -> Markup {
        let (lang, balance, minimum) = (self.lang, stock.balance(), point.minimum(item));
        html! {
            tr {
                th scope="row" { (item) }
                td data-label=(lang.t(Word::Balance)) {
                    span { span.num { (balance) } " " (stock.unit) " "
                        @if balance < 0 { (tag("red", lang.t(Word::Overdrawn))) }
                        @else if minimum.is_some_and(|minimum| balance < minimum) { (tag("orange", lang.t(Word::BelowMinimum))) }
                    }
                }
                td data-label=(lang.t(Word::Minimum)) { @match minimum { Some(minimum) => span.num { (minimum) }, None => span.soft { (lang.t(Word::NotSet)) } } }
                td data-label=(lang.t(Word::Lots)) { div {
                    @for (lot, bin) in stock.lots_by_expiry() {
                        div {
                            (if lot.is_empty() { lang.t(Word::NoLot) } else { lot }) (lang.of("：", ": ")) span.num { (bin.balance()) }
                            @if let Some(expires) = bin.expires {
                                " · " (lang.t(Word::Expires)) " " (expires) " " (labels::expiry(lang, expires, self.today))
                            }
                            @let counts: Vec<String> = bin.counts().map(|(_, quantity)| quantity.to_string()).collect();
                            @if bin.is_disputed() { " " (tag("orange", &lang.fill(Word::TwoCounts, &[&counts.join(lang.of("、", ", "))]))) }
                            @for aside in &bin.aside { " " (tag("orange", &lang.fill(Word::AsideInUnit, &[&aside.quantity, &aside.unit]))) }
                        }
                    }
                } }
            }
        }
    }

    fn profile(&self, document: &DocumentState) -> Markup {
        let lang = self.lang;
        html! {
            @if document.rendered.fields.is_empty() && document.rendered.lists.is_empty() { p.empty { (lang.t(Word::NoneHere)) } }
            dl.facts { @for (key, value) in &document.rendered.fields { dt { (labels::profile_key(lang, key)) } dd {
                @match (key.as_str(), value.parse()) {
                    ("lat_e7" | "lon_e7", Ok(e7)) => span.mono { (degrees(e7)) },
                    _ => (value),
                }
            } } }
            @for (list, entries) in &document.rendered.lists {
                h3 { (labels::profile_key(lang, list)) }
                ul { @for (key, fields) in entries { li {
                    (key) @if !fields.is_empty() { (lang.of("：", ": ")) }
                    (fields.iter().map(|(name, value)| format!("{} {value}", labels::profile_key(lang, name))).collect::<Vec<_>>().join(lang.of("，", ", ")))
                } } }
            }
            @if !document.rendered.concurrent.is_empty() {
                div.note.warn { p { strong { (lang.t(Word::WrittenAtOnce)) } } ul { @for (path, values) in &document.rendered.concurrent {
                    li { (path) (lang.of("：", ": ")) (values.join(" | ")) }
                } } }
            }
            @if document.unrenderable_total > 0 {
                p { (tag("unknown", &lang.fill(Word::Unrenderable, &[&document.unrenderable_total]))) }
            }
        }
    }

    fn team(&self, team: &TeamState, lost: &BTreeSet<EventId>) -> Markup {
        let lang = self.lang;
        let active: Vec<_> = team.active(lost).collect();
        let whereabouts = html! {
            dl.facts {
                dt { (lang.t(Word::CheckInPlace)) }
                dd {
                    @for held in team.check_in.all() {
                        div { (self.said(held, &html! { (held.value.place) " " (labels::readiness(lang, held.value.readiness)) })) }
                    }
                    @if team.check_in.all().is_empty() { (unknown(lang)) }
                }
                dt { (lang.t(Word::Deployments)) }
                dd {
                    @for held in &active { div { (self.said(held, &html! { (self.link(&held.value.incident)) " · " (lang.t(Word::People)) " " span.num { (held.value.people) } })) } }
                    @if active.is_empty() { (lang.t(Word::NoneHere)) }
                }
            }
        };
        let valid = team.certified_on(self.today);
        let certificates = html! {
            p {
                (lang.fill(Word::CertifiedPeople, &[&valid])) " "
                @if team.is_certified(self.today) { (tag("blue", lang.t(Word::Certified))) } @else { (tag("orange", lang.t(Word::NotCertified))) }
            }
            ul.rows { @for held in &team.certificates { li { div.row {
                span.what { strong { (held.value.certificate) } span.soft { (lang.t(Word::Member)) " " (held.value.member) " · " (held.value.number) " · " (held.value.issuer) } }
                span { (held.value.expires) " " (labels::expiry(lang, held.value.expires, self.today)) }
            } } } }
        };
        html! {
            (self.card(Word::Whereabouts, &whereabouts))
            (self.card(Word::Certificates, &certificates))
            (self.card(Word::Profile, &self.profile(&team.profile)))
        }
    }

    fn plan(&self, plan: &PlanState, lost: &BTreeSet<EventId>) -> Markup {
        let lang = self.lang;
        let in_force: Vec<_> = plan.in_force(lost).collect();
        let outline = html! {
            @for held in plan.outline.all() { dl.facts {
                dt { (lang.t(Word::Tier)) } dd { (lang.of(held.value.tier.zh(), held.value.tier.en())) }
                dt { (lang.t(Word::Scope)) } dd { (held.value.scope) }
                dt { (lang.t(Word::PlanHazards)) } dd { (held.value.hazards.join(lang.of("、", ", "))) }
                dt { (lang.t(Word::ValidTo)) } dd { @match held.value.valid_to {
                    Some(day) => { (day) " " (labels::expiry(lang, day, self.today)) },
                    None => (lang.t(Word::NoneHere)),
                } }
                dt { (lang.t(Word::Writers)) } dd { (plan.writers.keys().cloned().collect::<Vec<_>>().join(lang.of("、", ", "))) }
            } }
            dl.facts {
                dt { (lang.t(Word::Approvals)) }
                dd {
                    @for held in &plan.approvals.latest { div { (self.said(held, &self.which_text(plan, &held.value))) } }
                    @if plan.approvals.latest.is_empty() { (lang.t(Word::NoneHere)) }
                }
                dt { (lang.t(Word::InForce)) }
                dd {
                    @for held in &in_force { div { (self.said(held, &self.which_text(plan, &held.value))) } }
                    @if in_force.is_empty() { (lang.t(Word::NoneHere)) }
                }
                @for held in plan.superseded.all() { dt { (lang.t(Word::ByPlan)) } dd { (self.said(held, &self.link(&held.value))) } }
            }
        };
        html! {
            (self.card(Word::Outline, &outline))
            @for (event, text) in self.issued_texts {
                section.card { h2 title=(event) { (lang.t(Word::TextInForce)) } div.plan-text { (text) } }
            }
            section.card {
                h2 { (lang.t(Word::PlanText)) }
                (self.to_be_read(&plan.document))
                div.plan-text { (plan.document.rendered.text) }
            }
        }
    }

    /// The lines of a text that two people wrote at without seeing each other, and changes that cannot be shown.
    fn to_be_read(&self, document: &DocumentState) -> Markup {
        let lines: Vec<&str> = document.rendered.text.split('\n').collect();
        let to_be_read = document.to_be_read.iter().filter_map(|number| Some((number, lines.get(line_at(*number)?)?)));
        html! {
            @if !document.to_be_read.is_empty() { div.note.warn #to-be-read {
                p { strong { (self.lang.t(Word::LinesToRead)) } }
                p { (self.lang.t(Word::LinesToReadHelp)) }
                ul { @for (number, line) in to_be_read { li { span.num { (number) } (self.lang.of("：", ": ")) (line) } } }
            } }
            @if document.unrenderable_total > 0 {
                p { (tag("unknown", &self.lang.fill(Word::Unrenderable, &[&document.unrenderable_total]))) }
            }
        }
    }

    fn which_text(&self, plan: &PlanState, heads: &[ChangeHash]) -> Markup {
        match plan.document.heads == heads {
            true => tag("blue", self.lang.t(Word::PresentText)),
            false => tag("amber", self.lang.t(Word::EarlierText)),
        }
    }

    fn building(&self, building: &BuildingState) -> Markup {
        let lang = self.lang;
        let surveys = html! { @for held in building.surveys.all() { dl.facts {
            dt { (lang.t(Word::BuildingNumber)) } dd { (held.value.building) }
            dt { (lang.t(Word::Address)) } dd { (held.value.name) (position(held.value.lat_e7, held.value.lon_e7)) }
            dt { (lang.t(Word::Households)) } dd { span.num { (held.value.households) } }
            dt { (lang.t(Word::Residents)) } dd { (self.said(held, &html! { span.num { (held.value.residents) } })) }
        } } };
        self.card(Word::Profile, &surveys)
    }

    fn contact(&self, contact: &ContactState) -> Markup {
        let lang = self.lang;
        let listings = html! {
            @for held in contact.listings.all() { dl.facts {
                dt { (lang.t(Word::Post)) } dd { (held.value.post) }
                dt { (lang.t(Word::AreaCode)) } dd { (self.said(held, &html! { span.mono { (held.value.scope) } })) }
            } }
            p.soft { (lang.t(Word::ContactBelow)) }
        };
        self.card(Word::Profile, &listings)
    }
}

/// Where a line that is counted from 1 stands.
fn line_at(number: u64) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

fn position(lat_e7: Option<i64>, lon_e7: Option<i64>) -> Markup {
    html! { @if let (Some(lat), Some(lon)) = (lat_e7, lon_e7) { " " span.mono.soft { (degrees(lat)) ", " (degrees(lon)) } } }
}
