//! The durable event store: one door in, whole logs out, read models that can be thrown away.
//!
//! Nothing here knows a network or a thread pool: calls block, and the time and randomness that enter events are arguments.
//! An appended event is durable when [`Store::append`] returns; everything acknowledged survives `kill -9`. A thread looks
//! after an open store: it keeps the heads file up to date, reads through the files once, notices a directory that is gone,
//! and opens the database anew after a failed write.

mod append;
mod backend;
mod catalogue;
mod codec;
mod disk;
mod durable_file;
mod error;
mod fill;
mod generation;
mod heads;
mod introduced;
mod kept;
mod limits;
mod losses;
mod memory;
mod open;
mod plan;
mod read_through;
mod rocks;
mod run;
mod side;
mod store;
mod tended;
mod writer;

pub use append::{Appended, PayloadListener, PayloadNews};
pub use error::{AppendError, FillError, StoreError, WriteError};
pub use generation::{Generation, Opened};
pub use introduced::Discarded;
pub use limits::CLAIM_PATIENCE;
pub use losses::{Doubt, KnownBy, Loss, Losses};
pub use run::{LentEvent, Run};
pub use side::{Local, Projection, ProjectionBatch};
pub use store::{ForkEvidence, OpenOptions, Store};
pub use writer::{LocalDraft, LocalWriter, Signer};
