//! The decision as tables: one line is a ticket, a scan and what must come of it. The language is in
//! `support/table.rs`; the rules are product.md's, not the code's.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod support;

use engine::EngineError;
use engine::decision::REASONS;
use engine::journal::{Durability, JournalOptions, Lsn};
use engine::limits::{COMMANDS_PER_DEVICE_MAX, NOTICES_PER_DEVICE_MAX};
use engine::record::{Command, Record};
use engine::state::DeviceMode;
use support::table::check;

/// Every reason once, in the order of the rules.
const EVERY_REASON: &str = "
    ticket T1 STD
    ticket CANCELLED STD status=cancelled
    ticket BLOCKED STD status=blocked
    ticket SUPERSEDED STD status=superseded        # at 17:00, when it was added
    ticket UNPAID STD status=not_activated
    type GATED entries=1 gates=South
    ticket GATED GATED
    ticket FOREIGN STD
    ticket V VIP
    type DAILY entries=unlimited per_day=1 reentry=after_exit
    ticket DAILY DAILY
    ticket LAST STD

    17:30 T1 North -> deny too_early at=18:00 left=1
    18:30 NOBODY North -> deny unknown_ticket left=none
    18:30 CANCELLED North -> deny cancelled left=1
    18:30 BLOCKED North -> deny blocked
    18:30 SUPERSEDED North -> deny superseded at=17:00
    18:30 UNPAID North -> deny not_activated
    18:30 FOREIGN Foreign -> deny wrong_event says=The_Match
    18:30 GATED North -> deny wrong_gate says=South
    18:30 T1 Idle -> deny gate_closed
    18:30 T1 Exit -> deny not_inside
    18:31 T1 North -> admit left=0 people=1
    18:32 T1 North -> deny already_used left=0 at=North@18:31
    18:33 T1 South -> deny already_used left=0 at=North@18:31
    18:34 V North -> admit left=1
    18:35 V South -> deny already_inside left=1 at=North@18:34
    18:36 V Exit -> admit left=1
    18:37 V South -> admit left=0
    18:38 V Exit -> admit left=0
    18:39 V South -> deny no_entries_left left=0 at=North@18:34
    18:40 DAILY North -> admit left=unlimited
    18:41 DAILY Exit -> admit
    18:42 DAILY North -> deny no_entries_left_today
    zone BOWL capacity=1
    18:43 LAST North -> deny zone_full left=1
    23:00:01 LAST North -> deny too_late at=23:00 left=1
";

#[test]
fn every_reason_has_its_line() {
    let venue = check(EVERY_REASON);
    assert_eq!(venue.denied_for.into_iter().collect::<Vec<_>>(), REASONS);
}

#[test]
fn every_refusal_is_counted_under_its_reason() {
    let mut venue = check(EVERY_REASON);
    venue.run(
        "count reason already_used = 2
         count reason blocked = 1
         count gate North admits=3 denials=11 entries=3
         count event Match entries=4 exits=3 attendance=3
         count event Other denials=0
         zone BOWL = 1
         reopen
         count gate North admits=3 denials=11",
    );
}

/// A ticket that fails every rule gets the first; each line mends what the line before named.
#[test]
fn the_first_rule_that_fails_gives_the_reason() {
    check(
        "type G entries=1 reentry=none gates=South until=19:00
         ticket T G until=18:30
         ticket FILLER STAFF
         18:00 T South -> admit                         # used, and inside
         18:00 FILLER North -> admit
         zone BOWL capacity=1
         gate Foreign mode=closed
         status T cancelled
         19:31 T Foreign -> deny cancelled
         status T blocked
         19:32 T Foreign -> deny blocked
         status T superseded
         19:33 T Foreign -> deny superseded at=19:32
         status T not_activated
         19:34 T Foreign -> deny not_activated
         status T active
         19:35 T Foreign -> deny wrong_event
         gate North mode=closed
         19:36 T North -> deny too_late at=18:30
         17:30 T North -> deny too_early at=18:00
         18:20 T North -> deny wrong_gate says=South
         gate South mode=closed
         18:20 T South -> deny gate_closed
         gate South mode=open
         18:21 T South -> deny already_used at=South@18:00
         18:21 NOBODY South -> deny unknown_ticket",
    );
}

#[test]
fn a_used_ticket_that_is_too_late_is_called_too_late() {
    check(
        "ticket T STD
         18:30 T North -> admit
         23:30 T North -> deny too_late",
    );
}

