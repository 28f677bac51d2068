//! One scan at a million tickets: look-ups, decision, application; then the same through the engine with a journal.
//! Knows how to measure; what is measured is the library's.

use bench::TICKETS;
use bench::direct::{Course, Direct};
use bench::node::{COMMIT_EVERY, Node};
use criterion::{Criterion, criterion_group, criterion_main};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tickets of a node that serves many venues for a season; some 2 GB.
const TICKETS_MANY: u32 = 10_000_000;
/// Kept scans of a full house's day.
const KEPT_DAY: u64 = 100_000;
/// Kept scans of a node that serves many venues.
const KEPT_MANY: u64 = 1_000_000;

fn direct(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide_apply");
    for (name, tickets, kept, course) in [
        ("reentry/1000", 1_000, 1_000, Course::Reentry),
        ("reentry/1000000", TICKETS, KEPT_DAY, Course::Reentry),
        ("fresh/1000000", TICKETS, KEPT_DAY, Course::Fresh),
        ("used/1000000", TICKETS, KEPT_DAY, Course::Used),
        ("reentry_million_kept/1000000", TICKETS, KEPT_MANY, Course::Reentry),
        ("reentry/10000000", TICKETS_MANY, KEPT_DAY, Course::Reentry),
    ] {
        let mut direct = None;
        // Made only when this one is asked for, and dropped after it: a million tickets take a second and 200 MB.
        group.bench_function(name, |bencher| {
            let direct = direct.get_or_insert_with(|| Direct::new(tickets, kept, course));
            bencher.iter_custom(|count| direct.measure(count, course));
        });
    }
    group.finish();
}

fn engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine_scan");
    let mut node = Node::in_temporary_directory(TICKETS).expect("a temporary directory");
    group.bench_function("without_commit", |bencher| {
        bencher.iter_custom(|count| node.scan(count).expect("all are admitted").scans);
    });
    group.bench_function(format!("with_commit_every_{COMMIT_EVERY}"), |bencher| {
        bencher.iter_custom(|count| {
            let spent = node.scan(count).expect("all are admitted");
            spent.scans + spent.commits
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = bench::settings();
    targets = direct, engine
}
criterion_main!(benches);
