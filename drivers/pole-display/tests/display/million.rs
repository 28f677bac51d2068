//! A season of updates: nothing grows, nothing drifts.

use crate::desk::{Desk, line, scroll};
use crate::screen::Screen;

const UPDATES: u64 = 1_000_000;
/// A leak of this many bytes an update would be seen; the other tests of this process come and go with less.
const LEAK_BYTES: u64 = 32;

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

#[test]
fn a_million_updates_leave_no_trace() {
    let (mut desk, mut screen) = (Desk::new("{}"), Screen::left_badly("epson"));
    screen.feed(&desk.open());
    let slogan = "Welcome to the north stand";
    screen.feed(&desk.show(&[scroll(2, slogan, 250)]));
    let (mut before, mut bytes) = (0, 0);
    for update in 0..UPDATES {
        if update == UPDATES / 10 {
            before = resident();
        }
        let count = format!("Inside: {update}");
        let sent = desk.show(&[line(1, &count), scroll(2, slogan, 250)]);
        screen.feed(&sent);
        let (stepped, next) = desk.tick_after(7);
        screen.feed(&stepped);
        assert!(next.unwrap().unwrap().as_millis() <= 250);
        bytes += sent.len() + stepped.len();
        desk.wire.all.clear();
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < LEAK_BYTES * UPDATES, "{grown} bytes more after {UPDATES} updates");
    assert!(screen.errors.is_empty());
    assert_eq!(screen.line(0), format!("{:20}", format!("Inside: {}", UPDATES - 1)).as_bytes());
    // 7,000,000 ms are 28,000 steps of 250 ms; a round is 26 characters, 3 blanks and 5 more steps at the start.
    let at = (28_000 % (26 + 3 + 5)) as usize - 5;
    let round: String = format!("{slogan}   ").repeat(2);
    assert_eq!(screen.line(1), &round.as_bytes()[at..at + 20]);
    assert!(bytes as u64 / UPDATES < 12, "{bytes} bytes were sent: not differences");
}
