//! A request to a device's control end-point, waited for step by step: libusb waits in one piece until a transfer is
//! over, so a thread of its own waits there, and a cancel is heard here meanwhile. Knows no USB.

use crate::patience::Patience;
use driver_abi::Fault;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// A transfer is over after so long: USB gives a device no more for any request (USB 2.0, 9.2.6.1).
const TRANSFER_MAX: Duration = Duration::from_secs(5);

type Answer = Result<Vec<u8>, Fault>;

/// The requests of one device: at most one is under way.
#[derive(Default)]
pub(super) struct Control {
    under_way: Option<Receiver<Answer>>,
}

// === impl Control ===

impl Control {
    /// Asks. `transfer` is given its time in full and waits it out if it has to, also when nobody waits for it any more.
    ///
    /// # Errors
    /// The transfer's, or what ended the patience.
    pub(super) fn ask(
        &mut self,
        patience: Patience<'_>,
        transfer: impl FnOnce(Duration) -> Answer + Send + 'static,
    ) -> Answer {
        // The answer to a question that was given up is nobody's: it may be wrong by now.
        if let Some(earlier) = &self.under_way {
            let _ = answer(earlier, patience)?;
        }
        let (say, hear) = sync_channel(1);
        let most = patience.left().min(TRANSFER_MAX);
        std::thread::Builder::new()
            .name("control".to_owned())
            // Nobody hears what was given up.
            .spawn(move || drop(say.send(transfer(most))))
            .map_err(|_| Fault::NoMemory)?;
        let answered = answer(self.under_way.insert(hear), patience)?;
        self.under_way = None;
        answered
    }
}

/// The answer, or why it was waited for no longer.
fn answer(hear: &Receiver<Answer>, patience: Patience<'_>) -> Result<Answer, Fault> {
    loop {
        match hear.recv_timeout(patience.step()?) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(Err(Fault::Internal)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_cancel_does_not_wait_for_a_device_that_does_not_answer() {
        let cancelled = AtomicBool::new(false);
        let patience = Patience::new(Instant::now() + LONG, &cancelled);
        let mut control = Control::default();
        let (asked, was_asked) = sync_channel(0);
        let (let_go, held) = sync_channel::<()>(0);
        let host_gives_up = &cancelled;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                was_asked.recv().unwrap();
                host_gives_up.store(true, Ordering::Relaxed);
            });
            let given_up = control.ask(patience, move |most| {
                assert_eq!(most, TRANSFER_MAX);
                asked.send(()).unwrap();
                held.recv().unwrap();
                Ok(b"late".to_vec())
            });
            assert_eq!(given_up, Err(Fault::Cancelled));
        });
        // The transfer is still under way: nothing is asked beside it, and its answer answers nothing else.
        assert_eq!(control.ask(patience, |_| Ok(b"beside it".to_vec())), Err(Fault::Cancelled));
        cancelled.store(false, Ordering::Relaxed);
        let_go.send(()).unwrap();
        assert_eq!(control.ask(patience, |_| Ok(b"new".to_vec())), Ok(b"new".to_vec()));
    }

    #[test]
    fn a_fault_of_the_device_is_told_and_the_next_question_is_asked() {
        let cancelled = AtomicBool::new(false);
        let patience = Patience::new(Instant::now() + LONG, &cancelled);
        let mut control = Control::default();
        assert_eq!(control.ask(patience, |_| Err(Fault::Io)), Err(Fault::Io));
        assert_eq!(control.ask(patience, |_| Ok(vec![0x18])), Ok(vec![0x18]));
        let over = Patience::new(Instant::now(), &cancelled);
        assert_eq!(control.ask(over, |_| Ok(Vec::new())), Err(Fault::Timeout));
    }
}
