//! A million tickets as a whole: import, checkpoint, load; and the replay of a day's scans. Knows how to measure.

use bench::node::Node;
use bench::{TICKETS, venue};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use engine::disk::{Disk, StdDisk};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Scans that are replayed.
const SCANS: u64 = 200_000;
/// Tickets they are about.
const SCANNED_TICKETS: u32 = 10_000;

fn state(c: &mut Criterion) {
    let mut group = c.benchmark_group("state");
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(u64::from(TICKETS)));
    group.bench_function("add_tickets_million", |bencher| {
        bencher.iter_custom(|count| (0..count).map(|_| import()).sum());
    });
    let node = Node::in_temporary_directory(TICKETS).expect("a temporary directory");
    let mut name = node.checkpoint().expect("the disk works");
    group.bench_function("checkpoint_write_million", |bencher| {
        bencher.iter(|| name = node.checkpoint().expect("the disk works"));
    });
    group.bench_function("checkpoint_load_million", |bencher| {
        bencher.iter(|| assert_eq!(node.load(&name).expect("it was written"), (TICKETS as usize, 0)));
    });
    drop(node);
    replay(&mut group);
    group.finish();
}

fn import() -> Duration {
    let node = Node::in_temporary_directory(0).expect("a temporary directory");
    let tickets = (0..TICKETS).map(venue::ticket).collect();
    let start = Instant::now();
    node.import(tickets).expect("all are new");
    let spent = start.elapsed();
    assert_eq!(node.engine.sizes().0, TICKETS as usize);
    spent
}

fn replay(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::open(dir.path()).expect("a directory of our own"));
    let mut node = Node::on(Arc::clone(&disk), SCANNED_TICKETS).expect("an empty directory");
    node.scan(SCANS).expect("all are admitted");
    drop(node);
    group.throughput(Throughput::Elements(SCANS));
    group.bench_function("replay_scans", |bencher| {
        bencher.iter_custom(|count| {
            (0..count)
                .map(|_| {
                    let (records, spent) = Node::replay(&disk, SCANNED_TICKETS).expect("a whole journal");
                    assert_eq!(records, SCANS);
                    spent
                })
                .sum()
        });
    });
}

criterion_group! {
    name = benches;
    config = bench::settings();
    targets = state
}
criterion_main!(benches);