#[test]
fn inside_comes_before_used_up_and_used_up_before_the_day() {
    check(
        "type V entries=1 per_day=1 reentry=after_exit
         ticket T V
         zone BOWL capacity=1
         18:30 T North -> admit left=0
         18:31 T North -> deny already_inside
         18:32 T Exit -> admit
         18:33 T North -> deny already_used at=North@18:30",
    );
    check(
        "type V entries=3 per_day=1 reentry=after_exit
         ticket T V
         ticket F STAFF
         zone BOWL capacity=1
         18:30 T North -> admit left=2
         18:31 T Exit -> admit
         18:31 F North -> admit
         18:33 T North -> deny no_entries_left_today left=2",
    );
}

#[test]
fn without_reentry_a_ticket_enters_once() {
    check(
        "ticket T STD
         18:30 T North -> admit left=0
         18:31 T Exit -> admit left=0
         18:32 T North -> deny already_used at=North@18:30
         zone BOWL = 0
         inside T = 0 used=1 zone=outside",
    );
}

#[test]
fn after_exit_asks_for_an_exit_in_between() {
    check(
        "ticket T VIP
         18:30 T North -> admit left=1
         18:31 T North -> deny already_inside left=1
         18:32 T Exit -> admit left=1
         18:33 T Exit -> deny not_inside
         18:34 T North -> admit left=0
         inside T = 1 used=2 zone=BOWL first=North@18:30",
    );
}

#[test]
fn free_reentry_asks_for_nothing() {
    check(
        "ticket T STAFF
         18:30 T North -> admit left=unlimited
         18:31 T South -> admit left=unlimited
         18:32 T North -> admit
         zone BOWL = 1
         count event Match attendance=1 entries=3
         type TWICE entries=2 reentry=free
         ticket W TWICE
         18:33 W North -> admit left=1
         18:34 W North -> admit left=0
         18:35 W North -> deny no_entries_left at=North@18:33",
    );
}

#[test]
fn soft_anti_passback_admits_with_attention_and_still_counts_entries() {
    check(
        "type S entries=2 reentry=after_exit passback=soft
         ticket T S
         18:30 T North -> admit left=1
         18:31 T South -> admit already_inside left=0
         18:32 T North -> deny no_entries_left
         18:33 T Exit -> admit
         18:34 T Exit -> admit not_inside
         zone BOWL = 0",
    );
}

#[test]
fn timed_anti_passback_takes_the_guest_to_have_left_unseen() {
    check(
        "type S entries=3 reentry=after_exit passback=10
         ticket T S
         18:30 T North -> admit left=2
         18:39:59 T South -> deny already_inside
         18:40 T North -> admit left=1
         18:45 T South -> deny already_inside at=North@18:40
         18:20 T South -> deny already_inside        # the clock went back: no time has passed
         zone BOWL = 1",
    );
}

#[test]
fn two_perimeters_cost_one_entry() {
    check(
        "ticket T STD
         18:30 T Outer -> admit left=0
         zone PERIMETER = 1
         18:31 T Inner -> admit left=0
         zone PERIMETER = 0
         zone BOWL = 1
         18:32 T Inner -> deny already_used
         18:33 T Inner exit -> admit
         zone PERIMETER = 1
         zone BOWL = 0
         18:34 T Inner -> admit left=0
         18:35 T Exit -> admit
         18:36 T Inner -> deny already_used
         18:37 T Outer -> deny already_used
         zone PERIMETER = 0
         zone BOWL = 0
         count event Match attendance=1",
    );
}

#[test]
fn a_guest_nobody_saw_come_in_pays_at_the_inner_gate() {
    check(
        "ticket T VIP
         18:30 T Inner -> admit left=1
         inside T = 1 used=1 zone=BOWL first=Inner@18:30
         18:31 T North -> deny already_inside",
    );
}

// A group of two walked through an inner gate and came out as four: the inner gate took the people who were
// still outside for people who pass, and added them to the head count.
#[test]
fn an_inner_gate_never_makes_a_group_larger() {
    check(
        "ticket G GROUP
         18:30 G Outer people=2 -> admit left=2 people=2
         zone PERIMETER = 2
         18:31 G Inner -> admit left=2 people=2
         zone PERIMETER = 0
         zone BOWL = 2
         inside G = 2 used=2 zone=BOWL
         18:32 G Outer -> admit left=0 people=2
         inside G = 4 used=4
         18:33 G Outer -> deny already_used",
    );
}

