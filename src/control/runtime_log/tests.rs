use super::*;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt;

/// Writes only while it is not locked.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<Vec<u8>>>);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_arrive_whole_and_a_stuck_stderr_costs_lines_and_not_time() {
    let gate = Gate::default();
    let lines = Lines::start(gate.clone()).unwrap();
    let subscriber = fmt().with_writer(lines.clone()).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(path = "/x", "first\nline \x1b[2J");
        lines.flush();
        let written = String::from_utf8(gate.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.matches("first").count(), 1);
        assert!(
            !written.contains('\x1b'),
            "no commands to the terminal: {written:?}"
        );

        let stuck = gate.0.lock().unwrap();
        // One is in the thread's hands, the queue holds its bound, and the rest returns at once.
        for _ in 0..WAITING_LINES + 10 {
            tracing::info!("more");
        }
        drop(stuck);
        lines.flush();
    });
    let written = String::from_utf8(gate.0.lock().unwrap().clone()).unwrap();
    let more = written.matches("more").count();
    assert!((WAITING_LINES..WAITING_LINES + 10).contains(&more), "{more}");
    assert!(written.contains("lines were dropped"));
}

#[test]
fn a_filter_that_cannot_be_read_is_said() {
    let error = init("ringway=loudest", false).unwrap_err();
    assert!(error.contains("ringway=loudest"), "{error}");
}
