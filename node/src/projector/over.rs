//! The logs that a pass reads.

use linli_core::frontier::Frontier;
use linli_core::id::{AuthorKey, Head, LogId};

/// Which logs a pass is over.
pub(super) enum Over<'l> {
    All,
    Author(AuthorKey),
    Logs(Vec<&'l LogId>),
}

impl Over<'_> {
    pub(super) fn of<'f>(&'f self, frontier: &'f Frontier) -> Box<dyn Iterator<Item = (&'f LogId, Head)> + 'f> {
        let all = frontier.iter().map(|(log, head)| (log, *head));
        match self {
            Self::All => Box::new(all),
            Self::Author(author) => Box::new(all.filter(|(log, _)| log.author == *author)),
            Self::Logs(logs) => Box::new(logs.iter().filter_map(|log| Some((*log, frontier.head(log)?)))),
        }
    }
}
