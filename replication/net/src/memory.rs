//! When the file of remembered addresses is written, and who may write it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::address::ip;
use crate::address_file::{self, Remembered};
use crate::driver::Driver;
use crate::limits;
use crate::status::heard_unix_ms;

/// The file, and when it was last written. Without a file nothing is remembered.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Held while it is written, so that two writers never meet.
    path: Option<Arc<Mutex<PathBuf>>>,
    saved: Instant,
    unsaved: bool,
}

impl Memory {
    /// Nothing is read or written yet.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path: path.map(|path| Arc::new(Mutex::new(path))), saved: Instant::now(), unsaved: false }
    }

    /// What an earlier run remembered. Reads a small file.
    pub(crate) fn recall(&self) -> Vec<Remembered> {
        let path = self.path.as_ref().map(|path| path.lock().unwrap_or_else(PoisonError::into_inner).clone());
        path.map(|path| address_file::load(&path)).unwrap_or_default()
    }
}

fn save(path: &Mutex<PathBuf>, remembered: &[Remembered]) {
    let path = path.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = address_file::save(&path, remembered) {
        tracing::warn!(path = %path.display(), %error, "cannot write down where peers are");
    }
}

impl Driver {
    /// Writes down what is new, if it is time to.
    pub(crate) fn save_addresses(&mut self) {
        self.memory.unsaved |= self.book.take_changed();
        let Some(path) = self.memory.path.clone() else { return };
        let since = self.memory.saved.elapsed();
        let soon = self.memory.unsaved && since > limits::ADDRESSES_SAVED_AFTER;
        if soon || since > limits::LAST_HEARD_SAVED_EVERY {
            (self.memory.saved, self.memory.unsaved) = (Instant::now(), false);
            let remembered = self.remembered();
            tokio::task::spawn_blocking(move || save(&path, &remembered));
        }
    }

    /// Those who wait at the door are told apart by where they call from: members come first.
    pub(crate) fn know_members_places(&mut self) {
        if self.places_told.is_some_and(|told| told.elapsed() < limits::PLACES_TOLD_EVERY) {
            return;
        }
        self.places_told = Some(Instant::now());
        let sessions = self.sessions.values().filter_map(|session| self.connections.get(&session.connection));
        let met = sessions.filter(|connection| !connection.relayed).filter_map(|connection| ip(&connection.remote));
        let places: Vec<IpAddr> = self.book.proven_places().chain(met).collect();
        self.swarm.behaviour_mut().doorstep.know(places);
    }

    /// Writes everything down and waits until it is there.
    pub(crate) async fn save_addresses_at_last(&mut self) {
        if let Some(path) = self.memory.path.clone() {
            let remembered = self.remembered();
            // A writer that panicked has left the old file in place.
            let _ = tokio::task::spawn_blocking(move || save(&path, &remembered)).await;
        }
    }

    fn remembered(&mut self) -> Vec<Remembered> {
        for (peer, session) in &self.sessions {
            self.book.note(*peer).last_heard_unix_ms = Some(heard_unix_ms(session));
        }
        self.book.remembered()
    }
}
