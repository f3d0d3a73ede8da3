//! Somebody holds a post. Name and phone go into the personal payload.

use linli_core::area::Area;
use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::contact::Listing;
use crate::state::{ContactState, Context};

/// Somebody holds a post. Name and phone go into the personal payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContactListed {
    /// The post.
    pub post: String,
    /// The area it answers for.
    pub scope: Area,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

/// The personal payload beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactPii {
    /// Who holds the post.
    pub name: String,
    /// How to reach them.
    pub phone: String,
}

impl Fields for ContactListed {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::line("post", &self.post)
    }
}

impl Applies<ContactState> for ContactListed {
    fn apply(&self, state: &mut ContactState, ctx: &Context<'_>) {
        state.listings.write(Listing { post: self.post.clone(), scope: self.scope.clone() }, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, said};
    use crate::state::State;

    #[test]
    fn the_fold_knows_the_post_and_not_the_person() {
        let scope: Area = "320508005012".parse().unwrap();
        let listed =
            ContactListed { post: "社区应急联络员".to_owned(), scope: scope.clone(), said: said("街道") };
        let State::Contact(contact) = History::of([Fact::ContactListed(listed)]).view().state else { panic!() };
        assert_eq!(contact.listings.latest().unwrap().value.scope, scope);
    }
}