#[test]
fn a_group_that_moves_inwards_fills_the_inner_zone_by_all_its_people() {
    check(
        "ticket G GROUP
         zone BOWL capacity=3
         18:30 G Outer -> admit left=0 people=4
         18:31 G Inner -> deny zone_full
         zone BOWL capacity=4
         18:32 G Inner -> admit people=4
         zone BOWL = 4",
    );
}

#[test]
fn a_group_enters_in_one_scan_or_in_parts() {
    check(
        "ticket G GROUP
         18:30 G North -> admit people=4 left=0
         18:31 G North -> deny already_used
         zone BOWL = 4
         ticket H GROUP
         18:32 H North people=1 -> admit people=1 left=3
         18:33 H North people=2 -> admit people=2 left=1
         18:34 H North people=2 -> deny already_used left=1
         18:35 H North -> admit people=1 left=0
         zone BOWL = 8
         count event Match attendance=8 entries=8
         18:36 H Exit people=3 -> admit people=3
         inside H = 1 zone=BOWL
         18:37 H Exit people=2 -> deny not_inside
         18:38 H Exit -> admit people=1
         inside H = 0 zone=outside
         18:39 H North -> deny already_used
         zone BOWL = 4",
    );
}

// A device may ask for several people; a ticket for one let two in when it had two entries, and any number
// when its entries are unlimited.
#[test]
fn a_ticket_never_admits_more_people_at_once_than_its_type_says() {
    check(
        "ticket V VIP
         18:30 V North people=2 -> deny no_entries_left left=2
         ticket S STAFF
         18:31 S North people=5 -> deny no_entries_left
         type TEAM entries=unlimited people=4 reentry=free
         ticket M TEAM
         18:32 M North people=5 -> deny no_entries_left
         18:33 M North people=4 -> admit people=4
         zone BOWL = 4",
    );
}

#[test]
fn nobody_leaves_as_zero_people() {
    check(
        "ticket V VIP
         18:30 V North people=0 -> admit people=1
         18:31 V Exit people=0 -> admit people=1
         zone BOWL = 0",
    );
}

#[test]
fn a_day_limit_ends_at_the_venues_midnight() {
    check(
        "event Match ends=d3/23:00
         type D entries=unlimited per_day=1 reentry=free
         ticket T D
         18:30 T North -> admit
         23:59:59.999 T North -> deny no_entries_left_today
         d2/00:00 T South -> admit
         d2/23:59 T North -> deny no_entries_left_today
         d3/00:00 T North -> admit",
    );
}

/// Clocks go back at 03:00 on 2026-10-25, and forward at 02:00 on 2027-03-28: these days have 25 and 23 hours.
#[test]
fn a_day_limit_knows_the_nights_the_clocks_change() {
    check(
        "event Match ends=2027-12-31T00:00+01:00
         type D entries=unlimited per_day=1 reentry=free
         ticket T D
         2026-10-24T23:59+02:00 T North -> admit
         2026-10-25T00:00+02:00 T North -> admit
         2026-10-25T02:30+02:00 T North -> deny no_entries_left_today
         2026-10-25T02:30+01:00 T North -> deny no_entries_left_today
         2026-10-25T23:30+01:00 T North -> deny no_entries_left_today
         2026-10-26T00:00+01:00 T North -> admit
         2027-03-27T23:59+01:00 T North -> admit
         2027-03-28T00:00+01:00 T North -> admit
         2027-03-28T23:59+02:00 T North -> deny no_entries_left_today
         2027-03-29T00:00+02:00 T North -> admit",
    );
}

// A clock that went back over midnight and forward again gave a second entry of the same day.
#[test]
fn a_clock_that_jumps_gives_no_second_entry_of_a_day() {
    check(
        "event Match ends=d9/23:00
         type D entries=unlimited per_day=1 reentry=free
         ticket T D
         d2/00:10 T North -> admit
         d1/23:50 T North -> deny no_entries_left_today
         d2/00:20 T North -> deny no_entries_left_today
         d3/00:20 T North -> admit",
    );
}

// A scan of yesterday, uploaded late, overwrote what the ticket had used today.
#[test]
fn a_late_upload_of_yesterday_does_not_give_todays_entry_back() {
    check(
        "event Match ends=d9/23:00
         type D entries=unlimited per_day=1 reentry=free
         ticket T D
         d2/18:30 T North -> admit
         d2/18:40 T South id=late shown=green made=d1/19:00 dev=D2 -> admit conflict=none
         d2/18:50 T North -> deny no_entries_left_today
         d3/18:30 T North -> admit",
    );
}

