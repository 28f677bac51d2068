//! Throwaway.
use engine::catalog::*;
use engine::clock::*;
use engine::decision::*;
use engine::journal::JournalOptions;
use engine::record::Record;
use engine::sim_disk::SimDisk;
use engine::ticket::*;
use engine::{Engine, Lsn};
use std::sync::Arc;
use std::time::Instant;
use store::{SqliteStore, Store};
#[allow(clippy::unwrap_used)]
fn main() {
    let n: u32 = std::env::args().nth(3).unwrap().parse().unwrap();
    let clock = Arc::new(ManualClock::at(Time(1_780_000_000_000)));
    let options = JournalOptions { pending_bytes_max: 1 << 30, ..JournalOptions::default() };
    let (engine, _) = Engine::open(Arc::new(SimDisk::new()), clock.clone(), options).unwrap();
    let put = |e| engine.put(None, e).unwrap();
    put(Entity::Zone(Zone { name: "B".into(), capacity: None, rule: CapacityRule::Hard }));
    put(Entity::Event(Event {
        name: "m".into(),
        title: "M".into(),
        time_zone: "UTC".into(),
        doors_open_at: Time(0),
        starts_at: Time(1),
        ends_at: Time(i64::MAX / 2),
        cold: false,
    }));
    for g in 0..91 {
        put(Entity::Gate(Gate {
            name: format!("G{g}"),
            event: Some(EventId(0)),
            from: ZoneId(0),
            to: ZoneId(1),
            mode: GateMode::Open,
            fail_policy: FailPolicy::Closed,
        }));
    }
    put(Entity::Type(TicketType {
        name: "S".into(),
        event: EventId(0),
        entries: Some(1),
        entries_per_day: None,
        reentry: Reentry::None,
        anti_passback: AntiPassback::Hard,
        people: 1,
        gates: vec![],
        valid_from: Time::MIN,
        valid_until: Time::MAX,
    }));
    let code = |n: u32| format!("TK-{:016x}", u64::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let tickets: Vec<Ticket> = (0..n)
        .map(|n| {
            let c = code(n);
            Ticket {
                type_id: TypeId(0),
                status: TicketStatus::Active,
                specimen: false,
                usage: TicketUse::default(),
                valid_from: Time::MIN,
                valid_until: Time::MAX,
                status_at: Time(0),
                details: Details::new(
                    &format!("REF-{n}"),
                    &format!("Anna Muster{n}"),
                    &format!("O-{}", n / 3),
                    "A1",
                    &[(CodeKind::Optical, c.as_bytes())],
                ),
            }
        })
        .collect();
    engine.add_tickets(tickets, false).unwrap();
    engine.journal().commit().unwrap();
    for i in 0..n {
        let t = u64::from(i).wrapping_mul(7_919_777) as u32 % n;
        clock.set(Time(1_780_000_000_000 + i64::from(i)));
        let c = if i % 10 == 9 { format!("junk{i}") } else { code(t) };
        let id = format!("0190-{i:012}");
        engine
            .scan(&Scan {
                device: DeviceId(i % 91),
                gate: GateId(i % 91),
                code_kind: CodeKind::Optical,
                code: c.as_bytes(),
                scan_id: Some(&id),
                scanned_at: None,
                direction: None,
                people: None,
                kind: ScanKind::Validate,
                overriding: None,
                shown: None,
            })
            .unwrap();
        if i % 10_000 == 0 {
            engine.journal().commit().unwrap();
        }
    }
    engine.journal().commit().unwrap();
    let dir = std::env::args().nth(1).unwrap();
    let path = std::path::PathBuf::from(dir).join("rate.db");
    let _ = std::fs::remove_file(&path);
    let mut store = SqliteStore::open(&path).unwrap();
    let mut reader = engine.journal().reader(Lsn(0));
    let (mut scans, mut spent) = (0_u64, 0.0);
    let mut cpu_spent = 0.0;
    let (mut tix, mut tspent) = (0_u64, 0.0);
    loop {
        let mut records = Vec::new();
        reader.read(6_000_000, &mut records).unwrap();
        if records.is_empty() {
            break;
        }
        for chunk in records.chunks(std::env::args().nth(2).unwrap().parse().unwrap()) {
            let began = Instant::now();
            let cpu = on_cpu();
            let batch: Vec<_> = chunk.iter().map(|(l, p)| (*l, Record::decode(p).unwrap())).collect();
            store.apply(&batch).unwrap();
            let s = batch.iter().filter(|(_, r)| matches!(r, Record::Scan(_))).count() as u64;
            if s > 0 {
                cpu_spent += on_cpu() - cpu;

                scans += s;
                spent += began.elapsed().as_secs_f64();
            } else {
                tspent += began.elapsed().as_secs_f64();
                tix += batch
                    .iter()
                    .map(
                        |(_, r)| {
                            if let Record::Tickets { tickets, .. } = r { tickets.len() as u64 } else { 0 }
                        },
                    )
                    .sum::<u64>();
            }
        }
    }
    println!("tickets {tix} in {tspent:.2}s = {:.0}/s", tix as f64 / tspent);
    println!("scans {scans} in {spent:.2}s = {:.0}/s", scans as f64 / spent);
    println!("cpu {cpu_spent:.2}s = {:.0}/s of one core", scans as f64 / cpu_spent);
    let began = Instant::now();
    let state = store.bootstrap().unwrap();
    println!(
        "bootstrap {:.2}s same {}",
        began.elapsed().as_secs_f64(),
        engine::checkpoint::image(&state) == engine.image()
    );
    println!("file {} MB", std::fs::metadata(&path).unwrap().len() >> 20);
}

fn on_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}
