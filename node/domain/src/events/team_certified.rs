//! A member of a team holds a certificate. The name goes into the personal payload.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::date::Date;
use crate::state::team::Certificate;
use crate::state::{Context, Held, TeamState};

/// A member of a team holds a certificate. The name goes into the personal payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeamCertified {
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
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

/// The personal payload beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberPii {
    /// The member's name.
    pub name: String,
}

impl Fields for TeamCertified {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("member", &self.member)?;
        check::line("certificate", &self.certificate)?;
        check::line("number", &self.number)?;
        check::line("issuer", &self.issuer)
    }
}

impl Applies<TeamState> for TeamCertified {
    fn apply(&self, state: &mut TeamState, ctx: &Context<'_>) {
        let value = Certificate {
            member: self.member.clone(),
            certificate: self.certificate.clone(),
            number: self.number.clone(),
            issuer: self.issuer.clone(),
            expires: self.expires,
        };
        state.certificates.retain(|held| {
            let same = held.value.member == value.member && held.value.certificate == value.certificate;
            let replaced = held.value.number == value.number || held.value.expires <= value.expires;
            !(same && replaced && ctx.has_seen(&held.stamp.event))
        });
        state.certificates.push(Held { value, stamp: ctx.stamp.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use std::collections::BTreeMap;

    use crate::documents::Edit;
    use crate::scenario::{History, change, day, said};
    use crate::state::State;

    #[test]
    fn three_certified_people_make_a_team_ready_until_one_certificate_lapses() {
        let certified = |member: &str, number: &str, expires: &str| {
            Fact::TeamCertified(TeamCertified {
                member: member.to_owned(),
                certificate: "急救".to_owned(),
                number: number.to_owned(),
                issuer: "红十字会".to_owned(),
                expires: day(expires),
                said: said("队长"),
            })
        };
        let role = || BTreeMap::from([("role".to_owned(), "队员".to_owned())]);
        let member = |key: &str| Edit::SetItem { list: "roster".to_owned(), key: key.to_owned(), fields: role() };
        let roster = Fact::TeamEdited(change(None, 1, &["m1", "m2", "m3"].map(member), "队长"));
        let history = History::of([
            roster,
            certified("m1", "1", "2027-01-01"),
            certified("m2", "2", "2027-01-01"),
            certified("m3", "3", "2026-10-01"),
        ]);
        let team = |history: &History| match history.view().state {
            State::Team(team) => team,
            other => panic!("{other:?}"),
        };
        assert!(team(&history).is_certified(day("2026-10-01")), "the last day counts");
        assert!(!team(&history).is_certified(day("2026-10-02")));
        let renewed = history.then(certified("m3", "3", "2027-10-01")).then(certified("m3", "4", "2027-10-01"));
        assert_eq!(team(&renewed).certified_on(day("2026-10-02")), 3, "one person is counted once");
        assert_eq!(team(&renewed).certificates.len(), 3, "a renewal replaces the certificate before it");
    }
}