#[test]
fn the_narrowest_window_of_event_type_and_ticket_holds() {
    check(
        "type W entries=1 from=18:30 until=22:00
         ticket A W
         ticket B W from=19:00 until=21:00
         ticket C W from=17:00 until=23:59
         18:29:59 A North -> deny too_early at=18:30
         18:59:59 B North -> deny too_early at=19:00
         18:29 C North -> deny too_early at=18:30
         18:30 C North -> admit
         21:00:01 B North -> deny too_late at=21:00
         21:00 B North -> admit                       # the last moment is still good
         22:00:01 A North -> deny too_late at=22:00
         ticket E STD from=10:00
         17:59:59 E North -> deny too_early at=18:00
         18:00 E South -> admit",
    );
}

#[test]
fn a_guest_may_leave_after_the_end_and_by_any_gate() {
    check(
        "type W entries=1 gates=North until=20:00
         ticket T W
         18:30 T North -> admit
         d2/01:00 T Exit -> admit
         zone BOWL = 0",
    );
}

#[test]
fn a_closed_gate_and_a_locked_device_refuse() {
    check(
        "ticket T VIP
         gate North mode=closed
         18:30 T North -> deny gate_closed
         gate North mode=open
         command D1 lock
         18:31 T North -> deny gate_closed
         18:31 T North dev=D2 -> admit
         command D1 unlock
         18:32 T Exit -> admit
         gate North mode=emergency_open
         18:33 T North -> admit
         18:34 T North -> deny already_inside",
    );
}

#[test]
fn a_full_zone_refuses_hard_and_admits_softly_with_attention() {
    check(
        "zone BOWL capacity=2
         ticket A STD
         ticket B STD
         ticket C STD
         ticket G GROUP
         18:30 A North -> admit
         18:31 G North -> deny zone_full left=4
         18:31:10 G North people=1 -> admit left=3
         18:32 B North -> deny zone_full
         18:33 A Exit -> admit
         18:34 B North -> admit
         zone BOWL capacity=2 rule=soft
         18:35 C North -> admit zone_full left=0
         zone BOWL = 3",
    );
}

#[test]
fn a_specimen_gets_real_answers_and_never_counts() {
    check(
        "ticket S STD specimen
         17:30 S North -> deny too_early left=1
         18:30 S North -> admit left=1
         18:31 S North -> admit left=1
         18:32 S Exit -> admit
         status S blocked
         18:33 S North -> deny blocked
         count gate North admits=0 denials=0 entries=0
         count event Match admits=0 denials=0 attendance=0
         count reason blocked = 0
         count reason too_early = 0
         zone BOWL = 0",
    );
}

#[test]
fn a_specimen_learns_that_the_zone_is_full() {
    check(
        "ticket S STD specimen
         ticket T STD
         zone BOWL capacity=1
         18:30 T North -> admit
         18:31 S North -> deny zone_full
         zone BOWL capacity=1 rule=soft
         18:32 S North -> admit zone_full
         count reason zone_full = 0",
    );
}

#[test]
fn an_installers_scan_answers_and_changes_nothing() {
    check(
        "ticket T STD
         18:30 T North test -> admit left=0
         18:31 T North test id=t -> admit left=0
         18:32 T North -> admit left=0
         18:33 T North test -> deny already_used
         count tests 3
         count gate North admits=1 denials=0 entries=1
         count reason already_used = 0
         zone BOWL = 1",
    );
}

#[test]
fn a_check_says_what_would_be_and_leaves_no_trace() {
    check(
        "ticket T STD
         18:30 T North check -> admit left=0
         18:30 T North check -> admit left=0
         18:30 T North -> admit left=0
         18:31 T North check -> deny already_used
         count gate North admits=1 denials=0",
    );
}

#[test]
fn an_override_admits_and_keeps_what_it_overrode() {
    check(
        "ticket T STD status=blocked
         18:30 T North -> deny blocked left=1
         18:30 T North override=lost_child -> admit blocked overrode=blocked left=0
         zone BOWL = 1
         18:31 T North override=again -> admit blocked overrode=blocked left=0
         inside T = 1 used=1
         ticket U STD
         18:32 U North override=not_needed -> admit overrode=none left=0
         18:33 NOBODY North override=vouched -> admit unknown_ticket overrode=unknown_ticket people=1
         count gate North turns=1
         conflicts 0",
    );
}

