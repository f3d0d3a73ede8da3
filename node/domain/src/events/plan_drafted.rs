//! A plan was begun. Its text follows as edits.

use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said, role::Role};
use crate::check::{self, Invalid};
use crate::date::Date;
use crate::limits;
use crate::state::plan::Outline;
use crate::state::{Context, PlanState};

/// A plan was begun. Its text follows as edits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDrafted {
    /// Household, building or community.
    pub tier: Tier,
    /// Which household, building or community.
    pub scope: String,
    /// Its title.
    pub title: String,
    /// What it is against.
    pub hazards: Vec<String>,
    /// Its last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Date>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

/// Whose plan it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// 家庭.
    Household,
    /// 楼栋.
    Building,
    /// 小区.
    Community,
}

impl Tier {
    /// The Chinese term.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Household => "家庭",
            Self::Building => "楼栋",
            Self::Community => "小区",
        }
    }

    /// The English term.
    pub const fn en(self) -> &'static str {
        match self {
            Self::Household => "household",
            Self::Building => "building",
            Self::Community => "community",
        }
    }
}

impl Fields for PlanDrafted {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("scope", &self.scope)?;
        check::line("title", &self.title)?;
        check::lines("hazards", &self.hazards, limits::HAZARDS_MAX)
    }

    fn role(&self) -> Role<'_> {
        Role::Edits
    }
}

impl Applies<PlanState> for PlanDrafted {
    fn apply(&self, state: &mut PlanState, ctx: &Context<'_>) {
        let value = Outline {
            tier: self.tier,
            scope: self.scope.clone(),
            title: self.title.clone(),
            hazards: self.hazards.clone(),
            valid_to: self.valid_to,
        };
        state.outline.write(value, ctx);
        *state.writers.entry(ctx.stamp.person()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said};
    use crate::state::{State, StateWord};

    #[test]
    fn a_draft_has_an_outline_and_counts_as_writing() {
        let drafted = Fact::PlanDrafted(PlanDrafted {
            tier: Tier::Building,
            scope: "3幢".to_owned(),
            title: "防汛".to_owned(),
            hazards: vec!["洪涝".to_owned()],
            valid_to: None,
            said: said("甲"),
        });
        let view = History::of([drafted]).view();
        assert_eq!(view.word(), StateWord::Draft);
        let State::Plan(plan) = view.state else { panic!() };
        assert_eq!(plan.outline.latest().unwrap().value.title, "防汛");
        assert!(plan.writers.contains_key("甲"));
    }
}
