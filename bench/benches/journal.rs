//! Records as bytes, and group commits of 1, 64 and 1,024 of them, in a real directory and on the simulated disk.
//! Knows how to measure.

use bench::journal::{Writing, scan_payload, with_scan_record};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::disk::{Disk, StdDisk};
use engine::record::Record;
use engine::sim_disk::SimDisk;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn records(c: &mut Criterion) {
    let mut group = c.benchmark_group("record");
    let payload = scan_payload();
    let mut out = Vec::with_capacity(1_024);
    group.bench_function("encode", |bencher| {
        with_scan_record(|record| {
            bencher.iter(|| {
                out.clear();
                black_box(record).encode(&mut out);
                assert_eq!(out.len(), payload.len());
            });
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| assert!(matches!(Record::decode(black_box(&payload)), Ok(Record::Scan(_)))));
    });
    group.finish();
}

fn groups(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let real: Arc<dyn Disk> = Arc::new(StdDisk::open(dir.path()).expect("a directory of our own"));
    let mut group = c.benchmark_group("journal_commit");
    for (name, disk) in [("directory", real), ("simulated", Arc::new(SimDisk::new()) as Arc<dyn Disk>)] {
        let writing = Writing::on(disk).expect("an empty disk");
        for batch in [1, 64, 1_024] {
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("{name}/{batch}"), |bencher| {
                bencher.iter_custom(|count| commit(&writing, count, batch));
            });
        }
    }
    group.finish();
}

/// Commits `count` groups and checks that all are durable.
fn commit(writing: &Writing, count: u64, batch: usize) -> Duration {
    let before = writing.durable();
    let mut spent = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        writing.group(batch).expect("the disk works");
        spent += start.elapsed();
        writing.tidy().expect("the disk works");
    }
    assert_eq!(writing.durable() - before, count * batch as u64);
    spent
}

criterion_group! {
    name = benches;
    config = bench::settings();
    targets = records, groups
}
criterion_main!(benches);
