//! Teams: a roster as a document; certificates, readiness and deployments as facts.

use std::collections::{BTreeMap, BTreeSet};

use linli_core::id::{EventId, RecordId};
use serde::{Deserialize, Serialize};

use super::document::DocumentState;
use super::{Held, Register, StateWord};
use crate::date::Date;
use crate::events::team_checked_in::Readiness;
use crate::limits::CERTIFIED_FOR_READY;

/// A team after its facts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TeamState {
    /// Name, kind, roster and kit.
    pub profile: DocumentState,
    /// Certificates of its members. The members' names are personal and not here.
    pub certificates: Vec<Held<Certificate>>,
    /// Where it last checked in.
    pub check_in: Register<CheckIn>,
    /// Where it is deployed. What a release has knowingly ended is gone from here.
    pub deployments: Vec<Held<Deployment>>,
}

/// A certificate of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The member, by a pseudonymous id.
    pub member: String,
    /// What it certifies.
    pub certificate: String,
    /// Its number.
    pub number: String,
    /// Who issued it.
    pub issuer: String,
    /// Its last day.
    pub expires: Date,
}

/// Where a team stands and how ready it says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckIn {
    /// The post or place.
    pub place: String,
    /// How ready.
    pub readiness: Readiness,
}

/// A team sent to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Where to.
    pub incident: RecordId,
    /// How many people went.
    pub people: u64,
}

impl TeamState {
    /// The people on the roster who hold a certificate, each with the last day on which one of theirs is valid.
    pub fn certified(&self) -> BTreeMap<&str, Date> {
        let roster = self.profile.list("roster");
        let on_roster = |member: &str| roster.is_some_and(|roster| roster.contains_key(member));
        let mut until: BTreeMap<&str, Date> = BTreeMap::new();
        for certificate in self.certificates.iter().map(|held| &held.value) {
            if on_roster(&certificate.member) {
                let day = until.entry(&certificate.member).or_insert(certificate.expires);
                *day = certificate.expires.max(*day);
            }
        }
        until
    }

    /// What tells the people on the roster apart in every team: a token that serves as their key on the roster, and their
    /// certificates. Two rosters that both call somebody `m1` do not speak of one person.
    pub fn people(&self) -> BTreeSet<RecordId> {
        let Some(roster) = self.profile.list("roster") else { return BTreeSet::new() };
        let mut people: BTreeSet<RecordId> = roster.keys().filter_map(|member| member.parse().ok()).collect();
        let held = self.certificates.iter().map(|held| &held.value).filter(|held| roster.contains_key(&held.member));
        people.extend(held.map(|held| {
            let parts = [held.issuer.as_bytes(), held.certificate.as_bytes(), held.number.as_bytes()];
            RecordId::derived("linli/certificate/1", &parts)
        }));
        people
    }

    /// How many people on the roster hold a certificate that is valid on a day.
    pub fn certified_on(&self, day: Date) -> usize {
        self.certified().into_values().filter(|until| *until >= day).count()
    }

    /// Whether enough people are certified on a day to call the team ready.
    pub fn is_certified(&self, on: Date) -> bool {
        self.certified_on(on) >= CERTIFIED_FOR_READY
    }

    /// Deployments that stand, without those that a settled conflict has put aside.
    pub fn active<'s>(&'s self, lost: &'s BTreeSet<EventId>) -> impl Iterator<Item = &'s Held<Deployment>> + 's {
        self.deployments.iter().filter(|held| !lost.contains(&held.stamp.event))
    }

    /// Where it stands.
    pub fn word(&self, lost: &BTreeSet<EventId>) -> StateWord {
        if self.active(lost).next().is_some() { StateWord::Deployed } else { StateWord::Standby }
    }
}
