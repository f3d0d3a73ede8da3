//! A team or post was given a task in an incident.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::incident::Assignment;
use crate::state::{Context, Held, IncidentState};

/// A team or post was given a task in an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentAssigned {
    /// Who shall do it.
    pub assignee: Assignee,
    /// What to do.
    pub task: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

/// Who is given a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignee {
    /// A team in the register.
    Team(RecordId),
    /// A post or somebody else, in words.
    Post(String),
}

impl Fields for IncidentAssigned {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        if let Assignee::Post(post) = &self.assignee {
            check::line("assignee", post)?;
        }
        check::text("task", &self.task)
    }
}

impl Applies<IncidentState> for IncidentAssigned {
    fn apply(&self, state: &mut IncidentState, ctx: &Context<'_>) {
        let value = Assignment { assignee: self.assignee.clone(), task: self.task.clone() };
        state.assignments.push(Held { value, stamp: ctx.stamp.clone() });
        state.timeline.push(ctx.line(&self.task));
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{History, assigned, reported};
    use crate::state::StateWord;

    #[test]
    fn a_task_makes_an_incident_active() {
        assert_eq!(History::of([reported(), assigned("排水")]).view().word(), StateWord::Active);
        assert!(assigned(" ").check().is_err());
    }
}
