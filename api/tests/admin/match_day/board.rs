//! A board that shows the live feed all day: it reads what comes, at once, and keeps it. Knows no message.

use crate::stream::{Event, Stream};
use crate::support::Server;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Somebody who listens until the stream ends or is cut.
pub struct Board {
    heard: Arc<Mutex<Vec<Event>>>,
    listener: JoinHandle<()>,
}

impl Board {
    /// Begins to listen, behind what was heard before.
    pub fn listens(server: &Server, token: &str, heard: Vec<Event>) -> Board {
        let last = heard.iter().rev().find_map(|event| event.id);
        let after = last.map_or_else(String::new, |cursor| format!("&after={cursor}"));
        let mut stream = Stream::open(server, token, &format!("?topics=scans,counts{after}"));
        let heard = Arc::new(Mutex::new(heard));
        let own = Arc::clone(&heard);
        let listener = std::thread::spawn(move || {
            while let Some(event) = stream.next() {
                own.lock().unwrap().push(event);
            }
        });
        Board { heard, listener }
    }

    /// Everything that was heard until now.
    pub fn heard(&self) -> Vec<Event> {
        self.heard.lock().unwrap().clone()
    }

    /// Everything that was heard until the end, which has come.
    pub fn ended(self) -> Vec<Event> {
        self.listener.join().unwrap();
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}
