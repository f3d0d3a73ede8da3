//! The pages, one file each. Each takes what it shows from the node, and its words from the catalogue.

pub(crate) mod act;
pub(crate) mod conflicts;
pub(crate) mod crosschecks;
pub(crate) mod desk;
pub(crate) mod desk_teams;
pub(crate) mod facts;
pub(crate) mod history;
pub(crate) mod labels;
pub(crate) mod layout;
pub(crate) mod lists;
pub(crate) mod login;
pub(crate) mod next_acts;
pub(crate) mod operators;
pub(crate) mod options;
pub(crate) mod peers;
pub(crate) mod phone;
pub(crate) mod plan_texts;
pub(crate) mod public;
pub(crate) mod receipt;
pub(crate) mod record;
pub(crate) mod rows;
pub(crate) mod status;
pub(crate) mod summaries;
pub(crate) mod urgent;
pub(crate) mod values;