#[test]
fn an_override_never_takes_an_entry_the_ticket_has_not() {
    check(
        "ticket T VIP
         18:30 T North -> admit left=1
         18:31 T North override=x -> admit already_inside overrode=already_inside left=0
         18:32 T Exit -> admit
         18:33 T North override=x -> admit no_entries_left overrode=no_entries_left left=0
         inside T = 1 used=2
         zone BOWL = 1",
    );
}

#[test]
fn an_annulled_override_of_a_stranger_takes_the_turn_back() {
    check(
        "18:30 NOBODY North override=vouched id=o -> admit unknown_ticket
         count gate North turns=1
         18:31 annul o -> ok
         count gate North turns=0
         count event Match turns=0
         18:32 annul o -> ok
         count gate North turns=0
         reopen",
    );
}

#[test]
fn the_record_names_the_operator_and_the_reason_in_words() {
    let venue = check(
        "ticket T STD status=blocked
         18:30 T North override=lost_child -> admit blocked overrode=blocked",
    );
    venue.engine.journal().commit().unwrap();
    let mut records = Vec::new();
    venue.engine.journal().reader(Lsn(0)).read(usize::MAX, &mut records).unwrap();
    let (_, payload) = records.last().unwrap();
    let Record::Scan(scan) = Record::decode(payload).unwrap() else { panic!("not a scan") };
    assert_eq!(scan.overriding.unwrap().note, "lost_child");
    assert_eq!(scan.answer.overridden.map(|reason| reason.code()), Some("blocked"));
}

#[test]
fn a_green_light_shown_offline_is_history_and_maybe_a_conflict() {
    check(
        "ticket T STD
         19:00 T North id=a shown=green made=18:30 -> admit conflict=none left=0
         inside T = 1 used=1 first=North@18:30
         19:00 T South id=b dev=D2 shown=green made=18:40 -> admit already_used conflict=already_used left=0
         inside T = 1 used=1
         19:00 NOBODY South id=c dev=D2 shown=green made=18:41 -> admit unknown_ticket conflict=unknown_ticket
         conflicts 2
         zone BOWL = 1
         count gate South turns=1",
    );
}

#[test]
fn a_red_light_shown_offline_is_kept_with_its_reason() {
    check(
        "ticket T STD
         19:00 T North id=a shown=blocked made=18:30 -> deny blocked left=1 conflict=none
         count reason blocked = 1
         19:01 T North -> admit left=0",
    );
}

#[test]
fn an_offline_scan_is_judged_at_its_own_time() {
    check(
        "ticket T STD until=19:00
         20:00 T North id=a shown=green made=18:30 -> admit conflict=none
         ticket U STD until=19:00
         20:00 U North id=b shown=green made=19:30 -> admit too_late conflict=too_late
         ticket W STD
         17:30 W North id=c shown=green made=18:30 -> admit too_early conflict=too_early   # its clock is ahead",
    );
}

#[test]
fn a_late_upload_does_not_say_where_the_guest_is_now() {
    check(
        "ticket T VIP
         19:00 T North -> admit
         19:10 T Exit -> admit
         19:20 T North dev=D2 id=a shown=green made=18:30 -> admit
         inside T = 0 used=2 zone=outside first=North@18:30
         zone BOWL = 0",
    );
}

#[test]
fn one_ticket_has_several_codes() {
    check(
        "ticket T STD codes=PAPER,PHONE card=CHIP
         18:30 PAPER North -> admit left=0
         18:31 PHONE North -> deny already_used
         18:32 card/CHIP North -> deny already_used
         ticket U STD codes=NEW,PHONE -> error
         18:33 NEW North -> deny unknown_ticket",
    );
}

#[test]
fn a_printed_code_never_stands_for_a_card() {
    check(
        "ticket T STD codes=PAPER card=04A1
         18:30 04A1 North -> deny unknown_ticket
         18:30 card/PAPER North -> deny unknown_ticket
         ticket U STD codes=04A1
         18:31 04A1 North -> admit
         18:31 card/04A1 North -> admit
         inside T = 1
         inside U = 1",
    );
}

