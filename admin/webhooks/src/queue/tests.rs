//! The queue by itself: order, retries, dead letters, bounds.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use super::*;

fn queue() -> (tempfile::TempDir, Queue) {
    let dir = tempfile::tempdir().unwrap();
    let queue = Queue::open(&dir.path().join("webhooks.db")).unwrap();
    queue.begin("w", 10).unwrap();
    (dir, queue)
}

fn new(lsn: u64) -> New {
    New { lsn, n: 0, id: format!("msg_{lsn}_0"), kind: "scan.admitted", body: "{}".to_owned() }
}

fn next(queue: &Queue, now_ms: i64) -> Due {
    match queue.next("w", now_ms).unwrap() {
        Next::Due(due) => *due,
        other => panic!("{other:?}"),
    }
}

fn refused(at_ms: i64) -> Went {
    Went { at_ms, ms: 1, status: Some(500), error: Some("status 500".to_owned()) }
}

#[test]
fn a_message_taken_twice_is_there_once_and_places_are_kept_over_a_restart() {
    let (dir, queue) = queue();
    queue.take("w", &[new(11), new(12)], 12).unwrap();
    queue.take("w", &[new(12), new(13)], 13).unwrap();
    assert!(Queue::open(&dir.path().join("webhooks.db")).is_err(), "one program has the file");
    drop(queue);
    let queue = Queue::open(&dir.path().join("webhooks.db")).unwrap();
    queue.begin("w", 99).unwrap();
    assert_eq!(queue.lines().unwrap(), [LineRow { webhook: "w".to_owned(), cursor: 13, pending: 3 }]);
    let mut taken = Vec::new();
    while let Next::Due(due) = queue.next("w", 0).unwrap() {
        queue.delivered("w", &due, &Went::default()).unwrap();
        taken.push(due.lsn);
    }
    assert_eq!(taken, [11, 12, 13]);
}

#[test]
fn a_message_keeps_its_place_for_two_failures_and_is_passed_after_the_third() {
    let (_dir, queue) = queue();
    queue.take("w", &[new(11), new(12)], 12).unwrap();
    for (now_ms, again_ms) in [(0, 100), (100, 200)] {
        let due = next(&queue, now_ms);
        assert_eq!(due.lsn, 11);
        queue.failed("w", &due, &refused(now_ms), Then::Again(again_ms)).unwrap();
        assert_eq!(queue.next("w", now_ms).unwrap(), Next::At(again_ms), "the other one waits behind it");
    }
    let due = next(&queue, 200);
    assert_eq!(queue.failed("w", &due, &refused(200), Then::Again(900)).unwrap(), 0, "failing since then");
    let passing = next(&queue, 200);
    assert_eq!(passing.lsn, 12);
    assert_eq!(queue.delivered("w", &passing, &Went::default()).unwrap(), Some(0));
    assert_eq!(queue.next("w", 200).unwrap(), Next::At(900));
    queue.hurry("w", 300).unwrap();
    assert_eq!((next(&queue, 300).lsn, next(&queue, 300).attempts), (11, 3));
}

#[test]
fn a_dead_letter_waits_for_a_person_and_begins_anew() {
    let (_dir, queue) = queue();
    queue.take("w", &[new(11)], 11).unwrap();
    let due = next(&queue, 0);
    queue.failed("w", &due, &refused(5), Then::Dead).unwrap();
    assert_eq!(queue.next("w", i64::MAX).unwrap(), Next::Nothing);
    let dead = queue.dead_letters("w", None, 10).unwrap();
    assert_eq!((dead[0].id.as_str(), dead[0].attempts, dead[0].dead_ms), ("msg_11_0", 1, 5));
    assert!(queue.dead_letters("w", Some(dead[0].place), 10).unwrap().is_empty());
    assert!(!queue.revive("w", "msg_12_0").unwrap());
    assert!(queue.revive("w", "msg_11_0").unwrap());
    assert_eq!(next(&queue, 0).attempts, 0);
    let figures = &queue.figures().unwrap()[0];
    assert_eq!((figures.failed, figures.dead, figures.dead_letters, figures.pending), (1, 1, 0, 1));
}

#[test]
fn dead_letters_and_attempts_are_bounded_and_what_goes_is_counted() {
    let (_dir, queue) = queue();
    let more = u64::from(DEAD_MAX) + 5;
    let all: Vec<New> = (11..11 + more).map(new).collect();
    queue.take("w", &all, 11 + more).unwrap();
    while let Next::Due(due) = queue.next("w", 0).unwrap() {
        queue.failed("w", &due, &refused(0), Then::Dead).unwrap();
    }
    let figures = &queue.figures().unwrap()[0];
    assert_eq!((figures.dead, figures.dropped, figures.dead_letters), (more, 5, u64::from(DEAD_MAX)));
    assert_eq!(queue.dead_letters("w", None, 1).unwrap()[0].place, (16, 0), "the oldest went");
    let attempts = queue.attempts("w", None, usize::MAX >> 1).unwrap();
    assert_eq!(attempts.len(), ATTEMPTS_MAX as usize);
    assert!(attempts.windows(2).all(|pair| pair[0].number > pair[1].number));
    queue.forget("w").unwrap();
    assert!(queue.figures().unwrap().is_empty() && queue.attempts("w", None, 1).unwrap().is_empty());
}

#[test]
fn another_programs_file_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("webhooks.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    assert!(Queue::open(&path).is_err());
}

#[test]
fn people_of_an_event_are_taken_out_of_every_message_and_every_byte_and_the_rest_is_sent() {
    let (dir, queue) = queue();
    let naming = |lsn: u64, event: &str, holder: &str| {
        let data = serde_json::json!({"event": event, "holder": holder, "order": "A-1", "seat": "", "scan": lsn.to_string()});
        let body = serde_json::json!({"type": "scan.admitted", "data": data}).to_string();
        New { body, ..new(lsn) }
    };
    let old = |lsn| naming(lsn, "old", "Adelheid Altmann");
    let plain = r#"{"data":{"event":"old","scan":"15"}}"#.to_owned();
    let all = [
        old(11),
        old(12),
        old(13),
        naming(14, "new", "Dorothea Dauer"),
        New { body: plain.clone(), ..new(15) },
    ];
    queue.take("w", &all, 15).unwrap();
    queue.delivered("w", &next(&queue, 0), &Went::default()).unwrap();
    queue.failed("w", &next(&queue, 0), &refused(0), Then::Dead).unwrap();
    let is_in_a_file = |needle: &[u8]| {
        std::fs::read_dir(dir.path()).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    };
    assert!(is_in_a_file(b"Adelheid Altmann"));
    assert_eq!(queue.forget_people("old").unwrap(), 2, "one is delivered and gone, one never named anybody");
    assert!(!is_in_a_file(b"Adelheid Altmann") && is_in_a_file(b"Dorothea Dauer"));
    assert_eq!(queue.forget_people("old").unwrap(), 0, "a second time there is nothing");
    assert!(queue.revive("w", "msg_12_0").unwrap());
    let mut sent = Vec::new();
    while let Next::Due(due) = queue.next("w", 0).unwrap() {
        queue.delivered("w", &due, &Went::default()).unwrap();
        sent.push(due.body);
    }
    let without = |lsn: u64| {
        let data = serde_json::json!({"event": "old", "scan": lsn.to_string()});
        serde_json::json!({"type": "scan.admitted", "data": data})
    };
    let sent_json: Vec<serde_json::Value> =
        sent.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(sent_json[..2], [without(12), without(13)]);
    assert_eq!((&sent[2], &sent[3]), (&all[3].body, &plain), "what is not about them is as it was");
}
