//! Runs work that may panic, and lets nothing out but an error.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use super::DocumentError;

thread_local! {
    /// Whether this thread is inside [`contained`], where a panic is an expected answer to hostile bytes.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Installs, once per process, a panic hook that says nothing while the panicking thread is inside [`contained`] and
/// otherwise calls the hook that was there before. A hook that somebody sets later wins: then contained panics are
/// printed again, and still contained.
fn quieten_once() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.try_with(Cell::get).unwrap_or(false) {
                before(info);
            }
        }));
    });
}

/// Runs `work` and turns a panic into [`DocumentError::Panicked`].
///
/// `work` must leave nothing half done in what it borrows: callers read shared state, and write to clones of their own
/// that are dropped with the error. That is what makes the assertion of unwind safety true.
///
/// # Errors
/// [`DocumentError::Panicked`].
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, DocumentError> {
    quieten_once();
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(outer);
    result.map_err(|_| DocumentError::Panicked)
}
