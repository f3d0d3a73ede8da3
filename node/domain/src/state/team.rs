//! Teams: a roster as a document; certificates, readiness and deployments as facts.

use std::collections::BTreeSet;

use linli_core::id::{EventId, RecordId};
use serde::{Deserialize, Serialize};

use super::document::DocumentState;
use super::{Held, Register, StateWord};
use crate::date::Date;
use crate::events::team_checked_in::Readiness;
use crate::limits::CERTIFICATES_FOR_READY;

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
    /// Certificates that are valid on a day, each counted once.
    pub fn certificates_valid(&self, on: Date) -> usize {
        let valid = self.certificates.iter().filter(|held| held.value.expires >= on);
        valid.map(|held| (&held.value.member, &held.value.certificate)).collect::<BTreeSet<_>>().len()
    }

    /// Whether it has the certificates that make a team ready on a day.
    pub fn is_certified(&self, on: Date) -> bool {
        self.certificates_valid(on) >= CERTIFICATES_FOR_READY
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
