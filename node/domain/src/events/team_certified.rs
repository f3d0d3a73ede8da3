//! A member of a team holds a certificate. The name goes into the personal payload.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::date::Date;
use crate::state::{Context, Held, TeamState};
use crate::state::team::Certificate;

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
            !(same && held.value.number == value.number && ctx.has_seen(&held.stamp.event))
        });
        state.certificates.push(Held { value, stamp: ctx.stamp.clone() });
    }
}
