//! What many ask for at once is worked out once a second, and by one of them.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Mutex;

use super::error::HttpError;
use super::limits;

/// An answer that stands for a second.
pub(crate) struct Recent<T>(Mutex<Option<(Instant, Arc<T>)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Recent<T> {
    /// What was worked out within the last second, or what `work` gives now. Whoever comes meanwhile waits for it.
    ///
    /// # Errors
    /// What `work` returns; then nothing is kept.
    pub(crate) async fn get(&self, work: impl Future<Output = Result<T, HttpError>>) -> Result<Arc<T>, HttpError> {
        let mut kept = self.0.lock().await;
        if let Some((since, known)) = &*kept
            && since.elapsed() < limits::RECENT_TIME
        {
            return Ok(known.clone());
        }
        let known = Arc::new(work.await?);
        *kept = Some((Instant::now(), known.clone()));
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_crowd_costs_one_reading_a_second() {
        let (recent, readings) = (Recent::<u64>::default(), AtomicU64::new(0));
        let read = || recent.get(async { Ok(readings.fetch_add(1, Ordering::SeqCst)) });
        let crowd = futures::future::join_all((0..16).map(|_| read())).await;
        assert!(crowd.into_iter().all(|answer| *answer.unwrap() == 0));
        tokio::time::sleep(limits::RECENT_TIME).await;
        assert_eq!(*read().await.unwrap(), 1);
    }
}