#[test]
fn annul_gives_entry_and_presence_back() {
    check(
        "ticket T STD
         18:30 T North id=a -> admit left=0
         18:31 annul a -> ok
         inside T = 0 used=0 zone=outside
         zone BOWL = 0
         count event Match entries=0 attendance=0
         18:31 annul a -> ok                          # twice is once
         18:32 T South id=b -> admit left=0
         inside T = 1 used=1 first=South@18:32
         18:33 T North -> deny already_used at=South@18:32
         reopen",
    );
}

#[test]
fn an_annulled_exit_puts_the_guest_back_inside() {
    check(
        "ticket T VIP
         18:30 T North -> admit
         18:31 T Exit id=x -> admit
         18:32 annul x -> ok
         inside T = 1 zone=BOWL
         zone BOWL = 1
         count event Match exits=0
         18:33 T North -> deny already_inside",
    );
}

// The exit of two was annulled after a third had left: the head count forgot the two.
#[test]
fn an_annulled_exit_of_some_is_given_back_after_others_left() {
    check(
        "ticket G GROUP
         18:30 G North -> admit people=4
         18:31 G Exit people=2 id=x -> admit
         18:32 G Exit people=1 -> admit
         18:33 annul x -> ok
         inside G = 3 used=4 zone=BOWL
         zone BOWL = 3
         18:34 G Exit people=1 id=y -> admit
         18:35 G Exit people=2 -> admit
         zone BOWL = 0
         18:36 annul y -> ok
         inside G = 1 zone=BOWL
         zone BOWL = 1",
    );
}

#[test]
fn annul_gives_back_what_it_took_also_when_something_newer_happened() {
    check(
        "ticket G GROUP
         18:30 G North people=2 id=a -> admit left=2
         18:31 G South people=1 id=b -> admit left=1
         18:32 annul a -> ok
         inside G = 1 used=1 zone=BOWL
         zone BOWL = 1
         18:33 G North -> admit people=3 left=0",
    );
}

// The first entry of a day was annulled after the second: the entry came back, the day's entry did not.
#[test]
fn an_annulled_entry_gives_the_days_entry_back_too() {
    check(
        "type D entries=unlimited per_day=2 reentry=free
         ticket T D
         18:30 T North id=a -> admit
         18:31 T North id=b -> admit
         18:32 T North -> deny no_entries_left_today
         18:33 annul a -> ok
         18:34 T North -> admit
         18:35 T North -> deny no_entries_left_today",
    );
    check(
        "event Match ends=d9/23:00
         type D entries=unlimited per_day=2 reentry=free
         ticket T D
         18:30 T North -> admit
         18:31 T North -> admit                       # another day's entries are not this day's
         d2/18:30 T North id=a -> admit
         d2/18:31 T North id=b -> admit
         d2/18:33 annul a -> ok
         d2/18:34 T North -> admit
         d2/18:35 T North -> deny no_entries_left_today",
    );
}

#[test]
fn annul_has_its_limits() {
    check(
        "ticket T STD
         ticket U STD
         18:30 T North id=a -> admit
         18:30 U North id=u -> admit
         18:31 T North id=b -> deny already_used
         18:32 annul b -> error not_admitted
         18:32 annul nothing -> error not_found
         18:32 annul a dev=D2 -> error not_found
         18:45 passed a -> ok
         18:45 passed a -> ok
         18:45 annul a -> error decided
         18:45:00.001 annul u -> error too_late
         18:45 annul u -> ok
         18:46 passed u -> error decided",
    );
}

#[test]
fn the_same_code_without_an_id_within_the_window_is_one_scan() {
    check(
        "ticket T VIP
         18:30 T North -> admit left=1
         18:30:02.999 T North -> admit left=1 repeat
         count repeats 1
         inside T = 1 used=1
         18:30:03 T North -> deny already_inside
         18:30:05 T North -> deny already_inside repeat
         count reason already_inside = 1
         reopen
         count repeats 2",
    );
}

#[test]
fn a_repeat_is_of_the_same_device_gate_way_and_time() {
    check(
        "ticket T VIP
         18:30 T North -> admit left=1
         18:30:01 T North dev=D2 -> deny already_inside
         18:30:01 T South -> deny already_inside",
    );
    check(
        "ticket T VIP
         18:30 T North -> admit left=1
         18:30:01 T North exit -> admit way=exit
         18:30:02 T North entry -> admit left=0",
    );
    check(
        "ticket T VIP
         18:30 T North -> admit left=1
         18:29:59 T North -> deny already_inside      # the clock went back: nobody knows how long",
    );
}

