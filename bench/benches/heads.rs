//! A request's head through the framing, whole and in three pieces, beside the bare parser. Knows how to measure.

use bench::heads::{BROWSER, BROWSER_HEADERS, connection, frame, in_three, parse_httparse, scan_request};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("heads");
    let scan = scan_request();
    for (name, request, headers) in [("scan", scan.as_slice(), 3), ("browser", BROWSER, BROWSER_HEADERS)] {
        group.throughput(Throughput::Bytes(request.len() as u64));
        let mut feed = connection();
        let expected = frame(&mut feed, &[request]);
        group.bench_function(format!("{name}/whole"), |bencher| {
            bencher.iter(|| assert_eq!(frame(&mut feed, &[black_box(request)]), expected));
        });
        group.bench_function(format!("{name}/three_pieces"), |bencher| {
            bencher.iter(|| assert_eq!(frame(&mut feed, &in_three(black_box(request))), expected));
        });
        group.bench_function(format!("{name}/httparse"), |bencher| {
            bencher.iter(|| assert_eq!(parse_httparse(black_box(request)), (expected.head, headers)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = bench::settings();
    targets = heads
}
criterion_main!(benches);
