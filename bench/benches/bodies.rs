//! Reading the contract's example and writing the reply to it. Knows how to measure.

use bench::bodies::{EXAMPLE, EXAMPLE_ESCAPED, Reply, SimdJson, parse, parse_serde_json};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CODE_LEN: usize = "TICKET_QR_CODE_123".len();

fn bodies(c: &mut Criterion) {
    let mut group = c.benchmark_group("bodies");
    let mut scratch = api::body::Scratch::default();
    group.bench_function("parse_149_bytes", |bencher| {
        bencher.iter(|| assert_eq!(parse(black_box(EXAMPLE), &mut scratch), CODE_LEN));
    });
    group.bench_function("parse_general", |bencher| {
        bencher.iter(|| assert_eq!(parse(black_box(EXAMPLE_ESCAPED), &mut scratch), CODE_LEN));
    });
    let mut simd_json = SimdJson::default();
    for (suffix, body) in [("", EXAMPLE), ("_escaped", EXAMPLE_ESCAPED)] {
        group.bench_function(format!("parse_serde_json{suffix}"), |bencher| {
            bencher.iter(|| assert_eq!(parse_serde_json(black_box(body)), CODE_LEN));
        });
        group.bench_function(format!("parse_simd_json{suffix}"), |bencher| {
            bencher.iter(|| assert_eq!(simd_json.parse(black_box(body)), CODE_LEN));
        });
    }
    let reply = Reply::admission();
    let mut out = Vec::with_capacity(1_024);
    let expected = reply.render("json", &mut out);
    group.bench_function("render_json", |bencher| {
        bencher.iter(|| assert_eq!(reply.render(black_box("json"), &mut out), expected));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = bench::settings();
    targets = bodies
}
criterion_main!(benches);
