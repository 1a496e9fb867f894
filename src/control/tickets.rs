//! Turns the keys of session tickets over when their period ends.

use crate::tls::Tickets;
use std::{sync::Arc, time::SystemTime};
use tokio::{sync::watch, time::sleep};

/// Until `shutdown` says true or its sender is gone.
pub async fn run(tickets: Arc<Tickets>, mut shutdown: watch::Receiver<bool>) {
    loop {
        // A clock that is set meanwhile makes this one period late, or early and of no effect.
        tokio::select! {
            () = sleep(Tickets::until_next(SystemTime::now())) => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        if let Err(error) = tickets.rotate(SystemTime::now()) {
            tracing::warn!(
                error,
                "the keys of session tickets could not be renewed; the old ones stay for another period"
            );
        }
    }
}
