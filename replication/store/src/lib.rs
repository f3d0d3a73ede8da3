//! The durable event store: one door in, whole logs out, read models that can be thrown away.
//!
//! Nothing here knows a network, a clock or a thread pool: calls block, time and randomness are arguments. An
//! appended event is durable when [`Store::append`] returns; everything acknowledged survives `kill -9`.

mod append;
mod backend;
mod catalogue;
mod codec;
mod error;
mod fill;
mod generation;
mod introduced;
mod memory;
mod plan;
mod rocks;
mod run;
mod side;
mod store;
mod writer;

pub use append::{Appended, PayloadListener, PayloadNews};
pub use error::{AppendError, FillError, StoreError, WriteError};
pub use generation::{Generation, Opened};
pub use introduced::Discarded;
pub use run::{LentEvent, Run};
pub use side::{Local, Projection, ProjectionBatch};
pub use store::{ForkEvidence, OpenOptions, Store};
pub use writer::{LocalDraft, LocalWriter, Signer};
