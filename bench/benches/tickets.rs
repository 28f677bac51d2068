//! Finding a ticket among a million: there, not there, and the filter in front of the store. Knows how to measure.

use bench::stream::Stream;
use bench::venue::{self, Rule};
use bench::{TICKETS, timed};
use criterion::{Criterion, criterion_group, criterion_main};
use engine::cold::ColdFilter;
use engine::ticket::CodeKind;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn find(c: &mut Criterion) {
    let state = venue::state(TICKETS, Rule::Standard);
    let filter = ColdFilter::default();
    let codes: Vec<[u8; venue::CODE_BYTES]> = (0..TICKETS).map(venue::code).collect();
    filter.rebuild(codes.len(), codes.iter().map(|code| (CodeKind::Optical, code.as_slice())));
    drop(codes);
    let mut group = c.benchmark_group("tickets");
    let table = |code: &[u8]| state.tickets.find(CodeKind::Optical, code).is_some();
    let cold = |code: &[u8]| filter.maybe(CodeKind::Optical, code);
    let mut stream = Stream::new(TICKETS, 1);
    group.bench_function("find_hit", |bencher| {
        bencher.iter_custom(|count| ask(&mut stream, count, table, count..=count));
    });
    group.bench_function("filter_hit", |bencher| {
        bencher.iter_custom(|count| ask(&mut stream, count, cold, count..=count));
    });
    let mut strangers = Stream::of_strangers(TICKETS, 1);
    group.bench_function("find_miss", |bencher| {
        bencher.iter_custom(|count| ask(&mut strangers, count, table, 0..=0));
    });
    group.bench_function("filter_miss", |bencher| {
        // One in a thousand may be a "maybe".
        bencher.iter_custom(|count| ask(&mut strangers, count, cold, 0..=count / 100 + 10));
    });
    group.finish();
}

/// Asks for `count` codes and checks how many are said to be there.
fn ask(
    stream: &mut Stream,
    count: u64,
    there: impl Fn(&[u8]) -> bool,
    expected: std::ops::RangeInclusive<u64>,
) -> Duration {
    let mut found = 0;
    let spent = timed(
        stream,
        count,
        |stream, batch| stream.prepare(batch),
        |stream, _| found += stream.codes().filter(|code| there(code)).count() as u64,
    );
    assert!(expected.contains(&found), "{found} of {count} were found");
    spent
}

criterion_group! {
    name = benches;
    config = bench::settings();
    targets = find
}
criterion_main!(benches);