#[test]
fn after_a_passage_or_an_annul_the_same_code_is_a_new_scan() {
    check(
        "ticket T VIP
         18:30 T North as=one -> admit left=1
         18:30:01 passed one -> ok
         18:30:02 T North -> deny already_inside",
    );
    check(
        "ticket T STD
         18:30 T North as=one -> admit left=0
         18:30:01 annul one -> ok
         18:30:02 T North -> admit left=0",
    );
}

#[test]
fn a_scan_without_an_id_is_found_by_the_id_the_engine_gave() {
    check(
        "ticket T STD
         18:30 T North as=one -> admit left=0
         18:40 T North id=one -> admit left=0 again
         18:40 T North id=one dev=D2 -> error scan_id_reserved
         18:40 U North id=one -> error scan_id_conflict
         18:40 T North id=gh-99999 -> error scan_id_reserved",
    );
}

#[test]
fn the_same_id_gets_the_same_answer_before_everything_else() {
    check(
        "ticket T STD
         18:30 T North id=a -> admit left=0 people=1
         status T blocked
         18:31 T North id=a -> admit left=0 again
         gate North mode=closed
         command D1 lock
         18:32 T North id=a -> admit left=0 again
         type STD entries=1 reentry=none gates=South until=18:00
         event Match ends=18:10
         zone BOWL capacity=0
         d2/18:29 T North id=a -> admit left=0 again
         reopen
         d2/18:29 T North id=a -> admit left=0 again
         inside T = 1 used=1
         ticket U STD
         18:31 U North id=b -> deny too_late
         event Match ends=23:00
         18:32 U North id=b -> deny too_late again
         17:00 U North id=b -> deny too_late again",
    );
}

#[test]
fn an_id_belongs_to_one_device_one_code_and_one_gate() {
    check(
        "ticket T STD
         ticket U STD
         18:30 T North id=a -> admit
         18:30 U North id=a -> error scan_id_conflict
         18:30 T South id=a -> error scan_id_conflict
         18:30 card/T North id=a -> error scan_id_conflict
         18:30 T North test id=a -> error scan_id_conflict
         18:30 U North id=a dev=D2 -> admit
         18:30 U North id=gh-1 -> error scan_id_reserved",
    );
}

// An empty id was taken for an id that never is the same: a retry was told "already used".
#[test]
fn an_empty_id_is_no_id() {
    check(
        "ticket T STD
         18:30 T North id= -> admit left=0
         18:30:02 T North id= -> admit left=0 repeat",
    );
}

// The reply to an online scan was lost, the device showed the same answer by itself and uploaded it later under
// the same id: it was told that the id belongs to another scan.
#[test]
fn an_upload_of_a_scan_that_had_been_decided_is_the_same_scan() {
    check(
        "ticket T STD
         18:30 T North id=a -> admit left=0
         18:40 T North id=a shown=green made=18:30 -> admit left=0 again
         inside T = 1 used=1
         18:41 T North id=b -> deny already_used
         18:42 T North id=b shown=already_used made=18:41 -> deny already_used again
         18:43 T North id=b shown=green made=18:41 -> error scan_id_conflict",
    );
}

// A scan of the day before yesterday, uploaded today, was forgotten with the next scan: its age counted from when it
// was made. Uploading it again counted it again.
#[test]
fn an_old_scan_is_kept_for_a_day_from_its_upload() {
    check(
        "event Match ends=d9/23:00
         ticket T VIP
         ticket U STD
         d3/18:00 T North id=old shown=green made=d1/18:30 -> admit left=1
         d3/18:01 U North -> admit
         d3/18:02 NOBODY North -> deny unknown_ticket
         d4/17:59 T North id=old shown=green made=d1/18:30 -> admit left=1 again
         inside T = 1 used=1
         count gate North admits=2",
    );
}

#[test]
fn turns_without_a_ticket_are_counted() {
    check(
        "turns North 30
         turns North -4
         count gate North turns=26
         count event Match turns=26
         zone BOWL = 0",
    );
}

