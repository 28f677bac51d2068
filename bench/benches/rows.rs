//! Batches of 1, 250 and 4,000 scans from the journal into the embedded store. Knows how to measure.

use bench::rows::Rows;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn rows(c: &mut Criterion) {
    let mut group = c.benchmark_group("rows");
    group.sampling_mode(SamplingMode::Flat);
    for records in [1, 250, 4_000] {
        let mut rows = None;
        group.throughput(Throughput::Elements(records as u64));
        group.bench_function(format!("sqlite/{records}"), |bencher| {
            let rows = rows.get_or_insert_with(|| Rows::new().expect("a temporary directory"));
            bencher.iter_custom(|count| rows.carry(count, records).expect("the disk works"));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = bench::settings();
    targets = rows
}
criterion_main!(benches);