#[test]
fn a_command_is_delivered_once_and_not_after_its_time() {
    check(
        "18:00 command D1 reload lives_s=10
         18:00 command D1 hello lives_s=60
         18:00 command D2 lock
         18:00:10.001 deliver D1 -> message(\"hello\") mode=normal
         18:00:11 deliver D1 -> mode=normal
         18:00:11 deliver D2 -> lock mode=locked
         18:00:12 deliver D2 -> mode=locked
         command D2 open
         reopen
         18:00:12 deliver D2 -> emergencyopen mode=emergencyopen
         18:00:12 deliver D3 -> mode=normal",
    );
}

#[test]
fn of_the_commands_that_say_how_a_device_stands_only_the_last_is_delivered() {
    check(
        "command D1 lock
         command D1 reload
         command D1 unlock
         command D1 hello
         command D1 open
         command D1 reload
         command D1 release
         reopen
         deliver D1 -> unlock message(\"hello\") reload release mode=normal
         deliver D1 -> mode=normal
         command D1 open
         deliver D1 -> emergencyopen mode=emergencyopen
         command D1 unlock                          # opening once does not end an emergency
         deliver D1 -> unlock mode=emergencyopen
         command D1 release
         deliver D1 -> release mode=normal
         command D1 lock
         command D1 unlock                          # but a lock
         deliver D1 -> lock unlock mode=normal",
    );
}

/// An older program knew no superseding: what its records give must not change.
#[test]
fn a_superseded_command_is_not_told_and_stays_in_the_state_until_the_device_asks() {
    let venue = check("command D1 lock\n command D1 release");
    let device = venue.engine.catalog().device_named("D1").unwrap();
    let kept = || venue.engine.with_state(|state| state.devices[device.index()].commands.len());
    assert_eq!((kept(), venue.engine.device_state(device).1), (2, 1));
    assert_eq!(venue.engine.take_commands(device).unwrap().2.len(), 1);
    assert_eq!(kept(), 0);
}

#[test]
fn where_as_many_messages_wait_as_may_another_is_refused_and_what_says_how_a_device_stands_never() {
    let venue = check("command D1 lock");
    let device = venue.engine.catalog().device_named("D1").unwrap();
    let command = |command: Command| venue.engine.command(None, device, command, 60_000);
    let messages: Vec<Command> =
        (0..NOTICES_PER_DEVICE_MAX).map(|n| Command::Message(format!("message {n}"))).collect();
    for message in &messages {
        command(message.clone()).unwrap();
    }
    for n in 0..100 {
        let last = [Command::Lock, Command::EmergencyOpen, Command::Reload, Command::Release][n % 4].clone();
        command(last).unwrap();
        for refused in [Command::Unlock, Command::Message("one more".to_owned())] {
            assert!(matches!(command(refused), Err(EngineError::CommandsWait)), "{n}");
        }
    }
    assert_eq!(venue.engine.device_state(device), (DeviceMode::Normal, COMMANDS_PER_DEVICE_MAX));
    let (_, _, waiting) = venue.engine.take_commands(device).unwrap();
    let waiting: Vec<Command> = waiting.into_iter().map(|pending| pending.command).collect();
    assert_eq!(waiting[..NOTICES_PER_DEVICE_MAX], messages, "none was dropped");
    assert_eq!(waiting[NOTICES_PER_DEVICE_MAX..], [Command::Reload, Command::Release]);
    command(Command::Unlock).unwrap();
}

#[test]
fn a_gate_of_another_way_can_be_told_the_way() {
    check(
        "ticket T VIP
         18:30 T Exit entry -> admit way=entry left=1
         zone BOWL = 1
         18:31 T North exit -> admit way=exit
         zone BOWL = 0
         18:32 T North exit -> deny not_inside",
    );
}

// A node that says "durable" before the disk does lost power: its checkpoint was ahead of its journal, and it
// refused to start for ever.
#[test]
fn a_checkpoint_is_never_ahead_of_a_journal_that_is_not_synced() {
    let mut venue = check(
        "ticket T STD
         18:30 T North -> admit",
    );
    let options = JournalOptions {
        durability: Durability::Os,
        segment_bytes: 1 << 20,
        salt: 7,
        ..JournalOptions::default()
    };
    let disk = engine::sim_disk::SimDisk::new();
    let clock = venue.clock.clone();
    venue.engine = engine::Engine::open(std::sync::Arc::new(disk.clone()), clock, options).unwrap().0;
    venue.engine.turns(engine::catalog::DeviceId(0), engine::catalog::GateId(0), 1).unwrap();
    venue.engine.journal().commit().unwrap();
    venue.engine.checkpoint().unwrap();
    for seed in 0..20 {
        let after = std::sync::Arc::new(disk.crash(seed));
        engine::Engine::open(after, venue.clock.clone(), options).expect("it starts after a power cut");
    }
}
